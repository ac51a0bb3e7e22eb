"""Does the method still work when object or scan are not quite as they should be? One row for each shift and size.

For every shift the error with and without (paired, the same noise), the equivariance defect, and both of the direct linear
reconstruction beside them (`stabtest.stability.shift.equivariance`); then the worst rotation, translation and intensity of a
box, searched (`stabtest.stability.shift.search`), for the method and for the linear reference each.

A poorer image under a shift outside of training is a finding about the use of a network. What is told wrongly (mask, maps,
geometry) harms every method; the linear reference says how much of it must be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from stabtest.errors import ConfigError, DataError, NetworkError
from stabtest.findings.shift_rows import ShiftRow
from stabtest.stability.cases import Case, Method, Outcome, Progress
from stabtest.stability.shift.box import Box
from stabtest.stability.shift.equivariance import Comparison, compare, linear_reference
from stabtest.stability.shift.object_shifts import ObjectShift
from stabtest.stability.shift.scan_shifts import ScanShift
from stabtest.stability.shift.scene import Scene
from stabtest.stability.shift.search import worst_shift
from stabtest.stability.shift.shifted import Shift

OBJECTS = (
    ObjectShift("intensity", -0.2),
    ObjectShift("intensity", 0.2),
    ObjectShift("rotation", 2.0),
    ObjectShift("rotation", 10.0),
    ObjectShift("translation_rows", 3.5),
    ObjectShift("translation_columns", 0.5),
    ObjectShift("translation_columns", 3.5),
    ObjectShift("zoom", -0.1),
    ObjectShift("zoom", 0.1),
    ObjectShift("inversion", 1.0),
    ObjectShift("anatomy", 1.0),
)
"""Changes of the object that a test makes unless told otherwise."""

SCANS = (
    ScanShift("mask", 0.1),
    ScanShift("coil_gain", 0.1),
    ScanShift("coil_phase", 10.0),
    ScanShift("coil_shift", 2.0),
    ScanShift("coil_array", 1.0),
    ScanShift("motion_translation", 1.0),
    ScanShift("motion_rotation", 2.0),
    ScanShift("angle_jitter", 0.5),
    ScanShift("angle_stretch", 0.02),
    ScanShift("centre", 1.0),
    ScanShift("detector_gain", 0.02),
    ScanShift("detector_offset", 0.01),
    ScanShift("receiver_gain", 1.0),
    ScanShift("receiver_phase", 90.0),
)
"""Errors of the scan that a test makes unless told otherwise, of those the ones that a case's operator can have."""

BOX = Box(degrees=5.0, rows=2.0, columns=2.0, intensity=0.1)
"""What a search may do unless told otherwise."""


REFUSED = "the method does not take what it is told"
"""Begins the note of a shift that the method refused, in contrast to one that the operator cannot have."""


