"""What must hold before anything is measured: the data can be read, the network does what was declared of it.

A network that does not run, or gives another shape, or NaN, ends the audit at once. The other gates are rows of the report,
and a failed one makes the findings of its method INVALID.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from stabtest.audit.cases import case_names, check_case, make_case
from stabtest.audit.cases.own_operator import own_files
from stabtest.audit.cases.separation import separation, separation_gate
from stabtest.audit.cases.simulate import derived_seed
from stabtest.audit.privacy import public
from stabtest.audit.units.laboratory import to_device
from stabtest.audit.units.plan import Plan
from stabtest.errors import NetworkError, OperatorError
from stabtest.findings.records import Gate
from stabtest.networks.gates import check_network, require
from stabtest.operators import OwnOperator
from stabtest.operators.examine import LIMITS
from stabtest.stability.cases import Case


def run_gates(plan: Plan, *, tell: Callable[[str], None] | None = None) -> list[Gate]:
    """Check every method on the first case, and read all real data once.

    Parameters
    ----------
    plan
        From `stabtest.audit.make_plan`.
    tell
        Is told what is done next: gates of slow methods take minutes.

    Returns
    -------
    list of Gate
        Those of the operator once, then those of each method.

    Raises
    ------
    StabtestError
        If the data or the list of the training cannot be read, the operator's adjoint is not one, or a method does not give finite images of
        the right shape.
    """
    tell = tell or (lambda what: None)
    tell("the first case")
    case = to_device(make_case(plan.config, 0), plan.here)
    last = 0 if plan.config.data.kind == "phantom" else len(case_names(plan.config))
    for index in range(1, last):
        tell(f"reading case {index + 1} of {last}")
        check_case(plan.config, index)  # a damaged file is found now and not after hours
    gates: list[Gate] = _own_operator(plan, case)
    for subject in plan.subjects:
        tell(f"gates of {subject.method.name}")
        own = _gates_of(plan, subject.method.name, case)
        try:
            require(own)
        except NetworkError as error:
            raise _for_another_scan(plan, subject.item.card) or error from error
        broken = next((gate for gate in own if gate.subject != subject.method.name and not gate.passed), None)
        if broken is not None:
            raise OperatorError(f"{broken.subject}: {broken.name}", expected="an exact adjoint", came=broken.detail)
        gates += [gate for gate in own if gate.subject == subject.method.name or gate not in gates]
    apart = separation_gate(separation(plan.config), plan.subjects[0].method.name)
    return gates if apart is None else [*gates, apart]


def _for_another_scan(plan: Plan, card: dict[str, Any] | None) -> NetworkError | None:
    """What is said of a network of the zoo that does not run since it was made for the other modality."""
    name, made_for = plan.config.network.zoo, (card or {}).get("modality")
    if name is None or made_for is None or made_for == plan.config.modality:
        return None
    words = {"mri": "MRI", "ct": "CT", "other": "neither MRI nor CT"}
    return NetworkError(
        name,
        expected=f"the scan that it was trained for: {words[made_for]}",
        came=f"[operator] kind = {plan.config.operator.kind!r}: {words[plan.config.modality]}",
        remedy=f"stabtest zoo {name} prints the scan as a configuration",
    )


def _own_operator(plan: Plan, case: Case) -> list[Gate]:
    """What was found of an operator of the user's own when it was made; one that is not linear never comes here."""
    operator = case.operator
    if not isinstance(operator, OwnOperator):
        return []
    found, calls = operator.examined, operator.calls
    sources = "; ".join(f"{public(name)}, SHA-256 {sha256[:12]}" for name, sha256 in own_files(plan.config).items())
    detail = (
        f"{operator.name}: A(a x + b z) against a A x + b A z, of both maps. Called by {calls.pair.names} on {calls.arrays} arrays, layout "
        f"{calls.layout}; {operator.domain.shape} to {operator.range.shape}" + (f"; {sources}." if sources else ".")
    )
    return [
        Gate(
            name="linear",
            subject=str(operator.describe()["kind"]),
            passed=True,
            value=found.linearity,
            limit=LIMITS[found.precision],
            detail=detail,
        )
    ]


def _gates_of(plan: Plan, name: str, case: Case) -> list[Gate]:
    method = next(subject.method for subject in plan.subjects if subject.method.name == name)
    generator = torch.Generator().manual_seed(derived_seed(plan.config.audit.seed, "gates"))
    return check_network(method.reconstruct, case.operator, case.measurement, case.truth, subject=name, generator=generator)
