"""Parts of ``benchmarks/search_strength.py``.

`subjects` is what is attacked, `methods` by what, `jobs` one run and its record, `tables` what the record says.
"""
