"""Genzel, Macdonald and März 2022: robustness curves of networks and total variation, and whether they survive a stronger search."""
