r"""Where the search may go: sets of perturbations.

A constraint is a set ``K`` of variables ``v`` with a linear map ``v -> e`` onto measurement-domain perturbations:

===================  ================================================  ==============
set                  ``K``                                             perturbation
===================  ================================================  ==============
`MeasurementBall`    ``{v : P v = v, ||v|| <= R, v >= f}``             ``e = v``
`ImageBall`          ``{v : P v = v, ||v|| <= R}``                     ``e = A v``
===================  ================================================  ==============

``P`` keeps a perturbation to its support: what the scanner measures (the operator's `restrict`; in the image domain everything),
met with a region (`stabtest.search.regions`). The norm is Euclidean or the largest modulus of a sample
(`stabtest.search.norms`), over one image at a time. The floor ``f <= 0`` is there in a few sets only: with ``f = -y`` the perturbed
measurement stays non-negative (`stabtest.search.floors`). A search needs three things of such a set,

- the Euclidean projection  ``project(v) = argmin_{w in K} ||w - v||``,
- the furthest point  ``maximise_linear(g) = argmax_{w in K} <g, w>``, for the Euclidean ball ``R P g / ||P g||``,
- the way there  ``towards``, a curve in ``K`` from one of its points to the furthest,

the second being the whole step of the generalised power method (M. Journée, Y. Nesterov, P. Richtárik, R. Sepulchre,
*Generalized power method for sparse principal component analysis*, JMLR 11 (2010), section 3; M. Frank, P. Wolfe, 1956).
Complex vectors carry the real inner product of `stabtest.tensors`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator, Space
from stabtest.search.norms import Norm
from stabtest.search.regions import fits, measured_samples
from stabtest.search.sets import Ball, within

__all__ = ["Ball", "Domain", "ImageBall", "MeasurementBall", "ball"]

Domain = Literal["measurement", "image"]


class MeasurementBall(Ball):
    """Perturbations ``e`` of the measured samples with ``||e|| <= R``."""

    @property
    def space(self) -> Space:
        """The operator's range."""
        return self.operator.range

    def admissible(self, v: Tensor) -> Tensor:
        """``P v``: zero where the scanner does not measure, and outside of the region."""
        return within(self.region, self.operator.restrict(v))

    def perturbation(self, v: Tensor) -> Tensor:
        """The variable itself."""
        return v

    def _check_sets(self) -> None:
        if self.floor is not None:
            _check_floor(self.floor, (len(self.radius), *self.space.shape), self.space.is_complex)
        if self.norm != "l2" or self.region is not None or self.floor is not None:
            measured_samples(self.operator, self.region, device=self.radius.device)


class ImageBall(Ball):
    """Perturbations ``r`` of the image with ``||r|| <= R``, seen by the network through ``e = A r``.

    Without a region, gradients with respect to ``r`` lie in the range of ``A*``, so that the search wastes no norm on the null space.
    """

    @property
    def space(self) -> Space:
        """The operator's domain."""
        return self.operator.domain

    def admissible(self, v: Tensor) -> Tensor:
        """``P v``: zero outside of the region; without one every image is admissible."""
        return within(self.region, self.operator.domain.check(v, "image perturbation"))

    def perturbation(self, v: Tensor) -> Tensor:
        """``A v``."""
        return self.operator.forward(v)

    def _check_sets(self) -> None:
        if self.floor is not None:
            raise SearchError(
                "floor: in the image domain",
                expected="none",
                came=f"a tensor of shape {tuple(self.floor.shape)}",
                remedy="a floor bounds the perturbed measurement: search with domain 'measurement'",
            )
        if self.region is not None:
            noise = self.space.randn(generator=torch.Generator().manual_seed(0), device=self.radius.device)
            with torch.no_grad():
                seen = self.operator.forward(within(self.region, noise))
            if not bool((seen != 0).any()):
                raise SearchError(
                    "region: the scanner does not see it",
                    expected="a part of the image that changes the measurement",
                    came=f"{int(self.region.sum())} pixels that change nothing",
                    remedy="choose another region",
                )


def ball(
    domain: Domain,
    operator: LinearOperator,
    radius: Tensor,
    *,
    norm: Norm = "l2",
    region: Tensor | None = None,
    floor: Tensor | None = None,
) -> Ball:
    """The set of a domain by its name; parameters and errors as in `Ball`.

    Raises
    ------
    SearchError
        If the domain is neither ``"measurement"`` nor ``"image"``, and as in `Ball`.

    Examples
    --------
    Sinograms whose perturbed line integrals stay non-negative:

    >>> from stabtest.operators import Radon
    >>> A = Radon(8, 5)
    >>> y = A(torch.ones(1, 1, 8, 8))
    >>> K = ball("measurement", A, torch.tensor([40.0]), floor=-y)
    >>> bool((y + K.maximise_linear(-torch.ones_like(y)) >= 0).all())
    True
    """
    match domain:
        case "measurement":
            return MeasurementBall(operator, radius, norm=norm, region=region, floor=floor)
        case "image":
            return ImageBall(operator, radius, norm=norm, region=region, floor=floor)
        case _:
            raise SearchError("domain", expected="'measurement' or 'image'", came=repr(domain))


def _check_floor(floor: Tensor, shape: tuple[int, ...], is_complex: bool) -> None:
    if is_complex or not floor.is_floating_point():
        raise SearchError(
            "floor: complex samples have no order" if is_complex else "floor: wrong kind",
            expected="a real floor for real measurements",
            came=f"{floor.dtype} for {'complex' if is_complex else 'real'} measurements",
            remedy="leave the floor out",
        )
    if not fits(floor, shape):
        raise SearchError("floor: wrong shape", expected=f"one that broadcasts to {shape}", came=str(tuple(floor.shape)))
    if not bool((floor <= 0).all()):  # NaN is not
        raise SearchError(
            "floor: zero perturbation is below it",
            expected="no positive entry",
            came=f"{int((~(floor <= 0)).sum())} entries positive or NaN, the largest {float(floor.max())}",
            remedy="where a measurement is negative already, use floor = (-y).clamp_max(0)",
        )
