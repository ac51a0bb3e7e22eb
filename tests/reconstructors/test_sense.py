"""CG-SENSE: the dense solution of the normal equations, its derivative, its certificate, and coils that unfold what one cannot."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from reconstructors.sense import Sense
from stabtest import tensors
from stabtest.errors import ConfigError, NetworkError
from stabtest.operators import Fourier, MultiCoilFourier, Radon, masks
from stabtest.phantoms import coil_maps, head

SIZE = 12
MAPS = coil_maps(SIZE, 4, seed=0).to(torch.complex128)
MASK = masks.cartesian_random((SIZE, SIZE), acceleration=2, centre_fraction=0.2, seed=0)
SHARP = {"weight": 1e-2, "tolerance": 1e-11}


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def dense(operator) -> np.ndarray:
    """The matrix of a complex operator, column by column."""
    size = SIZE * SIZE
    units = torch.eye(size, dtype=torch.complex128).reshape(size, 1, SIZE, SIZE)
    return operator.forward(units).flatten(1).T.numpy()


def test_solution_is_that_of_dense_least_squares(generator):
    """In NumPy: ``x = I z`` with the rows ``sqrt(w)`` below the matrix of ``E I``."""
    operator = MultiCoilFourier(MASK, MAPS)
    y = operator.restrict(operator.range.randn(generator=generator, dtype=torch.float64))
    correction = 1 / MAPS.abs().square().sum(0).sqrt().flatten().numpy()
    matrix = dense(operator) * correction
    stacked = np.vstack([matrix, 0.1 * np.eye(SIZE * SIZE)])
    right = np.concatenate([y.flatten().numpy(), np.zeros(SIZE * SIZE)])
    expected = correction * np.linalg.lstsq(stacked, right, rcond=None)[0]
    np.testing.assert_allclose(Sense(**SHARP)(y, operator).flatten().numpy(), expected, atol=1e-9)


def test_intensity_correction_bounds_the_encoding():
    correction = 1 / MAPS.abs().square().sum(0).sqrt().flatten().numpy()
    matrix = dense(MultiCoilFourier(MASK, MAPS))
    assert np.linalg.norm(matrix * correction, 2) <= 1 + 1e-12


def test_weight_has_no_unit(generator):
    """Maps and data of another size are the same image; without the correction they would be regularised less."""
    operators = [MultiCoilFourier(MASK, size * MAPS) for size in (1, 7)]
    x = operators[0].domain.randn(generator=generator, dtype=torch.float64)
    images = [Sense(**SHARP)(operator(x), operator) for operator in operators]
    torch.testing.assert_close(*images)


def test_single_coil_is_zero_filling_shrunk(generator):
    operator = Fourier(MASK)
    y = operator.restrict(operator.range.randn(generator=generator, dtype=torch.float64))
    torch.testing.assert_close(Sense(**SHARP)(y, operator), operator.pseudo_inverse(y) / 1.01)


def test_pixels_that_no_coil_sees_are_zero():
    maps = MAPS.clone()
    maps[:, :3] = 0
    operator = MultiCoilFourier(MASK, maps)
    x = Sense(**SHARP)(operator(torch.ones(1, 1, SIZE, SIZE, dtype=torch.complex128)), operator)
    assert x[..., :3, :].abs().max() == 0
    assert x[..., 3:, :].abs().min() > 0


def test_derivative_is_exact_and_can_be_taken_twice(generator):
    operator = MultiCoilFourier(MASK, MAPS)
    method = Sense(**SHARP)
    y, v = (operator.restrict(operator.range.randn(generator=generator, dtype=torch.float64)) for _ in range(2))
    u = operator.domain.randn(generator=generator, dtype=torch.float64)
    y.requires_grad_()
    pulled = torch.autograd.grad(method(y, operator), y, u)[0]
    torch.testing.assert_close(tensors.inner(pulled, v), tensors.inner(u, method(v, operator)))  # linear: J v = f(v)
    cotangent = torch.zeros_like(u, requires_grad=True)
    back = torch.autograd.grad(method(y, operator), y, cotangent, create_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(back, cotangent, v)[0], method(v, operator))


def test_gap_bounds_the_excess_and_an_unsolved_image_is_named(generator):
    operator = MultiCoilFourier(MASK, MAPS)
    y = operator(head(SIZE, seed=0)[None].to(torch.complex128))
    lowest = Sense(**SHARP).objective(Sense(**SHARP)(y, operator), y, operator)
    gaps = []
    for iterations in (2, 8):
        method = Sense(weight=1e-2, iterations=iterations, tolerance=1e-11)
        with pytest.warns(RuntimeWarning, match="cg-sense: images"):
            value = method.objective(method(y, operator), y, operator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            gaps.append(method.gap(y, operator).item())
        assert 0 < ((value - lowest) / value).item() <= gaps[-1]
    assert gaps[1] < 0.1 * gaps[0]
    found = Sense().convergence(y, operator)
    assert found.gap.item() < 1e-6
    assert found.residual.item() <= 1e-5
    assert found.distance.item() < 1e-3


def test_stated_residual_is_reached_in_single_precision():
    mask = masks.cartesian_equispaced((64, 64), acceleration=3, centre_fraction=0.08, seed=0)
    operator = MultiCoilFourier(mask, coil_maps(64, 8, seed=1))
    y = operator(head(64, seed=0)[None])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Sense(weight=1e-3).state(y, operator)
    assert found.residual.item() <= 1e-5
    assert found.iterations.item() < 300


def test_coils_unfold_what_zero_filling_leaves_folded():
    mask = masks.cartesian_equispaced((64, 64), acceleration=3, centre_fraction=0.08, seed=0)
    operator = MultiCoilFourier(mask, coil_maps(64, 8, seed=1))
    truth = head(64, seed=0)[None]
    y = operator(truth)
    error = tensors.norm(Sense(weight=1e-3)(y, operator) - truth)
    assert error < 0.5 * tensors.norm(operator.pseudo_inverse(y) - truth)


@pytest.mark.parametrize("setting", ["weight", "tolerance", "iterations"])
def test_settings_that_are_none_are_refused(setting):
    with pytest.raises(ConfigError, match=f"cg-sense: {setting}"):
        Sense(**{setting: 0})


def test_real_scans_are_refused():
    operator = Radon(8, 6)
    with pytest.raises(NetworkError, match="cg-sense: wrong kind of scan"):
        Sense()(operator.range.zeros(), operator)
