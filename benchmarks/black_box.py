"""How much of the white-box worst case a search without gradients finds, by queries.

For the shipped networks at a small size: the best objective after 50, 200, 500, 1000, ... queries, divided by what `worst_case` finds with
gradients (60 evaluations) at the same radius, averaged over images; for the black-box search, NES and SPSA, and for Gaussian noise of the
same norm (the largest of as many draws).

    python benchmarks/black_box.py [--queries 1000] [--images 2] [--size 48] [--radii 0.01 0.1] [--networks mri ct] [--methods ...] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from reconstructors.zoo import load
from stabtest import phantoms, tensors
from stabtest.networks import wrap
from stabtest.operators import Fourier, Radon, cartesian_gaussian
from stabtest.operators.base import LinearOperator
from stabtest.search import DistanceToClean, Leader, MeasurementBall, Problem, Reconstructor, worst_case
from stabtest.search.bases import low_frequency, pixel
from stabtest.search.black_box import black_box, without_gradient
from stabtest.search.score_attacks import nes_2018, spsa_2018

MARKS = (50, 200, 500, 1000, 2000, 4000)


def noise(problem: Problem, leader: Leader, *, queries: int, generator: torch.Generator) -> None:
    """Gaussian noise of the norm of the radius, drawn anew for each query."""
    constraint = problem.constraint
    for _ in range(queries):
        draw = constraint.space.randn(problem.batch, generator=generator, dtype=constraint.radius.dtype)
        v = constraint.maximise_linear(draw)
        leader.offer(v, without_gradient(problem.score(v), v))


def without_surrogate(problem: Problem, leader: Leader, *, queries: int, generator: torch.Generator) -> None:
    """The black-box search with white noise and nothing known of the operator."""
    black_box(problem, leader, queries=queries, basis=pixel, surrogate=None, generator=generator)


def nes_low(problem: Problem, leader: Leader, *, queries: int, generator: torch.Generator) -> None:
    """NES in low frequencies."""
    nes_2018(problem, leader, queries=queries, basis=low_frequency(16), generator=generator)


METHODS: dict[str, Callable[..., None]] = {
    "black box": black_box,
    "black box, white noise, no surrogate": without_surrogate,
    "NES 2018": nes_2018,
    "NES 2018, low frequencies": nes_low,
    "SPSA 2018": spsa_2018,
    "Gaussian noise": noise,
}


def subject(kind: str, size: int, images: int) -> tuple[Reconstructor, LinearOperator, Tensor]:
    """A shipped network and simulated noisy measurements of phantoms, on a grid twice as fine."""
    entry = load("unet-mri" if kind == "mri" else "fbpconvnet-ell50")
    network = wrap(entry.module, takes=entry.takes, channels=entry.channels, scale=entry.scale)
    draw = phantoms.head if kind == "mri" else phantoms.ellipses
    fine = torch.stack([draw(2 * size, seed=900 + k) for k in range(images)])
    generator = torch.Generator().manual_seed(1)
    if kind == "mri":
        operator = Fourier(cartesian_gaussian((size, size), acceleration=4, seed=0))
        y = operator.refine(2).forward(fine)
        level = 0.01 * fine.abs().amax()
    else:
        operator = Radon(size, 50)
        y = operator.refine(2).forward(fine)
        level = 0.02 * y.abs().amax()
    return network, operator, y + level * operator.restrict(operator.range.randn(images, generator=generator))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--radii", type=float, nargs="+", default=[0.01, 0.1])
    parser.add_argument("--networks", nargs="+", choices=["mri", "ct"], default=["mri", "ct"])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    marks = [mark for mark in MARKS if mark <= options.queries]
    rows: list[dict[str, object]] = []
    for kind in options.networks:
        network, operator, y = subject(kind, options.size, options.images)
        with torch.no_grad():
            clean = network(y, operator)
        for radius in options.radii:
            found = worst_case(network, operator, y, radius=radius, evaluations=60)
            ball = MeasurementBall(operator, radius * tensors.norm(operator.restrict(y)))
            problem = Problem(network, y, ball, DistanceToClean(clean))
            print(f"\n{kind}, radius {radius}: relative change with gradients {found.relative_change.mean().item():.4f}")
            print(f"{'share of it after':40s}" + "".join(f"{mark:8d}" for mark in marks), flush=True)
            for name in options.methods:
                leader = Leader(torch.zeros_like(y), planned=options.queries)
                METHODS[name](problem, leader, queries=options.queries, generator=torch.Generator().manual_seed(0))
                share = _shares(leader, found.objective, tensors.norm(clean), marks)
                print(f"{name:40s}" + "".join(f"{value:8.3f}" for value in share), flush=True)
                rows.append({"network": kind, "radius": radius, "method": name, "queries": marks, "share": share})
    if options.out is not None:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _shares(leader: Leader, white: Tensor, unit: Tensor, marks: list[int]) -> list[float]:
    """Mean over images of the best objective after so many queries, as a share of the white-box one."""
    images = range(len(white))
    best = [[max(v for count, v in leader.history(unit)[b] if count <= mark) for b in images] for mark in marks]
    return [sum(row[b] * unit[b].item() / white[b].item() for b in images) / len(images) for row in best]


if __name__ == "__main__":
    main()
