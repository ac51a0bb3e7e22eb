"""Coil maps as eigenvectors: ESPIRiT.

Every ``k x k`` patch of the k-space of all coils together lies in a small space, the span of the patches of the fully sampled centre (their
matrix ``A`` has a patch a row; ``V`` are its right singular vectors above a threshold). Projecting all patches onto that space and averaging where
they overlap leaves the k-space as it is. That operator is a convolution, so at a pixel ``x`` of the images it is a matrix between coils,

    G(x) = k^-2 sum_d R(d) exp(2 pi i d.x/N),   R_cc'(d) = sum_q sum_p v_q,c(p) conj(v_q,c'(p - d)),

Hermitian with eigenvalues from 0 to 1, and the coil images ``s(x) rho(x)`` are its eigenvectors of eigenvalue 1. The map at ``x`` is the eigenvector
of the largest eigenvalue, of norm 1; where that eigenvalue is below a crop threshold there is no object and the map is 0. The phase, which is
free at every pixel, is such that the leading combination of the coils over the calibration region is real.

One map a pixel: where the object folds onto itself within the field of view two would be needed, and the largest eigenvalue says nothing about it.

Source: M. Uecker, P. Lai, M. J. Murphy, P. Virtue, M. Elad, J. M. Pauly, S. S. Vasanawala, M. Lustig, *ESPIRiT -- an eigenvalue approach to
autocalibrating parallel MRI: where SENSE meets GRAPPA*, Magnetic Resonance in Medicine 71 (2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest.data.calibration import check_calibration

Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class EspiritMaps:
    """What was found.

    Attributes
    ----------
    maps
        ``(C, H, W)``, complex64; root sum of squares 1, or 0 where there is no object.
    eigenvalues
        The largest at each pixel, ``(H, W)``.
    kept, of
        How many singular vectors were kept, of how many.
    """

    maps: Tensor
    eigenvalues: Tensor
    kept: int
    of: int


def espirit(
    kspace: Tensor, region: tuple[slice, slice], *, kernel: int = 6, threshold: float = 0.02, crop: float = 0.95
) -> EspiritMaps:
    """Coil maps from the fully sampled centre.

    Parameters
    ----------
    kspace
        ``(C, H, W)``, complex, centred; only the region is looked at.
    region
        Rows and columns, from `stabtest.data.calibration.calibration_region`.
    kernel
        Side of a patch, in samples.
    threshold
        Singular values above this share of the largest are signal.
    crop
        Least eigenvalue of a pixel that holds an object.

    Returns
    -------
    EspiritMaps

    Raises
    ------
    DataError
        If the region is smaller than ``2 kernel - 1`` along an axis.

    Examples
    --------
    >>> from stabtest import operators, phantoms
    >>> maps, image = phantoms.coil_maps(32, 4, seed=0), phantoms.ellipses(32, seed=0)
    >>> found = espirit(operators.fft2c(maps * image), (slice(6, 26), slice(6, 26)))
    >>> agreement = (found.maps.conj() * maps).sum(0).abs()[12:20, 12:20]
    >>> bool(agreement.min() > 0.999)
    True
    """
    check_calibration(region, least=2 * kernel - 1, what=f"ESPIRiT with kernels of {kernel} x {kernel}")
    coils, height, width = kspace.shape
    centre = kspace[:, region[0], region[1]].to(torch.complex128).cpu().numpy()
    vectors, of = _signal_space(centre, kernel, threshold)
    correlation = _correlation(vectors.reshape(-1, coils, kernel, kernel))
    leading = np.linalg.svd(centre.reshape(coils, -1), full_matrices=False)[0][:, 0]
    maps, eigenvalues = np.empty((coils, height, width), complex), np.empty((height, width))
    down, across = _waves(height, kernel), _waves(width, kernel)
    for row in range(height):  # one row at a time, so that C^2 numbers a pixel are never all there
        matrices = np.einsum("d,abde,ew->wab", down[:, row], correlation, across, optimize=True)
        values, eigenvectors = np.linalg.eigh(matrices / kernel**2)
        eigenvalues[row], best = values[:, -1], eigenvectors[:, :, -1]
        phase = best @ leading.conj()
        maps[:, row] = (best * np.exp(-1j * np.angle(phase))[:, None]).T
    maps[:, eigenvalues < crop] = 0
    return EspiritMaps(torch.from_numpy(maps).to(torch.complex64), torch.from_numpy(eigenvalues), len(vectors), of)


def _signal_space(centre: Complex, kernel: int, threshold: float) -> tuple[Complex, int]:
    """Orthonormal vectors ``(q, C k k)`` that span the patches of the calibration region, and how many singular values there were."""
    windows = np.lib.stride_tricks.sliding_window_view(centre, (kernel, kernel), axis=(1, 2))
    patches = windows.transpose(1, 2, 0, 3, 4).reshape(windows.shape[1] * windows.shape[2], -1)
    # By the Gram matrix, whose side does not grow with the region; a share of 0.02 of the largest is far above its rounding.
    values, vectors = np.linalg.eigh(patches.T @ patches.conj())
    strong = np.sqrt(np.maximum(values, 0)) > threshold * np.sqrt(values[-1])
    return vectors[:, strong].T, len(values)


def _correlation(kernels: Complex) -> Complex:
    """``R(d)``, ``(C, C, 2k - 1, 2k - 1)``, zero shift in the middle."""
    side = kernels.shape[-1]
    total = 2 * side - 1
    spectra = np.fft.fft2(kernels, (total, total))
    product = np.einsum("qaxy,qbxy->abxy", spectra, spectra.conj(), optimize=True)
    return np.fft.fftshift(np.fft.ifft2(product), axes=(-2, -1))


def _waves(pixels: int, kernel: int) -> Complex:
    """``exp(2 pi i d x / N)`` for shifts ``d`` from ``1 - k`` to ``k - 1`` (rows) and centred pixels ``x``."""
    shift, place = np.arange(1 - kernel, kernel), np.arange(pixels) - pixels // 2
    return np.exp(2j * np.pi * np.outer(shift, place) / pixels)
