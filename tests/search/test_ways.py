"""Several derivatives of one method: the worst counts, and the method itself is the judge."""

from __future__ import annotations

import itertools

import pytest
import torch

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.search.curve import worst_case_curve
from stabtest.search.ways import curve_by_ways, ways_of

RADII = [0.02, 0.1]


class Split:
    """A network with a derivative of its own, which is bent for the second image, and another way, which is bent for the first."""

    def __init__(self, network, bent=(0.0, 0.95)):
        self.network, self.bent = network, torch.tensor(bent).reshape(-1, 1, 1, 1)

    def __call__(self, y, A):
        bent = self.bent[: len(y)]
        return self.network((1 - bent) * y + bent * torch.where(torch.arange(8) < 4, y, y.detach()), A)

    def differentiations(self):
        return {"first": self, "second": Split(self.network, (0.95, 0.0))}


class Boaster:
    """Its other way climbs, and claims, ten times the image."""

    def __call__(self, y, A):
        return A.pseudo_inverse(y)

    def differentiations(self):
        return {"honest": self, "boast": lambda y, A: 10 * A.pseudo_inverse(y)}


def test_each_image_takes_the_way_that_found_more(lab, fourier, measurement):
    found = curve_by_ways(Split(lab.SmallCNN(3)), fourier, measurement, radii=[0.1], evaluations=30)
    first, second = (curve[0].objective for curve in found.by_way.values())
    assert torch.equal(found.best[0].objective, torch.maximum(first, second))
    assert found.best[0].ways == tuple("second" if b > a else "first" for a, b in zip(first, second, strict=True))
    assert list(found.by_way) == ["first", "second"]


def test_a_sound_way_beside_a_bent_one_finds_what_the_network_with_a_sound_derivative_shows(lab, fourier, measurement):
    network = lab.SmallCNN(3)
    found = curve_by_ways(Split(network), fourier, measurement, radii=RADII, evaluations=30).best
    whole = worst_case_curve(network, fourier, measurement, radii=RADII, evaluations=30)
    assert all((a.objective > 0.99 * b.objective).all() for a, b in zip(found, whole, strict=True))


def test_the_bent_way_alone_finds_less(lab, fourier, measurement):
    """Control: along the second way the first image is attacked with a derivative that is not one."""
    (bent,) = curve_by_ways(Split(lab.SmallCNN(3)), fourier, measurement, radii=[0.1], evaluations=30).by_way["second"]
    (whole,) = worst_case_curve(lab.SmallCNN(3), fourier, measurement, radii=[0.1], evaluations=30)
    assert bent.objective[0] < 0.97 * whole.objective[0]


def test_the_method_itself_is_the_judge_whatever_a_way_claims(fourier, measurement):
    for found in curve_by_ways(Boaster(), fourier, measurement, radii=RADII, evaluations=6).best:
        torch.testing.assert_close(found.gain, torch.ones(2), rtol=1e-4, atol=0)
        again = fourier.pseudo_inverse(measurement + found.perturbation)
        torch.testing.assert_close(found.perturbed, again)


def test_a_method_with_one_way_is_searched_as_ever(lab, fourier, measurement):
    network = lab.SmallCNN(3)
    generator = torch.Generator().manual_seed(5)
    plain = worst_case_curve(network, fourier, measurement, radii=RADII, evaluations=8, generator=generator)
    found = curve_by_ways(network, fourier, measurement, radii=RADII, evaluations=8, seed=5)
    assert list(ways_of(network)) == [""]
    for a, b in zip(plain, found.best, strict=True):
        assert torch.equal(a.perturbation, b.perturbation)
        assert (a.evaluations, b.ways) == (b.evaluations, ())


def test_found_never_falls_with_the_radius_and_stays_in_the_set(lab, fourier, measurement):
    found = curve_by_ways(Split(lab.SmallCNN(3)), fourier, measurement, radii=[0.02, 0.05, 0.1], evaluations=8).best
    for small, large in itertools.pairwise(found):
        assert (large.objective >= small.objective).all()
    for radius, case in zip([0.02, 0.05, 0.1], found, strict=True):
        assert (tensors.norm(case.perturbation) <= radius * tensors.norm(measurement) * (1 + 1e-6)).all()


@pytest.mark.parametrize(("share", "further"), [(1.0, 12), (0.25, 3), (0.0, None)])
def test_a_further_way_gets_its_share_of_the_budget_and_all_of_it_is_counted(fourier, measurement, share, further):
    found = curve_by_ways(Boaster(), fourier, measurement, radii=[0.1], evaluations=12, share=share)
    spent = [curve[0].evaluations for curve in found.by_way.values()]
    assert spent == ([12] if further is None else [12, further])
    assert found.best[0].evaluations == sum(spent)


def test_progress_counts_through_all_ways(fourier, measurement):
    seen = []
    curve_by_ways(
        Boaster(), fourier, measurement, radii=RADII, evaluations=6, progress=lambda done, planned: seen.append((done, planned))
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert all(done <= planned for done, planned in seen)


def test_share_must_be_one(fourier, measurement):
    with pytest.raises(SearchError, match="share"):
        curve_by_ways(Boaster(), fourier, measurement, radii=RADII, share=1.5)
