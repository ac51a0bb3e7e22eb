"""Words in, a set out: each against the set built by hand."""

from __future__ import annotations

import pytest
import torch

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators import Fourier, Radon
from stabtest.search.admissible import SetOptions, admissible_set
from stabtest.search.constraints import ImageBall, MeasurementBall


def test_without_a_word_a_euclidean_ball_relative_to_the_measurement(fourier, measurement):
    found = admissible_set(fourier, measurement, radius=0.1)
    assert isinstance(found, MeasurementBall)
    assert (found.norm, found.region, found.floor) == ("l2", None, None)
    torch.testing.assert_close(found.radius, 0.1 * tensors.norm(measurement))


def test_each_image_may_have_its_own_radius(fourier, measurement):
    found = admissible_set(fourier, measurement, radius=torch.tensor([0.1, 0.3]), unit="absolute")
    torch.testing.assert_close(found.radius, torch.tensor([0.1, 0.3]))


def test_the_image_domain_is_relative_to_the_truth(fourier, measurement):
    truth = 7 * fourier.pseudo_inverse(measurement)
    found = admissible_set(fourier, measurement, radius=0.1, domain="image", truth=truth)
    assert isinstance(found, ImageBall)
    torch.testing.assert_close(found.radius, 0.1 * tensors.norm(truth))


def test_the_largest_norm_is_relative_to_the_largest_sample(fourier, measurement):
    found = admissible_set(fourier, measurement, radius=0.1, norm="linf")
    torch.testing.assert_close(found.radius, 0.1 * measurement.abs().amax((1, 2, 3)))
    corner = found.maximise_linear(measurement)
    assert corner.abs().amax().item() == pytest.approx(found.radius.max().item())


def test_noise_is_counted_where_the_perturbation_may_be(fourier, measurement):
    """Twice the norm of complex noise of 0.1 a part, on the measured samples of the region."""
    region = torch.zeros(8, 8, dtype=torch.bool)
    region[2:5] = True
    samples = int((region & fourier.mask).sum())
    whole = admissible_set(fourier, measurement, radius=2.0, unit="noise", noise_std=0.1).radius
    part = admissible_set(fourier, measurement, radius=2.0, unit="noise", noise_std=0.1, region=region).radius
    assert (part / whole).tolist() == pytest.approx([(samples / int(fourier.mask.sum())) ** 0.5] * 2)


def test_non_negative_measurements_stay_so_and_negative_ones_fall_no_further():
    A = Radon(8, 5)
    y = A(torch.ones(1, 1, 8, 8)) - 0.5
    assert (y < 0).any()
    found = admissible_set(A, y, radius=10.0, nonnegative=True)
    lowest = y + found.maximise_linear(-torch.ones_like(y))
    assert (lowest >= y.clamp_max(0) - 1e-6).all()
    free = admissible_set(A, y, radius=10.0, nonnegative=False)
    assert (y + free.maximise_linear(-torch.ones_like(y)) < y.clamp_max(0) - 1).any()


def test_every_word_reaches_the_set(fourier, measurement):
    region = torch.zeros(8, 8, dtype=torch.bool)
    region[3] = True
    found = admissible_set(fourier, measurement, radius=0.1, norm="linf", region=region, domain="image", unit="absolute")
    assert (type(found), found.norm, found.region is region) == (ImageBall, "linf", True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(relative=False), "relative"),
        (dict(steps=8, jacobian_steps=1), "jacobian_steps, steps"),
        (dict(floor=torch.zeros(1)), "floor"),
        (dict(norm="l1"), "'l2' or 'linf'"),
        (dict(norm="l1", unit="noise", noise_std=0.1), "'l2' or 'linf'"),
        (dict(unit="percent"), "unit"),
        (dict(unit="noise"), "noise"),
        (dict(domain="k-space"), "domain"),
        (dict(nonnegative=True), "no order"),
        (dict(nonnegative=True, domain="image"), "image domain"),
        (dict(region=torch.zeros(8, 8, dtype=torch.bool)), "region"),
    ],
)
def test_what_is_no_set_is_refused_by_name(fourier, measurement, options, words):
    with pytest.raises(SearchError, match=words):
        admissible_set(fourier, measurement, radius=0.1, **options)


def test_the_words_are_those_that_are_explained():
    described = SetOptions.__doc__
    assert described is not None
    for word in SetOptions.__annotations__:
        assert f"\n    {word}\n" in described, word


def test_an_empty_measurement_has_no_relative_radius():
    A = Fourier(torch.ones(4, 4, dtype=torch.bool))
    with pytest.raises(SearchError, match="zeros"):
        admissible_set(A, A.range.zeros(1), radius=0.1)
