"""Moving, turning and magnifying an image between its pixels, differentiable in how far.

Two kernels, and what each does to the image:

- ``"fourier"``: trigonometric interpolation. A translation by ``s`` pixels multiplies the spectrum by ``exp(-2 pi i k s / N)``:
  exact for periodic band-limited images, and what leaves on one side comes in on the other. A rotation is three shears, each
  of them a translation of every line by its own amount,

        [ cos t   sin t ]     [ 1  tan(t/2) ] [    1     0 ] [ 1  tan(t/2) ]
        [-sin t   cos t ]  =  [ 0      1    ] [ -sin t   1 ] [ 0      1    ]      on (column, row),

  so that nothing is smoothed (Unser, Thévenaz, Yaroslavsky, *Convolution-based interpolation for fast, high-quality rotation
  of images*, IEEE Trans. Image Process. 4 (1995) 1371-1381). The image is padded with zeros by a quarter of its side first:
  nothing comes in from the other side. A magnification evaluates the trigonometric polynomial on the other grid. Edges that
  the pixels do not resolve ring.
- ``"bicubic"``: cubic convolution (Keys, IEEE Trans. Acoust. Speech Signal Process. 29 (1981) 1153-1160, with ``a = -0.75``),
  zeros outside of the field. No ringing beyond two pixels, but the image is smoothed.

By default complex images (MRI: band-limited by the scan) take the first and real images (CT: means over pixels) the second.

Every map is written as ``x + (T_p - T_0) x``, so that it is the identity *exactly* at parameter 0 and has the right derivative
there. At the Nyquist frequency of an even side a complex image has ``k = -N / 2``, which is the line that an MRI scan measures:
the map is unitary, and what a scan of the moved object gives. Of a real image the sign of ``k`` is not defined there and the
factor is ``cos(pi s)``: it stays real, and whole pixels are exact, but a part of a pixel is not invertible at that frequency.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from stabtest import tensors
from stabtest.errors import ConfigError, DataError

Kernel = Literal["fourier", "bicubic"]
Amount = float | Tensor
"""A number for the whole batch, or a real tensor of shape ``()`` or ``(B,)``, through which gradients pass."""


def translate(image: Tensor, rows: Amount = 0.0, columns: Amount = 0.0, *, kernel: Kernel | None = None) -> Tensor:
    """Shift an image down by ``rows`` and to the right by ``columns`` pixels.

    Parameters
    ----------
    image
        ``(B, 1, H, W)``, real or complex.
    rows, columns
        Pixels, parts of a pixel allowed.
    kernel
        ``"fourier"`` (periodic), ``"bicubic"`` (zeros come in), or None: the first for complex images, the second for real.

    Returns
    -------
    Tensor
        ``(B, 1, H, W)``.

    Raises
    ------
    DataError
        If the image has another shape.
    ConfigError
        If the kernel is unknown.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 8, 8)
    >>> image[0, 0, 2, 3] = 1
    >>> moved = translate(image, 1, -2, kernel="fourier")
    >>> round(moved[0, 0, 3, 1].item(), 5), torch.equal(translate(image, 0, 0), image)
    (1.0, True)
    """
    down, right = _amount(rows, image), _amount(columns, image)
    if _chosen(kernel, image) == "bicubic":
        ones = torch.ones_like(down)
        return _bicubic(image, ones, torch.zeros_like(down), right, down)
    moved = _shift_lines(image, right[:, None, None, None], axis=-1)
    return _shift_lines(moved, down[:, None, None, None], axis=-2)


def rotate(image: Tensor, degrees: Amount, *, kernel: Kernel | None = None) -> Tensor:
    """Turn an image anticlockwise about its middle (row 0 on top), as `skimage.transform.rotate` does.

    Parameters
    ----------
    image
        ``(B, 1, H, W)``, real or complex.
    degrees
        Angle. With ``"fourier"`` one of more than 45 degrees is made of quarter turns, which are exact, and the rest.
    kernel
        As for `translate`; zeros come in with either.

    Returns
    -------
    Tensor
        ``(B, 1, H, W)``; what leaves the field is lost.

    Raises
    ------
    DataError
        If the image has another shape, or is not square where quarter turns are needed.
    ConfigError
        If the kernel is unknown.

    Examples
    --------
    >>> image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.equal(rotate(image, 90.0, kernel="fourier"), torch.rot90(image, 1, (-2, -1)))
    True
    """
    angle = _amount(degrees, image)
    if _chosen(kernel, image) == "bicubic":
        radians = torch.deg2rad(angle)
        zeros = torch.zeros_like(angle)
        return _bicubic(image, radians.cos(), radians.sin(), zeros, zeros)
    turns = torch.round(angle.detach() / 90)
    if bool((turns != 0).any()):
        image = _quarter_turns(image, turns)
    radians = torch.deg2rad(angle - 90 * turns)
    height, width = image.shape[-2:]
    across, down = math.ceil(width / 4), math.ceil(height / 4)
    padded = functional.pad(image, (across, across, down, down))
    flat, steep = torch.tan(radians / 2)[:, None, None, None], -torch.sin(radians)[:, None, None, None]
    row, column = _from_middle(padded, -2)[:, None], _from_middle(padded, -1)
    sheared = _shift_lines(padded, flat * row, axis=-1)
    sheared = _shift_lines(sheared, steep * column, axis=-2)
    return _shift_lines(sheared, flat * row, axis=-1)[..., down : down + height, across : across + width]


def zoom(image: Tensor, change: Amount, *, kernel: Kernel | None = None) -> Tensor:
    """Magnify an image about its middle by the factor ``1 + change``.

    Parameters
    ----------
    image
        ``(B, 1, H, W)``, real or complex.
    change
        Above 0 the object becomes larger and its border is cropped, below 0 smaller with zeros around it. Above -1.
    kernel
        As for `translate`. ``"fourier"`` removes the frequencies that the coarser grid cannot carry when an object becomes
        smaller, ``"bicubic"`` does not.

    Returns
    -------
    Tensor
        ``(B, 1, H, W)``; values are kept, not the sum.

    Raises
    ------
    DataError
        If the image has another shape.
    ConfigError
        If the kernel is unknown or the factor not positive.

    Examples
    --------
    >>> image = torch.ones(1, 1, 9, 9)
    >>> round(zoom(image, 0.5)[0, 0, 4, 4].item(), 4), torch.equal(zoom(image, 0.0), image)
    (1.0, True)
    """
    factor = 1 + _amount(change, image)
    if not bool((factor > 0).all()):
        raise ConfigError("zoom", expected="a change above -1", came=str((factor - 1).tolist()))
    if _chosen(kernel, image) == "bicubic":
        zeros = torch.zeros_like(factor)
        return _bicubic(image, factor, zeros, zeros, zeros)
    down, across = (_magnifier(image.shape[axis], factor) for axis in (-2, -1))
    down, across = (m[:, None].to(image.dtype) for m in (down, across))
    once = image + down @ image
    return once + once @ across.mT


def _chosen(kernel: Kernel | None, image: Tensor) -> Kernel:
    if image.ndim != 4 or image.shape[1] != 1:
        raise DataError("image to transform", expected="(B, 1, H, W)", came=str(tuple(image.shape)))
    if kernel not in (None, "fourier", "bicubic"):
        raise ConfigError("kernel", expected='"fourier" or "bicubic"', came=repr(kernel))
    return kernel or ("fourier" if image.is_complex() else "bicubic")


def _amount(value: Amount, image: Tensor) -> Tensor:
    """As a real tensor of the image's precision, ``(1,)`` or ``(B,)``."""
    real = tensors.real_dtype(image.dtype)
    given = value if isinstance(value, Tensor) else torch.tensor(float(value), dtype=torch.float64)
    return given.to(device=image.device, dtype=real).reshape(-1)


