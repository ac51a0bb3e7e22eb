"""Wrong operators are noticed, and the usual mistakes named."""

import numpy as np
import pytest
import torch

from stabtest.errors import OperatorError
from stabtest.operators import Fourier, OwnOperator, Radon, cartesian_random, examine

SIDE = 6
M = np.random.default_rng(0).standard_normal((20, SIDE * SIDE))
C = M + 1j * np.random.default_rng(1).standard_normal((20, SIDE * SIDE))


RANDOM = np.random.default_rng(9)


def right(y, matrix=M):
    return (matrix.conj().T @ y).reshape(SIDE, SIDE)


def forward(x, matrix=M):
    return matrix @ x.reshape(SIDE * SIDE)


def complex_forward(x):
    return forward(x, C)


WRONG = {
    "twice": (forward, lambda y: 2 * right(y), "2 times the true one: multiply its result by 0.5"),
    "negative": (forward, lambda y: -right(y), "-1 times the true one"),
    "per pixel": (forward, lambda y: right(y) / 36, "multiply its result by 36 .there are 36 pixels"),
    "upside down": (forward, lambda y: right(y)[::-1], "flip its image upside down, then it is the adjoint"),
    "left to right": (forward, lambda y: right(y)[:, ::-1], "flip its image left to right"),
    "half a turn": (forward, lambda y: right(y)[::-1, ::-1], "by half a turn"),
    "transposed": (forward, lambda y: right(y).T, "transpose its image"),
    "transposed and halved": (forward, lambda y: right(y).T / 2, "transpose its image, then the adjoint is 0.5 times"),
    "reversed measurement": (forward, lambda y: right(y[::-1]), "reverse axis 0 of the measurement first"),
    "conjugate": (complex_forward, lambda y: right(y, C).conj(), "conjugate its result"),
    "transpose without conjugate": (
        complex_forward,
        lambda y: right(y, C.conj()),
        "conjugate the measurement first and conjugate",
    ),
    "inverse": (forward, lambda y: np.linalg.pinv(M) @ y, "no usual mistake"),
}


def make(pair, **options):
    is_complex = pair[0] is complex_forward
    return OwnOperator(pair, (SIDE, SIDE), is_complex=is_complex, layout="image", name="mine", **options)


@pytest.mark.parametrize("pair", [(forward, right), (complex_forward, lambda y: right(y, C))], ids=["real", "complex"])
def test_a_right_operator_is_taken(pair):
    assert make(pair).examined.adjoint < 1e-14


@pytest.mark.parametrize(("forth", "back", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_adjoint_is_refused_and_the_mistake_named(forth, back, words):
    with pytest.raises(OperatorError, match=words) as caught:
        make((forth, back))
    assert "mine: its adjoint is not one" in str(caught.value)


def test_an_inverse_in_the_place_of_the_adjoint_is_named():
    square = np.random.default_rng(2).standard_normal((SIDE**2, SIDE**2))
    with pytest.raises(OperatorError, match="this is an inverse"):
        make((lambda x: forward(x, square), lambda y: np.linalg.solve(square, y)))


def test_a_small_error_of_the_adjoint_is_noticed():
    """Control: one entry of 720 wrong by a thousandth of the largest."""
    near = M.copy()
    near[3, 5] += 1e-3 * np.abs(M).max()
    with pytest.raises(OperatorError, match="residual"):
        make((forward, lambda y: right(y, near)))


NOT_LINEAR = {
    "constant": (lambda x: forward(x) + 1, "adds a constant"),
    "modulus": (lambda x: abs(forward(x)), "the modulus or the square"),
    "normalised": (lambda x: forward(x) / (np.linalg.norm(x) or 1), "normalises"),
    "tanh": (lambda x: np.tanh(forward(x)), "linearise the data"),
    "noise": (lambda x: forward(x) + 0.01 * RANDOM.standard_normal(20), "leave the noise out"),
    "zero": (lambda x: 0 * forward(x), "zeros of a random image"),
}


@pytest.mark.parametrize(("forth", "words"), NOT_LINEAR.values(), ids=NOT_LINEAR)
def test_what_is_not_linear_is_refused_with_the_reason(forth, words):
    with pytest.raises(OperatorError, match=words):
        make((forth, right))


def test_single_precision_inside_is_stated():
    operator = make((lambda x: forward(x, M.astype(np.float32)).astype(np.float64), right))
    assert operator.precision == torch.float32
    assert 1e-10 < operator.examined.adjoint < 1e-5


@pytest.mark.parametrize("A", [Fourier(cartesian_random((8, 8), acceleration=2)), Radon(8, 6)], ids=["fourier", "radon"])
def test_the_operators_of_this_package_hold(A, generator):
    found = examine(A, generator=generator, name="A")
    assert max(found.adjoint, found.linearity) < 1e-12
