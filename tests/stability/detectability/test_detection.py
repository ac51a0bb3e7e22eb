import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from stabtest import metrics
from stabtest.errors import ConfigError, DataError
from stabtest.operators import Identity
from stabtest.stability.cases import Case, Method
from stabtest.stability.detectability import DetectabilityTest, export_study, thresholds
from stabtest.stability.detectability.channels import laguerre_gauss, matched_width
from stabtest.stability.detectability.figures import auc_of
from stabtest.stability.insertion import insert_lesion
from stabtest.stability.structure import places

DIRECT = Method("direct", "reference", lambda y, A: A.pseudo_inverse(y))


def square(noise=0.3, size=32):
    image = torch.zeros(1, 1, size, size, dtype=torch.float64)
    image[..., 3:-3, 3:-3] = 1
    return Case(
        "square", "square", "other", Identity((size, size)), image, truth=image, truth_source="phantom", noise_std=noise
    )


def method(reconstruct):
    return Method("net", "under test", reconstruct)


def blur(y, A):
    """A linear method that spreads what is small."""
    return metrics.smooth(A.pseudo_inverse(y), sigma=6.0)


def holds(interval, value):
    return interval.lower <= value <= interval.upper


def test_the_identity_reaches_the_ideal_observer():
    """White noise and a known signal: the fixed template is the ideal observer; 120 lesions, each with noise of its own."""
    test = DetectabilityTest(
        diameters_px=(4.0,), contrasts=(0.15, 0.3), observers=("npw",), realisations=100, sham=False, batch=100
    )
    rows = [row for seed in range(60) for row in test.measure(DIRECT, square(), seed=seed).rows]
    ideal, found = (np.array([getattr(row, name) for row in rows]) for name in ("data_detectability", "detectability"))
    apart = (found - ideal) / np.sqrt(2 / 100 + ideal**2 / 400)
    assert abs(apart.mean()) < 3 / math.sqrt(len(rows))
    assert apart.std() == pytest.approx(1, abs=0.2)
    for name, truth in (("detectability", "data_detectability"), ("auc", "ideal_auc")):
        missed = sum(not holds(getattr(row, f"{name}_interval"), getattr(row, truth)) for row in rows)
        assert missed <= stats.binom.ppf(0.999, len(rows), 0.1)


def analytic(case, detail, direct, template, channels):
    """Mean and covariance of the responses of a linear method, by products with its transpose."""
    y = torch.zeros_like(case.measurement, requires_grad=True)
    image = direct(y, case.operator)
    signal = direct(detail.data, case.operator)[0, 0].double().flatten().numpy()
    transposed = [
        torch.autograd.grad(image, y, w.to(image.dtype)[None, None], retain_graph=True)[0] for w in [template, *channels]
    ]
    back = np.stack([t.double().flatten().numpy() for t in transposed])
    covariance = case.noise_std**2 * back @ back.T
    w = np.stack([u.double().flatten().numpy() for u in [template, *channels]])
    means = w @ signal
    npw = means[0] / math.sqrt(covariance[0, 0])
    cho = math.sqrt(means[1:] @ np.linalg.solve(covariance[1:, 1:], means[1:]))
    return npw, cho


def test_filtered_back_projection_reaches_its_closed_forms(make_ct):
    case = make_ct(size=32, views=24, std=0.02)
    test = DetectabilityTest(
        diameters_px=(4.0,), contrasts=(0.1,), realisations=1000, training=1000, count=4, sham=False, batch=200
    )
    npw, cho = test.measure(DIRECT, case, seed=0).rows
    site = places(case, diameter=4.0, count=1, seed=0)[0]
    detail = insert_lesion(case, case.operator.refine(2), site=site, diameter=4.0, contrast=0.1)
    channels = laguerre_gauss((32, 32), centre=site, width=matched_width(4.0), count=4)
    expected = analytic(case, detail, DIRECT.reconstruct, detail.template[0, 0], channels)
    assert holds(npw.detectability_interval, expected[0])
    assert npw.detectability == pytest.approx(expected[0], rel=0.1)
    assert npw.auc == pytest.approx(auc_of(expected[0]), abs=0.03)
    assert cho.detectability == pytest.approx(expected[1], rel=0.1)
    assert max(expected) < npw.data_detectability  # no image holds more than the data


def test_magnitudes_in_the_scanner_come_close_to_the_ideal(make_mri):
    """Full sampling, high signal to noise: the modulus keeps the noise along the phase, which is all that matters."""
    case = make_mri(fraction=1.0, std=0.03, size=32)
    test = DetectabilityTest(
        diameters_px=(4.0,), contrasts=(0.05,), realisations=400, observers=("npw",), sham=False, batch=100
    )
    (row,) = test.measure(DIRECT, case, seed=0).rows
    assert row.detectability == pytest.approx(row.data_detectability, rel=0.15)
    real = method(lambda y, A: A.pseudo_inverse(y).abs())
    assert test.measure(real, case, seed=0).rows[0].detectability == pytest.approx(row.detectability, rel=1e-4)


