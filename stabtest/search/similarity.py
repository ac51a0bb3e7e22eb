r"""Structural dissimilarity, ``1 - SSIM``, as an objective: differentiable, and accurate where it is small.

With means, variances and the covariance of two images ``a`` (the reconstruction) and ``b`` (the reference) under a Gaussian
window ``w`` of 11 x 11 pixels and standard deviation 1.5,

    SSIM = mean over windows of  (2 m_a m_b + C_1)(2 c_ab + C_2) / ((m_a^2 + m_b^2 + C_1)(v_a + v_b + C_2)),

``C_1 = (0.01 L)^2``, ``C_2 = (0.03 L)^2`` with the data range ``L``: Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, *Image quality
assessment: from error visibility to structural similarity*, IEEE Trans. Image Process. 13 (2004). Only windows that fit
into the image count. Of complex images the moduli are compared.

Near the reference SSIM is 1 minus something of second order, which single precision loses in the 1. So the dissimilarity is
computed without that difference: with ``A = m_a^2 + m_b^2 + C_1``, ``V = v_a + v_b + C_2`` and the variance ``v_d`` of ``d = a - b``,

    2 m_a m_b + C_1 = A - m_d^2,   2 c_ab + C_2 = V - v_d,   so   1 - SSIM = mean  p + q - p q,   p = m_d^2 / A,  q = v_d / V.

``A >= C_1 > 0`` and ``V >= C_2 > 0``: value and gradient are finite everywhere, in a background of zeros too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import metrics
from stabtest.errors import SearchError

SIGMA = 1.5
"""Standard deviation of the window in pixels."""
RADIUS = 5
"""Half its side: the window has 11 x 11 pixels."""
K1, K2 = 0.01, 0.03
"""Wang's constants."""


@dataclass(frozen=True, eq=False)
class StructuralDissimilarity:
    """``1 - SSIM`` of each image against a reference: 0 where they are equal, at most 2.

    Parameters
    ----------
    reference
        The truth or the clean reconstruction, ``(B, 1, H, W)``, real or complex, at least 11 pixels along each side.
    data_range
        ``L``, a number or one for each image, ``(B,)``; the largest modulus of the reference if not given.
    vanishes_at_clean
        Whether the reference is the clean reconstruction, where value and gradient are zero.

    Raises
    ------
    SearchError
        If the reference is smaller than the window, or a data range is not positive.

    Examples
    --------
    >>> reference = torch.eye(16)[None, None]
    >>> dissimilarity = StructuralDissimilarity(reference)
    >>> dissimilarity(reference), bool(dissimilarity(reference.flip(-1)) > 0.5)
    (tensor([0.]), True)
    """

    reference: Tensor
    data_range: float | Tensor | None = None
    vanishes_at_clean: bool = False

    def __post_init__(self) -> None:
        if self.reference.ndim != 4 or self.reference.shape[1] != 1 or min(self.reference.shape[-2:]) <= 2 * RADIUS:
            raise SearchError(
                "objective SSIM: reference",
                expected=f"(B, 1, H, W) with at least {2 * RADIUS + 1} pixels along each side",
                came=str(tuple(self.reference.shape)),
            )
        ranges = self._range()
        if ranges.shape != (len(self.reference),) or not bool((torch.isfinite(ranges) & (ranges > 0)).all()):
            raise SearchError(
                "objective SSIM: data range",
                expected="a positive number, or one for each image",
                came=str(ranges.tolist()),
                remedy="leave images of zeros out, or give data_range",
            )

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """The dissimilarity, shape ``(B,)``."""
        metrics.check_pair(reconstruction, self.reference)
        either = reconstruction.is_complex() or self.reference.is_complex()
        a, b = (image.abs() if either else image for image in (reconstruction, self.reference))
        window = metrics.gaussian_window(SIGMA, radius=RADIUS, like=a)
        both = torch.cat([a, b, a - b])
        means = metrics.windowed_mean(both, window)
        # The variance does not change when a constant is taken off each image, and loses less in single precision then.
        centred = both - both.detach().mean((-2, -1), keepdim=True)
        offset = metrics.windowed_mean(centred, window)
        variances = metrics.windowed_mean(centred.square(), window) - offset.square()
        mean_a, mean_b, mean_d = means.chunk(3)
        var_a, var_b, var_d = variances.chunk(3)
        squared = self._range().to(a.dtype).square().reshape(-1, 1, 1, 1)
        p = mean_d.square() / (mean_a.square() + mean_b.square() + K1**2 * squared)
        q = var_d / (var_a + var_b + K2**2 * squared)
        return (p + q - p * q).flatten(1).mean(1)

    def _range(self) -> Tensor:
        """``L`` of each image, ``(B,)``."""
        if self.data_range is None:
            return metrics.peak(self.reference)
        given = torch.as_tensor(self.data_range, device=self.reference.device)
        return given.expand(len(self.reference)) if given.ndim == 0 else given