def _from_middle(image: Tensor, axis: int) -> Tensor:
    n = image.shape[axis]
    return torch.arange(n, device=image.device, dtype=tensors.real_dtype(image.dtype)) - (n - 1) / 2


def _frequencies(n: int, like: Tensor) -> Tensor:
    """Integers ``k`` in FFT order, ``-n / 2`` among them for even ``n``."""
    return torch.fft.fftfreq(n, d=1 / n, device=like.device, dtype=tensors.real_dtype(like.dtype)).round()


def _shift_lines(image: Tensor, pixels: Tensor, *, axis: int) -> Tensor:
    """Shift along an axis; ``pixels`` broadcasts against the image, with one entry along the axis."""
    n = image.shape[axis]
    if pixels.ndim == 4 and pixels.shape[axis] != 1:
        raise DataError("shift along an axis", expected="one amount a line", came=str(tuple(pixels.shape)))
    k = _frequencies(n, image)
    k = k if axis == -1 else k[:, None]
    angle = -2 * math.pi / n * pixels * k
    # e^{i a} - 1 = -2 sin^2(a / 2) + i sin a: no cancellation, and 0 at 0 exactly.
    less_one = torch.complex(-2 * torch.sin(angle / 2).square(), torch.sin(angle))
    change = torch.fft.ifft(torch.fft.fft(image, dim=axis) * less_one, dim=axis)
    # The real part of a real image's is the cosine at Nyquist: its spectrum is real there.
    return image + (change if image.is_complex() else change.real)