SMALL = DetectabilityTest(diameters_px=(3.0,), contrasts=(0.2,), realisations=100, training=60, sham=False, batch=100)


def test_a_method_that_erases_lesions_is_at_chance():
    """A network that trusts its prior: what is within six standard deviations of the image it expects, it takes for noise."""
    case = square()

    def eraser(y, A):
        unlike = y - case.truth
        return case.truth + unlike * (unlike.abs() > 6 * case.noise_std)

    test = dataclasses.replace(SMALL, contrasts=(0.6,))
    for erased, kept in zip(test.measure(method(eraser), case).rows, test.measure(DIRECT, case).rows):
        assert kept.auc > 0.95
        assert erased.auc == pytest.approx(0.5, abs=0.05)
        assert erased.carried
        assert erased.auc_interval is None or erased.auc_interval.upper < kept.auc_interval.lower


def test_the_last_bit_of_an_image_is_no_detection(ct):
    """The same image up to its own rounding: a trace of the lesion below the precision of the numbers counts as a tie."""
    trace = method(lambda y, A: ct.truth + 3e-9 * A.pseudo_inverse(y))
    quick = dataclasses.replace(SMALL, contrasts=(6.0,), realisations=20, training=25)
    assert all(row.auc == 0.5 for row in quick.measure(trace, ct).rows)


def test_averaging_over_large_blocks_comes_near_to_chance():
    """A lesion of three pixels in the mean of 256 is lost in the noise of that mean."""
    case = square()

    def blocks(y, A):
        return torch.nn.functional.avg_pool2d(y, 16).repeat_interleave(16, -1).repeat_interleave(16, -2)

    test = dataclasses.replace(SMALL, contrasts=(0.3,), realisations=400, observers=("npw",))
    blurred, sharp = (test.measure(m, case).rows[0] for m in (method(blocks), DIRECT))
    assert sharp.auc > 0.85
    assert blurred.auc < 0.65
    assert blurred.auc_interval.upper < sharp.auc_interval.lower


def test_a_network_that_always_returns_the_same_image_is_at_one_half(mri, ct):
    for case in (mri, ct):
        memoriser = method(
            lambda y, A, case=case: case.truth.expand(len(y), -1, -1, -1) * (1 + 0 * y.real.flatten(1)[:, :1, None, None])
        )
        quick = dataclasses.replace(SMALL, realisations=20, training=25)
        for row in quick.measure(memoriser, case).rows:
            assert (row.auc, row.detectability, row.auc_interval) == (0.5, 0.0, None)


def test_a_method_that_invents_lesions_everywhere_detects_nothing():
    """Always the same lesion at the very place: a convincing image, and an AUC of 1/2."""
    case = square()
    site = places(case, diameter=3.0, count=1, seed=0)[0]
    lesion = insert_lesion(case, case.operator.refine(2), site=site, diameter=3.0, contrast=0.2).template
    inventor = method(lambda y, A: (case.truth + lesion).expand(len(y), -1, -1, -1))
    assert all(row.auc == 0.5 for row in SMALL.measure(inventor, case, seed=0).rows)


def test_shams_raise_no_more_alarms_than_the_level_allows():
    """Twenty seeds, two observers: at 5 % up to 5 of 40 may happen (binomial, 0.95 %); at a level shared among all 40, none."""
    test = DetectabilityTest(diameters_px=(4.0,), contrasts=(0.3,), realisations=40, training=30, batch=100)
    shams = [row for seed in range(20) for row in test.measure(DIRECT, square(size=24), seed=seed).rows if row.contrast == 0]
    assert len(shams) == 40
    alarms = sum(row.auc_interval.lower > 0.5 for row in shams)
    assert alarms <= stats.binom.ppf(0.99, 40, 0.05)
    assert all(row.ideal_auc == 0.5 and not row.carried and row.data_detectability == 0 for row in shams)
    # Exact permutation distribution of the Mann-Whitney statistic, Bonferroni over the 40.
    critical = 0.5 + stats.norm.isf(0.05 / 40) * math.sqrt(81 / (12 * 40 * 40))
    assert all(row.auc < critical for row in shams)


def test_all_methods_get_the_same_noise(ct):
    heard = []
    for _ in range(2):
        seen = []
        listening = method(lambda y, A, seen=seen: (seen.append(y.clone()), A.pseudo_inverse(y))[1])
        dataclasses.replace(SMALL, realisations=20, training=25).measure(listening, ct, seed=3)
        heard.append(torch.cat(seen))
    assert bool((heard[0] == heard[1]).all())
    unlike = heard[0][1:] - heard[0][1:].mean(0)  # the first is the clean measurement
    assert len({float(n.flatten()[0]) for n in unlike}) == 2 * 20 + 2 * 25


