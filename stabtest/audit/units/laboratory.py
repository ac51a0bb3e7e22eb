"""Where units are measured: the networks of one process, loaded once, and the case at hand.

Cases are made one at a time and dropped, so that memory does not grow with their number.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import torch

from stabtest.audit.cases import case_info, make_case
from stabtest.audit.cases.simulate import derived_seed
from stabtest.audit.config import Config
from stabtest.audit.measures import measurements
from stabtest.audit.subject import check_same, load_subjects
from stabtest.audit.units.engine import Measure, Step, UnitLike
from stabtest.audit.units.plan import Plan, Unit
from stabtest.audit.units.store import Result
from stabtest.stability.cases import Case, Resampled


@dataclass(frozen=True)
class MakeLaboratory:
    """Sets a process up to measure the units of a plan; picklable, so that another process can.

    Parameters
    ----------
    config, device, fingerprints
        As in `stabtest.audit.units.plan.Plan`.
    """

    config: Config
    device: str
    fingerprints: dict[str, str]

    @classmethod
    def of(cls, plan: Plan) -> MakeLaboratory:
        """For the units of a plan."""
        return cls(plan.config, plan.device, plan.fingerprints)

    def __call__(self) -> Measure:
        """Load the methods and give the function that measures a unit.

        Raises
        ------
        StabtestError
            If a method cannot be loaded, or is not the planned one.
        """
        if multiprocessing.parent_process() is not None:
            torch.set_num_threads(1)  # one of several processes
        subjects = load_subjects(self.config, device=self.device)
        check_same(subjects, self.fingerprints)
        methods = {subject.method.name: subject.method for subject in subjects}
        tests = {test.name: test for test in measurements(self.config)}
        at_hand: dict[int, Case] = {}

        def measure(unit: UnitLike, step: Step) -> Result:
            this = cast(Unit, unit)
            if this.index not in at_hand:
                at_hand.clear()
                at_hand[this.index] = to_device(make_case(self.config, this.index), self.device)
            # The seed does not depend on the method: all methods get the same sites, noise and random starts.
            seed = derived_seed(self.config.audit.seed, this.test, this.case)
            outcome = tests[this.test].run(
                methods[this.method], at_hand[this.index], seed, lambda done, total: step(done / max(total, 1))
            )
            info = case_info(at_hand[this.index])
            return Result(outcome.rows, outcome.pictures, outcome.witnesses, outcome.evaluations, case=info)

        return measure


def to_device(case: Case, device: str) -> Case:
    """A case with its tensors on a device; measurements at other sampling levels are moved when they are made."""
    if torch.device(device).type == "cpu":
        return case
    return replace(
        case,
        measurement=case.measurement.to(device),
        truth=None if case.truth is None else case.truth.to(device),
        noiseless=None if case.noiseless is None else case.noiseless.to(device),
        resample=None if case.resample is None else _resample_to(case.resample, device),
    )


def _resample_to(resample: Callable[[float], Resampled], device: str) -> Callable[[float], Resampled]:
    def moved(level: float) -> Resampled:
        again = resample(level)
        return replace(again, measurement=again.measurement.to(device))

    return moved
