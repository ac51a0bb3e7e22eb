"""Training of the zoo: ``python -m experiments.training NAME``."""
