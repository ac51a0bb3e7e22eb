"""Regions by name: each becomes the tensor that its words say, and a wrong name is refused before anything is measured."""

import pytest
import torch

from stabtest.errors import ConfigError, SearchError
from stabtest.operators import Fourier, MultiCoilFourier, Radon
from stabtest.stability.region import KEYS, Region

FULL = Fourier(torch.ones(16, 16, dtype=torch.bool))
COILS = MultiCoilFourier(torch.ones(16, 16, dtype=torch.bool), torch.ones(3, 16, 16, dtype=torch.complex64) / 3**0.5)
SINOGRAM = Radon(16, 6)


def rho(size=16):
    """Distance from DC as a share of Nyquist, written down anew."""
    axis = (torch.arange(size) - size // 2).double() / (size / 2)
    return (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt()


@pytest.mark.parametrize(
    ("region", "operator", "expected"),
    [
        (Region("high_frequencies", above=0.4), FULL, rho() >= 0.4),
        (Region("low_frequencies", below=0.4), FULL, rho() < 0.4),
        (Region("band", above=0.2, below=0.4), FULL, (rho() >= 0.2) & (rho() < 0.4)),
        (Region("one_coil", coil=1), COILS, (torch.arange(3) == 1)[:, None, None].expand(3, 16, 16)),
        (Region("views", views=(0, 4)), SINOGRAM, torch.isin(torch.arange(6), torch.tensor([0, 4]))[None, :, None]),
        (Region("box", rows=(0, 2), columns=(3, 16)), FULL, (torch.arange(16) < 2)[:, None] & (torch.arange(16) >= 3)[None]),
        (Region("disc", centre=(8.0, 8.0), radius_px=1.0), FULL, rho() <= 1 / 8),
    ],
    ids=lambda value: value.kind if isinstance(value, Region) else "",
)
def test_each_name_is_the_set_that_it_says(region, operator, expected):
    shape = operator.domain.shape if region.domain == "image" else operator.range.shape
    assert torch.equal(region.of(operator).expand(shape), expected.expand(shape))


def test_there_is_a_test_for_every_kind():
    """Control: the list above is complete."""
    (mark,) = test_each_name_is_the_set_that_it_says.pytestmark
    assert {region.kind for region, _, _ in mark.args[1]} == set(KEYS)


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "band", "above": 0.2},
        {"kind": "views"},
        {"kind": "low_frequencies", "below": 0.1, "coil": 2},
        {"kind": "ring", "above": 0.2},
    ],
)
def test_a_region_with_too_little_or_too_much_is_refused(given):
    with pytest.raises(ConfigError, match="region"):
        Region(**given)


def test_an_operator_without_the_region_is_refused():
    with pytest.raises(SearchError, match="k-space"):
        Region("band", above=0.2, below=0.4).of(SINOGRAM)
    with pytest.raises(SearchError, match="coils"):
        Region("one_coil", coil=0).of(FULL)


def test_the_words_name_the_numbers():
    assert Region("views", views=(1, 3)).words == "views 1, 3 (from 0)"
    assert Region("box", rows=(0, 4), columns=(2, 6)).words == "rows 0 to 3 and columns 2 to 5"
    assert Region("disc", centre=(8.0, 7.5), radius_px=3.0).words == "a disc of radius 3 px about (8, 7.5)"
