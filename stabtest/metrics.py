"""How far an image is from another: NRMSE, PSNR, SSIM and local damage, one number for each image of a batch.

With a reconstruction ``f`` and the truth ``x`` (or whatever stands for it), both ``(B, 1, H, W)``, complex in MRI:

- ``NRMSE = ||f - x|| / ||x||`` of the *complex* difference: a wrong phase is an error.
- ``PSNR = 10 log10(max|x|^2 / mean |f - x|^2)``, again of the complex difference. The peak is that of the truth, never of the
  reconstruction.
- ``SSIM`` of the *magnitudes* (of the values, for real images), uniform 7 x 7 window, data range ``max|x|``: Wang et al.,
  *Image quality assessment: from error visibility to structural similarity*, IEEE Trans. Image Process. 13 (2004), with the
  options of fastMRI (Zbontar et al., arXiv:1811.08839), computed by scikit-image.
- ``local damage = max (G * |f' - f|) / max|f|`` with a Gaussian ``G``: what a change does at its worst place, which the l2
  norm of the whole image dilutes.

For real images the first three equal scikit-image's ``normalized_root_mse(normalization="euclidean")``,
``peak_signal_noise_ratio(data_range=max|x|)`` and ``structural_similarity(data_range=max|x|)``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from stabtest import tensors
from stabtest.errors import DataError

SSIM_WINDOW = 7
"""Pixels along a side of the window of `ssim`."""


def nrmse(image: Tensor, truth: Tensor) -> Tensor:
    """``||f - x|| / ||x||`` of each image.

    Parameters
    ----------
    image, truth
        ``(B, 1, H, W)``, real or complex.

    Returns
    -------
    Tensor
        Shape ``(B,)``, real, without unit; ``inf`` for a truth of zeros.

    Raises
    ------
    DataError
        If the shapes differ.

    Examples
    --------
    >>> nrmse(torch.full((1, 1, 2, 2), 1.5), torch.ones(1, 1, 2, 2))
    tensor([0.5000])
    """
    check_pair(image, truth)
    return tensors.norm(image - truth) / tensors.norm(truth)


def psnr(image: Tensor, truth: Tensor) -> Tensor:
    """``10 log10(max|x|^2 / mean |f - x|^2)`` of each image, in dB.

    Parameters
    ----------
    image, truth
        ``(B, 1, H, W)``, real or complex.

    Returns
    -------
    Tensor
        Shape ``(B,)``, in dB; ``inf`` where the images are equal.

    Raises
    ------
    DataError
        If the shapes differ.

    Examples
    --------
    >>> psnr(torch.full((1, 1, 2, 2), 1.1, dtype=torch.float64), torch.ones(1, 1, 2, 2, dtype=torch.float64))
    tensor([20.0000], dtype=torch.float64)
    """
    check_pair(image, truth)
    mean_square = (image - truth).abs().flatten(1).square().mean(1)
    return 10 * torch.log10(peak(truth).square() / mean_square)


def ssim(image: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of the magnitudes (of the values, for real images), data range ``max|x|``.

    Parameters
    ----------
    image, truth
        ``(B, 1, H, W)``, both real or both complex, at least 7 pixels along each side.

    Returns
    -------
    Tensor
        Shape ``(B,)``, float64, at most 1.

    Raises
    ------
    DataError
        If the shapes differ or an image is smaller than the window.

    Examples
    --------
    >>> x = torch.arange(64.0).reshape(1, 1, 8, 8)
    >>> ssim(x, x)
    tensor([1.], dtype=torch.float64)
    """
    from skimage.metrics import structural_similarity

    check_pair(image, truth)
    if min(truth.shape[-2:]) < SSIM_WINDOW:
        raise DataError("SSIM", expected=f"at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels", came=str(tuple(truth.shape[-2:])))
    complex_pair = image.is_complex() or truth.is_complex()
    one, other = ((a.abs() if complex_pair else a).detach().to("cpu", torch.float64).numpy() for a in (image, truth))
    values: list[float] = []
    for a, b in zip(one[:, 0], other[:, 0]):
        value = structural_similarity(b, a, data_range=float(abs(b).max()), win_size=SSIM_WINDOW)
        values.append(float(value))  # pyright: ignore[reportArgumentType]
    return torch.tensor(values, dtype=torch.float64)


