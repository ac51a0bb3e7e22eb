"""The Lipschitz test alone, for ``stabtest bound``."""

from __future__ import annotations

from stabtest.audit.cases import make_case
from stabtest.audit.laboratory import to_device
from stabtest.audit.plan import Plan
from stabtest.audit.simulate import derived_seed
from stabtest.findings.records import Bracket, LayerRow
from stabtest.stability import LipschitzTest


def lipschitz_rows(plan: Plan) -> tuple[list[LayerRow], list[Bracket]]:
    """Layer table and brackets of the method under test on the first case.

    Parameters
    ----------
    plan
        From `stabtest.audit.make_plan`.

    Raises
    ------
    StabtestError
        If a gain contradicts a bound, or the reconstruction has no gradient.
    """
    case = to_device(make_case(plan.config, 0), plan.device)
    test = LipschitzTest(jacobian_steps=plan.config.lipschitz.jacobian_steps)
    seed = derived_seed(plan.config.audit.seed, "lipschitz", case.name)
    rows = test.measure(plan.subjects[0].method, case, seed=seed).rows
    return [row for row in rows if isinstance(row, LayerRow)], [row for row in rows if isinstance(row, Bracket)]
