r"""Where the search may go: balls of perturbations.

A constraint is a set ``K`` of variables ``v`` with a linear map ``v -> e`` onto measurement-domain perturbations:

===================  =====================================  ==============
set                  ``K``                                  perturbation
===================  =====================================  ==============
`MeasurementBall`    ``{v : P v = v, ||v|| <= R}``          ``e = v``
`ImageBall`          ``{v : ||v|| <= R}``                   ``e = A v``
===================  =====================================  ==============

``P`` is the operator's `restrict`: a perturbation lives on what the scanner measures. A search needs two things of such a set,

- the Euclidean projection  ``project(v) = argmin_{w in K} ||w - v||``,
- the support point  ``maximise_linear(g) = argmax_{w in K} <g, w> = R P g / ||P g||``,

the second being the whole step of the generalised power method (M. Journée, Y. Nesterov, P. Richtárik, R. Sepulchre,
*Generalized power method for sparse principal component analysis*, JMLR 11 (2010), section 3; M. Frank, P. Wolfe, 1956).
All norms are Euclidean over the whole of one image; complex vectors carry the real inner product of `stabtest.tensors`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator, Space

Domain = Literal["measurement", "image"]


@dataclass(frozen=True)
class Ball(ABC):
    """A Euclidean ball about zero, one radius per image.

    Parameters
    ----------
    operator
        The forward model ``A``.
    radius
        Absolute radii ``R``, shape ``(B,)``, positive, in the units of the variable.

    Raises
    ------
    SearchError
        If the radius is not a vector of positive finite numbers.
    """

    operator: LinearOperator
    radius: Tensor

    def __post_init__(self) -> None:
        if self.radius.ndim != 1 or not bool((torch.isfinite(self.radius) & (self.radius > 0)).all()):
            raise SearchError(
                "radius", expected="one positive finite number per image, shape (B,)", came=f"{self.radius.tolist()}"
            )

    @property
    @abstractmethod
    def space(self) -> Space:
        """The space that the variable lives in."""

    @abstractmethod
    def admissible(self, v: Tensor) -> Tensor:
        """Orthogonal projection onto the subspace that the ball spans (``P v`` or ``v``)."""

    @abstractmethod
    def perturbation(self, v: Tensor) -> Tensor:
        """The measurement-domain perturbation ``e`` of a variable, differentiable; ``(B, *operator.range.shape)``."""

    def project(self, v: Tensor) -> Tensor:
        """The nearest point of the ball, shape of ``v``: idempotent, non-expansive.

        Examples
        --------
        >>> from stabtest.operators import Identity
        >>> ball = MeasurementBall(Identity((1, 2)), torch.tensor([1.0]))
        >>> ball.project(torch.tensor([[[[3.0, 4.0]]]]))
        tensor([[[[0.6000, 0.8000]]]])
        """
        v = self.admissible(v)
        size = tensors.norm(v)
        inside = size <= self.radius
        return tensors.scale(v, torch.where(inside, 1.0, self.radius / torch.where(inside, 1.0, size)))

    def maximise_linear(self, g: Tensor) -> Tensor:
        """The point of the ball furthest along ``g``: ``R P g / ||P g||``, or zero where ``P g = 0``.

        Examples
        --------
        >>> from stabtest.operators import Identity
        >>> ball = MeasurementBall(Identity((1, 2)), torch.tensor([10.0]))
        >>> ball.maximise_linear(torch.tensor([[[[3.0, 4.0]]]]))
        tensor([[[[6., 8.]]]])
        """
        return tensors.scale(tensors.normalise(self.admissible(g)), self.radius)

    def violation(self, v: Tensor) -> Tensor:
        """How far ``v`` is outside, relative to the radius: shape ``(B,)``, float64, 0 inside.

        ``max(||v|| - R, 0) / R`` plus, where ``P v`` differs from ``v``, ``||v - P v|| / R``, in float64.
        """
        v64 = v.to(torch.complex128 if v.is_complex() else torch.float64)
        radius = self.radius.to(torch.float64)
        outside = (tensors.norm(v64) - radius).clamp_min(0) + tensors.norm(v64 - self.admissible(v64))
        return outside / radius

    def with_radius(self, radius: Tensor) -> Self:
        """The same set with other radii, shape ``(B,)``."""
        return replace(self, radius=radius)


class MeasurementBall(Ball):
    """Perturbations ``e`` of the measured samples with ``||e|| <= R``."""

    @property
    def space(self) -> Space:
        """The operator's range."""
        return self.operator.range

    def admissible(self, v: Tensor) -> Tensor:
        """``P v``: zero where the scanner does not measure."""
        return self.operator.restrict(v)

    def perturbation(self, v: Tensor) -> Tensor:
        """The variable itself."""
        return v


class ImageBall(Ball):
    """Perturbations ``r`` of the image with ``||r|| <= R``, seen by the network through ``e = A r``.

    Gradients with respect to ``r`` lie in the range of ``A*``, so that the search wastes no norm on the null space.
    """

    @property
    def space(self) -> Space:
        """The operator's domain."""
        return self.operator.domain

    def admissible(self, v: Tensor) -> Tensor:
        """Every image is admissible."""
        return self.operator.domain.check(v, "image perturbation")

    def perturbation(self, v: Tensor) -> Tensor:
        """``A v``."""
        return self.operator.forward(v)


def ball(domain: Domain, operator: LinearOperator, radius: Tensor) -> Ball:
    """The ball of a domain by its name.

    Raises
    ------
    SearchError
        If the domain is neither ``"measurement"`` nor ``"image"``.
    """
    match domain:
        case "measurement":
            return MeasurementBall(operator, radius)
        case "image":
            return ImageBall(operator, radius)
        case _:
            raise SearchError("domain", expected="'measurement' or 'image'", came=repr(domain))
