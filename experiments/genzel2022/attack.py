"""The published attack of a method on one case."""

from __future__ import annotations

from typing import Any

import torch

from experiments.frame import scans
from experiments.frame.pieces import Arrays, Pieces
from experiments.frame.scans import Reconstructor, Scan
from stabtest import metrics, tensors
from stabtest.search import DistanceToTruth, Leader, MeasurementBall, Problem, verify
from stabtest.search.published import genzel_2022


def adam(
    pieces: Pieces, one: Reconstructor, scan: Scan, index: int, *, radius: float, evaluations: int, noise: float | None
) -> Arrays:
    """The published attack at its published rate."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index, noise=noise)
        assert on.truth is not None
        ball = MeasurementBall(on.operator, radius * tensors.norm(on.measurement))
        problem = Problem(one.method.reconstruct, on.measurement, ball, DistanceToTruth(on.truth))
        leader = Leader(torch.zeros_like(on.measurement), planned=evaluations)
        genzel_2022(problem, leader, steps=evaluations - 1, generator=torch.Generator().manual_seed(0))
        return {"error": [float(metrics.nrmse(verify(problem, leader.variable).perturbed, on.truth))]}

    told = {
        "method": one.fingerprint,
        "case": scans.told(scan, index, noise=noise),
        "radius": radius,
        "evaluations": evaluations,
    }
    return pieces.get(f"adam-{one.name}", told, make)
