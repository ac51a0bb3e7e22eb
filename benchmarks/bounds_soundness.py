"""Does any bound ever fall below what a network does? Thousands of small random networks, every bound, dense Jacobians.

A network is a random graph of six to ten operations on three channels of 6 x 6 pixels: convolutions of all kinds of padding, stride, dilation
and grouping, pools, resizing, normalisations, activations, Fourier filters, sums, concatenations. Each graph is exported once and gets
many draws of weights. For each draw: the largest singular value of dense Jacobians at random points and a step along their first
singular vectors, against the product of the layers, and, where they apply, linear regions, loop transformation, absolute weights,
multipliers, semidefinite bound, and the bound on a ball around one of the points. The bounds that allow every pattern of
activations are also held against the floor.

    python -m benchmarks.bounds_soundness --graphs 500 --draws 20 --workers 2 --out runs/soundness.jsonl

From number 100 000 on (``--first``) graphs also hold what is written with several operations and recognised as one (soft thresholding), activations
of opposite arguments, learned splines, and maps and solvers that no exporter can follow.

A second run does only what is missing. The exit status is 1 where a bound was exceeded.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reconstructors.inverse import inverse
from reconstructors.splines import UniformSpline
from stabtest.bounds.compose import compose
from stabtest.bounds.floor import floor
from stabtest.bounds.graph import Graph, trace
from stabtest.bounds.idioms import recognised
from stabtest.bounds.lattice.semidefinite import semidefinite_bound
from stabtest.bounds.lattice.translate import translate
from stabtest.bounds.linear import linear_replay
from stabtest.bounds.local.ball import bound_on_ball
from stabtest.bounds.loops import cut, loop_bound
from stabtest.bounds.multipliers import multiplier_bound
from stabtest.bounds.positive import positive_bound
from stabtest.bounds.tied import tied
from stabtest.errors import BoundsError
from stabtest.operators.opaque import step

CHANNELS, SIZE = 3, 6
SHAPE = (1, CHANNELS, SIZE, SIZE)
RADIUS = 0.3
ROUNDING = 1e-7
EVERY_PATTERN = ("linear regions", "loops", "absolute weights", "multipliers", "semidefinite")

ACTIVATIONS = (
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Tanh, nn.Softplus, nn.Hardswish, nn.Mish, nn.SELU, nn.Hardtanh, nn.Softshrink,
)  # fmt: skip


class Lowpass(nn.Module):
    """Keeps every other row of the spectrum."""

    def forward(self, x: Tensor) -> Tensor:
        """Real images."""
        spectrum = torch.fft.fft2(x, norm="ortho")
        mask = (torch.arange(SIZE) % 2 == 0).to(x.dtype)[:, None]
        return torch.fft.ifft2(spectrum * mask, norm="ortho").real


class Soft(nn.Module):
    """Soft thresholding, written out in one of two ways."""

    def __init__(self, by_sign: bool) -> None:
        super().__init__()
        self.by_sign = by_sign

    def forward(self, x: Tensor) -> Tensor:
        """Entry by entry."""
        if self.by_sign:
            return torch.sign(x) * F.relu(x.abs() - 0.3)
        return F.relu(x - 0.3) - F.relu(-x - 0.3)


class Opposite(nn.Module):
    """Activations of a convolution and of its opposite, side by side or in one tensor, then mixed."""

    def __init__(self, activation: type[nn.Module], joined: bool) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.Conv2d(2 * CHANNELS, CHANNELS, 1)
        self.activation, self.joined = activation(), joined

    def forward(self, x: Tensor) -> Tensor:
        """``(1, 3, 6, 6)`` to the same."""
        u = self.before(x)
        if self.joined:
            return self.after(self.activation(torch.cat([u, -u], 1)))
        return self.after(torch.cat([self.activation(u), self.activation(-u)], 1))


class Unfollowed(nn.Module):
    """A linear map in NumPy, or the inverse of a normal map plus a weight by a dense solver."""

    def __init__(self, solved: bool, draw: torch.Generator) -> None:
        super().__init__()
        entries = CHANNELS * SIZE * SIZE
        self.matrix = torch.randn(entries, entries, generator=draw, dtype=torch.float64) / math.sqrt(entries)
        self.weight, self.solved = torch.tensor(0.7, dtype=torch.float64), solved

    def forward(self, x: Tensor) -> Tensor:
        """``(1, 3, 6, 6)`` to the same."""
        if self.solved:
            return inverse(x, self.weight, self._solve)
        return step("linear_operator", lambda u: _ByNumpy.apply(u, self.matrix), x)

    def _solve(self, b: Tensor, weight: Tensor) -> Tensor:
        normal = self.matrix.T @ self.matrix + weight * torch.eye(len(self.matrix), dtype=torch.float64)
        return torch.linalg.solve(normal, b.flatten()).reshape(b.shape)


class _ByNumpy(torch.autograd.Function):
    """``M x`` where no exporter looks; its gradient likewise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor) -> Tensor:
        ctx.matrix = matrix
        return torch.from_numpy(matrix.numpy() @ x.detach().numpy().flatten()).reshape(x.shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _ByNumpy.apply(grads[0], ctx.matrix.T), None


def _written(draw: torch.Generator) -> nn.Module:
    kind = _one(("soft", "opposite", "spline", "unfollowed"), draw)
    if kind == "soft":
        return Soft(_one((True, False), draw))
    if kind == "opposite":
        return Opposite(_one((nn.ReLU, nn.LeakyReLU, nn.SiLU, nn.Tanh, nn.GELU), draw), _one((True, False), draw))
    if kind == "spline":
        return UniformSpline(CHANNELS, knots=5, reach=2.0)
    return Unfollowed(_one((True, False), draw), draw)


def _convolution(draw: torch.Generator, plain: bool) -> nn.Module:
    mode = "zeros" if plain else _one(("zeros", "reflect", "replicate", "circular"), draw)
    if _one((True, False), draw):
        return nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, padding_mode=mode, groups=_one((1, CHANNELS), draw))
    return nn.Conv2d(CHANNELS, CHANNELS, 3, padding=2, dilation=2, padding_mode=mode)


