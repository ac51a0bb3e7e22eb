"""What must hold before anything is measured: the data can be read, the network does what was declared of it.

A network that does not run, or gives another shape, or NaN, ends the audit at once. The other gates are rows of the report,
and a failed one makes the findings of its method INVALID.
"""

from __future__ import annotations

import torch

from stabtest.audit.cases import make_case
from stabtest.audit.laboratory import to_device
from stabtest.audit.plan import Plan
from stabtest.audit.simulate import derived_seed
from stabtest.errors import OperatorError
from stabtest.findings.records import Gate
from stabtest.networks.gates import check_network, require
from stabtest.stability.cases import Case


def run_gates(plan: Plan) -> list[Gate]:
    """Check every method on the first case, and read all real data once.

    Parameters
    ----------
    plan
        From `stabtest.audit.make_plan`.

    Returns
    -------
    list of Gate
        Those of the operator once, then those of each method.

    Raises
    ------
    StabtestError
        If the data cannot be read, the operator's adjoint is not one, or a method does not give finite images of the right shape.
    """
    case = to_device(make_case(plan.config, 0), plan.device)
    for index in range(1, len(plan.config.data.files)):
        make_case(plan.config, index)  # a damaged file is found now and not after hours
    gates: list[Gate] = []
    for subject in plan.subjects:
        own = _gates_of(plan, subject.method.name, case)
        require(own)
        broken = next((gate for gate in own if gate.subject != subject.method.name and not gate.passed), None)
        if broken is not None:
            raise OperatorError(f"{broken.subject}: {broken.name}", expected="an exact adjoint", came=broken.detail)
        gates += [gate for gate in own if gate.subject == subject.method.name or gate not in gates]
    return gates


def _gates_of(plan: Plan, name: str, case: Case) -> list[Gate]:
    method = next(subject.method for subject in plan.subjects if subject.method.name == name)
    generator = torch.Generator().manual_seed(derived_seed(plan.config.audit.seed, "gates"))
    return check_network(method.reconstruct, case.operator, case.measurement, case.truth, subject=name, generator=generator)
