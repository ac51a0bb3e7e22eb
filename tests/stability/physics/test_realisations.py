import dataclasses
import math

import pytest
import torch

from stabtest.errors import ConfigError
from stabtest.stability.physics.realisations import realisations


def spread(scans, mask=None):
    values = torch.stack([y - scans.clean for y in scans.measurements])
    values = values if mask is None else values[..., mask]
    return values.abs().square().mean().sqrt().item()


def test_of_a_phantom_the_noise_is_that_of_the_case(full_mri, ct):
    for case in (full_mri, ct):
        scans = realisations(case, count=4, seed=0)
        assert scans.ratio == 1
        assert spread(scans) == pytest.approx(case.noise_std, rel=0.03)
        assert torch.allclose(scans.clean, case.operator.forward(case.truth))


def test_of_a_real_scan_noise_is_added_to_noise(full_mri):
    case = dataclasses.replace(full_mri, truth=None, truth_source="none")
    scans = realisations(case, count=4, seed=0)
    assert scans.ratio == pytest.approx(math.sqrt(2))
    assert spread(scans) == pytest.approx(case.noise_std, rel=0.03)
    assert torch.equal(scans.clean, case.measurement)


def test_a_reference_that_has_noise_itself_is_not_scanned_anew(full_mri):
    case = dataclasses.replace(full_mri, truth_source="full reconstruction")
    assert realisations(case, count=2, seed=0).ratio == pytest.approx(math.sqrt(2))


def test_noise_is_on_measured_samples_only(mri):
    scans = realisations(mri, count=2, seed=0)
    assert all(bool((y[0, 0][~mri.operator.mask] == 0).all()) for y in scans.measurements)


def test_realisations_are_independent_and_repeatable(full_mri):
    few, many, other = (realisations(full_mri, count=n, seed=s) for n, s in ((2, 5), (3, 5), (2, 6)))
    assert torch.equal(few.measurements[1], many.measurements[1])
    assert not torch.equal(few.measurements[0], other.measurements[0])
    one, two = ((y - few.clean).flatten() for y in few.measurements)
    assert abs(torch.vdot(one, two) / one.norm() / two.norm()) < 5 / math.sqrt(len(one))


@pytest.mark.parametrize("level", [None, 0.0, math.nan])
def test_without_a_noise_level_there_is_one_scan(full_mri, level):
    scans = realisations(dataclasses.replace(full_mri, noise_std=level), count=5, seed=0)
    assert len(scans) == 1
    assert scans.ratio is None
    assert torch.equal(scans.measurements[0], full_mri.measurement)


def test_none_is_refused(full_mri):
    with pytest.raises(ConfigError, match="realisations"):
        realisations(full_mri, count=0, seed=0)
