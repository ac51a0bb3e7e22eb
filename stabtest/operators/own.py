r"""The user's own forward model: any object with ``forward(x)`` and ``adjoint(y)``, or a matrix.

The derivative of a linear map is the map and its gradient the adjoint, so both are one `torch.autograd.Function` and what is inside may be
NumPy, compiled code or a program that no gradient passes through. That the maps are linear and adjoint to each other is checked first
(`stabtest.operators.examine`); everything else rests on it.

**Norm.** Nothing is known but products: ``||A||`` is estimated by Lanczos steps, from below (`stabtest.operators.checks`), and taken 1 % larger for
step sizes. It is an estimate and no bound.

**Direct image.** No formula inverts an unknown operator. The direct image is ``n`` steps of the nu-method for least squares, which are linear in
``y`` (`stabtest.operators.nu_method`).

**Finer object.** A measurement is simulated from an object on a finer grid. If the user's object has ``refine(factor)``, which returns the
operator of the finer grid, that is used; otherwise a finer object is first averaged over each pixel, ``A P x``: then the simulation uses the same
discretisation as the reconstruction, and the audit says so.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.base import LinearOperator
from stabtest.operators.calls import Calls, Layout, probe
from stabtest.operators.checks import NormEstimate, operator_norm
from stabtest.operators.examine import Examined, examine
from stabtest.operators.fourier import check_factor
from stabtest.operators.identity import BlockMean
from stabtest.operators.nu_method import DIRECT_STEPS, least_squares

MARGIN = 1.01
"""What the estimate of the norm, which comes from below, is multiplied by for step sizes."""


class OwnOperator(LinearOperator):
    """A user's operator, checked.

    Parameters
    ----------
    thing
        An object with ``A`` and ``A_adjoint``, ``forward`` and ``adjoint``, or ``matvec`` and ``rmatvec``; one that can be called and
        has ``adjoint``; or two functions (`stabtest.operators.calls`).
    shape
        ``(H, W)`` of the images.
    is_complex
        Whether images are complex.
    layout
        Shape that it takes, where probing cannot tell.
    name
        For the report; by default the name of its class.
    direct_steps
        Steps of the direct image.
    generator
        Draws the images that it is probed and checked with; seed 0 by default.

    Attributes
    ----------
    calls
        How it is called.
    examined
        What the checks found.

    Raises
    ------
    OperatorError
        If it cannot be called, is not linear, or its adjoint is not one; the message says by what it differs.

    Examples
    --------
    >>> class Differences:
    ...     def forward(self, x):
    ...         return x[1:] - x[:-1]
    ...
    ...     def adjoint(self, y):
    ...         return torch.cat([-y[:1], y[:-1] - y[1:], y[-1:]])
    >>> A = OwnOperator(Differences(), (3, 2), layout="image")
    >>> A.range.shape, A(torch.arange(6.0).reshape(1, 1, 3, 2))
    ((2, 2), tensor([[[2., 2.],
             [2., 2.]]]))
    """

    def __init__(
        self,
        thing: object,
        shape: tuple[int, int],
        *,
        is_complex: bool = False,
        layout: Layout | None = None,
        name: str | None = None,
        direct_steps: int = DIRECT_STEPS,
        generator: torch.Generator | None = None,
    ) -> None:
        if direct_steps < 1:
            raise OperatorError("own operator: direct_steps", expected="a positive integer", came=str(direct_steps))
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        self._thing, self.direct_steps = thing, direct_steps
        self.name = type(thing).__name__ if name is None else name
        self.calls: Calls = probe(thing, shape, is_complex=is_complex, layout=layout, generator=generator)
        self.domain, self.range = self.calls.domain, self.calls.range
        self.precision = self.calls.precisions[0]
        self.examined: Examined = examine(self, generator=generator, name=self.name)
        self.precision = self.examined.precision

    def forward(self, x: Tensor) -> Tensor:
        """``A x``: image ``(B, 1, H, W)`` to measurement ``(B, *range.shape)``."""
        return _Own.apply(self.domain.check(x, "image"), self.calls, False)  # pyright: ignore[reportReturnType]

    def adjoint(self, y: Tensor) -> Tensor:
        """``A* y``: measurement to image, as the user wrote it."""
        return _Own.apply(self.range.check(y, "measurement"), self.calls, True)  # pyright: ignore[reportReturnType]

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The direct image: steps of the nu-method for least squares, linear in ``y``."""
        return least_squares(self, y, steps=self.direct_steps)

    def refine(self, factor: int) -> LinearOperator:
        """The user's own ``refine(factor)``, or else block means before the operator (`Averaged`)."""
        factor = check_factor(factor)
        own = getattr(self._thing, "refine", None)
        if not callable(own):
            return Averaged(self, factor)
        height, width = factor * self.domain.shape[1], factor * self.domain.shape[2]
        made = OwnOperator(
            own(factor),
            (height, width),
            is_complex=self.domain.is_complex,
            layout=self.calls.layout,
            name=f"{self.name}.refine",
        )
        if made.range != self.range:
            raise OperatorError(
                f"own operator: {self.name}.refine({factor})", expected=f"measurements {self.range}", came=str(made.range)
            )
        return made

    @property
    def refines(self) -> bool:
        """Whether the user's object has a finer grid of its own."""
        return callable(getattr(self._thing, "refine", None))

    @cached_property
    def norm(self) -> NormEstimate:
        """``||A||``, estimated from below."""
        generator = torch.Generator().manual_seed(0)
        tol = 1e-6 if self.precision == torch.float64 else 1e-3
        return operator_norm(self, generator=generator, steps=40, tol=tol, dtype=self.precision)

    def norm_bound(self) -> float:
        """The estimate of ``||A||`` and its residual, 1 % larger: for step sizes, not a bound that anything is guaranteed by."""
        return MARGIN * (self.norm.value + self.norm.residual)

    def describe(self) -> dict[str, str | int | float]:
        """Kind, how it is called, its spaces, and what the checks found."""
        _, height, width = self.domain.shape
        kinds = ("real", "complex")
        return {
            "kind": "own operator",
            "object": self.name,
            "methods": self.calls.pair.names,
            "arrays": self.calls.arrays,
            "layout": self.calls.layout,
            "height": height,
            "width": width,
            "image": kinds[self.domain.is_complex],
            "measurement": f"{' x '.join(map(str, self.range.shape))}, {kinds[self.range.is_complex]}",
            "precision": str(self.precision).removeprefix("torch."),
            "departure from linearity": self.examined.linearity,
            "departure of the adjoint": self.examined.adjoint,
            "norm (estimated)": self.norm.value,
            "direct image": f"{self.direct_steps} steps of the nu-method for least squares",
            "finer object": "by its own refine" if self.refines else "averaged over each pixel",
        }


