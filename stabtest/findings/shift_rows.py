"""Measured rows of distribution shift, and the statements about patients that rest on them.

``nrmse_without = ||f(y) - x|| / ||x||``, ``nrmse = ||f(y') - x'|| / ||x'||`` with the shifted object ``x'``, ``defect = ||f(y') - T
f(y)|| / ||f(y)||`` with the shift ``T`` of the image. ``linear_...`` is the same of the direct linear reconstruction.
"""

from __future__ import annotations

from typing import Literal

from stabtest.findings.records import Interval, Record


class ShiftRow(Record):
    """One method on one case under one shift of one size, or under the worst shift that a search found."""

    case: str
    method: str
    family: Literal["object", "scan", "searched"]
    shift: str
    """Its kind; of a search, the box in words."""
    size: float | None
    """In ``unit``; ``None`` for a search, which has ``parameters``."""
    unit: str
    nrmse_without: float | None
    """``None`` without truth."""
    nrmse: float | None
    change: float | None
    """``nrmse - nrmse_without``, paired: the same object and noise. Of a search never negative."""
    linear_nrmse_without: float | None
    linear_nrmse: float | None
    """Of a search, the worst of a search of its own."""
    linear_change: float | None
    defect: float | None
    """``None`` where the shift is no map of images."""
    linear_defect: float | None
    resampling_change: float | None = None
    """Change of the NRMSE for the object resampled there and back: what the kernel alone does; ``None`` = nothing resampled."""
    parameters: dict[str, float] = {}
    """Of a search: the worst point of the box."""
    linear_parameters: dict[str, float] = {}
    """Of a search: the worst point of the linear reference."""
    grid_nrmse: float | None = None
    """Of a search: the largest error on its grid, never above ``nrmse``."""
    gradient: Literal["autograd", "differences", "none"] | None = None
    """Of a search: what its ascents followed."""
    finer: bool = False
    """Whether the object was changed on the finer grid that it was simulated on; else the truth on its own grid."""
    misfit: float | None = None
    """``||y - A o|| / (sigma sqrt N)`` of the object ``o``: near 1 = noise alone. Well above 1, what the pixels of the truth cannot
    represent stays where it was when the object moves; ``None`` where truth or noise level is not known."""
    evaluations: int = 0
    """Of the method; the linear reference is not counted."""
    note: str | None = None
    """Why there are no figures: what this operator cannot have, or the method does not take."""


class ShiftStatement(Record):
    """Whether a shift makes the images of a method poorer, and poorer than those of the linear reference, over patients."""

    method: str
    family: Literal["object", "scan", "searched"]
    shift: str
    size: float | None
    unit: str
    patients: int
    change: float
    """Mean paired change of NRMSE; positive = poorer under the shift."""
    interval: Interval | None
    """Of the change; ``None`` with fewer than two patients."""
    excess: float
    """Mean of the change less that of the linear reference on the same case."""
    excess_interval: Interval | None
    outcome: Literal["poorer beyond the linear reference", "poorer", "better", "no change shown", "no interval"]
    statement: str
