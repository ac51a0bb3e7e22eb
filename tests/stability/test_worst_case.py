import dataclasses
import math

import numpy as np
import pytest
import torch

from stabtest.errors import ConfigError, SearchError
from stabtest.operators import Identity
from stabtest.stability.cases import Case, Method
from stabtest.stability.region import Region
from stabtest.stability.worst_case import WorstCaseTest, monotone, replay

DIRECT = Method("direct", "reference", lambda y, A: A.pseudo_inverse(y))
TEST = WorstCaseTest(radii=(0.05, 0.01), evaluations=16, noise_draws=3)


def fragile(y, A):
    """Linear but for one direction of k-space, which it blows up."""
    image = A.pseudo_inverse(y)
    pattern = torch.zeros_like(y)
    pattern[..., 24, 26] = 1
    return image + 60 * (y * pattern).sum((-2, -1), keepdim=True) / 48 * torch.ones_like(image)


@pytest.fixture(scope="module")
def direct(mri):
    return TEST.measure(DIRECT, mri, seed=0)


def test_an_isometry_changes_by_the_radius(direct, mri):
    """Zero-filled from measured samples: gain 1 in every direction, also that of noise."""
    for row in direct.rows:
        assert row.gain == pytest.approx(1, abs=1e-4)
        assert row.relative_change == pytest.approx(row.radius, rel=1e-3)
        assert row.noise_change_median == pytest.approx(row.radius, rel=1e-3)
        assert row.violation <= 1e-6


def test_a_fragile_network_is_caught(mri):
    rows = TEST.measure(Method("net", "under test", fragile), mri, seed=0).rows
    assert all(row.gain > 40 for row in rows)
    assert all(row.relative_change > 5 * row.noise_change_max for row in rows)


def test_rows_are_ordered_and_never_fall(direct):
    assert [row.radius for row in direct.rows] == [0.01, 0.05]
    assert monotone(list(direct.rows))


def test_the_witness_does_what_the_row_says(mri):
    net = Method("net", "under test", fragile)
    found = TEST.measure(net, mri, seed=1)
    for row in found.rows:
        again = replay(found.witnesses[row.witness], net, mri)
        assert again["norm"] <= row.radius_absolute * (1 + 1e-6)
        assert again["gain"] == pytest.approx(row.gain, rel=1e-4)
        assert again["relative_change"] == pytest.approx(row.relative_change, rel=1e-4)


def test_the_witness_lives_on_measured_samples(direct, mri):
    unmeasured = ~mri.operator.mask.numpy()
    assert all(np.abs(e[0][unmeasured]).max() == 0 for e in direct.witnesses.values())


def test_the_error_against_the_truth_stands_beside_the_clean_error(direct, mri):
    from stabtest import metrics

    clean = float(metrics.nrmse(mri.operator.pseudo_inverse(mri.measurement), mri.truth))
    for row in direct.rows:
        assert row.clean_error == pytest.approx(clean, rel=1e-5)
        assert row.relative_error is not None


def test_the_image_domain_in_ct(ct):
    test = WorstCaseTest(radii=(0.02,), domain="image", evaluations=6, noise_draws=2)
    found = test.measure(DIRECT, ct, seed=0)
    (row,) = found.rows
    assert row.radius_absolute == pytest.approx(0.02 * float(torch.linalg.vector_norm(ct.truth)), rel=1e-5)
    assert found.witnesses[row.witness].shape == (1, 48, 48)
    assert next(p for p in found.pictures if p.role == "perturbation").kind == "signed"


def test_a_magnitude_method_is_compared_with_the_magnitude(full_mri):
    method = Method("net", "under test", lambda y, A: A.pseudo_inverse(y).abs())
    test = WorstCaseTest(radii=(0.02,), objective="truth", evaluations=6, noise_draws=1)
    (row,) = test.measure(method, full_mri, seed=0).rows
    assert row.clean_error < 0.05
    assert row.relative_error <= row.clean_error + 0.021


def test_a_network_without_gradient_is_not_called_stable(mri):
    method = Method("net", "under test", lambda y, A: A.pseudo_inverse(y).detach())
    found = TEST.measure(method, mri, seed=0)
    assert all((row.status, row.gradient) == ("no usable gradient", "disconnected") for row in found.rows)
    assert all(0 < row.queries < row.evaluations for row in found.rows)
    assert found.evaluations == sum(row.evaluations - row.queries for row in found.rows)


def test_a_sound_gradient_is_called_healthy_and_asks_nothing_without_it(direct):
    assert all((row.gradient, row.queries) == ("healthy", 0) for row in direct.rows)


