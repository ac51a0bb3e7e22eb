r"""Linear translation-invariant maps at a frequency.

With the unitary transform on the torus of ``N`` points, ``s^(w) = N^-1 sum_m s[m] e^{-i <w, m>}`` (two axes), the map ``out[m] =
sum_q K[q] in[m + o_q]`` is multiplication by

    F(w) = sum_q K[q] e^{i <w, o_q>}.

Every second point of a signal: ``p^(2 w) = (1/2) sum_k s^(w_k)`` over the four frequencies ``w_k`` with ``2 w_k = 2 w`` (aliasing). Zeros
between the points: the adjoint, ``s^(w_k) = (1/2) p^(2 w)``. (P. P. Vaidyanathan, *Multirate systems and filter banks*, 1993, ch. 4.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stabtest.bounds.lattice.network import Blocks, Lattice
from stabtest.errors import BoundsError


def dense_kernel(weight: Tensor, groups: int) -> Tensor:
    """Kernel ``(C_out, C_in, kh, kw)`` in float64, groups written out as blocks."""
    exact = weight.detach().to("cpu", torch.float64)
    if groups == 1:
        return exact
    blocks = exact.chunk(groups, 0)
    width = exact.shape[1]
    full = exact.new_zeros(exact.shape[0], groups * width, *exact.shape[2:])
    for g, block in enumerate(blocks):
        full[g * len(block) : (g + 1) * len(block), g * width : (g + 1) * width] = block
    return full


def dense_transposed(weight: Tensor, groups: int) -> Tensor:
    """The same from the weight ``(C_in, C_out / groups, kh, kw)`` of a transposed convolution."""
    exact = weight.detach().to("cpu", torch.float64)
    return dense_kernel(torch.cat([block.transpose(0, 1) for block in exact.chunk(groups, 0)]), groups)


def every_channel(kernel: Tensor, channels: int) -> Tensor:
    """The same kernel ``(kh, kw)`` for each channel, ``(C, C, kh, kw)``."""
    return torch.eye(channels, dtype=torch.float64)[:, :, None, None] * kernel


def pair(value: Any, name: str) -> tuple[int, int]:  # noqa: ANN401
    """Two numbers, one for each axis."""
    if isinstance(value, str):
        raise BoundsError(name, expected="padding in numbers", came=value)
    values = [int(value)] if isinstance(value, int) else [int(item) for item in value]
    values = values * 2 if len(values) == 1 else values
    return values[0], values[1]


def offsets(kernel: Tensor, dilation: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """``o_q = q d - p`` of every tap, ``(taps, 2)``."""
    rows = torch.arange(kernel.shape[2], dtype=torch.float64) * dilation[0] - padding[0]
    columns = torch.arange(kernel.shape[3], dtype=torch.float64) * dilation[1] - padding[1]
    return torch.cartesian_prod(rows, columns)


def symbol(kernel: Tensor, shifts: Tensor, w: Tensor) -> Tensor:
    """``F(w)`` at frequencies ``(B, 2)``, shape ``(B, C_out, C_in)``."""
    phases = torch.exp(1j * (w @ shifts.to(w.device).T))
    flat = kernel.to(w.device).flatten(2).reshape(-1, shifts.shape[0])
    return (phases @ flat.T.to(phases.dtype)).reshape(len(w), kernel.shape[0], kernel.shape[1])


def apply(matrix: Tensor, blocks: Blocks) -> Blocks:
    """A matrix for each frequency, after a linear expression."""
    return {key: matrix @ block for key, block in blocks.items()}


def finer(w: Tensor) -> list[Tensor]:
    """The four frequencies of the finer grid that alias to each of ``w``, ``(B, 2)`` each."""
    return [w / 2 + math.pi * torch.tensor([k // 2, k % 2], dtype=w.dtype, device=w.device) for k in range(4)]


def block_mean(w: Tensor) -> Tensor:
    """Symbol of the mean over blocks of 2 x 2, ``(B,)``."""
    return (1 + torch.exp(1j * w)).prod(1) / 4


def evaluator(lattice: Lattice) -> Callable[[int, Tensor], Blocks]:
    """Evaluates steps, each once for the same frequencies."""
    known: dict[tuple[int, int], Blocks] = {}
    kept: list[Tensor] = []  # so that no id is used twice

    def at(step: int, w: Tensor) -> Blocks:
        key = (step, id(w))
        if key not in known:
            kept.append(w)
            known[key] = lattice.steps[step].evaluate(at, w)
        return known[key]

    return at


def frequencies(points: tuple[int, int]) -> Tensor:
    """Frequencies of a torus, one of each pair ``w, -w``, ``(F, 2)``: a real network does the same at both.

    Examples
    --------
    >>> len(frequencies((4, 4))), len(frequencies((3, 5)))
    (10, 8)
    """
    rows, columns = points
    i, j = torch.meshgrid(torch.arange(rows, dtype=torch.float64), torch.arange(columns, dtype=torch.float64), indexing="ij")
    number, mirrored = i * columns + j, (-i) % rows * columns + (-j) % columns
    keep = number <= mirrored
    return 2 * math.pi * torch.stack([i[keep] / rows, j[keep] / columns], 1)
