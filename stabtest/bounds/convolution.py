r"""Certified norms of convolutions.

A convolution on the infinite grid with kernel ``k`` is, in frequency, the matrix ``F(w) = sum_q k[q] e^{i <w, q>}``, and
its norm is ``S = sup_w sigma_max(F(w))``. Zero padding of any amount on an image of any size restricts input and output
to windows of the infinite grid, so that ``S`` bounds it for every size. (The frequencies of the image's *own* torus do
not: the torus of ``n`` points wraps what zero padding does not, and its grid misses the supremum between its points.)

**From a grid to the supremum.** Let ``n_a`` be the length of the kernel along axis ``a`` and ``d_a = (n_a - 1) / 2``;
centring the kernel multiplies ``F`` by a unit number and gives frequencies in ``[-d_a, d_a]``. Let ``w*`` be where the
supremum is reached, with unit vectors ``u, v`` and ``f(w) = Re(u* F(w) v)``, ``f(w*) = S``, ``|f| <= S``. By the
Bernstein-Szego inequality ``|f'| <= d sqrt(S^2 - f^2)`` along each axis (half-integer ``d``: substitute ``w -> 2w``), so
that ``arccos(f / S)`` changes at rate ``d`` at most (the comparison theorem of M. Riesz 1914; R. P. Boas, *Entire
Functions*, 1954, ch. 11). A grid of ``M > n_a - 1`` points along axis ``a`` has one within ``pi / M`` of ``w*``: there
``sigma_max >= S cos(pi d_a / M)``. Once more along the next axis, from the maximum along that line, and so on:

    S <= max over the grid of sigma_max(F) / prod_a cos(pi d_a / M_a).

The same step for an interval of any half-width ``h`` gives ``cos(d h)``, which is what `adaptive_supremum` uses for many
channels.

**Stride, dilation, groups, transposition.** Only ``s / g`` and the dilation ``d / g`` with ``g = gcd(s, d)`` matter (only
one coset of the input is read), so that dilation drops out where the stride is 1. A stride ``s`` splits the input into
its ``s`` polyphase components, an isometry: a stride-1 convolution with ``s`` times the channels. Groups are blocks: the
largest counts. A transposed convolution is the adjoint of the convolution with the same weight.

Literature: Sedghi, Gupta & Long, *The singular values of convolutional layers*, ICLR 2019 (torus); Yi, *Asymptotic
singular value distribution of linear convolutional layers*, 2020 (infinite grid bounds zero padding).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stabtest.bounds.dense import ROUNDING, largest_singular_values, smaller_gram
from stabtest.errors import BoundsError

GRID = 64
"""Grid points per axis and unit of degree on the fine grid: +0.24 % for 3 x 3 kernels."""

_BATCH_CHANNELS = 12
"""Up to this many channels (of the smaller side) the whole grid is computed at once; beyond, adaptively."""

_ADAPTIVE = ((64, 8, 2, 0.0022), (128, 12, 1, 0.007), (10**9, 8, 1, 0.015))
"""Channels up to which, coarse points, refinements, tolerance: the cost of a point grows with the cube of the channels."""


def convolution_norm(
    weight: Tensor,
    *,
    stride: Sequence[int] = (1,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
    grid: int = GRID,
) -> float:
    """Upper bound of the l2 norm of a zero-padded convolution, or of its transpose, on images of every size.

    Parameters
    ----------
    weight
        ``(C_out, C_in / groups, *kernel)``, real or complex, 1 to 3 kernel axes. For a transposed convolution pass its
        weight as it is, ``(C_in, C_out / groups, *kernel)``: that of the convolution which it is the adjoint of.
    stride, dilation
        One number for each kernel axis, or one for all.
    groups
        Number of blocks.
    grid
        Points per axis and unit of degree; the excess over the truth is about ``axes * (pi / grid)^2 / 2``.

    Returns
    -------
    float
        A certified upper bound (float64, with a margin for rounding).

    Raises
    ------
    BoundsError
        If the weight is not a convolution kernel or not finite.

    Examples
    --------
    A box of 9 equal weights has gain 1 at frequency zero:

    >>> bound = convolution_norm(torch.full((1, 1, 3, 3), 1 / 9))
    >>> bool(1 <= bound < 1.0025)
    True
    """
    axes = weight.ndim - 2
    if axes < 1 or weight.shape[0] % groups:
        raise BoundsError("weight", expected="(C_out, C_in / groups, *kernel)", came=f"{tuple(weight.shape)}, groups={groups}")
    if not bool(torch.isfinite(torch.view_as_real(weight) if weight.is_complex() else weight).all()):
        raise BoundsError("weight", expected="finite numbers", came="NaN or infinity", remedy="train or load the network again")
    kernel = weight.detach().to("cpu", torch.complex128 if weight.is_complex() else torch.float64)
    strides = list(stride) * axes if len(stride) == 1 else list(stride)
    dilations = list(dilation) * axes if len(dilation) == 1 else list(dilation)
    for axis in range(axes):
        kernel = polyphase(kernel, axis, stride=strides[axis], dilation=dilations[axis])
    return max(symbol_supremum(block, grid=grid) for block in kernel.chunk(groups, 0))


def polyphase(weight: Tensor, axis: int, *, stride: int, dilation: int) -> Tensor:
    """The stride-1, dilation-1 convolution of the same norm along one axis, with ``stride / gcd`` times the input channels.

    Examples
    --------
    >>> polyphase(torch.tensor([[[1.0, 2.0, 3.0]]]), 0, stride=2, dilation=1)
    tensor([[[1., 3.],
             [2., 0.]]])
    """
    common = math.gcd(stride, dilation)
    stride, dilation = stride // common, dilation // common
    if stride == 1:
        return weight
    axis += 2
    taps = weight.shape[axis]
    length = -(-((taps - 1) * dilation + 1) // stride) * stride
    spread = weight.new_zeros([*weight.shape[:axis], length, *weight.shape[axis + 1 :]])
    spread.index_copy_(axis, torch.arange(taps) * dilation, weight)
    # (C_out, C_in, .., Q * s, ..) -> (C_out, C_in * s, .., Q, ..)
    split = spread.unflatten(axis, (length // stride, stride)).movedim(axis + 1, 2)
    return split.flatten(1, 2)


def symbol_supremum(weight: Tensor, *, grid: int = GRID) -> float:
    """Upper bound of ``sup_w sigma_max(sum_q weight[:, :, q] e^{i <w, q>})``, weight ``(C_out, C_in, *kernel)`` in float64."""
    weight = _trim(weight)
    if weight.numel() == 0:
        return 0.0
    lengths = weight.shape[2:]
    counts = [1 if length == 1 else grid * max(1, -(-(length - 1) // 2)) for length in lengths]
    if min(weight.shape[:2]) > _BATCH_CHANNELS and max(counts) > 1:
        _, coarse, levels, tolerance = next(row for row in _ADAPTIVE if min(weight.shape[:2]) <= row[0])
        return adaptive_supremum(weight, coarse=coarse, levels=levels, tolerance=tolerance)
    # A real kernel has the same singular values at w and -w: half of the first axis that is not trivial is enough.
    halved = -1 if weight.is_complex() else next((axis for axis, count in enumerate(counts) if count > 1), -1)
    lines = [
        torch.arange(count // 2 + 1 if axis == halved else count, dtype=torch.float64) * (2 * math.pi / count)
        for axis, count in enumerate(counts)
    ]
    points = torch.cartesian_prod(*lines).reshape(-1, len(lines))
    chunk = max(1, 2**21 // (weight.shape[0] * weight.shape[1]))
    largest = max(float(symbol_norms(weight, part).max()) for part in points.split(chunk))
    factor = math.prod(math.cos(math.pi * (length - 1) / 2 / count) for length, count in zip(lengths, counts))
    return largest / factor * ROUNDING


def symbols(weight: Tensor, points: Tensor) -> Tensor:
    """The symbol ``F(w)`` at ``points`` ``(P, axes)``, shape ``(P, C_out, C_in)``, complex128."""
    taps = torch.cartesian_prod(*(torch.arange(length, dtype=torch.float64) for length in weight.shape[2:]))
    angles = points @ taps.reshape(-1, points.shape[1]).T
    flat = weight.flatten(2)
    if flat.is_complex():
        return torch.einsum("oik,pk->poi", flat, torch.exp(1j * angles))
    rows = flat.reshape(-1, flat.shape[2])
    parts = torch.stack([rows @ angles.cos().T, rows @ angles.sin().T], -1)
    return torch.view_as_complex(parts).reshape(*flat.shape[:2], -1).movedim(-1, 0)


def symbol_norms(weight: Tensor, points: Tensor) -> Tensor:
    """``sigma_max`` of the symbol at ``points`` ``(P, axes)``, shape ``(P,)``."""
    return largest_singular_values(symbols(weight, points))


def adaptive_supremum(weight: Tensor, *, coarse: int = 12, levels: int = 1, tolerance: float = 0.007) -> float:
    r"""The supremum of the symbol to a tolerance, looking closely only where it is large.

    Tests whether ``S <= rho`` for ``rho = (1 + tolerance)`` times the largest value seen: an interval of half-width ``h``
    along the first axis needs ``sup over the line at its centre <= rho cos(d h)``, the same again along the line; an
    interval that fails is cut in three, down to a grid of ``coarse * 3^levels`` points per axis and unit of degree; the
    excess is at most the tolerance or that of this grid, whichever is larger. A value beyond ``rho`` raises it and starts
    again; what was proved below the old ``rho`` stays proved.
    """
    lengths = [int(length) for length in weight.shape[2:]]
    degrees = [(length - 1) / 2 for length in lengths]
    cells = [1 if length == 1 else coarse * max(1, math.ceil(degree)) for length, degree in zip(lengths, degrees)]
    halved = -1 if weight.is_complex() else next(axis for axis, count in enumerate(cells) if count > 1)
    finest = math.prod(math.cos(d * math.pi / (count * 3**levels)) for d, count in zip(degrees, cells) if count > 1)
    slack = max(1 + tolerance, (1 + 1e-6) / finest)
    values: dict[tuple[float, ...], float] = {}
    below: dict[tuple[float, ...], float] = {}

    def gram(point: tuple[float, ...]) -> Tensor:
        (symbol,) = symbols(weight, torch.tensor([point], dtype=torch.float64))
        return smaller_gram(symbol)

    def value(point: tuple[float, ...]) -> float:
        key = tuple(round(w, 9) for w in point)
        if key not in values:
            values[key] = float(torch.linalg.eigvalsh(gram(point))[-1].clamp_min(0).sqrt())
        return values[key]

    def within(point: tuple[float, ...], limit: float) -> float:
        """0 if ``sigma_max <= limit`` there, by a Cholesky factorisation where the value is not known, else the value."""
        key = tuple(round(w, 9) for w in point)
        if key not in values and below.get(key, math.inf) > limit:
            product = gram(point)
            slackness = limit**2 * torch.eye(len(product), dtype=product.dtype) - product
            if int(torch.linalg.cholesky_ex(slackness)[1]):
                values[key] = float(torch.linalg.eigvalsh(product)[-1].clamp_min(0).sqrt())
            else:
                below[key] = limit
        return values[key] if values.get(key, 0.0) > limit else 0.0

    def exceeds(prefix: tuple[float, ...], limit: float) -> float:
        """0 if the supremum over the remaining axes is proved to be within the limit, else the largest value met."""
        axis = len(prefix)
        if axis == len(lengths):
            return within(prefix, limit)
        span = math.pi if axis == halved else 2 * math.pi
        count = cells[axis] // 2 if axis == halved else cells[axis]
        width = span / count
        stack = [((index + 0.5) * width, width / 2, 0) for index in range(count)]
        while stack:
            centre, half, level = stack.pop()
            shrink = math.cos(degrees[axis] * half) if cells[axis] > 1 else 1.0
            met = exceeds((*prefix, centre), limit * shrink)
            if met == 0.0:
                continue
            if met > limit or level == levels or cells[axis] == 1:
                return met
            third = half / 3
            stack += [(centre + step * 2 * third, third, level + 1) for step in (-1, 1, 0)]
        return 0.0

    best = value(tuple(0.0 for _ in lengths))
    while True:
        met = exceeds((), best * slack)
        if met == 0.0:
            return best * slack * ROUNDING
        best = max(best * (1 + 1e-9), *values.values())


def _trim(weight: Tensor) -> Tensor:
    """Drop output and input channels, and outer taps, that are zero throughout."""
    for axis in range(weight.ndim):
        used = weight.abs().amax([other for other in range(weight.ndim) if other != axis]) > 0
        if not bool(used.any()):
            return weight.new_zeros(0)
        if axis < 2:
            weight = weight.index_select(axis, used.nonzero().flatten())
        else:
            where = used.nonzero().flatten()
            weight = weight.narrow(axis, int(where[0]), int(where[-1] - where[0]) + 1)
    return weight
