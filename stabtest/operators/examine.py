"""Whether a forward model is linear and its adjoint one; if not, by what it differs.

1. **The same twice.** ``A x`` and ``A x`` (noise that the operator adds).
2. **Linear.** ``A 0 = 0``; ``||A(a x + b z) - a A x - b A z|| / (||a A x|| + ||b A z||)`` is rounding. The same of ``A*``.
3. **Adjoint.** The dot test of `stabtest.operators.dot_test`.

Rounding is at most 1e-10 in double precision; what lies between that and 1e-5 is taken for an operator that computes in single precision inside
and is called one.

A wrong adjoint is compared with the right one, of which only the products ``G_ij = <A x_i, y_j>`` are known. For each usual mistake ``T`` (complex
conjugate, flipped or transposed image, reversed axis of the measurement) the factor ``c`` that brings ``H_ij = <x_i, T B y_j>`` nearest to ``G`` is
computed; where ``G = c H`` up to rounding the mistake is found: nine equations for one number do not fit by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.base import LinearOperator
from stabtest.operators.checks import dot_test
from stabtest.tensors import inner, norm, normalise, scale

LIMITS = {torch.float64: 1e-10, torch.float32: 1e-5}
"""Largest departure that rounding explains, as in the gate of the adjoint."""

FITS = 1e-4
"""Relative misfit below which a mistake explains a wrong adjoint."""

INVERSE = 0.2
"""Relative distance of ``B A x`` from ``x`` below which ``B`` looks like an inverse."""

PAIRS = 3

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Examined:
    """What was found of an operator that holds.

    Attributes
    ----------
    linearity
        Largest relative departure from linearity, of both maps.
    adjoint
        Normalised residual of the dot test.
    precision
        In which it computes.
    """

    linearity: float
    adjoint: float
    precision: torch.dtype


def examine(
    operator: LinearOperator, *, generator: torch.Generator, name: str, precision: torch.dtype | None = None
) -> Examined:
    """Check a forward model before anything rests on it.

    Parameters
    ----------
    operator
        With ``forward`` and ``adjoint``.
    generator
        Draws the images.
    name
        For messages.
    precision
        In which it is called; its own if not given.

    Raises
    ------
    OperatorError
        If it is not linear or its adjoint is not one, with the residual and, where it is recognised, the mistake.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> found = examine(Identity((4, 4)), generator=torch.Generator().manual_seed(0), name="identity")
    >>> found.adjoint < 1e-12, found.linearity < 1e-12
    (True, True)
    """
    real = operator.precision if precision is None else precision
    with torch.no_grad():
        linearity = max(
            _linearity(
                operator.forward, lambda n: operator.domain.randn(n, generator=generator, dtype=real), f"{name}: forward"
            ),
            _linearity(
                operator.adjoint, lambda n: operator.range.randn(n, generator=generator, dtype=real), f"{name}: adjoint"
            ),
        )
        state = generator.get_state()
        residual = dot_test(operator, generator=generator, batch=PAIRS, dtype=real)
        if not residual <= LIMITS[torch.float32]:
            raise OperatorError(
                f"{name}: its adjoint is not one",
                expected=f"<A x, y> = <x, A* y> up to {LIMITS[torch.float32]:g} of their size",
                came=f"a residual of {residual:.3g}",
                remedy=mistake(operator, generator=generator.set_state(state), precision=real),
            )
    single = max(linearity, residual) > LIMITS[torch.float64]
    return Examined(linearity, residual, torch.float32 if single else real)


def _linearity(map_: Map, draw: Callable[[int], Tensor], name: str) -> float:
    """Largest relative departure from linearity."""
    x = draw(2)
    once = map_(x)
    sizes = norm(once)
    if not bool(torch.isfinite(sizes).all()):
        raise OperatorError(name, expected="finite numbers", came="NaN or infinity")
    if not bool((sizes > 0).all()):
        raise OperatorError(name, expected="a map that is not zero", came="zeros of a random image")
    again = float((norm(map_(x) - once) / sizes).max())
    if again > LIMITS[torch.float32]:
        raise OperatorError(
            f"{name} gives something else each time",
            expected="the same for the same input",
            came=f"a relative difference of {again:.3g}",
            remedy="leave the noise out: the audit adds its own ([data] noise)",
        )
    offset = float((norm(map_(torch.zeros_like(x))) / sizes).max())
    if offset > LIMITS[torch.float32]:
        raise OperatorError(
            f"{name} is not linear: it adds a constant",
            expected="0 of 0",
            came=f"{offset:.3g} of the size of the result of a random input",
            remedy="take the constant off the data and out of the operator",
        )
    a, b = 0.7, -1.9
    both = a * norm(once[:1]) + abs(b) * norm(once[1:])
    departure = float(norm(map_(a * x[:1] + b * x[1:]) - a * once[:1] - b * once[1:]) / both)
    if not departure <= LIMITS[torch.float32]:
        twice, minus = map_(2 * x), map_(-x)
        if bool((norm(twice - once) < FITS * sizes).all()):
            why = "of 2 x it gives the same as of x: leave out what normalises its input or its result"
        elif bool((norm(minus - once) < FITS * sizes).all()):
            why = "of -x it gives the same as of x: leave out the modulus or the square"
        else:
            why = "leave out what is not linear (exponentials, clipping, thresholds) and linearise the data instead"
        raise OperatorError(
            f"{name} is not linear",
            expected=f"A(a x + b z) = a A x + b A z up to {LIMITS[torch.float32]:g}",
            came=f"a relative departure of {departure:.3g}",
            remedy=why,
        )
    return max(departure, again, offset)


def mistake(operator: LinearOperator, *, generator: torch.Generator, precision: torch.dtype = torch.float64) -> str:
    """By what a wrong adjoint differs from the right one, in words that say what to do.

    Parameters
    ----------
    operator
        Both of its maps linear.
    generator
        Draws the images.
    precision
        In which it is called.
    """
    x, other = (operator.domain.randn(PAIRS, generator=generator, dtype=precision) for _ in range(2))
    noise = operator.range.randn(PAIRS, generator=generator, dtype=precision)
    image, signal = operator.forward(x), operator.forward(other)
    y = signal + scale(normalise(noise), norm(signal))
    wanted = _products(image, y)
    for before, change in _of_measurements(operator):
        back = operator.adjoint(change(y))
        for after, turn in _of_images(operator):
            products = _products(x, turn(back))
            energy = float((products**2).sum())
            if energy == 0:
                return "the adjoint gives zeros or something orthogonal to the image"
            factor = float((wanted * products).sum()) / energy
            misfit = float((wanted - factor * products).norm() / wanted.norm())
            if misfit < FITS and factor != 0:
                return _words(1 / factor, " and ".join(filter(None, [before, after])), operator)
    returned = operator.adjoint(image)
    close = float((norm(returned - x) / norm(x)).max())
    if close < INVERSE:
        return f"what it returns of A x is x within {100 * close:.2g} %: this is an inverse; give the adjoint (the transposed, conjugated matrix)"
    return (
        "no usual mistake explains it (a factor, the complex conjugate, a flipped or transposed image, a reversed axis of the "
        "measurement): compare with the transposed matrix of a small image; a filtered back-projection or an interpolation the other way "
        "round is no adjoint"
    )


def _products(a: Tensor, b: Tensor) -> Tensor:
    """All inner products ``<a_i, b_j>``."""
    return torch.stack([inner(a, b[j : j + 1].expand_as(a)) for j in range(len(b))], 1)


def _of_measurements(operator: LinearOperator) -> list[tuple[str, Map]]:
    """Mistakes made with the measurement."""
    shape = operator.range.shape
    found: list[tuple[str, Map]] = [("", lambda y: y)]
    if operator.range.is_complex:
        found.append(("conjugate the measurement first", lambda y: y.conj().resolve_conj()))
    found += [
        (f"reverse axis {axis} of the measurement first", partial(torch.flip, dims=(axis + 1,)))
        for axis, n in enumerate(shape)
        if n > 1
    ]
    return found


def _of_images(operator: LinearOperator) -> list[tuple[str, Map]]:
    """Mistakes made with the image."""
    _, height, width = operator.domain.shape
    flips: list[tuple[str, Map]] = [
        ("", lambda x: x),
        ("flip its image upside down", partial(torch.flip, dims=(-2,))),
        ("flip its image left to right", partial(torch.flip, dims=(-1,))),
        ("turn its image by half a turn", partial(torch.flip, dims=(-2, -1))),
    ]
    if height == width:
        flips += [
            ("transpose its image", partial(torch.transpose, dim0=-2, dim1=-1)),
            ("turn its image by a quarter turn", partial(torch.rot90, k=1, dims=(-2, -1))),
            ("turn its image by a quarter turn clockwise", partial(torch.rot90, k=-1, dims=(-2, -1))),
            ("mirror its image at the other diagonal", _other_diagonal),
        ]
    if not operator.domain.is_complex:
        return flips
    conjugated: list[tuple[str, Map]] = [
        (" and ".join(filter(None, ["conjugate its result", words])), partial(_conjugated, turn)) for words, turn in flips
    ]
    return [*flips, *conjugated]


def _other_diagonal(x: Tensor) -> Tensor:
    return torch.rot90(x, 2, (-2, -1)).transpose(-2, -1)


def _conjugated(turn: Map, x: Tensor) -> Tensor:
    return turn(x.conj().resolve_conj())


def _words(ratio: float, change: str, operator: LinearOperator) -> str:
    """The mistake, and what undoes it."""
    pixels = operator.domain.shape[1] * operator.domain.shape[2]
    if abs(ratio - 1) < FITS:
        return f"{change}, then it is the adjoint"
    hint = f"multiply its result by {1 / ratio:.6g}"
    if any(abs(ratio * n - 1) < FITS for n in (pixels, pixels**0.5)) or any(
        abs(ratio / n - 1) < FITS for n in (pixels, pixels**0.5)
    ):
        hint += f' (there are {pixels} pixels: perhaps a Fourier transform without norm="ortho")'
    first = f"{change}, then the adjoint is" if change else "the adjoint is"
    return f"{first} {ratio:.6g} times the true one: {hint}"
