"""Images with known truth, endless from a seed, and details to put into them."""

from stabtest.phantoms.ellipses import ellipses
from stabtest.phantoms.head import head

__all__ = ["ellipses", "head"]