def local_damage(clean: Tensor, perturbed: Tensor, *, sigma: float = 2.0) -> Tensor:
    """``max (G * |f' - f|) / max|f|``: the largest smoothed change anywhere, relative to the brightest pixel.

    Parameters
    ----------
    clean, perturbed
        Reconstructions ``f`` and ``f'``, ``(B, 1, H, W)``, real or complex.
    sigma
        Standard deviation of the Gaussian in pixels. A change smaller than about ``2 sigma`` counts by its integral, a
        larger one by its height.

    Returns
    -------
    Tensor
        Shape ``(B,)``, real, without unit.

    Raises
    ------
    DataError
        If the shapes differ.

    Examples
    --------
    >>> clean = torch.ones(1, 1, 32, 32)
    >>> local_damage(clean, clean + 0.25)
    tensor([0.2500])
    """
    check_pair(perturbed, clean)
    return smooth((perturbed - clean).abs(), sigma=sigma).flatten(1).amax(1) / peak(clean)


def smooth(image: Tensor, *, sigma: float) -> Tensor:
    """Gaussian smoothing of each image, cut at ``4 sigma``, the edge pixels repeated outwards; differentiable.

    Parameters
    ----------
    image
        ``(B, 1, H, W)``, real or complex.
    sigma
        Standard deviation in pixels; 0 leaves the image as it is.

    Examples
    --------
    >>> smooth(torch.ones(1, 1, 5, 7), sigma=1.0).allclose(torch.ones(1, 1, 5, 7))
    True
    """
    if sigma <= 0:
        return image
    if image.is_complex():
        return torch.complex(smooth(image.real, sigma=sigma), smooth(image.imag, sigma=sigma))
    radius = int(4 * sigma + 0.5)
    padded = functional.pad(image, (radius, radius, radius, radius), mode="replicate")
    return windowed_mean(padded, gaussian_window(sigma, radius=radius, like=image))


def gaussian_window(sigma: float, *, radius: int, like: Tensor) -> Tensor:
    """Weights ``exp(-k^2 / 2 sigma^2)`` at ``k = -radius, ..., radius``, of sum 1, type and device of ``like``.

    Examples
    --------
    >>> gaussian_window(1e6, radius=1, like=torch.zeros(1))
    tensor([0.3333, 0.3333, 0.3333])
    """
    offsets = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    return weights / weights.sum()


def windowed_mean(image: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over a square window about every pixel whose window fits into the image; differentiable.

    Parameters
    ----------
    image
        ``(B, 1, H, W)``, real.
    weights
        Along one side of the window, ``(2 r + 1,)``, of sum 1; the window is their outer product.

    Returns
    -------
    Tensor
        ``(B, 1, H - 2 r, W - 2 r)``.

    Examples
    --------
    >>> windowed_mean(torch.ones(1, 1, 5, 7), torch.tensor([0.25, 0.5, 0.25])).shape
    torch.Size([1, 1, 3, 5])
    """
    return functional.conv2d(functional.conv2d(image, weights[None, None, :, None]), weights[None, None, None, :])


def peak(image: Tensor) -> Tensor:
    """``max|x|`` of each image, shape ``(B,)``."""
    return image.abs().flatten(1).amax(1)


def check_pair(image: Tensor, truth: Tensor) -> None:
    """Raise `DataError` unless both are batches of single-channel images of one shape."""
    if image.shape != truth.shape or image.ndim != 4 or image.shape[1] != 1:
        raise DataError(
            "images to compare", expected="two of one shape (B, 1, H, W)", came=f"{tuple(image.shape)} and {tuple(truth.shape)}"
        )
