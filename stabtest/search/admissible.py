"""The set of admissible perturbations of a measurement, from the words in which a question is asked.

"Up to twice the noise level, in the high frequencies only" is a domain, a norm, a region and a radius with its unit. The search, its
curve over radii, the noise baseline and the transfer between networks take the same words, `SetOptions`, and build the
same set from them, `admissible_set`.
"""

from __future__ import annotations

from typing import TypedDict, Unpack

from torch import Tensor

from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.constraints import Ball, Domain, ball
from stabtest.search.norms import SHAPES, Norm
from stabtest.search.radius import RadiusUnit, absolute_radius


class SetOptions(TypedDict, total=False):
    """What a set is, but for its radius; everything may be left out.

    Attributes
    ----------
    unit
        Of the radius. ``"relative"``: a fraction of the measurement, in the image domain of the image (the default); ``"noise"``:
        multiples of the norm of the noise; ``"absolute"``: the units of the measurement or image (`stabtest.search.radius`).
    noise_std
        Standard deviation of the noise, a number or ``(B,)``; for ``"noise"``.
    domain
        ``"measurement"``: perturbs the measured samples (the default). ``"image"``: perturbs the object, ``e = A r``.
    norm
        ``"l2"``: the Euclidean norm of the whole (the default). ``"linf"``: the largest modulus of a sample or pixel.
    region
        Boolean, one element of the domain: where the perturbation may differ from zero (`stabtest.search.regions`).
    nonnegative
        Whether ``y + e`` must stay non-negative, as photon counts are; a sample that is negative already may not fall further.
    """

    unit: RadiusUnit
    noise_std: float | Tensor | None
    domain: Domain
    norm: Norm
    region: Tensor | None
    nonnegative: bool


def admissible_set(
    operator: LinearOperator,
    measurement: Tensor,
    *,
    radius: float | Tensor,
    truth: Tensor | None = None,
    **options: Unpack[SetOptions],
) -> Ball:
    """The set of perturbations of a measurement.

    Parameters
    ----------
    operator
        Forward model ``A``.
    measurement
        ``y``, ``(B, *range)``.
    radius
        A number for all images, or one each, ``(B,)``, in the given unit.
    truth
        ``x``, ``(B, 1, H, W)``: what a radius in the image domain is relative to; without it the pseudo-inverse of ``y``.
    **options
        See `SetOptions`.

    Raises
    ------
    SearchError
        If an option is not one of `SetOptions`, the options do not fit each other or the operator, or the radius is not positive.

    Examples
    --------
    >>> import torch
    >>> from stabtest.operators import Identity
    >>> y = torch.full((1, 1, 2, 8), 3.0)
    >>> admissible_set(Identity((2, 8)), y, radius=2, unit="noise", noise_std=0.1).radius
    tensor([0.8000])
    """
    # Python hands any other word through: a misspelt option would be another question, answered without a word.
    if unknown := sorted(options.keys() - SetOptions.__optional_keys__):
        words = ", ".join(SetOptions.__annotations__)
        raise SearchError("options of the set", expected=words, came=", ".join(unknown), remedy="check the spelling")
    domain, norm = options.get("domain", "measurement"), options.get("norm", "l2")
    if norm not in SHAPES:
        raise SearchError("norm", expected=" or ".join(map(repr, SHAPES)), came=repr(norm))
    region = options.get("region")
    floor = None
    if options.get("nonnegative", False):  # of complex samples, which have no order, the set itself refuses any floor
        floor = (-(measurement.real if measurement.is_complex() else measurement)).clamp_max(0)
    return ball(
        domain,
        operator,
        absolute_radius(
            radius,
            unit=options.get("unit", "relative"),
            operator=operator,
            measurement=measurement,
            truth=truth,
            domain=domain,
            norm=norm,
            noise_std=options.get("noise_std"),
            region=region,
        ),
        norm=norm,
        region=region,
        floor=floor,
    )
