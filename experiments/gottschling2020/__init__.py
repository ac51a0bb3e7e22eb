"""Gottschling, Antun, Hansen and Adcock 2020: details of the kernel, hallucinations, and what recovering them costs in stability."""
