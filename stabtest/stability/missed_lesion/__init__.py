"""The missed-lesion search: the worst place, size and height of a lesion that the data carry.

- `lesion`: a lesion by its parameters, differentiable, and the set that it may be of.
- `search`: a coarse grid, then descent on the parameters.
- `measure`: as a test of stability, the found lesion measured again, beside the reference.
"""

from stabtest.stability.missed_lesion.lesion import Lesion, LesionBox
from stabtest.stability.missed_lesion.measure import MissedLesionTest, put_in
from stabtest.stability.missed_lesion.search import FoundLesion, search_lesion

__all__ = ["FoundLesion", "Lesion", "LesionBox", "MissedLesionTest", "put_in", "search_lesion"]
