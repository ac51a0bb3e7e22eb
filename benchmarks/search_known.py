"""What the search finds of worst cases that are known exactly.

- **ReLU networks** of three or four inputs, with one and with two hidden layers: all regions of the ball are enumerated
  (`benchmarks.known.relu_regions`). Twelve networks at three radii for each family. Small networks are no easy ones: units that are off make
  regions without gradient, and maxima lie at kinks.
- **linear maps in the largest norm**, against all corners of the box (`benchmarks.known.corner_problems`), by paths that go on from another
  corner when they have come to rest in one (`stabtest.search.corners`), and by paths that stay.

A table says for each budget the share of problems in which 0.999 of the largest damage was found, the mean and the least share of it.
The exit status is 1 if more than the exact answer was found anywhere: then one of the two is wrong.

    python -m benchmarks.search_known [--networks 12] [--maps 40] [--seeds 3]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.known import corner_problems, relu_problems
from benchmarks.known.relu_problems import FAMILIES, LONG_PATH, RADII

SEARCHES: dict[str, dict[str, int]] = {
    "default, 60": {},
    "200": {"evaluations": 200},
    "400 in 20 fresh paths": {"evaluations": 400, "fresh": 20},
    f"the same, then one path of {LONG_PATH}": {"evaluations": 400, "fresh": 20, "longer": LONG_PATH},
    f"1000 in 50 fresh paths, then one of {LONG_PATH}": {"evaluations": 1000, "fresh": 50, "longer": LONG_PATH},
}
ENOUGH = 0.999


def line(title: str, shares: Sequence[float]) -> str:
    """A row of the table."""
    found = np.asarray(shares)
    reached = int((found >= ENOUGH).sum())
    return f"| {title} | {reached} of {len(found)} | {found.mean():.4f} | {found.min():.4f} |"


def relu(networks: int) -> float:
    """Print the tables of both families; return the largest share."""
    largest = 0.0
    for family in FAMILIES:
        problems = [relu_problems.draw(family, number, radius) for number in range(networks) for radius in RADII]
        exact = [problem.exact()[0] for problem in problems]
        print(f"\nReLU networks, {family}\n\n| evaluations | {ENOUGH} found | mean | least |\n|---|---|---|---|")
        for title, settings in SEARCHES.items():
            shares = [problem.search(**settings) / best for problem, best in zip(problems, exact, strict=True)]
            largest = max(largest, *shares)
            print(line(title, shares), flush=True)
    return largest


def corners(maps: int, seeds: int) -> float:
    """Print the table of linear maps in the largest norm; return the largest share."""
    largest = 0.0
    print(
        f"\nlinear maps, largest norm\n\n| map, evaluations, path at rest | {ENOUGH} found | mean | least |\n|---|---|---|---|"
    )
    for rows, columns in corner_problems.SIZES:
        matrices = corner_problems.draw(rows, columns, count=maps)
        exact = corner_problems.exact(matrices)
        for evaluations in (60, 100):
            for word, anew in (("stays", False), ("begins anew", True)):
                shares = np.concatenate(
                    [
                        corner_problems.search(matrices, evaluations=evaluations, seed=seed, anew=anew) / exact
                        for seed in range(seeds)
                    ]
                )
                largest = max(largest, float(shares.max()))
                print(line(f"{rows} x {columns}, {evaluations}, {word}", shares.tolist()), flush=True)
    return largest


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=12, help="of each family, at three radii each")
    parser.add_argument("--maps", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3, help="searches of each linear map")
    options = parser.parse_args()
    torch.set_num_threads(1)
    largest = max(relu(options.networks), corners(options.maps, options.seeds))
    print(f"\nlargest share {largest:.9f}")
    return int(largest > 1 + 1e-9)


if __name__ == "__main__":
    sys.exit(main())
