"""What the growth of the first path's radius brings: the default search with it and without, at equal numbers of gradients.

The first path of a search from a fresh start begins near zero perturbation and its radius grows (`stabtest.search.ascent`). Here the same search
is run again with the full radius from the first step on. Every figure is the share of the best that any of the runs found for that image, the
long ones of 300 gradients included; mean and least over images.

    python -m benchmarks.search_growth
    python -m benchmarks.search_growth --networks cascade-mri --radii 0.02 --images 4
"""

from __future__ import annotations

import argparse
import os
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor

from benchmarks.strength import methods, subjects

BUDGETS = (20, 50, 100)
LONG = 300


def search(subject: subjects.Subject, radius: Tensor, *, evaluations: int, grows: bool) -> Tensor:
    """What the default finds, ``(B,)``; without growth if asked."""
    if grows:
        return methods.default_search(subject, radius, evaluations=evaluations).objective.to(torch.float64)
    with patch("stabtest.search.ascent.share", lambda step, steps: 1.0):
        return methods.default_search(subject, radius, evaluations=evaluations).objective.to(torch.float64)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["unet-mri"])
    parser.add_argument("--radii", nargs="+", type=float, default=[0.02, 0.08])
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| Network | Radius | First path | {' | '.join(map(str, BUDGETS))} |\n|---|---|---|{'---|' * len(BUDGETS)}")
    for name in options.networks:
        subject = subjects.load(name, subjects.size_of(name, options.size), tuple(range(options.images)))
        for radius in options.radii:
            size = radius * subject.norm
            found = {
                (grows, budget): search(subject, size, evaluations=budget, grows=grows)
                for grows in (True, False)
                for budget in (*BUDGETS, LONG)
            }
            best = torch.stack(list(found.values())).amax(0)
            for grows in (True, False):
                cells = [100 * found[grows, budget] / best for budget in BUDGETS]
                shares = " | ".join(f"{cell.mean():.1f} ({cell.min():.1f})" for cell in cells)
                print(f"| `{name}` | {radius:g} | {'grows' if grows else 'at full radius'} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
