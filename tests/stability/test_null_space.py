import numpy as np
import pytest
import torch

from stabtest.errors import DataError
from stabtest.operators import Fourier, Radon
from stabtest.operators.masks import cartesian_random
from stabtest.stability.null_space import null_space_share


def dense(operator, height, width):
    basis = torch.eye(height * width, dtype=torch.float64).reshape(-1, 1, height, width)
    return operator.forward(basis).flatten(1).T.numpy()


def test_fourier_share_is_the_unmeasured_energy():
    mask = cartesian_random((24, 24), acceleration=3, seed=0)
    h = torch.randn(1, 1, 24, 24, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(h[0, 0].numpy()), norm="ortho"))
    expected = np.linalg.norm(spectrum * ~mask.numpy()) / np.linalg.norm(spectrum)
    assert null_space_share(Fourier(mask), h).share == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("views", [4, 6])
def test_radon_share_agrees_with_a_dense_svd(views):
    operator = Radon(24, views)
    h = torch.rand(1, 1, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    matrix = dense(operator, 24, 24)
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
