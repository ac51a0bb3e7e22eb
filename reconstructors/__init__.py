"""The zoo: classical methods and trained networks, each with its paper, its weights and its model card.

Nothing heavy is imported here: `load` imports what it needs.

Examples
--------
>>> import reconstructors
>>> "unet-mri" in reconstructors.names()
True
"""

from reconstructors.zoo import Entry, load, names

__all__ = ["Entry", "load", "names"]