class Averaged(LinearOperator):
    """``A P``: the block means of a finer image, measured by an operator that has no finer grid.

    Parameters
    ----------
    operator
        ``A``.
    factor
        Positive integer.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> Averaged(Identity((1, 2)), 2)(torch.arange(8.0).reshape(1, 1, 2, 4))
    tensor([[[[2.5000, 4.5000]]]])
    """

    def __init__(self, operator: LinearOperator, factor: int) -> None:
        _, height, width = operator.domain.shape
        self.operator = operator
        self.means = BlockMean((height, width), factor, is_complex=operator.domain.is_complex)
        self.domain, self.range = self.means.domain, operator.range

    def forward(self, x: Tensor) -> Tensor:
        """``A P x``."""
        return self.operator.forward(self.means.forward(x))

    def adjoint(self, y: Tensor) -> Tensor:
        """``P* A* y``."""
        return self.means.adjoint(self.operator.adjoint(y))

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The direct image of ``A`` in constant blocks."""
        return self.means.pseudo_inverse(self.operator.pseudo_inverse(y))

    def restrict(self, e: Tensor) -> Tensor:
        """As ``A``."""
        return self.operator.restrict(e)

    def refine(self, factor: int) -> Averaged:
        """Finer still: the factors multiply."""
        return Averaged(self.operator, self.means.factor * check_factor(factor))

    def norm_bound(self) -> float:
        """That of ``A`` over the factor."""
        return self.operator.norm_bound() / self.means.factor

    def describe(self) -> dict[str, str | int | float]:
        """As ``A``, with the factor."""
        return {**self.operator.describe(), "factor": self.means.factor}


class _Own(torch.autograd.Function):
    """``(v, calls, adjoint) -> A v`` or ``A* v``; its derivatives are such products again."""

    @staticmethod
    def forward(v: Tensor, calls: Calls, adjoint: bool) -> Tensor:
        return calls.adjoint(v) if adjoint else calls.forward(v)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Calls, bool], output: Tensor) -> None:  # noqa: ANN401
        _, ctx.calls, ctx.adjoint = inputs

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return _Own.apply(grad_outputs[0], ctx.calls, not ctx.adjoint), None, None  # pyright: ignore[reportReturnType]

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Tensor) -> Tensor:  # noqa: ANN401
        return _Own.apply(grad_inputs[0], ctx.calls, ctx.adjoint)  # pyright: ignore[reportReturnType]

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:  # noqa: ANN401
        v, calls, adjoint = args
        moved: Tensor = v.movedim(in_dims[0], 0)
        result: Any = _Own.apply(moved.flatten(0, 1), calls, adjoint)
        return result.unflatten(0, moved.shape[:2]), 0
