"""Every operator: exact adjoint, declared spaces, restriction, description."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stabtest.errors import OperatorError
from stabtest.operators import (
    FanBeam,
    Fourier,
    Identity,
    MatrixMap,
    MultiCoilFourier,
    OwnOperator,
    Radon,
    cartesian_random,
    dot_test,
    poisson_disc,
)
from stabtest.tensors import inner


def maps(coils, height, width):
    generator = torch.Generator().manual_seed(coils)
    return torch.randn(coils, height, width, dtype=torch.complex128, generator=generator)


def own(rows, height, width, *, is_complex=False):
    generator = torch.Generator().manual_seed(rows)
    matrix = torch.randn(rows, height * width, dtype=torch.complex128 if is_complex else torch.float64, generator=generator)
    return OwnOperator(MatrixMap(matrix.numpy(), (height, width)), (height, width), is_complex=is_complex)


OPERATORS = {
    "fourier": Fourier(cartesian_random((16, 20), acceleration=2)),
    "fourier odd": Fourier(poisson_disc((15, 9), acceleration=3)),
    "fourier column": Fourier(torch.ones(1, 7, dtype=torch.bool)),
    "fourier fine": Fourier(cartesian_random((16, 20), acceleration=2)).refine(2),
    "fourier fine odd": Fourier(poisson_disc((15, 9), acceleration=3)).refine(3),
    "fourier finer": Fourier(poisson_disc((7, 8), acceleration=3)).refine(2).refine(2),
    "coils": MultiCoilFourier(cartesian_random((16, 20), acceleration=2), maps(3, 16, 20)),
    "coils odd": MultiCoilFourier(poisson_disc((15, 9), acceleration=3), maps(1, 15, 9)),
    "coils fine": MultiCoilFourier(cartesian_random((16, 20), acceleration=2), maps(3, 16, 20)).refine(2),
    "coils fine odd": MultiCoilFourier(poisson_disc((15, 9), acceleration=3), maps(2, 15, 9)).refine(3).refine(2),
    "radon": Radon(16, 12),
    "radon odd": Radon(17, 11, 9),
    "radon rectangle": Radon((9, 14), [3.0, 40.0, 41.0, 170.0, 255.0], 23, pixel_size=0.7, centre_offset=1.3),
    "radon coarse bins": Radon(16, 12, detector_spacing=2.5),
    "radon fine": Radon(9, 7).refine(2),
    "fan": FanBeam((9, 14), 12),
    "fan arc": FanBeam(15, 7, 20, detector="curved", centre_offset=0.7, window="hann"),
    "fan part of a turn": FanBeam(8, [0.0, 30.0, 75.0], pixel_size=0.5, detector_spacing=2.0),
    "fan fine": FanBeam(9, 7, detector="curved").refine(2),
    "own": own(15, 4, 7),
    "own complex": own(30, 4, 5, is_complex=True),
    "own fine": own(15, 4, 5, is_complex=True).refine(3),
    "identity": Identity((5, 6)),
    "identity complex": Identity((5, 6), is_complex=True),
    "identity fine": Identity((5, 6), is_complex=True).refine(3),
}
every_operator = pytest.mark.parametrize("A", OPERATORS.values(), ids=OPERATORS.keys())


@every_operator
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("batch", [1, 3])
def test_adjoint_is_exact(A, dtype, limit, batch, generator):
    assert dot_test(A, generator=generator, batch=batch, dtype=dtype) <= limit


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), factor=st.integers(1, 3), seed=st.integers(0, 99))
def test_adjoint_is_exact_on_any_shape(height, width, factor, seed):
    generator = torch.Generator().manual_seed(seed)
    for A in (
        Fourier(torch.ones(height, width, dtype=torch.bool)),
        MultiCoilFourier(torch.ones(height, width, dtype=torch.bool), maps(2, height, width)),
        Radon((height, width), 1 + seed % 7),
    ):
        assert dot_test(A, generator=generator) <= 1e-12
        assert dot_test(A.refine(factor), generator=generator) <= 1e-12


@every_operator
def test_precision_of_the_input_is_kept(A, generator):
    for real in (torch.float32, torch.float64):
        x = A.domain.randn(2, generator=generator, dtype=real)
        y = A(x)
        assert y.dtype == A.range.dtype(real)
        assert A.adjoint(y).dtype == A.pseudo_inverse(y).dtype == x.dtype


@every_operator
def test_images_of_a_batch_do_not_mix(A, generator):
    x = A.domain.randn(3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(A(x)[1:2], A(x[1:2]))
    y = A(x)
    torch.testing.assert_close(A.pseudo_inverse(y)[2:], A.pseudo_inverse(y[2:]))


@every_operator
def test_gradient_of_half_the_squared_distance_is_the_adjoint_of_the_residual(A, generator):
    x = A.domain.randn(2, generator=generator, dtype=torch.float64).requires_grad_()
    y = A.range.randn(2, generator=generator, dtype=torch.float64)
    residual = A(x) - y
    (gradient,) = torch.autograd.grad(0.5 * inner(residual, residual).sum(), x)
    torch.testing.assert_close(gradient, A.adjoint(residual.detach()))


@every_operator
def test_pseudo_inverse_is_linear_and_differentiable(A, generator):
    y = A.range.randn(1, generator=generator, dtype=torch.float64).requires_grad_()
    w = A.domain.randn(1, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(inner(A.pseudo_inverse(y), w).sum(), y)
    torch.testing.assert_close(inner(gradient, y.detach()), inner(A.pseudo_inverse(y.detach()), w))


@every_operator
def test_restriction_is_an_orthogonal_projection_onto_a_space_that_holds_the_range(A, generator):
    e = A.range.randn(2, generator=generator, dtype=torch.float64)
    once = A.restrict(e)
    torch.testing.assert_close(A.restrict(once), once)
    torch.testing.assert_close(inner(once, e - once), torch.zeros(2, dtype=torch.float64))
    y = A(A.domain.randn(2, generator=generator, dtype=torch.float64))
    torch.testing.assert_close(A.restrict(y), y)


@every_operator
def test_refinement_keeps_the_range_and_enlarges_the_domain(A):
    fine = A.refine(2)
    assert fine.range == A.range
    assert fine.domain.shape == (1, 2 * A.domain.shape[1], 2 * A.domain.shape[2])
    with pytest.raises(OperatorError, match="factor"):
        A.refine(0)


@every_operator
def test_description_is_plain_data(A):
    assert all(isinstance(v, str | int | float) for v in A.describe().values())
    assert "kind" in A.describe()


@every_operator
def test_wrong_shape_and_kind_are_refused(A):
    with pytest.raises(OperatorError, match="shape"):
        A(A.domain.zeros(1)[..., :-1])
    with pytest.raises(OperatorError, match="shape"):
        A.adjoint(A.range.zeros(1)[0])
    with pytest.raises(OperatorError, match="shape"):
        A.pseudo_inverse(A.range.zeros(1)[0])
    wrong = A.domain.zeros(1).real if A.domain.is_complex else A.domain.zeros(1) + 0j
    with pytest.raises(OperatorError, match="kind"):
        A(wrong)
