"""What a step of the worst-case search costs beside the network it searches.

One step of `stabtest.search.ascent.ascend` against the bare thing: one forward pass of the same reconstruction and one backward pass of a
distance to the clean image. Both are timed in turn, in random order, in one process, in processor time, since other load on
the machine would otherwise decide; the median of the paired ratios is printed, and the exit status is 1 above the bar of 1.05.

    python benchmarks/search_overhead.py [--repeats 40] [--size 128] [--threads 1] [--limit 1.05]
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from reconstructors.unet import UNet
from stabtest import tensors
from stabtest.operators import Fourier, cartesian_random
from stabtest.operators.base import LinearOperator
from stabtest.search.ascent import ascend
from stabtest.search.constraints import ImageBall, MeasurementBall
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem


class ZeroFilledUNet:
    """U-Net on the real and imaginary part of the zero-filled image."""

    def __init__(self, width: int) -> None:
        torch.manual_seed(0)
        self.network = UNet(channels=2, width=width, depth=3).eval()

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Image ``(B, 1, H, W)``, complex."""
        x = operator.pseudo_inverse(y)
        out = self.network(torch.cat([x.real, x.imag], dim=1))
        return torch.complex(out[:, :1], out[:, 1:])


def interleaved(actions: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Processor seconds of each action, ``repeats`` times, in random order within each round."""
    order, times = list(actions), {name: [] for name in actions}
    shuffle = random.Random(0)
    for action in actions.values():
        action()
    for _ in range(repeats):
        shuffle.shuffle(order)
        for name in order:
            begin = time.process_time()
            actions[name]()
            times[name].append(time.process_time() - begin)
    return times


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=float, default=1.05)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    operator = Fourier(cartesian_random((options.size, options.size), acceleration=4, seed=0))
    generator = torch.Generator().manual_seed(0)
    y = operator.forward(operator.domain.randn(1, generator=generator))
    reconstruct = ZeroFilledUNet(options.width)
    with torch.no_grad():
        clean = reconstruct(y, operator)
    e = operator.restrict(operator.range.randn(1, generator=generator)) * 0.02
    r = operator.domain.randn(1, generator=generator) * 0.02

    def bare(e: Tensor) -> Tensor:
        e = e.detach().requires_grad_(True)
        distance = torch.linalg.vector_norm(reconstruct(y + e, operator) - clean)
        return torch.autograd.grad(distance, e)[0]

    def bare_image(r: Tensor) -> Tensor:
        r = r.detach().requires_grad_(True)
        distance = torch.linalg.vector_norm(reconstruct(y + operator.forward(r), operator) - clean)
        return torch.autograd.grad(distance, r)[0]

    radius = 0.02 * tensors.norm(y)
    worst = 0.0
    weights = sum(weight.numel() for weight in reconstruct.network.parameters())
    print(
        f"U-Net of {weights / 1e6:.2f} M weights, {options.size} x {options.size}, {options.threads} thread(s), {options.repeats} repeats"
    )
    for kind, plain, start in ((MeasurementBall, bare, e), (ImageBall, bare_image, r)):
        problem = Problem(reconstruct, y, kind(operator, radius), DistanceToClean(clean))
        leader, point = Leader(start, planned=1), problem.constraint.maximise_linear(start)

        def step(problem: Problem = problem, leader: Leader = leader, point: Tensor = point) -> None:
            ascend(problem, point, leader, steps=1)

        times = interleaved({"bare": lambda plain=plain, start=start: plain(start), "step": step}, options.repeats)
        medians = {name: statistics.median(values) for name, values in times.items()}
        # Neighbours in time share the state of the machine: the median of paired ratios is the figure judged.
        paired = statistics.median(s / b for s, b in zip(times["step"], times["bare"], strict=True))
        worst = max(worst, paired)
        print(
            f"{kind.__name__:16s} bare {1e3 * medians['bare']:7.2f} ms   step {1e3 * medians['step']:7.2f} ms"
            f"   ratio of medians {medians['step'] / medians['bare']:.3f}   median of paired ratios {paired:.3f}"
        )
    print(f"overhead {worst:.3f}, limit {options.limit}: {'ok' if worst <= options.limit else 'ABOVE'}")
    return int(worst > options.limit)


if __name__ == "__main__":
    sys.exit(main())
