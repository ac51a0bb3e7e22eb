"""Object and scan not quite as they should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from stabtest.audit.config.settings.base import Finite, Section, possible
from stabtest.stability.shift import Box, ObjectShift, ScanShift, ShiftTest
from stabtest.stability.shift.measure import BOX, OBJECTS
from stabtest.stability.shift.object_shifts import ObjectKind
from stabtest.stability.shift.scan_shifts import ScanKind

_NO_BOX = {"degrees": 0.0, "rows": 0.0, "columns": 0.0, "intensity": 0.0}


class ShiftSection(Section):
    """Test 8: object and scan not quite as they should be; off unless asked for, since it takes many reconstructions."""

    enabled: bool = Field(
        default=False,
        description="Whether this test is run. It takes one reconstruction for each shift and size, two where the object is resampled, "
        "and points^4 + 2 x restarts x steps or more for the search: some 140 for each method and case at the defaults, and about "
        "as many of the linear reference beside it.",
    )
    objects: dict[ObjectKind, tuple[Finite, ...]] | None = Field(
        default=None,
        description="Changes of the object and their sizes (relative, degrees, pixels, share); default: all of the example; {}: none.",
    )
    anatomy: Literal["ellipses", "head", "chest"] | None = Field(
        default=None, description="Which phantom another anatomy is; default ellipses, or head where the cases are ellipses."
    )
    scans: dict[ScanKind, tuple[Finite, ...]] | None = Field(
        default=None,
        description="Errors of the scan and their sizes; default: all that the operator can have, at the sizes of the methods page; {}: none.",
    )
    box: dict[Literal["degrees", "rows", "columns", "intensity"], Finite] | None = Field(
        default=None,
        description="Largest rotation, translation (pixels) and relative change of brightness of the searched worst shift; "
        "default: the example; {}: no search.",
    )
    points: int = Field(
        default=3, ge=1, description="Search: points of the grid along each side of the box, odd; all combinations are tried."
    )
    restarts: int = Field(default=2, ge=0, description="Search: ascents, from the best of the grid and from random points.")
    steps: int = Field(default=8, ge=0, description="Search: steps of each ascent at most, each one or two evaluations.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.points % 2 == 0:
            raise ValueError("points: an odd number, so that no shift is one of them")
        with possible():
            test = self.test()
        if self.enabled and test is None:
            raise ValueError("objects, scans or box: not all of them empty where enabled = true")
        return self

    def test(self, *, phantom: str | None = None) -> ShiftTest | None:
        """The test that is meant; None where there is nothing to do.

        Parameters
        ----------
        phantom
            Which phantom the cases are, so that another anatomy is another one.
        """
        anatomy = self.anatomy or ("head" if phantom == "ellipses" else "ellipses")
        if self.objects is None:
            objects = tuple(replace(one, anatomy=anatomy) for one in OBJECTS)
        else:
            objects = tuple(ObjectShift(kind, size, anatomy=anatomy) for kind, sizes in self.objects.items() for size in sizes)
        scans = (
            None if self.scans is None else tuple(ScanShift(kind, size) for kind, sizes in self.scans.items() for size in sizes)
        )
        box = BOX if self.box is None else Box(**{**_NO_BOX, **self.box}) if self.box else None
        if not objects and scans == () and box is None:
            return None
        return ShiftTest(objects=objects, scans=scans, box=box, points=self.points, restarts=self.restarts, steps=self.steps)