@dataclass(frozen=True)
class ShiftTest:
    """Shifts of the object and of the scan, and a search for the worst small one.

    Parameters
    ----------
    objects
        Changes of the object; each needs the truth.
    scans
        Errors of the scan. None is those of `SCANS` that the case can have; of those that are named, the ones that the
        operator cannot have get a row that says why.
    box
        Of the search; None for no search. It needs the truth.
    points, restarts, steps
        Of the search, see `worst_shift`.
    finer
        Gives the object that a case was simulated from, on a grid twice as fine, or None where it is not at hand. Without it
        the truth is changed on its own grid, and what its pixels cannot represent stays where it was (``misfit`` in the rows).

    Raises
    ------
    ConfigError
        If there is nothing to do.
    """

    objects: tuple[ObjectShift, ...] = OBJECTS
    scans: tuple[ScanShift, ...] | None = None
    box: Box | None = BOX
    points: int = 3
    restarts: int = 2
    steps: int = 8
    finer: Callable[[Case], Tensor | None] | None = None

    def __post_init__(self) -> None:
        if not self.objects and self.scans == () and self.box is None:
            raise ConfigError("shift test", expected="objects, scans or a box", came="none of them")

    def measure(self, method: Method, case: Case, *, seed: int = 0, progress: Progress | None = None) -> Outcome:
        """Error and defect under every shift, and under the worst found.

        Parameters
        ----------
        method, case
            What reconstructs, and what.
        seed
            Of what the shifts draw and of the starts of the search; with the same seed all methods get the same.
        progress
            Called after each shift, and after the search.

        Returns
        -------
        Outcome
            One `ShiftRow` for each shift and size. Without pictures.

        Raises
        ------
        DataError
            If the case has no truth and a shift was asked for that needs it.
        NetworkError
            If the method does not return a finite image of the right shape. One that refuses another mask or other coil maps
            gets a row that says so: it is not able, which is another thing than stable.

        Examples
        --------
        >>> import torch
        >>> from stabtest.operators import Identity
        >>> image = torch.ones(1, 1, 8, 8)
        >>> case = Case("a", "a", "other", Identity((8, 8)), image, truth=image)
        >>> absolute = Method("net", "under test", lambda y, A: y.clamp_max(1.0))
        >>> (row,) = ShiftTest((ObjectShift("intensity", 1.0),), scans=(), box=None).measure(absolute, case).rows
        >>> row.change, row.linear_change
        (0.5, 0.0)
        """
        shifts = tuple(self._shifts(case))
        self._check(case, shifts)
        total = len(shifts) + (self.box is not None)
        scene = Scene(case, None if self.finer is None else self.finer(case))
        clean = method(case.measurement, case.operator)
        linear = linear_reference(case, clean)
        linear_clean = linear(case.measurement, case.operator)
        rows: list[ShiftRow] = []
        gradients = 0
        for done, shift in enumerate(shifts, 1):
            reason, spent, one, other = shift.unfit(case), 0, _NOTHING, _NOTHING
            if reason is None:
                shifted = shift.apply(scene, seed=seed)
                try:
                    one = compare(method, case, shifted, clean=clean)
                    other = compare(linear, case, shifted, clean=linear_clean)
                    spent = 1 if shifted.resampled is None else 2
                except NetworkError as error:
                    if shifted.operator is case.operator:
                        raise
                    reason = f"{REFUSED}: {error.message}"
            rows.append(_row(method, scene, shift, one, other, spent, reason))
            if progress is not None:
                progress(done, total)
        if self.box is not None:
            row, gradients = self._searched(method, linear, scene, self.box, seed)
            rows.append(row)
            if progress is not None:
                progress(total, total)
        # What was asked without a gradient is in the rows, and no gradient evaluation.
        return Outcome(tuple(rows), evaluations=gradients)

    def _shifts(self, case: Case) -> Iterator[Shift]:
        yield from self.objects
        if self.scans is not None:
            yield from self.scans
            return
        for shift in SCANS:
            if shift.unfit(case) is None and (case.truth is not None or not shift.needs_truth):
                yield shift

    def _check(self, case: Case, shifts: tuple[Shift, ...]) -> None:
        if case.truth is not None:
            return
        asking = [shift.label for shift in shifts if shift.needs_truth and shift.unfit(case) is None]
        asking += ["search of the worst shift"] if self.box is not None else []
        if asking:
            raise DataError(
                f"case {case.name}: distribution shift",
                expected=f"a truth, which is measured anew for {', '.join(dict.fromkeys(asking))}",
                came="none",
                remedy="leave these out for real data (objects=(), box=None), or give a reference image",
            )

    def _searched(self, method: Method, linear: Method, scene: Scene, box: Box, seed: int) -> tuple[ShiftRow, int]:
        found, beside = (
            worst_shift(one, scene, box, points=self.points, restarts=self.restarts, steps=self.steps, seed=seed)
            for one in (method, linear)
        )
        row = ShiftRow(
            case=scene.case.name,
            method=method.name,
            family="searched",
            shift=box.words,
            size=None,
            unit="box",
            nrmse_without=found.clean,
            nrmse=found.nrmse,
            change=found.damage,
            linear_nrmse_without=beside.clean,
            linear_nrmse=beside.nrmse,
            linear_change=beside.damage,
            defect=None,
            linear_defect=None,
            parameters=found.parameters,
            linear_parameters=beside.parameters,
            grid_nrmse=found.grid_nrmse,
            gradient=found.gradient,
            misfit=scene.misfit,
            finer=scene.factor > 1,
            evaluations=found.evaluations,
        )
        return row, found.gradients


_NOTHING = Comparison(None, None, None, None)


def _row(
    method: Method, scene: Scene, shift: Shift, one: Comparison, other: Comparison, evaluations: int, note: str | None
) -> ShiftRow:
    return ShiftRow(
        case=scene.case.name,
        method=method.name,
        family=shift.family,
        shift=shift.label,
        size=shift.size,
        unit=shift.unit,
        nrmse_without=one.without,
        nrmse=one.under,
        change=one.change,
        linear_nrmse_without=other.without,
        linear_nrmse=other.under,
        linear_change=other.change,
        defect=one.defect,
        linear_defect=other.defect,
        resampling_change=one.resampling_change,
        misfit=scene.misfit,
        finer=scene.factor > 1,
        evaluations=evaluations,
        note=note,
    )