def test_no_observer_beats_the_data(make_mri):
    """Whatever the method: the bounds do not lie above the AUC of the ideal observer."""
    case = make_mri(fraction=0.35, std=0.01, size=32)
    test = DetectabilityTest(diameters_px=(3.0,), contrasts=(0.03, 0.06), realisations=60, training=30, batch=100)
    for reconstruct in (DIRECT.reconstruct, lambda y, A: A.pseudo_inverse(y).abs() ** 3, blur):
        for row in test.measure(method(reconstruct), case, seed=1).rows:
            if row.contrast:
                assert row.auc_interval.lower <= row.ideal_auc


def test_thresholds_of_the_identity_are_those_of_the_ideal_observer():
    test = DetectabilityTest(
        diameters_px=(3.0, 6.0), contrasts=(0.05, 0.1, 0.2, 0.4), observers=("npw",), realisations=300, sham=False, batch=300
    )
    for row in thresholds(test.measure(DIRECT, square(noise=0.4), seed=0).rows):
        assert holds(row.interval, row.ideal_threshold)
        assert row.threshold == pytest.approx(row.ideal_threshold, rel=0.2)


def test_a_lesion_that_the_data_do_not_carry_is_said_to_be_so():
    faint = dataclasses.replace(SMALL, contrasts=(0.01,), realisations=20, training=25)
    row = faint.measure(DIRECT, square()).rows[0]
    assert not row.carried
    assert row.ideal_auc < 0.75


def test_contrasts_are_found_for_the_noise_of_the_case(make_mri, make_ct):
    """By default the lesions are as hard for the ideal observer whatever noise, size and scan, so that thresholds can be had."""
    test = DetectabilityTest(diameters_px=(3.0, 5.0), realisations=40, training=25, sham=False, batch=100)
    for case in (make_mri(fraction=1.0, std=0.002, size=32), make_ct(size=32, views=24, std=0.05)):
        rows = test.measure(DIRECT, case).rows
        assert [row.data_detectability for row in rows] == pytest.approx([1, 1, 2, 2, 4, 4] * 2, rel=1e-3)
        assert all(row.threshold is not None for row in thresholds(rows))


def test_dark_lesions_are_looked_for_as_dark():
    dark = dataclasses.replace(SMALL, contrasts=(-0.6,))
    assert all(row.auc > 0.9 for row in dark.measure(DIRECT, square()).rows)


def test_difference_of_gaussians_channels_work_too():
    test = dataclasses.replace(
        SMALL, contrasts=(0.6,), channels="difference of gaussians", count=10, training=100, observers=("cho",)
    )
    (row,) = test.measure(DIRECT, square()).rows
    assert row.auc > 0.85
    assert row.channels == 10


def test_progress_and_rows(ct):
    steps = []
    test = DetectabilityTest(diameters_px=(3.0, 5.0), contrasts=(0.1, 0.2), sites=2, realisations=20, training=25)
    found = test.measure(DIRECT, ct, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(k, 12) for k in range(1, 13)]
    assert len(found.rows) == 24
    assert [row.contrast for row in found.rows[:6]] == [0.1, 0.1, 0.2, 0.2, 0.0, 0.0]
    assert {(row.observer, row.training, row.channels) for row in found.rows} == {("npw", 0, 0), ("cho", 25, 5)}


def test_the_scored_images_can_be_written(tmp_path, ct):
    test = dataclasses.replace(SMALL, realisations=20, observers=("npw",))
    (study,) = test.studies(DIRECT, ct, seed=2)
    absent, present = test.test_images(DIRECT, ct, study)
    template = study.detail.template[0, 0].double()
    assert np.allclose((present[:, 0].double() * template).sum((1, 2)).numpy(), study.scores["npw"][1], rtol=1e-5)
    export_study(tmp_path, absent, present, scores=study.scores)
    assert len(list((tmp_path / "signal_present").glob("*.raw"))) == 20


@pytest.mark.parametrize("level", [None, 0.0])
def test_a_case_without_a_noise_level_cannot_be_tested(ct, level):
    with pytest.raises(DataError, match="standard deviation of the noise"):
        SMALL.measure(DIRECT, dataclasses.replace(ct, noise_std=level))


@pytest.mark.parametrize(
    "settings",
    [
        {"diameters_px": ()},
        {"diameters_px": (0.0,)},
        {"contrasts": (0.1, 0.0)},
        {"levels": ()},
        {"levels": (0.0, 1.0)},
        {"sites": 0},
        {"batch": 0},
        {"realisations": 19},
        {"training": 24},
        {"observers": ()},
        {"observers": ("human",)},
        {"channels": "gabor"},
    ],
)
def test_impossible_settings(settings):
    with pytest.raises(ConfigError, match="detectability"):
        DetectabilityTest(**settings)
