import functools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from stabtest import phantoms
from stabtest.findings.physics_rows import TransferRow
from stabtest.stability.physics.contrast import contrast_statements, f50_interval
from stabtest.stability.physics.resolution import LEAST_CNR
from stabtest.stability.physics.ttf import task_transfer

N, REPETITIONS, SIDE = 6, 2500, 33
DISC = phantoms.disc(SIDE, centre=(16, 16), diameter=16)[None].double()


def blurred(sigma):
    f = torch.fft.fftfreq(SIDE, dtype=torch.float64)
    response = torch.exp(-2 * math.pi**2 * sigma**2 * (f[:, None] ** 2 + f**2))
    return torch.fft.ifft2(torch.fft.fft2(DISC) * response).real


def f50(images):
    return task_transfer(images, DISC, centre=(16, 16), radius=8).falls_to(0.5)


@functools.cache
def simulated(sigma, seed, n):
    """True f50, and those of the mean and with each realisation left out: edges in white noise, just above the gate."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(REPETITIONS, n, SIDE, SIDE, generator=generator, dtype=torch.float64) * math.sqrt(n) / LEAST_CNR
    images = blurred(sigma) + noise
    mean = images.mean(1, keepdim=True)
    every = torch.cat([mean, (n * mean - images) / (n - 1)], 1).reshape(-1, 1, SIDE, SIDE)
    return f50(blurred(sigma)).item(), f50(every).reshape(REPETITIONS, n + 1).tolist()


def row(contrast, f50, left_out=(), *, case="a", method="net", reliable=True, step=1.0):
    return TransferRow(
        case=case,
        method=method,
        quantity="value",
        diameter_px=16,
        contrast=contrast,
        sites=1,
        realisations=max(1, len(left_out)),
        noise_ratio=1,
        frequencies=[0, 0.5],
        transfer=[1, 0],
        step=step,
        f50=f50,
        f10=None,
        f50_interval=None,
        f50_left_out=list(left_out),
        left_out="noise realisations",
        edge_cnr=99,
        data_detectability=99,
        reliable=reliable,
    )


@pytest.mark.parametrize(("sigma", "n"), [(0.55, 6), (0.7, 6), (1.0, 6), (1.0, 4)])
def test_the_interval_covers_as_often_as_stated(sigma, n):
    true, values = simulated(sigma, 1, n)
    found = [f50_interval(first, rest, units="scans") for first, *rest in values]
    below = np.mean([i.lower <= true for i in found])
    above = np.mean([i.upper is None or i.upper >= true for i in found])
    assert below == pytest.approx(0.95, abs=0.02)
    assert above == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("sharp", "smooth"), [(0.7, 0.735), (0.7, 1.4), (0.55, 1.0)])
def test_the_bounds_of_the_fall_cover_as_often_as_stated(sharp, smooth):
    (high, of_high), (low, of_low) = simulated(sharp, 1, N), simulated(smooth, 2, N)
    covered = []
    for (one, *ones), (other, *others) in zip(of_high, of_low):
        (found,) = contrast_statements([row(0.2, one, ones), row(0.02, other, others)])
        covered.append((found.interval.lower <= 1 - low / high, found.interval.upper >= 1 - low / high))
    assert np.mean(covered, 0) == pytest.approx(0.95, abs=0.02)


def test_no_alarm_without_a_fall_more_often_than_stated():
    (_, of_high), (_, of_low) = simulated(1.0, 1, N), simulated(1.0, 2, N)
    alarms = 0
    for (one, *ones), (other, *others) in zip(of_high, of_low):
        (found,) = contrast_statements([row(0.2, one, ones), row(0.02, other, others)])
        alarms += found.statement.startswith("Resolves less")
    assert alarms / REPETITIONS <= 0.05


def test_the_standard_deviation_at_the_gate_is_what_is_written_there():
    for sigma, share in ((1.0, 0.02), (0.55, 0.04)):
        true, values = simulated(sigma, 1, N)
        assert np.std([first for first, *_ in values]) / true < share


def test_the_jackknife_of_periods_by_scipy():
    value, left_out = 0.21, [0.2, 0.215, 0.22, 0.205]
    pseudo = [4 / value - 3 / f for f in left_out]
    low, high = stats.t.interval(0.9, 3, np.mean(pseudo), stats.sem(pseudo))
    found = f50_interval(value, left_out, units="scans")
    assert (found.lower, found.upper) == pytest.approx((1 / high, 1 / low))


@pytest.mark.parametrize(("value", "left_out"), [(0.2, []), (0.2, [0.2]), (math.inf, [0.2, 0.2]), (0.2, [0.2, math.nan])])
def test_where_no_interval_can_be_had(value, left_out):
    assert f50_interval(value, left_out, units="scans") is None


def test_a_fall_is_stated():
    (found,) = contrast_statements([row(0.02, 0.1, [0.1, 0.101, 0.099]), row(0.5, 0.4, [0.4, 0.4, 0.4])])
    assert (found.high_contrast, found.low_contrast) == (0.5, 0.02)
    assert found.fall == pytest.approx(0.75)
    assert found.statement.startswith("Resolves less at low contrast: f50 is 75 % lower at contrast 0.02 than at 0.5")


def test_a_fall_below_what_matters_is_not_stated():
    (found,) = contrast_statements([row(0.02, 0.39, [0.39] * 3), row(0.5, 0.4, [0.4] * 3)])
    assert found.statement.startswith("No loss of resolution above 5 % shown: ")


def test_a_fall_within_its_noise_is_not_stated():
    (found,) = contrast_statements([row(0.02, 0.3, [0.4, 0.3, 0.22]), row(0.5, 0.4, [0.4] * 3)])
    assert found.statement.startswith("No loss of resolution above 5 % shown, and none excluded: f50 is 25 % lower")


def test_beyond_nyquist_counts_as_nyquist():
    both = contrast_statements([row(0.02, math.inf, [math.inf] * 3), row(0.5, math.inf, [math.inf] * 3)])[0]
    assert both.fall == 0
    assert "the same within" in both.statement
    one = contrast_statements([row(0.02, 0.25, [0.25] * 3), row(0.5, math.inf, [math.inf] * 3)])[0]
    assert one.fall == pytest.approx(0.5)


def test_a_lost_edge_is_not_compared_but_named():
    lost = row(0.02, None, step=0.04, reliable=False)
    (found,) = contrast_statements([lost, row(0.5, 0.4, [0.4] * 3)])
    assert found.fall is None
    assert found.statement.startswith("Not compared: 4 % of the edge came back at contrast 0.02")


def test_dark_discs_count_by_their_modulus():
    found = contrast_statements([row(-0.5, 0.4, [0.4] * 3), row(0.1, 0.2, [0.2] * 3)])
    assert [(s.high_contrast, s.low_contrast) for s in found] == [(-0.5, 0.1)]


def test_patients_and_not_cases_are_counted():
    rows = [
        row(contrast, f, [f] * 3, case=case)
        for case, fall in (("a", 0.2), ("b", 0.3), ("c", 0.4))
        for contrast, f in ((0.5, 0.4), (0.02, 0.4 * (1 - fall)))
    ]
    over = contrast_statements(rows, patients={"a": "one", "b": "one"})[-1]
    assert over.case is None
    assert over.fall == pytest.approx((0.25 + 0.4) / 2)
    assert "2 patients" in over.interval.method
    assert [s.case for s in contrast_statements(rows, patients=dict.fromkeys("abc", "one"))] == ["a", "b", "c"]


def test_cases_that_could_not_be_compared_are_counted():
    rows = [row(c, f, [f] * 3, case=case) for case in "ab" for c, f in ((0.5, 0.4), (0.02, 0.2))]
    rows += [row(0.5, 0.4, [0.4] * 3, case="c"), row(0.02, None, case="c", step=0.0, reliable=False)]
    assert contrast_statements(rows)[-1].statement.endswith("; 1 of 3 cases not compared.")


def test_more_contrasts_need_a_wider_bound():
    low = [0.3, 0.31, 0.29]
    one = contrast_statements([row(0.5, 0.4, [0.4] * 3), row(0.1, 0.3, low)])[0]
    two = contrast_statements([row(0.5, 0.4, [0.4] * 3), row(0.1, 0.3, low), row(0.02, 0.3, low)])[0]
    assert two.interval.lower < one.interval.lower
    assert two.interval.level == one.interval.level == 0.95


def test_methods_are_kept_apart():
    rows = [row(c, f, [f] * 3, method=m) for m, low in (("x", 0.4), ("y", 0.2)) for c, f in ((0.5, 0.4), (0.1, low))]
    found = {s.method: s.statement for s in contrast_statements(rows)}
    assert found["x"].startswith("No loss")
    assert found["y"].startswith("Resolves less")