def test_the_same_seed_gives_the_same_rows(mri):
    net = Method("net", "under test", fragile)
    assert TEST.measure(net, mri, seed=2).rows == TEST.measure(net, mri, seed=2).rows


def test_pictures_at_the_largest_and_a_middle_radius():
    assert WorstCaseTest(radii=(0.01, 0.02, 0.05)).drawn == {0.05, 0.02}
    assert WorstCaseTest(radii=(0.03,)).drawn == {0.03}
    assert WorstCaseTest(pictures=False).drawn == frozenset()


def test_what_is_drawn(direct):
    roles = [(picture.role, picture.radius) for picture in direct.pictures]
    assert roles[0] == ("clean", None)
    assert {role for role, radius in roles if radius == 0.05} == {"perturbed", "difference", "perturbation"}
    assert len({picture.id for picture in direct.pictures}) == len(roles)


def test_the_truth_as_objective_needs_a_truth(mri):
    with pytest.raises(SearchError, match="truth"):
        WorstCaseTest(objective="truth").measure(DIRECT, dataclasses.replace(mri, truth=None))


def test_radii_must_be_positive():
    with pytest.raises(ConfigError, match="radii"):
        WorstCaseTest(radii=(0.0, 0.1))


def test_without_truth_there_is_no_error(mri):
    found = TEST.measure(DIRECT, Case("a", "a", "mri", mri.operator, mri.measurement), seed=0)
    assert all(row.relative_error is None for row in found.rows)


def cliff(y, A):
    """Half the image, and NaN as soon as one pixel falls below 0.999."""
    return 0.5 * y + 0 * torch.log(y[:, :, 3:4, 3:4] - 0.999)


@pytest.fixture(scope="module")
def broken():
    case = Case("a", "a", "other", Identity((8, 8)), torch.ones(1, 1, 8, 8), truth=torch.ones(1, 1, 8, 8))
    method = Method("net", "under test", cliff)
    return method, case, WorstCaseTest(radii=(1e-4, 0.05), evaluations=12, noise_draws=6).measure(method, case, seed=0)


def test_nan_under_an_admissible_perturbation_is_infinite_damage(broken):
    small, large = broken[2].rows
    assert math.isfinite(small.relative_change)
    assert {large.relative_change, large.relative_error, large.gain, large.local_damage} == {math.inf}
    assert large.noise_change_max == math.inf
    assert not math.isnan(large.noise_change_median)
    assert large.status == "converged"


def test_the_witness_of_infinite_damage_can_be_replayed(broken):
    method, case, found = broken
    assert replay(found.witnesses[found.rows[1].witness], method, case)["relative_change"] == math.inf


def test_infinite_damage_survives_json(broken):
    row = broken[2].rows[1]
    assert type(row).model_validate_json(row.model_dump_json()) == row


def test_pixels_that_are_not_finite_are_drawn_as_damage(broken):
    """Drawn as zero they would look like no change at all."""
    change = next(p for p in broken[2].pictures if p.role == "difference" and p.radius == 0.05)
    assert "64 of 64 pixels are not finite" in change.caption
    assert change.decode().min() == pytest.approx(change.window_high)


def quick(**settings):
    return WorstCaseTest(**{"radii": (0.02,), "evaluations": 12, "noise_draws": 2, "pictures": False, **settings})


def test_the_whole_budget_is_spent_and_no_more(mri):
    found = WorstCaseTest(radii=(0.01, 0.05), evaluations=16, noise_draws=1, pictures=False).measure(DIRECT, mri)
    assert [row.evaluations for row in found.rows] == [16 + 2, 16]  # an eighth more for the way down
    assert found.evaluations == 34


def test_stopping_early_spends_less_where_nothing_is_left_to_find(mri):
    full, early = (
        WorstCaseTest(radii=(0.02,), evaluations=100, stop_early=stop, noise_draws=1, pictures=False)
        .measure(DIRECT, mri)
        .rows[0]
        for stop in (False, True)
    )
    assert full.evaluations == 100
    assert early.evaluations < 100
    assert early.gain == pytest.approx(full.gain, rel=1e-3)


def test_radii_in_multiples_of_the_noise(mri):
    """The noise of n complex samples of standard deviation s has the norm s sqrt(n)."""
    (row,) = quick(radii=(3.0,), unit="noise").measure(DIRECT, mri).rows
    assert row.radius_absolute == pytest.approx(3 * mri.noise_std * math.sqrt(int(mri.operator.mask.sum())), rel=1e-5)
    assert (row.radius, row.unit) == (3.0, "noise")


