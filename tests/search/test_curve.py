"""The curve over radii never falls, its witnesses are feasible and it is at least as good as separate searches."""

from __future__ import annotations

import itertools

import pytest
import torch

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators import Identity
from stabtest.search.curve import worst_case_curve
from stabtest.search.worst_case import worst_case

RADII = [0.02, 0.05, 0.1, 0.3]


def test_curve_never_falls_and_is_feasible(lab, fourier, measurement):
    curve = worst_case_curve(lab.SmallCNN(3), fourier, measurement, radii=RADII, evaluations=8)
    for small, large in itertools.pairwise(curve):
        assert (large.objective >= small.objective).all()
    for radius, case in zip(RADII, curve, strict=True):
        torch.testing.assert_close(case.radius, radius * tensors.norm(measurement))
        assert (tensors.norm(case.perturbation.to(torch.complex128)) <= case.radius.double() * (1 + 1e-6)).all()
        assert (case.violation <= 1e-6).all()


def test_curve_finds_no_less_than_separate_searches(lab, fourier, measurement):
    network = lab.SmallCNN(3)
    curve = worst_case_curve(network, fourier, measurement, radii=RADII, evaluations=40)
    alone = [worst_case(network, fourier, measurement, radius=radius, evaluations=40) for radius in RADII]
    assert all((together.objective >= 0.995 * single.objective).all() for together, single in zip(curve, alone, strict=True))


def test_network_that_saturates_takes_over_the_witness_of_a_smaller_radius(fourier, measurement):
    """Damage peaks inside the ball and vanishes on its large spheres; the envelope holds what was found below."""
    size = tensors.norm(measurement)

    def hump(y, A):
        part = tensors.norm(y - measurement) / size
        return A.pseudo_inverse(measurement + tensors.scale(y - measurement, torch.exp(-((part / 0.1) ** 2))))

    curve = worst_case_curve(hump, fourier, measurement, radii=[0.07, 0.5], evaluations=12)
    assert (curve[1].objective >= curve[0].objective).all()
    assert torch.equal(curve[1].perturbation, curve[0].perturbation)
    assert (curve[1].radius > 5 * curve[0].radius).all()
    torch.testing.assert_close(curve[1].gain, curve[1].distance / tensors.norm(curve[1].perturbation))


def test_history_of_every_radius_rises_and_counts_its_evaluations(lab, fourier, measurement):
    for case in worst_case_curve(lab.SmallCNN(3), fourier, measurement, radii=RADII[:2], evaluations=30):
        for rows, value, size in zip(case.history, case.objective.tolist(), tensors.norm(case.clean).tolist(), strict=True):
            counts, values = zip(*rows, strict=True)
            assert list(counts) == sorted(counts)
            assert counts[-1] <= case.evaluations
            assert list(values) == sorted(values)
            assert values[-1] == pytest.approx(value / size, rel=1e-4)


@pytest.mark.parametrize("radii", [[], [0.2, 0.1], [0.0, 0.1], [0.1, 0.1]])
def test_radii_must_increase(lab, fourier, measurement, radii):
    with pytest.raises(SearchError, match="radii"):
        worst_case_curve(lab.SmallCNN(), fourier, measurement, radii=radii)


def test_infinite_damage_stays_at_its_radius_and_goes_up():
    y = torch.ones(1, 1, 8, 8)
    curve = worst_case_curve(
        lambda y, A: 0.5 * y + 0 * torch.log(y[:, :, 3:4, 3:4] - 0.999),
        Identity((8, 8)),
        y,
        radii=[1e-4, 0.05, 0.1],
        evaluations=40,
    )
    assert [bool(torch.isinf(case.objective)) for case in curve] == [False, True, True]
    assert all(case.status == ["converged"] for case in curve[1:])


@pytest.mark.parametrize("evaluations", [1, 9, 16])
def test_every_radius_gets_its_budget_and_the_way_down_an_eighth_more(lab, fourier, measurement, evaluations):
    calls, inner = [], lab.SmallCNN()

    def network(y, A):
        calls.append(torch.is_grad_enabled())
        return inner(y, A)

    curve = worst_case_curve(network, fourier, measurement, radii=RADII, evaluations=evaluations, check=False)
    down = max(1, evaluations // 8)
    assert [case.evaluations for case in curve] == [evaluations + down] * 3 + [evaluations]
    assert calls.count(True) == sum(case.evaluations for case in curve)


def test_paths_of_both_ways_are_in_the_record(lab, fourier, measurement):
    curve = worst_case_curve(lab.SmallCNN(3), fourier, measurement, radii=RADII[:2], evaluations=40)
    ends = [path.evaluations for path in curve[0].paths]
    assert ends == [20, 40, 45]
    assert all(path.value.shape == (2,) for path in curve[0].paths)
    # A warm start of a quarter, then the rest in two.
    assert [path.evaluations for path in curve[1].paths] == [10, 25, 40]


def test_sets_in_words_reach_every_search(lab, fourier, measurement):
    region = torch.zeros(8, 8, dtype=torch.bool)
    region[:, 3:6] = True
    curve = worst_case_curve(
        lab.SmallCNN(3), fourier, measurement, radii=[0.1, 0.2], evaluations=8, norm="linf", region=region, unit="absolute"
    )
    for radius, case in zip([0.1, 0.2], curve, strict=True):
        assert case.perturbation.abs().amax().item() == pytest.approx(radius, rel=1e-5)
        assert not case.perturbation[..., ~region].any()
