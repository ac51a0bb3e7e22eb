"""Radii in their units, against NumPy and against noise as the project draws it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon
from stabtest.search.constraints import MeasurementBall
from stabtest.search.radius import absolute_radius, noise_size, reference_size
from stabtest.search.regions import low_frequencies, one_coil, views


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


MASK = torch.rand(12, 10, generator=seeded(0)) < 0.5
COILS = tensors.randn((3, 12, 10), dtype=torch.complex64, generator=seeded(1))
OPERATORS = [Fourier(MASK), MultiCoilFourier(MASK, COILS), Radon((12, 10), 5), Identity((12, 10))]
NAMES = [type(operator).__name__ for operator in OPERATORS]


def measured(operator, batch: int = 2):
    return operator.forward(operator.domain.randn(batch, generator=seeded(2)) + 1)


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("linf", np.inf)])
@pytest.mark.parametrize("operator", OPERATORS, ids=NAMES)
def test_relative_to_the_measured_samples(operator, norm, order):
    y = measured(operator) + 100 * (
        1 - operator.restrict(torch.ones_like(measured(operator)))
    )  # what is not measured is no matter
    expected = 0.3 * np.linalg.norm(np.abs(operator.restrict(y).numpy()).reshape(2, -1), ord=order, axis=1)
    found = absolute_radius(0.3, operator=operator, measurement=y, norm=norm)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("linf", np.inf)])
@pytest.mark.parametrize("known", [False, True])
def test_relative_to_the_image_and_to_the_truth_where_there_is_one(norm, order, known):
    operator = OPERATORS[0]
    y = measured(operator)
    image = 5 * operator.domain.randn(2, generator=seeded(3)) if known else operator.pseudo_inverse(y)
    found = absolute_radius(0.3, operator=operator, measurement=y, truth=image if known else None, domain="image", norm=norm)
    expected = 0.3 * np.linalg.norm(np.abs(image.numpy()).reshape(2, -1), ord=order, axis=1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_relative_is_to_the_whole_measurement_also_with_a_region():
    operator = OPERATORS[0]
    y, region = measured(operator), low_frequencies(operator, 0.3)
    whole = absolute_radius(0.1, operator=operator, measurement=y)
    assert torch.equal(absolute_radius(0.1, operator=operator, measurement=y, region=region), whole)


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("operator", OPERATORS[:3], ids=NAMES[:3])
def test_noise_is_as_large_as_noise_is(operator, cut):
    """Against draws made as `stabtest.audit.cases.simulate` makes them, in mean square, on the samples of the set."""
    regions = {"Fourier": lambda A: low_frequencies(A, 0.5), "MultiCoilFourier": lambda A: one_coil(A, 1)}
    region = regions.get(type(operator).__name__, lambda A: views(A, [0, 2]))(operator) if cut else None
    radius = absolute_radius(
        1.0, unit="noise", operator=operator, measurement=measured(operator, 1), noise_std=0.2, region=region
    )
    draws = 0.2 * operator.range.randn(4000, generator=seeded(4))
    kept = MeasurementBall(operator, radius, region=region).admissible(draws)
    assert tensors.norm(kept).square().mean().sqrt().item() == pytest.approx(radius.item(), rel=0.02)


def test_noise_of_a_sample_is_the_radius_in_the_largest_norm():
    operator = OPERATORS[1]
    y, sigma = measured(operator), torch.tensor([0.1, 0.3])
    found = absolute_radius(2.0, unit="noise", operator=operator, measurement=y, norm="linf", noise_std=sigma)
    torch.testing.assert_close(found, 2 * sigma)


def test_absolute_is_taken_as_it_is():
    y = measured(OPERATORS[2])
    found = absolute_radius(torch.tensor([3.0, 4.0]), unit="absolute", operator=OPERATORS[2], measurement=0 * y)
    assert found.tolist() == [3, 4]


@pytest.mark.parametrize("unit", ["relative", "noise", "absolute"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_radius_has_the_precision_of_the_measurement(unit, dtype):
    operator = OPERATORS[0]
    y = measured(operator).to(tensors.complex_dtype(dtype))
    assert absolute_radius(0.1, unit=unit, operator=operator, measurement=y, noise_std=0.1).dtype == dtype


def test_truth_of_another_precision_does_not_change_that_of_the_radius():
    operator = Identity((4, 4))
    truth = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    found = reference_size(operator, truth.float(), domain="image", norm="l2", truth=truth)
    assert (found.dtype, found.item()) == (torch.float32, 4)


def call(**changes):
    given = {"radius": 0.1, "operator": OPERATORS[0], "measurement": measured(OPERATORS[0]), **changes}
    return absolute_radius(given.pop("radius"), **given)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"measurement": functional.pad(measured(OPERATORS[0], 1), (0,) * 7 + (1,))}, "relative to a measurement of zeros"),
        ({"radius": torch.ones(3)}, r"a number, or shape \(2,\)"),
        ({"radius": torch.ones(2, 1)}, r"a number, or shape \(2,\)"),
        ({"unit": "percent"}, "percent"),
        ({"unit": "noise"}, "give noise_std"),
        ({"unit": "noise", "noise_std": 0.0}, "positive and finite"),
        ({"unit": "noise", "noise_std": float("inf")}, "positive and finite"),
        ({"unit": "noise", "noise_std": torch.ones(3)}, r"noise_std: expected a number, or shape \(2,\)"),
        ({"unit": "noise", "noise_std": 0.1, "domain": "image"}, "measurement domain"),
        ({"unit": "noise", "noise_std": 0.1, "region": torch.ones(3, 3, dtype=torch.bool)}, "broadcasts"),
        ({"unit": "noise", "noise_std": 0.1, "region": ~MASK}, "nothing in it is measured"),
        ({"domain": "image", "truth": torch.ones(3, 1, 12, 10)}, "one a measurement"),
    ],
)
def test_what_cannot_be_had_is_refused(changes, words):
    with pytest.raises(SearchError, match=words):
        call(**changes)


def test_noise_counts_samples_of_all_coils():
    operator = OPERATORS[1]
    y = measured(operator, 1)
    size = noise_size(operator, y, domain="measurement", norm="l2", noise_std=1.0, region=None)
    assert size.item() == pytest.approx(np.sqrt(3 * int(MASK.sum())))