def _down_and_up(draw: torch.Generator, plain: bool) -> nn.Module:
    downs = (
        nn.Conv2d(CHANNELS, 4, 3, stride=2, padding=1),
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(CHANNELS, 4, 1)),
        nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(CHANNELS, 4, 1)),
    )
    ups = (
        nn.ConvTranspose2d(4, CHANNELS, 2, 2),
        nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, CHANNELS, 1)),
        nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, CHANNELS, 1)),
    )
    return nn.Sequential(_one(downs, draw), _one(ACTIVATIONS, draw)(), _one(ups[:2] if plain else ups, draw))


def _module(kind: str, draw: torch.Generator, plain: bool) -> nn.Module:
    match kind:
        case "convolution":
            return _convolution(draw, plain)
        case "activation":
            return _one(ACTIVATIONS, draw)()
        case "down and up":
            return _down_and_up(draw, plain)
        case "norm":
            norms = (nn.BatchNorm2d(CHANNELS), nn.InstanceNorm2d(CHANNELS, eps=0.1), nn.GroupNorm(1, CHANNELS, eps=0.1))
            return _one(norms[:1] if plain else norms, draw)
        case "shuffle":
            return nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * CHANNELS, 4 * CHANNELS, 1), nn.PixelShuffle(2))
        case "filter":
            return _one((Lowpass(), nn.AvgPool2d(3, 1, 1), nn.MaxPool2d(3, 1, 1), nn.Softmax(1)), draw)
        case "written":
            return _written(draw)
        case "cat":
            return nn.Conv2d(2 * CHANNELS, CHANNELS, _one((1, 3), draw), padding="same")
        case _:
            return nn.Identity()


