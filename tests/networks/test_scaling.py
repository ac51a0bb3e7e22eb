"""Scales against NumPy, with their gradients."""

import numpy as np
import pytest
import torch

from stabtest.errors import NetworkError
from stabtest.networks.scaling import Standardisation, max_modulus


def images(*, is_complex, channels=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.complex128 if is_complex else torch.float64
    return torch.randn(3, channels, 4, 5, dtype=dtype, generator=generator) * torch.tensor([1.0, 10.0, 0.1]).reshape(3, 1, 1, 1)


@pytest.mark.parametrize("is_complex", [False, True])
def test_max_is_of_the_modulus_per_image(is_complex):
    x = images(is_complex=is_complex)
    np.testing.assert_allclose(max_modulus(x).numpy(), np.abs(x.numpy()).max((1, 2, 3)), rtol=1e-15)


def test_an_image_of_zeros_is_divided_by_one():
    assert max_modulus(torch.zeros(2, 1, 3, 3)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("is_complex", [False, True])
def test_the_gradient_of_the_max_is_right(is_complex):
    assert torch.autograd.gradcheck(max_modulus, images(is_complex=is_complex).requires_grad_(True))


def test_the_gradient_at_an_image_of_zeros_is_finite():
    x = torch.zeros(1, 1, 3, 3, dtype=torch.complex64, requires_grad=True)
    (gradient,) = torch.autograd.grad((x / max_modulus(x)).abs().sum(), x)
    assert torch.isfinite(gradient).all()


def test_standardise_is_fastmri_normalisation_per_channel():
    x = images(is_complex=False, channels=2)
    statistics = Standardisation.of(x)
    np.testing.assert_allclose(statistics.mean.numpy().squeeze(), x.numpy().mean((2, 3)), rtol=1e-12)
    np.testing.assert_allclose(statistics.deviation.numpy().squeeze(), x.numpy().std((2, 3), ddof=1), rtol=1e-12)


def test_standardise_of_complex_images():
    x = images(is_complex=True)
    np.testing.assert_allclose(Standardisation.of(x).deviation.numpy().squeeze(), x.numpy().std((1, 2, 3), ddof=1), rtol=1e-12)


@pytest.mark.parametrize("is_complex", [False, True])
def test_undo_inverts_apply(is_complex):
    x = images(is_complex=is_complex)
    statistics = Standardisation.of(x)
    torch.testing.assert_close(statistics.undo(statistics.apply(x)), x)


@pytest.mark.parametrize("is_complex", [False, True])
def test_the_gradient_through_the_statistics_is_right(is_complex):
    def through(x):
        statistics = Standardisation.of(x)
        z = statistics.apply(x)
        return statistics.undo(z * z)

    assert torch.autograd.gradcheck(through, images(is_complex=is_complex).requires_grad_(True))


def test_a_constant_image_has_a_finite_value_and_gradient():
    x = torch.full((1, 1, 4, 4), 0.5, requires_grad=True)
    statistics = Standardisation.of(x)
    output = statistics.undo(statistics.apply(x) ** 2)
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert torch.equal(output, x)
    assert torch.isfinite(gradient).all()


def test_another_number_of_channels_cannot_be_undone():
    with pytest.raises(NetworkError, match="as many channels"):
        Standardisation.of(torch.rand(1, 2, 4, 4)).undo(torch.rand(1, 1, 4, 4))
