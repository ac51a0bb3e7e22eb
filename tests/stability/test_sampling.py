import dataclasses

import numpy as np
import pytest
import torch

from reconstructors.tv import TotalVariation
from stabtest import phantoms
from stabtest.errors import ConfigError, DataError
from stabtest.findings.records import SamplingRow
from stabtest.operators import sampling_fraction
from stabtest.stability.cases import Method
from stabtest.stability.sampling import SamplingTest, statements

LEVELS = (0.2, 0.35, 0.6, 1.0)
DIRECT = Method("direct", "reference", lambda y, A: A.pseudo_inverse(y))


def spoilt(y, A):
    """A network that is right up to 35 % of the samples, and brightens the image with every sample beyond."""
    return A.pseudo_inverse(y) * (1 + 3 * max(0.0, sampling_fraction(A.mask) - 0.35))


def cases(make_mri, seed, count=3):
    return [
        make_mri(7 * seed + k, size=32, trained=0.35, phantom=phantoms.ellipses(64, seed=7 * seed + k)) for k in range(count)
    ]


def rows(method, cases, levels=LEVELS):
    test = SamplingTest(levels, pictures=False)
    return [row for case in cases for row in test.measure(method, case).rows]


def test_a_network_that_degrades_beyond_training_is_caught(make_mri):
    found = statements(rows(Method("net", "under test", spoilt), cases(make_mri, 0)))
    poorer = [s for s in found if s.statement.startswith("More samples, poorer image")]
    assert {round(s.from_fraction, 2) for s in poorer} <= {0.34, 0.35, 0.36, 0.59, 0.6}
    assert any(s.to_fraction == 1.0 for s in poorer)
    assert found[0].change < 0


@pytest.mark.parametrize("seed", range(20))
def test_no_false_alarm_on_the_zero_filled_image(make_mri, seed):
    found = statements(rows(DIRECT, cases(make_mri, seed)))
    assert not any("poorer" in s.statement for s in found)


def test_no_false_alarm_on_total_variation(make_mri):
    tv = Method("tv", "reference", TotalVariation(weight=1e-3, iterations=60))
    found = statements(rows(tv, cases(make_mri, 3), levels=(0.2, 0.35, 0.7)))
    assert all(s.change < 0 for s in found)
    assert not any("poorer" in s.statement for s in found)


def test_no_false_alarm_on_filtered_back_projection(make_ct):
    found = statements(rows(DIRECT, [make_ct(seed) for seed in range(3)], levels=(10, 20, 40)))
    assert all("better" in s.statement for s in found)


def test_views_are_called_views(make_ct):
    found = statements(rows(DIRECT, [make_ct(0, views=20)], levels=(10, 20, 40)))
    assert found[-1].statement.startswith("From 20 to 40 views (100 % to 200 % of the trained number) NRMSE fell")


def test_false_alarms_are_as_rare_as_stated():
    """Nothing depends on the samples: any "poorer" in any comparison at most 5 % of the time."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(600):
        made = [
            SamplingRow(case=str(k), method="m", count=c, fraction=c / 4, trained=c == 2, nrmse=rng.normal(0.2, 0.01), psnr=0)
            for k in range(5)
            for c in (1, 2, 3, 4)
        ]
        alarms += any("poorer" in s.statement for s in statements(made))
    assert alarms / 600 <= 0.07


def test_with_one_patient_nothing_is_said(make_mri):
    found = statements(rows(Method("net", "under test", spoilt), cases(make_mri, 0, count=1)))
    assert all(s.interval is None for s in found)
    assert not any("poorer" in s.statement for s in found)


def test_two_images_of_one_patient_are_one_patient(make_mri):
    pair = cases(make_mri, 0, count=2)
    found = statements(rows(Method("net", "under test", spoilt), pair), patients={case.name: "one" for case in pair})
    assert all(s.interval is None for s in found)


def test_the_trained_level_is_compared_with_the_most_samples(make_mri):
    found = statements(rows(DIRECT, cases(make_mri, 0)))
    spans = [(round(s.from_fraction, 1), s.to_fraction) for s in found]
    assert spans[-1] == (0.3, 1.0)
    assert len(found) == 4


def test_more_is_a_superset_with_the_same_noise(make_mri):
    case = make_mri(0)
    few, many = case.resample(0.3), case.resample(0.6)
    measured = few.measurement != 0
    assert torch.equal(few.measurement[measured], many.measurement[measured])


def test_pictures_of_the_fewest_the_trained_and_the_most(make_mri):
    case = make_mri(0, trained=0.35)
    shown = SamplingTest(LEVELS).measure(DIRECT, case).pictures
    assert len({picture.count for picture in shown}) == 3
    assert {picture.role for picture in shown} == {"clean", "difference"}


def test_a_case_without_truth_is_refused(mri):
    with pytest.raises(DataError, match="a truth"):
        SamplingTest(LEVELS).measure(DIRECT, dataclasses.replace(mri, truth=None))


def test_a_case_that_cannot_be_resampled_is_refused(mri):
    with pytest.raises(DataError, match="other levels"):
        SamplingTest(LEVELS).measure(DIRECT, dataclasses.replace(mri, resample=None))


def test_one_level_is_no_sweep():
    with pytest.raises(ConfigError, match="two different"):
        SamplingTest((0.5, 0.5))
