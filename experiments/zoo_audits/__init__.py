"""Audits of the zoo, one page each, side by side in ``reports/index.html``."""