PLAIN = ("convolution", "convolution", "activation", "activation", "down and up", "norm", "cat", "add", "subtract")
KINDS = (
    "convolution",
    "convolution",
    "activation",
    "activation",
    "down and up",
    "norm",
    "shuffle",
    "filter",
    "cat",
    "add",
    "subtract",
)


WRITTEN = ("written",) * 4
WRITTEN_FROM = 100_000
"""Number of the first graph that may hold them."""


class RandomGraph(nn.Module):
    """Operations on what came before, drawn from a seed; every other one of those that all bounds know."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        count = int(torch.randint(6, 11, (), generator=draw))
        self.plan: list[tuple[str, int, int]] = []
        plain = seed % 2 == 0
        for index in range(count):
            kind = _one((PLAIN if plain else KINDS) + WRITTEN * (seed >= WRITTEN_FROM), draw)
            near = max(0, index - 1)
            one, two = (int(torch.randint(low, index + 1, (), generator=draw)) for low in (near, 0))
            self.plan.append((kind, one, two))
            self.add_module(str(index), _module(kind, draw, plain))

    def forward(self, x: Tensor) -> Tensor:
        """``(1, 3, 6, 6)`` to the same."""
        values = [x]
        for index, (kind, one, two) in enumerate(self.plan):
            u, v = values[one], values[two]
            if kind == "add":
                values.append(u + 0.5 * v)
            elif kind == "subtract":
                values.append(u - F.relu(v))
            else:
                values.append(self.get_submodule(str(index))(torch.cat([u, v], 1) if kind == "cat" else u))
        return values[-1]


def _one(choices: tuple[Any, ...], draw: torch.Generator) -> Any:
    return choices[int(torch.randint(len(choices), (), generator=draw))]


def shake(network: nn.Module, draw: torch.Generator) -> None:
    """New weights and statistics, in place: the exported graph sees them."""
    size = 0.3 + 2.0 * float(torch.rand((), generator=draw))
    with torch.no_grad():
        for parameter in network.parameters():
            fan = max(1, parameter[0].numel()) if parameter.ndim > 1 else 1
            parameter.copy_(size * torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype) / math.sqrt(fan))
        for name, buffer in network.named_buffers():
            if "running_var" in name:
                buffer.copy_(0.2 + torch.rand(buffer.shape, generator=draw, dtype=buffer.dtype))
            elif "running_mean" in name:
                buffer.copy_(torch.randn(buffer.shape, generator=draw, dtype=buffer.dtype))


def slope(network: nn.Module, x: Tensor) -> tuple[float, Tensor]:
    """Largest singular value of the dense Jacobian, and its right vector."""
    jacobian = torch.autograd.functional.jacobian(lambda z: network(z).reshape(-1), x).reshape(-1, x.numel())
    _, values, right = torch.linalg.svd(jacobian, full_matrices=False)
    return float(values[0]), right[0].reshape(x.shape)


def reached(network: nn.Module, draw: torch.Generator) -> tuple[float, float, Tensor]:
    """The largest gain found anywhere, the largest on the ball around one point, and that point."""
    best, near = 0.0, 0.0
    centre = torch.randn(SHAPE, generator=draw, dtype=torch.float64)
    for size in (0.0, 0.1, 1.0, 3.0):
        x = centre + size * torch.randn(SHAPE, generator=draw, dtype=torch.float64)
        value, along = slope(network, x)
        further, _ = slope(network, x + 0.5 * along)
        best = max(best, value, further)
    for share in (0.0, 0.5, 1.0):
        step = torch.randn(SHAPE, generator=draw, dtype=torch.float64)
        near = max(near, slope(network, centre + share * RADIUS * step / torch.linalg.vector_norm(step))[0])
    return max(best, near), near, centre


def bounds_of(graph: Graph, centre: Tensor, draw: torch.Generator) -> dict[str, float]:
    """Every bound that applies."""
    found: dict[str, float | None] = {"product": compose(graph)[1]}
    found["on a ball"] = bound_on_ball(graph, centre, radius=RADIUS, steps=30, generator=draw).upper
    try:
        replay = linear_replay(tied(graph))
    except BoundsError:
        return {name: value for name, value in found.items() if value is not None}
    found["linear regions"] = loop_bound(replay, parts=cut(replay.gates), steps=30, ascent=8, generator=draw).value
    found["loops"] = loop_bound(replay, steps=30, ascent=8, generator=draw).value
    found["floor"] = floor(replay, steps=15, restarts=1, generator=draw).value
    for name, compute in (
        ("absolute weights", lambda: positive_bound(replay, steps=20).value),
        (
            "multipliers",
            lambda: multiplier_bound(replay, steps=30, lanczos_steps=60, margin=0.02, checks=3, generator=draw).value,
        ),
        ("semidefinite", lambda: semidefinite_bound(translate(graph), replay=replay, seconds=1.0, generator=draw).upper),
    ):
        try:
            found[name] = compute()
        except BoundsError:
            continue
    return {name: value for name, value in found.items() if value is not None}


def examine(number: int, draws: int) -> dict[str, Any]:
    """One graph with its draws: how often each bound applied, the smallest ratio of bound to gain, and what was exceeded."""
    network = RandomGraph(number).double().eval().requires_grad_(False)
    example = torch.randn(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(number))
    graph = recognised(trace(network, example))
    if graph.problem is not None:
        raise RuntimeError(f"graph {number}: {graph.problem}")
    applied: dict[str, int] = defaultdict(int)
    least: dict[str, float] = defaultdict(lambda: math.inf)
    exceeded: list[str] = []
    for index in range(draws):
        draw = torch.Generator().manual_seed(1_000_003 * number + index)
        shake(network, draw)
        found, near, centre = reached(network, draw)
        bounds = bounds_of(graph, centre, draw)
        lowest = bounds.pop("floor", 0.0)
        for name, value in bounds.items():
            gain = near if name == "on a ball" else max(found, lowest) if name in EVERY_PATTERN else found
            if gain > value * (1 + ROUNDING):
                exceeded.append(f"graph {number}, draw {index}: {name} {value:.9g} below {gain:.9g}")
            applied[name] += int(math.isfinite(value))
            least[name] = min(least[name], value / gain if gain > 0 else math.inf)
    return {"graph": number, "draws": draws, "applied": dict(applied), "least": dict(least), "exceeded": exceeded}


def report(rows: list[dict[str, Any]]) -> int:
    """A table, and what was exceeded; 1 where anything was."""
    names = sorted({name for row in rows for name in row["applied"]})
    print(f"{len(rows)} graphs, {sum(row['draws'] for row in rows)} networks\n")
    print("| Bound | Networks where it applies and is finite | Smallest ratio of bound to what was reached |\n|---|---|---|")
    for name in names:
        count = sum(row["applied"].get(name, 0) for row in rows)
        least = min(row["least"].get(name, math.inf) for row in rows)
        print(f"| {name} | {count} | {least:.6f} |")
    exceeded = [line for row in rows for line in row["exceeded"]]
    print(f"\nexceeded: {len(exceeded)}", *exceeded, sep="\n  ")
    return int(bool(exceeded))


def main() -> int:
    """Run what is missing, and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/soundness.jsonl"))
    parser.add_argument("--graphs", type=int, default=500)
    parser.add_argument(
        "--first", type=int, default=0, help=f"number of the first graph; from {WRITTEN_FROM} on with more kinds"
    )
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    done = {row["graph"] for row in rows if row["draws"] == options.draws}
    wanted = range(options.first, options.first + options.graphs)
    todo = [number for number in wanted if number not in done]
    with (
        options.out.open("a", encoding="utf-8") as stream,
        ProcessPoolExecutor(
            options.workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool,
    ):
        for future in as_completed(pool.submit(examine, number, options.draws) for number in todo):
            rows.append(future.result())
            stream.write(json.dumps(rows[-1]) + "\n")
            stream.flush()
    return report([row for row in rows if row["draws"] == options.draws and row["graph"] in wanted])


if __name__ == "__main__":
    sys.exit(main())
