"""What is measured on: an object, a scan, a measurement; simulated or read from files.

`make` is the door: how many cases there are, what they depend on, and making one. `simulate` measures phantoms and objects from files (`imaged`),
`measured_kspace` and `measured_sinogram` read real measurements; `scans`, `patterns` and `trajectory` measure the same object with other samples;
`slices`, `naming`, `groups` and `separation` say which slice of whom each case is.
"""

from stabtest.audit.cases.make import case_fingerprint, case_info, case_names, case_operator, check_case, check_data, make_case

__all__ = ["case_fingerprint", "case_info", "case_names", "case_operator", "check_case", "check_data", "make_case"]
