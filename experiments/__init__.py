"""Reproduction of every trained weight and of published experiments; run from a checkout with ``python -m experiments.NAME``."""
