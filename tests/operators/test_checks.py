"""The checks themselves: right values, and controls that must fail."""

from __future__ import annotations

import itertools

import pytest
import torch

from stabtest.errors import OperatorError
from stabtest.operators import (
    Fourier,
    Identity,
    LinearOperator,
    MultiCoilFourier,
    Radon,
    cartesian_random,
    dot_test,
    operator_norm,
)


class Broken(Radon):
    """A projector with an adjoint that is not."""

    def __init__(self, how):
        super().__init__(16, 12)
        self.how = how

    def adjoint(self, y):
        return self.how(self, y)


FAULTS = {
    "filtered": lambda A, y: Radon(16, 12).fbp(y),
    "half a per cent": lambda A, y: 1.005 * Radon.adjoint(A, y),
    "shifted": lambda A, y: Radon.adjoint(A, y.roll(1, -1)),
    "mirrored": lambda A, y: Radon.adjoint(A, y).flip(-1),
    "view missing": lambda A, y: Radon.adjoint(A, torch.cat([y[:, :, :-1], 0 * y[:, :, -1:]], 2)),
    "zero": lambda A, y: 0 * Radon.adjoint(A, y),
    "interpolated": lambda A, y: Radon(
        16, 12, detector_spacing=1.0, centre_offset=0.02, detectors=A.geometry.detectors
    ).adjoint(y),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_wrong_adjoint_is_caught(fault, generator):
    assert dot_test(Broken(fault), generator=generator, dtype=torch.float64) > 1e-5


def test_unconjugated_coil_maps_are_caught(generator):
    class Plain(MultiCoilFourier):
        def adjoint(self, y):
            return (
                torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(y, dim=(-2, -1)), norm="ortho"), dim=(-2, -1))
                * self.sensitivities
            ).sum(1, True)

    maps = torch.randn(2, 8, 8, dtype=torch.complex128, generator=generator)
    assert dot_test(Plain(torch.ones(8, 8, dtype=torch.bool), maps), generator=generator) > 1e-3


def test_not_finite_is_not_a_pass(generator):
    assert not dot_test(Broken(lambda A, y: Radon.adjoint(A, y) * torch.nan), generator=generator) <= 1e-6


def test_wrong_shape_is_refused(generator):
    with pytest.raises(OperatorError, match="shape"):
        dot_test(Broken(lambda A, y: Radon.adjoint(A, y)[..., :-1]), generator=generator)


def dense(A: LinearOperator) -> torch.Tensor:
    """The matrix of an operator over the reals."""
    size = A.domain.zeros(1).numel()
    basis = torch.eye(size, dtype=torch.float64)
    if A.domain.is_complex:
        basis = torch.cat([basis + 0j, 1j * basis])
    image = A(basis.reshape(-1, *A.domain.shape)).flatten(1)
    return torch.view_as_real(image).flatten(1).T if image.is_complex() else image.T


@pytest.mark.parametrize(
    "A",
    [
        Radon(9, 7),
        Radon(6, 5).refine(2),
        Fourier(cartesian_random((6, 8), acceleration=2)),
        Fourier(cartesian_random((5, 6), acceleration=2)).refine(2),
        MultiCoilFourier(
            cartesian_random((6, 8), acceleration=2),
            torch.randn(3, 6, 8, dtype=torch.complex128, generator=torch.Generator().manual_seed(1)),
        ),
        Identity((3, 4)).refine(2),
    ],
    ids=lambda A: type(A).__name__,
)
def test_norm_is_the_largest_singular_value_of_the_dense_matrix(A, generator):
    truth = float(torch.linalg.matrix_norm(dense(A), 2))
    estimate = operator_norm(A, generator=generator, steps=80)
    assert estimate.value == pytest.approx(truth, rel=1e-9)
    assert estimate.value <= truth * (1 + 1e-12)
    assert estimate.residual <= 1e-6 * truth
    v = estimate.vector
    torch.testing.assert_close(A(v).norm(), torch.tensor(estimate.value, dtype=torch.float64))


def test_unfinished_norm_is_below_and_says_its_residual(generator):
    A = Radon(24, 20)
    truth = operator_norm(A, generator=generator).value
    values = [operator_norm(A, generator=torch.Generator().manual_seed(1), steps=k) for k in (1, 2, 3, 5)]
    assert all(a.value <= b.value for a, b in itertools.pairwise(values))
    for estimate in values:
        assert estimate.value <= truth * (1 + 1e-12)
        image = A(estimate.vector)
        defect = (A.adjoint(image / image.norm()) - estimate.value * estimate.vector).norm()
        assert float(defect) == pytest.approx(estimate.residual, rel=1e-6)
    assert values[0].residual > 1e-3 * truth


def test_zero_operator_has_norm_zero(generator):
    maps = torch.zeros(1, 4, 4, dtype=torch.complex128)
    maps[0, 0, 0] = 1e-300
    A = MultiCoilFourier(torch.ones(4, 4, dtype=torch.bool), maps)
    assert operator_norm(A, generator=generator).value <= 1e-299


def test_steps_must_be_positive(generator):
    with pytest.raises(OperatorError, match="steps"):
        operator_norm(Identity((2, 2)), generator=generator, steps=0)