def test_multiples_of_a_noise_that_is_not_known_are_refused(mri):
    for level in (None, 0.0):
        with pytest.raises(SearchError, match=r"noise.*relative"):
            quick(unit="noise").measure(DIRECT, dataclasses.replace(mri, noise_std=level))


def test_an_absolute_radius(ct):
    (row,) = quick(radii=(0.3,), unit="absolute").measure(DIRECT, ct).rows
    assert row.radius_absolute == pytest.approx(0.3)


def test_the_largest_modulus_of_a_sample(mri):
    found = quick(norm="linf").measure(DIRECT, mri)
    (row,) = found.rows
    e = found.witnesses[row.witness]
    assert np.abs(e).max() == pytest.approx(0.02 * float(mri.measurement.abs().max()), rel=1e-4)
    assert row.norm == "linf"
    assert row.violation <= 1e-6


def test_a_perturbation_stays_in_its_region(mri):
    region = Region("low_frequencies", below=0.25)
    found = quick(region=region).measure(Method("net", "under test", fragile), mri)
    (row,) = found.rows
    e, inside = found.witnesses[row.witness], region.of(mri.operator).numpy()
    assert np.abs(e[~inside]).max() == 0
    assert np.linalg.norm(e) == pytest.approx(row.radius_absolute, rel=1e-4)
    assert row.region == "frequencies below 0.25 of Nyquist"


def test_a_network_that_is_fragile_elsewhere_only_is_not_caught_in_a_region(mri):
    """Control: the fragile frequency is (24, 26), DC at (24, 24), that is 2/24 of Nyquist."""
    net = Method("net", "under test", fragile)
    inside, outside = (
        quick(region=region).measure(net, mri).rows[0].gain
        for region in (Region("low_frequencies", below=0.1), Region("high_frequencies", above=0.1))
    )
    assert inside > 40
    assert outside < 1.1


def test_a_measurement_that_stays_non_negative(ct):
    found = quick(radii=(0.3,), nonnegative=True).measure(DIRECT, ct)
    (row,) = found.rows
    perturbed = ct.measurement.numpy()[0] + found.witnesses[row.witness]
    # Where noise has made a sample negative already it may not fall further.
    assert (perturbed - np.minimum(ct.measurement.numpy()[0], 0)).min() >= -1e-6 * np.abs(perturbed).max()
    free = quick(radii=(0.3,)).measure(DIRECT, ct)
    assert (ct.measurement.numpy()[0] + free.witnesses[free.rows[0].witness]).min() < -1e-2  # control: unasked, it does not
    assert row.nonnegative


def test_local_damage_is_what_the_objective_local_maximises(ct):
    (row,) = quick(objective="local", evaluations=20).measure(DIRECT, ct).rows
    assert row.history[-1][1] == pytest.approx(row.local_damage, rel=1e-3)
    (other,) = quick(evaluations=20).measure(DIRECT, ct).rows
    assert row.local_damage > other.local_damage


def test_the_objective_ssim(mri):
    (row,) = quick(objective="ssim").measure(Method("net", "under test", fragile), mri).rows
    assert 0 < row.history[-1][1] <= 2
    assert row.objective == "ssim"


def test_spread_needs_two_starts(mri):
    """One path has none; on a linear method whose gain is 1 everywhere all end alike."""
    assert quick(evaluations=12).measure(DIRECT, mri).rows[0].spread is None
    assert quick(evaluations=40, restarts=2).measure(DIRECT, mri).rows[0].spread == pytest.approx(0, abs=1e-3)


def test_a_search_of_one_path_does_not_say_that_it_converged(mri):
    assert quick(evaluations=12).measure(DIRECT, mri).rows[0].status == "still rising"
    assert quick(evaluations=40).measure(DIRECT, mri).rows[0].status == "converged"


def test_the_default_can_converge():
    from stabtest.search.paths import plan

    assert len(plan(WorstCaseTest().evaluations)) > 1


def test_the_budget_is_stated_as_it_is_spent():
    words = WorstCaseTest(radii=(0.01, 0.02), evaluations=60, noise_draws=5).budget
    for part in ("60 evaluations", "3 paths of about 20", "2 from a fresh start", "1 again", "then 7 more", "5 draws"):
        assert part in words
    one = quick().budget
    assert "cannot say that it has converged" in one
    assert "radius below" not in one


@pytest.mark.parametrize(
    "settings",
    [
        {"evaluations": 0},
        {"restarts": 0},
        {"region": Region("box", rows=(0, 2), columns=(0, 2))},
        {"region": Region("low_frequencies", below=0.2), "domain": "image"},
    ],
)
def test_settings_that_make_no_search_are_refused(settings):
    with pytest.raises(ConfigError, match="worst_case"):
        WorstCaseTest(**settings)
