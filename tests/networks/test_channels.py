"""Layouts of complex tensors, against hand-written NumPy."""

import numpy as np
import pytest
import torch

from stabtest.errors import NetworkError
from stabtest.networks.channels import (
    channels_to_image,
    image_to_channels,
    join_complex,
    measurement_to_channels,
    split_complex,
)


def complex_images(batch, coils=1, size=5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, coils, size, size + 1)) + 1j * rng.standard_normal((batch, coils, size, size + 1))
    return torch.from_numpy(x)


def test_split_puts_all_real_parts_first():
    x = complex_images(2, coils=3)
    expected = np.concatenate([x.numpy().real, x.numpy().imag], axis=1)
    np.testing.assert_array_equal(split_complex(x).numpy(), expected)


@pytest.mark.parametrize("coils", [1, 4])
def test_join_inverts_split(coils):
    x = complex_images(3, coils)
    assert torch.equal(join_complex(split_complex(x)), x)


@pytest.mark.parametrize("channels", ["native", "real-imag"])
def test_image_there_and_back(channels):
    x = complex_images(2)
    assert torch.equal(channels_to_image(image_to_channels(x, channels), channels, (1, 5, 6)), x)


def test_magnitude_is_the_modulus():
    x = complex_images(2)
    np.testing.assert_allclose(image_to_channels(x, "magnitude").numpy(), np.abs(x.numpy()), rtol=1e-15)


def test_a_measurement_keeps_its_phase_for_a_magnitude_network():
    y = complex_images(2, coils=2)
    assert torch.equal(join_complex(measurement_to_channels(y, "magnitude")), y)


def test_a_missing_channel_axis_is_put_back():
    assert channels_to_image(torch.zeros(2, 5, 6), "magnitude", (1, 5, 6)).shape == (2, 1, 5, 6)


@pytest.mark.parametrize("channels", ["real-imag", "magnitude"])
def test_a_real_tensor_has_no_complex_layout(channels):
    with pytest.raises(NetworkError, match="native"):
        image_to_channels(torch.zeros(1, 1, 4, 4), channels)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [((2, 1, 5, 6), "real-imag"), ((2, 2, 5, 6), "magnitude"), ((2, 1, 5, 5), "native"), ((2, 5, 6), "real-imag")],
)
def test_another_shape_is_refused_with_both_shapes(shape, channels):
    with pytest.raises(NetworkError) as caught:
        channels_to_image(torch.zeros(shape), channels, (1, 5, 6))
    assert str(shape) in str(caught.value)
    assert "5, 6)" in caught.value.expected


def test_a_complex_output_is_no_channel():
    with pytest.raises(NetworkError, match="native"):
        channels_to_image(torch.zeros(1, 1, 4, 4, dtype=torch.complex64), "magnitude", (1, 4, 4))
