"""Hallucination maps: what a reconstruction shows that neither the data nor the object have.

S. Bhadra, V. A. Kelkar, F. J. Brooks, M. A. Anastasio, *On hallucinations in tomographic image reconstruction*, IEEE Trans. Med. Imaging 40
(2021) 3249-3260, split an image by the (truncated) pseudo-inverse into a measurement and a null component and define

    measurement space    H_meas = A^+ A f(y) - A^+ y
    null space           H_null = 1{P_N f(y) != 0} (P_N f(y) - P_N x).

The first compares the image with the *data*: where it is not zero, the method's prior has moved what was measured. The second compares with
the *truth*, only where the method shows something there at all: what it left blank is missing, not hallucinated.

In floating point nothing is exactly zero: ``!= 0`` becomes ``|P_N f(y)| > floor``. The authors truncate the pseudo-inverse where singular values are
small, and split the images by ``A_P^+ A`` with the truncated one, so that noise is not amplified without end. Here, with a ``cut`` relative to
``||A||`` (its bound, `norm_bound`), Tikhonov's inverse ``(A* A + (cut ||A||)^2 I)^-1 A*`` stands for it, with the same effect and without a
singular value decomposition; for single-coil Fourier all singular values are equal, nothing is cut and the maps are exactly the authors'. Both
thresholds, floor and cut, are the caller's: there is no default.

A *specific map* marks regions of a map: inside a mask the histogram is equalised, smoothed, cut at a percentile, and components that are
too small are dropped. By its percentile it marks something in **every** image, perfect ones included. All its settings must be given;
the authors' program has sigma = 7, percentile = 95 and 100 pixels for images of 320 x 320.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from stabtest import tensors
from stabtest.errors import ConfigError, DataError
from stabtest.operators import LinearOperator
from stabtest.stability.kernel.errors import check_complete
from stabtest.stability.null_space import ITERATIONS, TOLERANCE, minimum_norm


@dataclass(frozen=True, eq=False)
class HallucinationMaps:
    """Both maps of one image.

    Parameters
    ----------
    measurement, null
        ``H_meas`` and ``H_null``, ``(1, *domain)``, with their sign or phase; drawn are their magnitudes.
    missing
        ``P_N f(y) - P_N x`` where the method shows nothing: the rest of the error in the null space.
    floor
        ``|P_N f(y)|`` above which the method shows something, unit of the image.
    cut
        Singular value relative to ``||A||`` at which the inverse is cut.
    residual, iterations
        Of conjugate gradients, the largest.
    """

    measurement: Tensor
    null: Tensor
    missing: Tensor
    floor: float
    cut: float
    residual: float
    iterations: int


def hallucination_maps(
    operator: LinearOperator,
    reconstruction: Tensor,
    truth: Tensor,
    measurement: Tensor,
    *,
    floor: float,
    cut: float,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
) -> HallucinationMaps:
    """The maps of Bhadra et al.

    Parameters
    ----------
    operator
        ``A``.
    reconstruction, truth
        ``f(y)`` and ``x``, ``(1, *operator.domain.shape)``.
    measurement
        ``y``, ``(1, *operator.range.shape)``.
    floor
        See the module; not negative, unit of the image.
    cut
        See the module; not negative; 0 = the pseudo-inverse itself.
    iterations, tolerance
        Limits of conjugate gradients.

    Raises
    ------
    ConfigError
        If the floor or the cut is negative or not a number.
    DataError
        If the reconstruction is a magnitude of complex images.
    OperatorError
        If a tensor does not fit the operator.

    Examples
    --------
    >>> from stabtest.operators import Fourier
    >>> mask = torch.zeros(8, 8, dtype=torch.bool)
    >>> mask[:, :4] = True
    >>> x = torch.zeros(1, 1, 8, 8, dtype=torch.complex128)
    >>> x[..., 4, 4] = 1
    >>> A = Fourier(mask)
    >>> maps = hallucination_maps(A, A.pseudo_inverse(A(x)), x, A(x), floor=1e-9, cut=0.01)
    >>> [round(float(tensors.norm(part)) ** 2, 6) for part in (maps.measurement, maps.null, maps.missing)]
    [0.0, 0.0, 0.5]
    """
    if not (floor >= 0 and cut >= 0):
        came = f"floor {floor}, cut {cut}"
        raise ConfigError("hallucination map: thresholds", expected="numbers of at least zero", came=came)
    check_complete(operator, reconstruction)
    x = operator.domain.check(truth, "truth").to(operator.domain.dtype(torch.float64))
    f = operator.domain.check(reconstruction, "reconstruction").to(x.dtype)
    y = operator.range.check(measurement, "measurement").to(operator.range.dtype(torch.float64))
    weight = (cut * operator.norm_bound()) ** 2 if cut > 0 else 0.0
    # One batch of independent problems; the map of the data as A^+ (A f - y), both at once.
    data = torch.cat([operator.forward(x), operator.forward(f), operator.forward(f) - y])
    found = minimum_norm(operator, data, weight=weight, iterations=iterations, tolerance=tolerance)
    null_x, null_f = x - found.image[:1], f - found.image[1:2]
    shown = null_f.abs() > floor
    return HallucinationMaps(
        measurement=found.image[2:],
        null=(null_f - null_x) * shown,
        missing=(null_f - null_x) * ~shown,
        floor=floor,
        cut=cut,
        residual=float(found.residual.max()),
        iterations=found.iterations,
    )


def specific_map(
    hallucinations: Tensor, region: Tensor, *, sigma: float, percentile: float, least_pixels: int
) -> NDArray[np.bool_]:
    """Regions where a hallucination map stands out, by the recipe of the authors' program.

    Parameters
    ----------
    hallucinations
        A map, ``(1, 1, H, W)``; its magnitude counts.
    region
        Where to look (the body), boolean ``(1, 1, H, W)``.
    sigma
        Standard deviation of the smoothing in pixels.
    percentile
        Cut-off, over all pixels of the image; between 0 and 100.
    least_pixels
        Components of fewer pixels are dropped.

    Returns
    -------
    ndarray
        Boolean ``(H, W)``.

    Raises
    ------
    ConfigError
        If a setting is outside of its range.
    DataError
        If map and region are not of one shape ``(1, 1, H, W)``.

    Examples
    --------
    >>> found = torch.zeros(1, 1, 16, 16)
    >>> found[..., 4:8, 4:8] = 1
    >>> int(specific_map(found, torch.ones_like(found).bool(), sigma=0.5, percentile=93, least_pixels=4).sum())
    16
    """
    if not (sigma >= 0 and 0 <= percentile <= 100 and least_pixels >= 0):
        came = f"sigma {sigma}, percentile {percentile}, {least_pixels} pixels"
        raise ConfigError("specific map", expected="sigma and pixels of at least 0, percentile of 0 to 100", came=came)
    if hallucinations.shape != region.shape or hallucinations.ndim != 4 or tuple(hallucinations.shape[:2]) != (1, 1):
        came = f"{tuple(hallucinations.shape)} and {tuple(region.shape)}"
        raise DataError("specific map", expected="map and region of one shape (1, 1, H, W)", came=came)
    from skimage import exposure

    size: Any = (hallucinations.abs() * region)[0, 0].detach().to("cpu", torch.float64).numpy()
    smooth = ndimage.gaussian_filter(exposure.equalize_hist(size), sigma)
    labels, _ = ndimage.label(smooth > np.percentile(smooth, percentile), structure=np.ones((3, 3)))
    counts = np.bincount(labels.ravel())
    return (labels > 0) & (counts[labels] >= least_pixels)


def map_norm(part: Tensor, truth: Tensor) -> float:
    """``||map|| / ||x||``, one number of a map.

    Examples
    --------
    >>> map_norm(torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2))
    0.5
    """
    return float(tensors.norm(part)) / float(tensors.norm(truth))
