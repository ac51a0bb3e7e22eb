"""One convolution: how far the certified bound is above the true norm, how far a power iteration is below it, and what they cost.

Random kernels of several sizes. The largest value of the symbol that ascent from its largest grid points finds stands for the truth: it is a lower
bound, so that the excess printed is at least the true one. The power iteration runs on an image of 64 x 64 with zero padding, from a random start, as
spectral normalisation does; it has seen what it has seen, and certifies nothing.

    python -m benchmarks.bounds_convolution
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from stabtest.bounds.convolution import convolution_norm, symbol_norms

KERNELS = ((32, 1, 3), (32, 32, 3), (64, 64, 3), (128, 128, 3), (32, 32, 5))
"""Channels out, channels in, side."""
STEPS, SIDE, STARTS, GRID = 50, 64, 4, 24


def largest_found(weight: Tensor) -> float:
    """The largest value of the symbol, by Nelder and Mead's method from the largest of a grid."""
    line = torch.arange(GRID, dtype=torch.float64) * (2 * np.pi / GRID)
    points = torch.cartesian_prod(line[: GRID // 2 + 1], line)
    values = torch.cat([symbol_norms(weight, part) for part in points.split(32)])
    best = points[values.topk(STARTS).indices]

    def negative(place: NDArray[np.float64]) -> float:
        return -float(symbol_norms(weight, torch.as_tensor(place)[None])[0])

    return max(-float(minimize(negative, start.numpy(), method="Nelder-Mead", options={"xatol": 1e-6}).fun) for start in best)


def power_iteration(weight: Tensor, generator: torch.Generator) -> float:
    """``||A v||`` after some steps."""
    padding = weight.shape[-1] // 2
    v = torch.randn(1, weight.shape[1], SIDE, SIDE, dtype=torch.float64, generator=generator)
    norm = 0.0
    for _ in range(STEPS):
        u = torch.nn.functional.conv2d(v / v.norm(), weight, padding=padding)
        norm = float(u.norm())
        v = torch.nn.functional.conv_transpose2d(u, weight, padding=padding)
    return norm


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    print("| Kernel | Found | Certified above it by | Seconds | Power iteration below it by | Seconds |")
    print("|---|---|---|---|---|---|")
    for rows, columns, side in KERNELS:
        weight = torch.randn(rows, columns, side, side, dtype=torch.float64, generator=generator) / (columns * side**2) ** 0.5
        found = largest_found(weight)
        begin = time.process_time()
        bound = convolution_norm(weight)
        middle = time.process_time()
        reached = power_iteration(weight, generator)
        end = time.process_time()
        name = f"{columns} -> {rows}, {side} x {side}"
        above, below = 100 * (bound / found - 1), 100 * (1 - reached / found)
        print(
            f"| {name} | {found:.4f} | {above:.3f} % | {middle - begin:.2f} | {below:.2f} % | {end - middle:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
