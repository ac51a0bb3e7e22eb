r"""How large a perturbation may be: radii relative to the measurement, to its noise, or absolute.

=============  =============================================  ==========================================
unit           measurement domain                             image domain
=============  =============================================  ==========================================
`"relative"`   ``||P y||``                                    ``||x||``, of the truth or else of ``A^+ y``
`"noise"`      ``l2``: ``sigma sqrt n``; ``linf``: ``sigma``  refused
`"absolute"`   1, in the units of ``y``                       1, in the units of ``x``
=============  =============================================  ==========================================

Norms are those of the set: Euclidean, or the largest modulus of a sample. *Relative* is to the whole measurement or image, also
where the perturbation has only a region to live in: a radius then means the same energy whatever the region, and searches in
different regions can be compared. *Noise* is what a scan has of it where the perturbation lives: ``sigma`` is the
standard deviation of one sample, for a complex one that of the complex number, ``E |n|^2 = sigma^2`` (as
`stabtest.stability.cases.Case`), so that noise on the ``n`` measured samples of the region has ``E ||n||^2 = n sigma^2``. A radius
of 1 is then a perturbation no larger than noise, in the mean of squares. It is refused in the image domain, since noise lives on
the samples: what it is in the image depends on the method that reconstructs it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.constraints import Domain
from stabtest.search.norms import SHAPES, Norm
from stabtest.search.regions import measured_samples

RadiusUnit = Literal["relative", "noise", "absolute"]


def absolute_radius(
    radius: float | Tensor,
    *,
    unit: RadiusUnit = "relative",
    operator: LinearOperator,
    measurement: Tensor,
    truth: Tensor | None = None,
    domain: Domain = "measurement",
    norm: Norm = "l2",
    noise_std: float | Tensor | None = None,
    region: Tensor | None = None,
) -> Tensor:
    """A radius in the units of the variable, for each image.

    Parameters
    ----------
    radius
        A number for all images, or one each, ``(B,)``, in the unit named.
    unit
        What it is a multiple of (see above).
    operator
        Forward model ``A``.
    measurement
        ``y``, shape ``(B, *range)``.
    truth
        ``x``, shape ``(B, 1, H, W)``; for ``"relative"`` in the image domain, the pseudo-inverse of ``y`` if not given.
    domain, norm
        Those of the set.
    noise_std
        ``sigma``, a number or one per image, ``(B,)``, in the units of ``y``; for ``"noise"``.
    region
        That of the set; for ``"noise"`` in ``l2``, which counts the measured samples in it.

    Returns
    -------
    Tensor
        ``(B,)``, real, in the precision of ``y``.

    Raises
    ------
    SearchError
        If the unit is unknown or cannot be had (a measurement of zeros, no noise level, noise in the image domain), or there is
        not one radius, or one per image.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> A, y = Identity((2, 8)), torch.full((1, 1, 2, 8), 3.0)
    >>> absolute_radius(0.5, operator=A, measurement=y)
    tensor([6.])
    >>> absolute_radius(2, unit="noise", operator=A, measurement=y, noise_std=0.1)
    tensor([0.8000])
    >>> absolute_radius(2, unit="noise", norm="linf", operator=A, measurement=y, noise_std=0.1)
    tensor([0.2000])
    """
    y = operator.range.check(measurement, "measurement")
    match unit:
        case "absolute":
            one = torch.ones(len(y), dtype=tensors.real_dtype(y.dtype), device=y.device)
        case "relative":
            one = reference_size(operator, y, domain=domain, norm=norm, truth=truth)
            if not bool((one > 0).all()):
                raise SearchError(
                    "radius: relative to a measurement of zeros",
                    expected="a measurement that is not zero",
                    came=f"norms {one.tolist()}",
                    remedy="give an absolute radius, or leave the image out",
                )
        case "noise":
            one = noise_size(operator, y, domain=domain, norm=norm, noise_std=noise_std, region=region)
        case _:
            raise SearchError("unit of the radius", expected="'relative', 'noise' or 'absolute'", came=repr(unit))
    return _per_image(radius, one, "radius") * one


def reference_size(operator: LinearOperator, y: Tensor, *, domain: Domain, norm: Norm, truth: Tensor | None) -> Tensor:
    """What a relative radius is relative to, ``(B,)``: ``||P y||``, or in the image domain ``||x||``.

    Raises
    ------
    SearchError
        If the truth does not have one image for each measurement.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> y = torch.tensor([[[[3.0, -4.0]]]])
    >>> reference_size(Identity((1, 2)), y, domain="measurement", norm="linf", truth=None)
    tensor([4.])
    """
    if domain == "measurement":
        return SHAPES[norm].size(operator.restrict(y))
    if truth is not None and len(truth) != len(y):
        raise SearchError("truth", expected=f"{len(y)} images, one a measurement", came=str(len(truth)))
    with torch.no_grad():
        image = operator.pseudo_inverse(y) if truth is None else truth
    return SHAPES[norm].size(image).to(device=y.device, dtype=tensors.real_dtype(y.dtype))


def noise_size(
    operator: LinearOperator,
    y: Tensor,
    *,
    domain: Domain,
    norm: Norm,
    noise_std: float | Tensor | None,
    region: Tensor | None,
) -> Tensor:
    """The size of the measurement noise, ``(B,)``: ``sigma sqrt n`` in ``l2``, ``sigma`` in ``linf``.

    Raises
    ------
    SearchError
        In the image domain, if the noise level is missing, not positive or not one per image, or the region does not fit.

    Examples
    --------
    Of 16 samples 4 are measured:

    >>> from stabtest.operators import Fourier
    >>> A, y = Fourier(torch.eye(4) > 0), torch.zeros(1, 1, 4, 4, dtype=torch.complex64)
    >>> noise_size(A, y, domain="measurement", norm="l2", noise_std=0.1, region=None)
    tensor([0.2000])
    """
    if domain != "measurement":
        raise SearchError(
            "radius: in multiples of the noise, in the image domain",
            expected="the measurement domain, where the noise is",
            came=repr(domain),
            remedy="use domain 'measurement', or a radius relative to the image",
        )
    if noise_std is None:
        raise SearchError(
            "radius: in multiples of the noise",
            expected="the standard deviation of the noise",
            came="none",
            remedy="give noise_std, or a relative radius",
        )
    like = torch.ones(len(y), dtype=tensors.real_dtype(y.dtype), device=y.device)
    sigma = _per_image(noise_std, like, "noise_std")
    if not bool((torch.isfinite(sigma) & (sigma > 0)).all()):
        raise SearchError("noise_std", expected="positive and finite", came=str(sigma.tolist()))
    if norm == "linf":
        return sigma
    samples = measured_samples(operator, region, device=y.device)
    return sigma * samples.sum().to(torch.float64).sqrt().to(sigma.dtype)


def _per_image(value: float | Tensor, like: Tensor, name: str) -> Tensor:
    """A number, or one per image, as ``(B,)``."""
    given = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if given.ndim > 1 or (given.ndim == 1 and len(given) != len(like)):
        raise SearchError(name, expected=f"a number, or shape ({len(like)},)", came=f"shape {tuple(given.shape)}")
    return given.expand_as(like)
