"""Gaussian noise of the same norm."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.search.gaussian import gaussian_baseline


def test_noise_has_exactly_the_radius_and_lives_on_the_samples(lab, fourier, measurement):
    seen = []

    def network(y, A):
        seen.append(y - measurement)
        return A.pseudo_inverse(y)

    gaussian_baseline(network, fourier, measurement, radius=0.1, draws=3)
    assert len(seen) == 4
    for e in seen[1:]:
        torch.testing.assert_close(tensors.norm(e), 0.1 * tensors.norm(measurement), rtol=1e-4, atol=0)
        assert not e[..., ~fourier.mask].any()


def test_mean_square_change_of_a_linear_network_is_known(lab, fourier, measurement):
    """E ||M e||^2 = R^2 ||M P||_F^2 / dimension."""
    network = lab.ConjugateMixing(8, seed=1)
    matrix = lab.dense(network, fourier, measurement[:1].to(torch.complex128))
    dimension = 2 * int(fourier.mask.sum())
    expected = np.linalg.norm(matrix) / np.sqrt(dimension)
    change = gaussian_baseline(network, fourier, measurement, radius=0.1, draws=400)
    gain = change * tensors.norm(network(measurement, fourier)) / (0.1 * tensors.norm(measurement))
    np.testing.assert_allclose(gain.square().mean(0).sqrt(), [expected, expected], rtol=0.03)


def test_image_domain_sends_the_noise_through_the_operator(lab, fourier, measurement):
    change = gaussian_baseline(lambda y, A: A.pseudo_inverse(y), fourier, measurement, radius=0.1, domain="image", draws=50)
    # Only the measured share of white noise comes back.
    expected = 0.1 * fourier.mask.float().mean().sqrt().item()
    assert change.mean().item() == pytest.approx(expected, rel=0.05)


def test_no_draws_is_refused(lab, fourier, measurement):
    with pytest.raises(SearchError, match="draws"):
        gaussian_baseline(lab.SmallCNN(), fourier, measurement, radius=0.1, draws=0)


def test_noise_that_breaks_the_image_is_infinite_damage(lab, fourier, measurement):
    def network(y, A):
        image = A.pseudo_inverse(y)
        return image if torch.equal(y, measurement) else image * torch.nan

    change = gaussian_baseline(network, fourier, measurement, radius=0.1, draws=2)
    assert torch.isinf(change).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_noise_in_a_region_stays_in_it_and_is_noise_in_either_norm(fourier, measurement, norm):
    """Scaled to the radius as it is: not the corner of the cube, where all samples would have the largest modulus."""
    region = torch.zeros(8, 8, dtype=torch.bool)
    region[1:7] = True
    seen = []

    def network(y, A):
        seen.append(y - measurement)
        return A.pseudo_inverse(y)

    gaussian_baseline(network, fourier, measurement, radius=0.2, unit="absolute", draws=2, norm=norm, region=region)
    for e in seen[1:]:
        inside = e[0][..., region & fourier.mask].abs()
        size = inside.max() if norm == "linf" else inside.norm()
        assert size.item() == pytest.approx(0.2, rel=1e-4)
        assert inside.std() > 0.2 * inside.mean()
        assert not e[..., ~(region & fourier.mask)].any()


def test_a_word_that_is_no_option_is_refused(lab, fourier, measurement):
    with pytest.raises(SearchError, match="relative"):
        gaussian_baseline(lab.SmallCNN(), fourier, measurement, radius=0.1, relative=False)
