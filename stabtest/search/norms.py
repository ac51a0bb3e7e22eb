r"""The shape of a set ``K = {v : ||v|| <= R, v >= f}`` in one norm: size, nearest point, furthest point, and the way there.

=============  ============================  =============================================  ===============================
norm           ``||v||``                     nearest point of ``v``                         furthest point along ``g``
=============  ============================  =============================================  ===============================
`Euclidean`    ``(sum |v_i|^2)^(1/2)``       ``v min(1, R / ||v||)``                        ``R g / ||g||``
`Largest`      ``max_i |v_i|``               ``v_i min(1, R / |v_i|)``                      ``R g_i / |g_i|``
=============  ============================  =============================================  ===============================

``|v_i|`` is the modulus of one sample: of a complex one both parts together, of several coils that of each coil's sample. The
second row is the first for each sample alone. A floor ``f <= 0`` is for real variables: in the largest norm each sample has its
interval ``[max(f_i, -R), R]``, in the Euclidean norm see `stabtest.search.floors`.

**The way from a point to the furthest one.** A refinement needs a curve ``v(t)`` in ``K`` from where it stands
(``t -> 0``) to the full step ``w = argmax_K <g, .>`` (``t = 1``), along which a linear function with the gradient ``g`` rises
and which keeps to the boundary, where a convex function has its maxima:

- Euclidean: the arc ``R c / ||c||`` with ``c = (1 - t) v + t w``. With ``w = R g / ||g||`` that is the projection onto
  the sphere of a gradient step ``v + s w`` of length ``s = t / (1 - t)``;
- Euclidean with a floor: the projection of the same step onto ``K``, ``P_K(v + s R g / ||g||)`` (``<g, P_K(v + s g) - v> >=
  ||P_K(v + s g) - v||^2 / s``: D. Bertsekas, *Nonlinear Programming*, section 2.3);
- largest, complex: the arc for each sample alone;
- largest, real: the corners of a box are not connected, so samples go over one after the other, those first by which a linear
  function gains most, ``g_i (w_i - v_i)``; a share ``t`` of those that differ has gone over.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.floors import curve_point, floor_like

Norm = Literal["l2", "linf"]

SAME = 1e-5
"""Samples nearer to each other than this share of the radius are not worth a step of their own."""


class Shape(ABC):
    """What a set needs to know of its norm. All arguments are admissible already (``v = P v``); radii are ``(B,)``."""

    @abstractmethod
    def size(self, v: Tensor) -> Tensor:
        """The norm of each image, ``(B,)``."""

    @abstractmethod
    def project(self, v: Tensor, radius: Tensor, floor: Tensor | None) -> Tensor:
        """The nearest point of the set in the Euclidean sense, shape of ``v``."""

    @abstractmethod
    def furthest(self, g: Tensor, radius: Tensor, floor: Tensor | None) -> Tensor:
        """The point of the set with the largest ``<g, .>``, zero where ``g`` is; shape of ``g``."""

    @abstractmethod
    def towards(self, here: Tensor, full: Tensor, t: Tensor, gradient: Tensor, radius: Tensor, floor: Tensor | None) -> Tensor:
        """The point at ``t``, ``(B,)`` in ``(0, 1)``, on the way from ``here`` to ``full``, the point furthest along ``gradient``."""


class Euclidean(Shape):
    """The norm over the whole of one image."""

    def size(self, v: Tensor) -> Tensor:
        """``(sum |v_i|^2)^(1/2)``."""
        return tensors.norm(v)

    def project(self, v: Tensor, radius: Tensor, floor: Tensor | None) -> Tensor:
        """``v`` shrunk to the radius where it is longer."""
        if floor is not None:
            return curve_point(v, radius, floor_like(floor, v), longest=1.0)
        size = tensors.norm(v)
        inside = size <= radius
        return tensors.scale(v, torch.where(inside, 1.0, radius / torch.where(inside, 1.0, size)))

    def furthest(self, g: Tensor, radius: Tensor, floor: Tensor | None) -> Tensor:
        """``R g / ||g||``."""
        if floor is not None:
            return curve_point(g, radius, floor_like(floor, g))
        return tensors.scale(tensors.normalise(g), radius)

    def towards(self, here: Tensor, full: Tensor, t: Tensor, gradient: Tensor, radius: Tensor, floor: Tensor | None) -> Tensor:
        """The arc, or with a floor the projected gradient step."""
        if floor is not None:
            step = tensors.scale(tensors.normalise(gradient), radius * t / (1 - t).clamp_min(torch.finfo(t.dtype).eps))
            return self.project(here + step, radius, floor)
        chord = here + tensors.scale(full - here, t)
        # Between opposite points every arc is as good as another: go all the way.
        return torch.where(_images(tensors.norm(chord) > 0, chord), self.furthest(chord, radius, None), full)


class Largest(Shape):
    """The largest modulus of a sample."""

    def size(self, v: Tensor) -> Tensor:
        """``max_i |v_i|``."""
        return v.abs().flatten(1).amax(1)

    def project(self, v: Tensor, radius: Tensor, floor: Tensor | None) -> Tensor:
        """Each sample shrunk to the radius where it is larger."""
        bound = _images(radius, v)
        if not v.is_complex():
            return _above(torch.minimum(torch.maximum(v, -bound), bound), floor)
        size = v.abs()
        inside = size <= bound
        return v * torch.where(inside, 1.0, bound / torch.where(inside, 1.0, size))

    def furthest(self, g: Tensor, radius: Tensor, floor: Tensor | None) -> Tensor:
        """``R g_i / |g_i|``, zero where ``g_i`` is."""
        bound = _images(radius, g)
        if not g.is_complex():
            return _above(torch.sign(g) * bound, floor)
        size = g.abs()
        # Below the smallest normal number a modulus has no digits left to divide by.
        tiny = torch.finfo(size.dtype).tiny
        return g * torch.where(size >= tiny, 1 / size.clamp_min(tiny), 0) * bound

    def towards(self, here: Tensor, full: Tensor, t: Tensor, gradient: Tensor, radius: Tensor, floor: Tensor | None) -> Tensor:
        """The arcs of complex samples; of real ones a share ``t`` goes over."""
        if here.is_complex():
            chord = here + tensors.scale(full - here, t)
            return torch.where(chord == 0, full, self.furthest(chord, radius, None))
        differs = ((full - here).abs() > SAME * _images(radius, here)).flatten(1)
        gain = torch.where(differs, (gradient * (full - here)).flatten(1), -torch.inf)
        going = torch.ceil(t.to(torch.float64) * differs.sum(1))[:, None]
        place = torch.arange(gain.shape[1], device=gain.device)
        gone = torch.zeros_like(differs).scatter_(1, gain.argsort(dim=1, descending=True, stable=True), place < going)
        return torch.where(gone.reshape(here.shape), full, here)


SHAPES: dict[str, Shape] = {"l2": Euclidean(), "linf": Largest()}
"""By the name of the norm."""


def _above(v: Tensor, floor: Tensor | None) -> Tensor:
    return v if floor is None else torch.maximum(v, floor_like(floor, v))


def _images(values: Tensor, like: Tensor) -> Tensor:
    """A value per image, ``(B,)``, shaped to act on whole images of ``like``."""
    return values.reshape(-1, *([1] * (like.ndim - 1)))
