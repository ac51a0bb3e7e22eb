"""The fastMRI convention, against a small stand-in of `VarNet`'s signature and its own arithmetic."""

import numpy as np
import pytest
import torch
from torch import nn

from stabtest.errors import NetworkError
from stabtest.networks import check_network, wrap
from stabtest.networks.fastmri import fastmri_mask, low_frequencies
from stabtest.operators import Fourier, MultiCoilFourier, Radon, ifft2c
from stabtest.operators.masks import cartesian_random
from stabtest.tensors import norm


class StandIn(nn.Module):
    """One soft data-consistency step and the root of the sum of squares, as `VarNet.forward`."""

    def __init__(self):
        super().__init__()
        self.dc_weight = nn.Parameter(torch.full((1,), 0.3))
        self.seen = None

    def forward(self, masked_kspace, mask, num_low_frequencies=None):
        self.seen = (masked_kspace, mask, num_low_frequencies)
        assert mask.dtype == torch.bool
        prediction = 1.1 * masked_kspace
        zero = torch.zeros(1, 1, 1, 1, 1).to(masked_kspace)
        prediction = prediction - torch.where(mask, prediction - masked_kspace, zero) * self.dc_weight
        coils = ifft2c(torch.view_as_complex(prediction))
        return (coils.abs() ** 2).sum(1).sqrt()


def scan(coils=3, size=(16, 24)):
    generator = torch.Generator().manual_seed(0)
    mask = cartesian_random(size, acceleration=2, centre_fraction=0.2, seed=1)
    maps = torch.randn(coils, *size, dtype=torch.complex64, generator=generator)
    A = MultiCoilFourier(mask, maps)
    return A, A(torch.randn(2, 1, *size, dtype=torch.complex64, generator=generator))


def test_the_network_gets_kspace_with_parts_last_and_one_entry_a_column():
    A, y = scan()
    module = StandIn()
    wrap(module, takes="fastmri", channels="magnitude")(y, A)
    kspace, mask, lines = module.seen
    assert torch.equal(kspace, torch.stack([y.real, y.imag], -1))
    assert mask.shape == (2, 1, 1, 24, 1)
    assert torch.equal(mask[1, 0, 0, :, 0], A.mask[5])
    assert lines == low_frequencies(A.mask)


def test_the_output_is_its_magnitude_with_a_channel_axis():
    A, y = scan()
    module = StandIn()
    output = wrap(module, takes="fastmri", channels="magnitude")(y, A)
    coils = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(y.numpy(), axes=(2, 3)), norm="ortho"), axes=(2, 3))
    expected = np.sqrt((np.abs(coils) ** 2).sum(1, keepdims=True)) * (1.1 - 0.3 * 0.1)
    np.testing.assert_allclose(output.numpy(), expected, rtol=1e-5)


def test_a_network_without_the_third_argument_is_called_with_two():
    A, y = scan()

    def recon(masked_kspace, mask):
        return torch.view_as_complex(masked_kspace).abs().sum(1)

    assert wrap(recon, takes="fastmri", channels="magnitude")(y, A).shape == (2, 1, 16, 24)


@pytest.mark.parametrize("layout", ["last", "first"])
def test_a_complex_output_with_parts_last_or_as_channels(layout):
    A, y = scan(coils=1)
    image = ifft2c(y)

    def recon(masked_kspace, mask):
        return torch.view_as_real(image) if layout == "last" else torch.cat([image.real, image.imag], 1)

    torch.testing.assert_close(wrap(recon, takes="fastmri", channels="real-imag")(y, A), image)


def test_scale_max_divides_kspace_by_the_zero_filled_maximum():
    A, y = scan()
    module = StandIn()
    f = wrap(module, takes="fastmri", channels="magnitude", scale="max")
    torch.testing.assert_close(f(5 * y, A), 5 * f(y, A))
    size = A.pseudo_inverse(y).abs().amax((1, 2, 3))
    torch.testing.assert_close(norm(module.seen[0]), norm(y) / size)


def test_a_mask_that_is_not_of_columns_keeps_its_rows():
    mask = torch.ones(4, 6, dtype=torch.bool)
    mask[1, 2] = False
    assert torch.equal(fastmri_mask(mask, batch=3)[2, 0, :, :, 0], mask)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [("00111100", 4), ("01111100", 4), ("00111110", 4), ("10001001", 1), ("11111111", 8), ("0011100", 2), ("1010101", 1)],
)
def test_low_frequencies_by_hand(columns, expected):
    mask = torch.tensor([c == "1" for c in columns]).expand(3, len(columns))
    assert low_frequencies(mask) == expected


@pytest.mark.parametrize("seed", range(10))
def test_low_frequencies_as_the_package_infers_them(seed):
    """`SensitivityModel.get_pad_and_num_low_freqs` of fastMRI, in its own steps."""
    mask = cartesian_random((8, 40), acceleration=4, centre_fraction=0.15, seed=seed)
    squeezed = mask[0].to(torch.int8)
    left, right = torch.argmin(squeezed[:20].flip(0)), torch.argmin(squeezed[20:])
    assert low_frequencies(mask) == max(2 * min(int(left), int(right)), 1)


def test_the_stand_in_passes_the_gates():
    A, y = scan()
    f = wrap(StandIn(), takes="fastmri", channels="magnitude")
    gates = check_network(f, A, y, generator=torch.Generator().manual_seed(0))
    assert [gate.name for gate in gates if not gate.passed] == []


def test_ct_is_refused():
    A = Radon(8, 4)
    with pytest.raises(NetworkError, match="mask"):
        wrap(StandIn(), takes="fastmri")(A.range.zeros(), A)


def test_the_unet_convention():
    """Magnitude, standardised with the unbiased deviation: `UnetDataTransform` without its clamp."""
    A = Fourier(cartesian_random((16, 16), acceleration=2, seed=0))
    y = A(torch.randn(1, 1, 16, 16, dtype=torch.complex64, generator=torch.Generator().manual_seed(0)))
    image = A.pseudo_inverse(y).abs().numpy()
    mean, deviation = image.mean(), image.std(ddof=1)
    output = wrap(torch.tanh, channels="magnitude", scale="standardise")(y, A)
    np.testing.assert_allclose(output.numpy(), np.tanh((image - mean) / deviation) * deviation + mean, rtol=1e-4, atol=1e-6)
