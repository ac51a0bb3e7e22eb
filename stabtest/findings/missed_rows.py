"""Rows of the search for missed lesions."""

from __future__ import annotations

from typing import Literal

from stabtest.findings.records import Record


class MissedLesionRow(Record):
    """The lesion that came back least in one method on one case, as far as a search found it."""

    case: str
    method: str
    row: float | None
    """Of its middle, in pixels; ``None`` (as for all figures of the lesion) where no lesion was admissible."""
    column: float | None
    diameter_px: float | None
    """Of the disc of equal area."""
    contrast: float | None
    """Height relative to the largest value of ``|x|``; negative for a dark lesion."""
    aspect: float | None
    """Long axis over short one."""
    degrees: float | None
    """From the rows (to the right) to the long axis."""
    recovery: float | None
    """Contrast recovery coefficient, measured again from scratch with the lesion drawn by another program."""
    search_recovery: float | None
    """What the search had for it."""
    grid_recovery: float | None
    """The least on the coarse grid alone."""
    half_recovery: float | None
    """The least after half of the budget: how much the second half still found."""
    region_nrmse: float | None
    outside_energy: float | None
    """Energy of the change outside the lesion over the energy of the lesion."""
    sham_recovery: float | None
    """The same statistic where nothing was put in and only the noise differs."""
    data_detectability: float | None
    null_space_share: float | None
    identifiable: bool
    """The gate, on the figures that were measured again."""
    reference: str | None
    """The method whose recovery of the same lesion stands beside it."""
    reference_recovery: float | None
    linear_recovery: float | None
    """Of the same lesion by the direct linear reconstruction."""
    evaluations: int
    """Of the method, never more than the stated budget."""
    gradient: Literal["autograd", "differences", "none"]
    """What the descents followed."""
    set_aside: int = 0
    """Lesions that the search came upon and set aside: the data do not carry them, or the body has no room."""