def _quarter_turns(image: Tensor, turns: Tensor) -> Tensor:
    if image.shape[-1] != image.shape[-2]:
        remedy = 'stay within 45 degrees, or take kernel="bicubic"'
        raise DataError("rotation by a quarter turn", expected="a square image", came=str(tuple(image.shape)), remedy=remedy)
    if len(turns) == 1:
        return torch.rot90(image, int(turns), (-2, -1))
    images = image.expand(len(turns), -1, -1, -1)
    return torch.stack([torch.rot90(one, int(turn), (-2, -1)) for one, turn in zip(images, turns)])


def _magnifier(n: int, factor: Tensor) -> Tensor:
    """``D(factor) - I``, ``(B, n, n)``: the trigonometric interpolation at ``c + (i - c) / factor``, less the pixels themselves."""
    wide = factor.to(torch.float64)[:, None]
    still = torch.arange(n, device=factor.device, dtype=torch.float64)
    at = (still - (n - 1) / 2) / wide + (n - 1) / 2
    k = _frequencies(n, wide)
    # What the coarser grid cannot carry fades out over one frequency, what lies beyond the field over one pixel; both begin half
    # a step out, so that there is no kink at factor 1.
    kept = (wide * (n / 2) - k.abs() + 1.5).clamp(0, 1)[:, None]
    inside = (at + 1.5).clamp(0, 1) * (n + 0.5 - at).clamp(0, 1)
    moved = _trigonometric(at, k, kept) * inside[..., None]
    return (moved - _trigonometric(still[None], k, torch.ones_like(kept))).to(factor.dtype)


def _trigonometric(at: Tensor, k: Tensor, weights: Tensor) -> Tensor:
    """``mean_k w_k cos(2 pi k (at - m) / n)`` for the pixels ``m``: real parts only, the sines cancel between ``k`` and ``-k``."""
    turn = 2 * math.pi / len(k) * k
    there, here = at[..., None] * turn, torch.arange(len(k), device=k.device, dtype=k.dtype)[:, None] * turn
    return ((there.cos() * weights) @ here.cos().mT + (there.sin() * weights) @ here.sin().mT) / len(k)


def _bicubic(image: Tensor, cosine: Tensor, sine: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Cubic convolution under ``(c, r) -> (cosine c + sine r + right, -sine c + cosine r + down)`` about the middle."""
    column, row = _from_middle(image, -1)[None, None, :], _from_middle(image, -2)[None, :, None]
    cosine, sine, right, down = (v[:, None, None] for v in (cosine, sine, right, down))
    size = cosine.square() + sine.square()
    c, r = column - right, row - down
    moved = _sample(image, (cosine * c - sine * r) / size, (sine * c + cosine * r) / size)
    return image + (moved - _sample(image, column + 0 * row, row + 0 * column))


def _sample(image: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Values at places counted from the middle, ``(B, H, W)`` each; zeros outside."""
    height, width = image.shape[-2:]
    grid = torch.stack([2 * column / width, 2 * row / height], -1)
    batch = max(len(grid), len(image))
    parts = torch.view_as_real(image)[:, 0].movedim(-1, 1) if image.is_complex() else image
    parts, grid = parts.expand(batch, -1, -1, -1), grid.expand(batch, -1, -1, -1)
    values = functional.grid_sample(parts, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    return torch.complex(values[:, :1], values[:, 1:]) if image.is_complex() else values
