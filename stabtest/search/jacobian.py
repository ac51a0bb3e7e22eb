r"""The linearised reconstruction: products with the Jacobian, its norm, and the direction it amplifies most.

With ``J = f'(y)`` at the measurement (real-linear; complex vectors carry the real inner product), for small ``e``

    f(y + e) - f(y) = J e + o(||e||),   so   sup_{||e|| <= R} ||f(y + e) - f(y)|| = R sigma_max(J P) + o(R).

``J* u`` is one reverse pass (vjp). ``J v`` is the derivative of the linear map ``u -> J* u``, a second reverse pass
(the double-vjp trick, J. Townsend, 2017): unlike forward mode it needs no rule of its own in custom functions such as
the CT projector. The norm comes from the Lanczos process on ``P J* J P`` (`stabtest.search.krylov`; G. Golub, C. Van Loan,
*Matrix Computations*, chapter 10), which is never further from the truth than as many steps of power iteration from the same
start: it converges from below, ``||J P v|| <= sigma_max`` for every unit ``v``, so it is a lower bound of any Lipschitz
constant and never an upper one. More than one singular value: `stabtest.search.spectrum`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.constraints import Ball, Domain, ball
from stabtest.search.krylov import leading
from stabtest.search.problem import Reconstructor


class Linearisation:
    """``J`` of a batched function at a point, from one forward pass; images are independent.

    Parameters
    ----------
    function
        Differentiable twice in the sense of PyTorch, ``(B, ...) -> (B, ...)``, image by image.
    point
        Where to linearise.

    Attributes
    ----------
    value
        ``function(point)``.

    Raises
    ------
    SearchError
        If the function's output does not depend on the point through PyTorch's graph.

    Examples
    --------
    >>> J = Linearisation(lambda x: x**2, torch.tensor([[1.0, 2.0]]))
    >>> J.jvp(torch.tensor([[1.0, 1.0]])), J.vjp(torch.tensor([[1.0, 1.0]]))
    (tensor([[2., 4.]]), tensor([[2., 4.]]))
    """

    def __init__(self, function: Callable[[Tensor], Tensor], point: Tensor) -> None:
        self._point = point.detach().requires_grad_(True)
        with torch.enable_grad():
            self._output = function(self._point)
            self._cotangent = torch.zeros_like(self._output, requires_grad=True)
            pulled: Tensor | None = None
            if self._output.requires_grad:
                (pulled,) = torch.autograd.grad(
                    self._output, self._point, self._cotangent, create_graph=True, allow_unused=True
                )
        if pulled is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise SearchError(
                "Jacobian: the reconstruction is disconnected from the measurement",
                expected="an output differentiable with respect to the measurement",
                came="no gradient",
                remedy="remove detach, torch.no_grad and NumPy from the network's forward",
            )
        self._pulled = pulled
        self.value = self._output.detach()

    def vjp(self, u: Tensor) -> Tensor:
        """``J* u``: shape of the output to shape of the point."""
        (result,) = torch.autograd.grad(self._output, self._point, u, retain_graph=True)
        return result.detach()

    def jvp(self, v: Tensor) -> Tensor:
        """``J v``: shape of the point to shape of the output.

        Raises
        ------
        SearchError
            If some operation's backward is not itself differentiable.
        """
        try:
            (result,) = torch.autograd.grad(self._pulled, self._cotangent, v, retain_graph=True)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise SearchError(
                "Jacobian: a custom operation's backward cannot be differentiated",
                expected="autograd functions whose backward is made of differentiable operations",
                came=str(error).splitlines()[0],
                remedy="remove once_differentiable, or use worst_case at a small radius, which needs first derivatives only",
            ) from error
        return result.detach()


@dataclass(frozen=True)
class JacobianNorm:
    """The largest amplification of infinitesimal perturbations, per image.

    Attributes
    ----------
    sigma
        ``||J P v||`` at the unit vector ``v`` found, ``(B,)``: a lower bound of ``sigma_max``, in units of image over those of
        the domain.
    vector
        ``v``, unit norm, shape of the domain's variable.
    residual
        ``||P J* J P v - sigma^2 v|| / sigma^2``, ``(B,)``: 0 at a singular vector.
    agreement
        ``|<J v, u> - <v, J* u>| / (||J v|| ||u||)`` for a random ``u``, ``(B,)``: whether the two products belong to one ``J``.
    """

    sigma: Tensor
    vector: Tensor
    residual: Tensor
    agreement: Tensor


def jacobian_norm(
    reconstructor: Reconstructor,
    operator: LinearOperator,
    measurement: Tensor,
    *,
    steps: int = 30,
    domain: Domain = "measurement",
    generator: torch.Generator | None = None,
) -> JacobianNorm:
    """Lanczos iteration for ``sigma_max`` of the reconstruction's Jacobian at the measurement.

    Parameters
    ----------
    reconstructor
        ``f``, a callable ``(y, operator) -> image``.
    operator
        Forward model ``A``.
    measurement
        ``y``, shape ``(B, *range)``.
    steps
        Lanczos products, each one with ``J`` and one with ``J*``; one more examines the vector found. Memory: ``steps`` vectors.
    domain
        ``"measurement"``: ``J P``; ``"image"``: ``J A``.
    generator
        For the first vector; seed 0 if not given.

    Returns
    -------
    JacobianNorm
        Unpacks through its attributes ``sigma``, ``vector``, ``residual``, ``agreement``.

    Raises
    ------
    SearchError
        If the reconstruction is disconnected from the measurement, or ``steps`` is not positive.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> A = Identity((2, 2))
    >>> norm = jacobian_norm(lambda y, A: 3 * y, A, torch.ones(1, 1, 2, 2), steps=2)
    >>> round(norm.sigma.item(), 4)
    3.0
    """
    if steps < 1:
        raise SearchError("steps", expected="at least 1", came=str(steps))
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    J, sphere, zero = linearise(reconstructor, operator, measurement, domain=domain)
    start = sphere.admissible(common_randn(zero, generator=generator))
    (v,) = leading(lambda w: J.vjp(J.jvp(w)), [start], count=1, products=steps)
    image = J.jvp(v)
    sigma = tensors.norm(image)
    squared = sigma**2
    residual = tensors.norm(J.vjp(image) - tensors.scale(v, squared)) / squared.clamp_min(torch.finfo(squared.dtype).tiny)
    return JacobianNorm(sigma=sigma, vector=v, residual=residual, agreement=disagreement(J, v, image, generator=generator))


def linearise(
    reconstructor: Reconstructor, operator: LinearOperator, measurement: Tensor, *, domain: Domain
) -> tuple[Linearisation, Ball, Tensor]:
    """``J P`` (or ``J A``) at the measurement, the unit ball of the domain, and the domain's zero.

    Raises
    ------
    SearchError
        If the reconstruction is disconnected from the measurement.
    """
    unit = torch.ones(measurement.shape[0], dtype=tensors.real_dtype(measurement.dtype), device=measurement.device)
    sphere = ball(domain, operator, unit)
    zero = sphere.space.zeros(measurement.shape[0], dtype=unit.dtype, device=measurement.device)
    J = Linearisation(lambda v: reconstructor(measurement + sphere.perturbation(sphere.admissible(v)), operator), zero)
    return J, sphere, zero


def disagreement(J: Linearisation, v: Tensor, image: Tensor, *, generator: torch.Generator) -> Tensor:
    """``|<J v, u> - <v, J* u>| / (||J v|| ||u||)`` for a random ``u``, given ``image = J v``; 0 up to rounding, ``(B,)``."""
    u = common_randn(J.value, generator=generator)
    difference = (tensors.inner(image, u) - tensors.inner(v, J.vjp(u))).abs()
    size = tensors.norm(image) * tensors.norm(u)
    return difference / size.clamp_min(torch.finfo(size.dtype).tiny)


def common_randn(like: Tensor, *, generator: torch.Generator) -> Tensor:
    """A standard normal start, the same for every image of the batch.

    Images are independent problems and may share a start; so an image's result does not depend on what else was in the batch.
    """
    one = tensors.randn((1, *like.shape[1:]), dtype=like.dtype, generator=generator, device=like.device)
    return one.expand_as(like)
