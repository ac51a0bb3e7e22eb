"""The fully sampled centre, and maps from its low-resolution image."""

import numpy as np
import pytest
import torch

from stabtest import operators, phantoms
from stabtest.data.calibration import calibration_region, low_resolution
from stabtest.data.coil_maps import explained
from stabtest.errors import DataError


@pytest.mark.parametrize("kind", ["cartesian_random", "cartesian_equispaced", "variable_density", "poisson_disc", "radial"])
def test_every_sample_of_the_region_was_measured(kind):
    mask = operators.MaskFamily(kind, (48, 48), 3.0, seed=1).trained
    rows, columns = calibration_region(mask)
    assert mask[rows, columns].all()
    assert rows.start <= 24 < rows.stop
    assert columns.start <= 24 < columns.stop


def test_the_region_of_columns_is_the_whole_run():
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[:, 10:23] = mask[:, 30] = True
    assert calibration_region(mask) == (slice(0, 32), slice(10, 23))
    assert calibration_region(mask, most=8) == (slice(12, 20), slice(12, 20))


def test_a_run_to_one_side_is_kept_within():
    """Partial Fourier: the run ends 2 columns after DC."""
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[:, 4:18] = True
    assert calibration_region(mask, most=8)[1] == slice(10, 18)


def test_a_mask_without_dc_is_refused():
    mask = torch.ones(16, 16, dtype=torch.bool)
    mask[:, 8] = False
    with pytest.raises(DataError, match="a mask that leaves DC out"):
        calibration_region(mask)


def test_only_the_region_is_looked_at():
    """Control for a calibration that peeps at samples that were not measured."""
    maps, image = phantoms.coil_maps(32, 3, seed=0), phantoms.head(32, seed=0)
    k = operators.fft2c(maps * image)
    region = (slice(0, 32), slice(8, 24))
    outside = torch.ones(32, 32, dtype=torch.bool)
    outside[region] = False
    torch.testing.assert_close(low_resolution(k, region), low_resolution(k + 1e3 * outside, region))


def test_low_resolution_maps_are_those_of_smooth_coils():
    maps, image = phantoms.coil_maps(64, 4, seed=2), phantoms.head(64, seed=0)
    found = low_resolution(operators.fft2c(maps * image), (slice(16, 48), slice(16, 48)))
    body = image[0].abs() > 0.1 * image.abs().max()
    agreement = (found.conj() * maps).sum(0).abs()
    assert float(agreement[body].min()) > 0.99
    torch.testing.assert_close(found.abs().square().sum(0)[body], torch.ones(int(body.sum())), atol=1e-5, rtol=0)


def test_too_few_lines_are_refused():
    k = torch.ones(2, 32, 32, dtype=torch.complex64)
    with pytest.raises(DataError, match=r"at least 4 x 4 samples for low-resolution maps; came 32 x 3.*centre_fraction"):
        low_resolution(k, (slice(0, 32), slice(15, 18)))


def test_maps_of_other_coils_explain_less():
    maps, image = phantoms.coil_maps(32, 4, seed=0), phantoms.head(32, seed=0)[None]
    everything = torch.ones(32, 32, dtype=torch.bool)
    k = operators.MultiCoilFourier(everything, maps)(image)
    assert explained(k, maps, everything) == pytest.approx(1, abs=1e-5)
    assert explained(k, maps[[1, 2, 3, 0]], everything) < 0.9
    assert explained(k, phantoms.coil_maps(32, 4, seed=3), everything) < 0.9
    assert np.isfinite(explained(k, maps, everything))
