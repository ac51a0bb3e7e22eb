"""Antun, Renna, Poon, Adcock and Hansen 2020: tiny perturbations, small details, more samples."""
