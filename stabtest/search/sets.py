r"""What every set of perturbations is and can do: the base of `stabtest.search.constraints`.

A set ``K = {v : P v = v, ||v|| <= R, v >= f}`` of variables ``v``, one for each image of a batch, has a radius ``R`` in a norm
(`stabtest.search.norms`), a support that ``P`` projects onto (what is measured, met with a region, `stabtest.search.regions`) and
in a few sets a floor ``f <= 0`` (`stabtest.search.floors`). It is convex and holds 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator, Space
from stabtest.search.norms import SHAPES, Norm
from stabtest.search.regions import check_region


@dataclass(frozen=True)
class Ball(ABC):
    """A ball about zero, one radius per image, possibly cut down to a region and by a floor.

    Parameters
    ----------
    operator
        The forward model ``A``.
    radius
        Absolute radii ``R``, shape ``(B,)``, positive, in the units of the variable and of the norm.
    norm
        ``"l2"``: Euclidean, over the whole of one image. ``"linf"``: the largest modulus of a sample.
    region
        Boolean, broadcastable to one element of `space`: where the variable may differ from zero. None: everywhere.
    floor
        For real measurements only: ``v >= floor`` elementwise, nowhere positive, broadcastable to ``(B, *space.shape)``. ``-y``
        keeps the perturbed measurement from becoming negative. None: no floor.

    Raises
    ------
    SearchError
        If the radius is not a vector of positive finite numbers, the norm is unknown, or the region or the floor does not fit.
    """

    operator: LinearOperator
    radius: Tensor
    norm: Norm = field(default="l2", kw_only=True)
    region: Tensor | None = field(default=None, kw_only=True)
    floor: Tensor | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.radius.ndim != 1 or not bool((torch.isfinite(self.radius) & (self.radius > 0)).all()):
            raise SearchError(
                "radius", expected="one positive finite number per image, shape (B,)", came=f"{self.radius.tolist()}"
            )
        if self.norm not in SHAPES:
            raise SearchError("norm", expected=" or ".join(map(repr, SHAPES)), came=repr(self.norm))
        if self.region is not None:
            check_region(self.region, self.space)
        self._check_sets()

    def _check_sets(self) -> None:  # noqa: B027  a set of somebody else's need not refuse anything
        """Refuse a norm, a region or a floor that this domain cannot have; called once all else has been checked."""

    @property
    @abstractmethod
    def space(self) -> Space:
        """The space that the variable lives in."""

    @abstractmethod
    def admissible(self, v: Tensor) -> Tensor:
        """``P v``: orthogonal projection onto the subspace that the set spans."""

    @abstractmethod
    def perturbation(self, v: Tensor) -> Tensor:
        """The measurement-domain perturbation ``e`` of a variable, differentiable; ``(B, *operator.range.shape)``."""

    def project(self, v: Tensor) -> Tensor:
        """The nearest point of the set, shape of ``v``: idempotent, non-expansive.

        Examples
        --------
        >>> from stabtest.operators import Identity
        >>> from stabtest.search.constraints import MeasurementBall
        >>> ball = MeasurementBall(Identity((1, 2)), torch.tensor([1.0]))
        >>> ball.project(torch.tensor([[[[3.0, 4.0]]]]))
        tensor([[[[0.6000, 0.8000]]]])
        """
        return SHAPES[self.norm].project(self.admissible(v), self.radius, self.floor)

    def maximise_linear(self, g: Tensor) -> Tensor:
        """The point of the set furthest along ``g``; zero where ``P g = 0``.

        In the Euclidean ball ``R P g / ||P g||``, in the largest norm ``R g_i / |g_i|`` for each sample of the support.

        Examples
        --------
        >>> from stabtest.operators import Identity
        >>> from stabtest.search.constraints import MeasurementBall
        >>> ball = MeasurementBall(Identity((1, 2)), torch.tensor([10.0]))
        >>> ball.maximise_linear(torch.tensor([[[[3.0, 4.0]]]]))
        tensor([[[[6., 8.]]]])
        """
        return SHAPES[self.norm].furthest(self.admissible(g), self.radius, self.floor)

    def towards(self, here: Tensor, full: Tensor, t: Tensor, gradient: Tensor) -> Tensor:
        """A point on the way from one point of the set to the one furthest along the gradient there.

        The way stays in the set, and for small ``t`` a function with this gradient rises along it (`stabtest.search.norms`).

        Parameters
        ----------
        here
            A point of the set, ``(B, ...)``.
        full
            ``maximise_linear(gradient)``.
        t
            How far each image goes, ``(B,)``, in ``(0, 1]``; at 1 the result is ``full`` to the bit.
        gradient
            Shape of ``here``.

        Examples
        --------
        On the circle the arc, in the square first the sample by which there is more to gain:

        >>> from stabtest.operators import Identity
        >>> from stabtest.search.constraints import MeasurementBall
        >>> here, gradient = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 2.0]]]])
        >>> ball, half = MeasurementBall(Identity((1, 2)), torch.tensor([1.0])), torch.tensor([0.5])
        >>> ball.towards(here, ball.maximise_linear(gradient), half, gradient)
        tensor([[[[0.7071, 0.7071]]]])
        >>> here, gradient = torch.tensor([[[[1.0, 1.0]]]]), torch.tensor([[[[-1.0, -2.0]]]])
        >>> square = MeasurementBall(Identity((1, 2)), torch.tensor([1.0]), norm="linf")
        >>> square.towards(here, square.maximise_linear(gradient), half, gradient)
        tensor([[[[ 1., -1.]]]])
        """
        way = SHAPES[self.norm].towards(here, full, t, self.admissible(gradient), self.radius, self.floor)
        return torch.where((t >= 1).reshape(-1, *([1] * (here.ndim - 1))), full, way)

    def size(self, v: Tensor) -> Tensor:
        """The norm of a variable, in which its radius is given: ``(B,)``."""
        return SHAPES[self.norm].size(v)

    def violation(self, v: Tensor) -> Tensor:
        """How far ``v`` is outside, relative to the radius: shape ``(B,)``, float64, 0 inside.

        ``max(||v|| - R, 0) / R`` plus ``||v - P v|| / R`` plus ``||max(f - v, 0)|| / R``, each in the norm of the set, in
        float64.
        """
        v64 = v.to(torch.complex128 if v.is_complex() else torch.float64)
        radius = self.radius.to(torch.float64)
        outside = (self.size(v64) - radius).clamp_min(0) + self.size(v64 - self.admissible(v64))
        if self.floor is not None:
            outside = outside + self.size((self.floor.to(v64) - v64).clamp_min(0))
        return outside / radius

    def with_radius(self, radius: Tensor) -> Self:
        """The same set with other radii, shape ``(B,)``."""
        return replace(self, radius=radius)

    def take(self, images: Tensor) -> Self:
        """The set of some images of the batch, possibly repeated.

        Parameters
        ----------
        images
            Places in the batch, integers ``(b,)``.

        Examples
        --------
        >>> from stabtest.operators import Identity
        >>> from stabtest.search.constraints import MeasurementBall
        >>> ball = MeasurementBall(Identity((1, 2)), torch.tensor([1.0, 2.0]))
        >>> ball.take(torch.tensor([1, 1, 0])).radius
        tensor([2., 2., 1.])
        """
        floor = self.floor
        if floor is not None and floor.ndim > len(self.space.shape) and len(floor) > 1:
            floor = floor[images.to(floor.device)]
        return replace(self, radius=self.radius[images.to(self.radius.device)], floor=floor)


def within(region: Tensor | None, v: Tensor) -> Tensor:
    """``v`` inside a region, zero outside; ``v`` itself without one."""
    return v if region is None else v * region.to(v.device)
