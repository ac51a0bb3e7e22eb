import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import DataError, OperatorError
from stabtest.operators import BlockMean, FineFourier, Fourier, Identity, Radon
from stabtest.operators.masks import cartesian_random
from stabtest.stability.null_space import minimum_norm, null_space_share, split


def exact_operators(build):
    return [build.single_coil(16), FineFourier(build.single_coil(8).mask, 2), BlockMean((6, 5), 2), Identity((5, 4))]


def test_closed_forms_agree_with_a_dense_pseudo_inverse(build):
    for operator in exact_operators(build):
        x = build.random_image(operator)
        expected = build.projector(operator) @ x.flatten().numpy()
        found = split(operator, x)
        assert np.allclose(found.measured.flatten().numpy(), expected, atol=1e-12), operator.describe()
        assert found.iterations == 0
        assert float(found.residual) == 0


def test_several_coils_agree_with_a_dense_pseudo_inverse(build):
    operator = build.multi_coil()
    x = build.random_image(operator)
    projector = build.projector(operator)
    assert 0.3 < np.trace(projector).real / len(projector) < 0.9  # the coils unfold a part of the object, not all of it
    found = split(operator, x, iterations=3000, tolerance=1e-13)
    assert np.allclose(found.measured.flatten().numpy(), projector @ x.flatten().numpy(), atol=1e-6)


@pytest.mark.parametrize("views", [3, 5])
def test_radon_agrees_with_a_dense_pseudo_inverse(build, views):
    operator = Radon(12, views)
    x = build.random_image(operator)
    found = split(operator, x, iterations=3000, tolerance=1e-14)
    assert np.allclose(found.measured.flatten().numpy(), build.projector(operator) @ x.flatten().numpy(), atol=1e-6)


def test_stopped_early_the_null_part_is_too_large_and_says_so(build):
    operator = Radon(12, 5)
    x = build.random_image(operator)
    true = np.linalg.norm(x.flatten().numpy() - build.projector(operator) @ x.flatten().numpy())
    sizes, residuals = [], []
    for iterations in (2, 5, 20, 200):
        found = split(operator, x, iterations=iterations, tolerance=0.0)
        sizes.append(float(tensors.norm(found.null)))
        residuals.append(float(found.residual))
        assert found.iterations == iterations
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] >= true * (1 - 1e-12)
    assert residuals[0] > 1e-2 > residuals[-1]


def test_the_parts_are_orthogonal_and_add_up(build):
    operator = build.multi_coil()
    x = torch.cat([build.random_image(operator, seed) for seed in (0, 1)])
    found = split(operator, x, iterations=3000, tolerance=1e-13)
    assert torch.equal(found.measured + found.null, x) or torch.allclose(found.measured + found.null, x, atol=1e-15)
    assert float(tensors.inner(found.measured, found.null).abs().max()) < 1e-6
    assert float(tensors.norm(operator.forward(found.null)).max()) < 1e-6


def test_a_batch_is_a_stack_of_independent_problems(build):
    operator = Radon(12, 5)
    images = [build.random_image(operator, seed) for seed in (0, 1)]
    together = split(operator, torch.cat([images[0], 1e3 * images[1]]), iterations=400, tolerance=1e-12)
    alone = split(operator, images[0], iterations=400, tolerance=1e-12)
    assert torch.allclose(together.null[:1], alone.null, atol=1e-6)


def test_the_share_of_the_norm_agrees_with_the_split(build):
    for operator in (build.single_coil(16), Radon(12, 5)):
        x = build.random_image(operator)
        share = float(tensors.norm(split(operator, x, iterations=50, tolerance=1e-9).null) / tensors.norm(x))
        expected = null_space_share(operator, x, iterations=50, tolerance=1e-9).share
        assert share == pytest.approx(expected, abs=1e-9)


def test_minimum_norm_is_the_pseudo_inverse_of_noisy_data(build):
    operator = build.multi_coil(8, coils=2)
    y = operator.restrict(operator.range.randn(generator=build.generator(3), dtype=torch.float64))
    matrix = build.dense(operator)
    assert np.linalg.svd(matrix, compute_uv=False)[0] < 2
    weight = 1e-3
    expected = np.linalg.solve(
        matrix.conj().T @ matrix + weight * np.eye(matrix.shape[1]), matrix.conj().T @ y.flatten().numpy()
    )
    found = minimum_norm(operator, y, weight=weight, iterations=500, tolerance=1e-13)
    assert np.allclose(found.image.flatten().numpy(), expected, atol=1e-9)
    assert float(found.residual) < 1e-10


def test_single_precision_comes_back_as_it_went_in(build):
    operator = build.multi_coil()
    x = build.random_image(operator, dtype=torch.float32)
    assert split(operator, x).null.dtype == torch.complex64
    assert minimum_norm(operator, operator.forward(x)).image.dtype == torch.complex64


def test_an_image_of_another_shape_is_refused():
    with pytest.raises(OperatorError, match="image"):
        split(Radon(12, 5), torch.zeros(1, 1, 8, 8))


def test_fourier_share_is_the_unmeasured_energy():
    mask = cartesian_random((24, 24), acceleration=3, seed=0)
    h = torch.randn(1, 1, 24, 24, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(h[0, 0].numpy()), norm="ortho"))
    expected = np.linalg.norm(spectrum * ~mask.numpy()) / np.linalg.norm(spectrum)
    assert null_space_share(Fourier(mask), h).share == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("views", [4, 6])
def test_radon_share_agrees_with_a_dense_svd(build, views):
    operator = Radon(24, views)
    h = torch.rand(1, 1, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    matrix = build.dense(operator)
    _, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    seen = right[sizes > 1e-10 * sizes[0]]
    flat = h.flatten().numpy()
    expected = np.linalg.norm(flat - seen.T @ (seen @ flat)) / np.linalg.norm(flat)
    found = null_space_share(operator, h, iterations=200, tolerance=1e-10)
    # Directions that are barely measured converge last: an upper bound, near.
    assert expected * (1 - 1e-6) <= found.share <= 1.06 * expected
    early = null_space_share(operator, h, iterations=5)
    assert early.share >= expected
    assert early.residual > found.residual


def test_an_image_of_zeros_has_no_share():
    with pytest.raises(DataError, match="zeros"):
        null_space_share(Radon(16, 4), torch.zeros(1, 1, 16, 16))
