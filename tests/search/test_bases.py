"""Directions that a black-box search draws: where they live, what they contain, and on what they depend."""

from __future__ import annotations

import pytest
import torch

from stabtest import tensors
from stabtest.operators import Fourier, Radon
from stabtest.search.bases import Sight, damaged_places, low_frequency, mixture, pixel, pull_back, pulled
from stabtest.search.black_box import pseudo_inverse
from stabtest.search.constraints import ImageBall, MeasurementBall
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import Problem

BASES = {
    "pixel": pixel,
    "low": low_frequency(4),
    "pulled": pulled(4),
    "places": damaged_places(3),
    "mixture": mixture(pixel, pulled(4)),
}


def sight_of(operator, *, domain=MeasurementBall, batch=2, lab, surrogate=pseudo_inverse, with_pull=True, region=None):
    y = operator.restrict(operator.range.randn(1, generator=lab.seeded(1))).expand(batch, *operator.range.shape)
    constraint = domain(operator, torch.ones(batch), region=region)
    clean = operator.pseudo_inverse(y)
    problem = Problem(lambda y, A: A.pseudo_inverse(y), y, constraint, DistanceToClean(clean))
    v = constraint.maximise_linear(constraint.space.randn(batch, generator=lab.seeded(2)))
    pull = operator.domain.randn(1, generator=lab.seeded(3)).expand_as(clean) if with_pull else None
    return Sight(problem, v, pull, surrogate)


@pytest.fixture(params=["mri", "mri image", "ct"])
def sight(request, lab):
    if request.param == "ct":
        return sight_of(Radon(16, 10), lab=lab)
    domain = ImageBall if request.param.endswith("image") else MeasurementBall
    return sight_of(Fourier(lab.some_mask(16)), domain=domain, lab=lab)


@pytest.mark.parametrize("name", BASES)
def test_directions_are_admissible_and_the_same_for_equal_images(sight, lab, name):
    direction = BASES[name](sight, lab.seeded(0))
    assert direction.shape == sight.variable.shape
    assert (tensors.norm(direction) > 0).all()
    torch.testing.assert_close(sight.problem.constraint.admissible(direction), direction)
    if name in ("pixel", "low"):
        torch.testing.assert_close(direction[0], direction[1], rtol=0, atol=0)


@pytest.mark.parametrize("name", BASES)
def test_directions_come_from_the_seed(sight, lab, name):
    first, again, other = (BASES[name](sight, lab.seeded(s)) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_low_frequencies_are_low(lab):
    """In k-space most of the energy lies within the band of the cells; of white noise it does not."""
    sight = sight_of(Fourier(torch.ones(32, 32, dtype=torch.bool)), lab=lab)
    index = torch.arange(32) - 16
    centre = (index.abs() <= 4)[:, None] & (index.abs() <= 4)
    energy = {name: BASES[name](sight, lab.seeded(0))[0, 0].abs().square() for name in ("low", "pixel")}
    share = {name: (e[centre].sum() / e.sum()).item() for name, e in energy.items()}
    assert share["low"] > 0.9
    assert share["pixel"] < 0.2


def test_the_pull_back_is_the_adjoint_of_the_surrogate(sight, lab):
    """<S d, u> = <d, S* u> with S d by a difference of the (linear) pseudo-inverse."""
    constraint, operator = sight.problem.constraint, sight.problem.constraint.operator
    d = constraint.admissible(constraint.space.randn(2, generator=lab.seeded(7)))
    forward = operator.pseudo_inverse(constraint.perturbation(d))
    torch.testing.assert_close(
        tensors.inner(forward, sight.pull), tensors.inner(d, pull_back(sight, sight.pull)), rtol=1e-3, atol=1e-3
    )


def test_pull_back_of_magnitudes(lab):
    """A reconstruction of magnitudes: the surrogate is taken in magnitude, S d = Re(conj(x) d) / |x|."""
    operator = Fourier(lab.some_mask(8))
    sight = sight_of(operator, lab=lab)
    u = torch.randn(2, 1, 8, 8, generator=lab.seeded(4))
    x = operator.pseudo_inverse(sight.problem.measurement + sight.variable)
    expected = operator.restrict(operator.forward(u * x / x.abs()))
    torch.testing.assert_close(pull_back(sight, u), expected, rtol=1e-4, atol=1e-5)


def test_no_pull_back_where_there_is_none_to_be_had(lab):
    operator = Fourier(lab.some_mask(8))
    assert pull_back(sight_of(operator, lab=lab, surrogate=None), torch.ones(2, 1, 8, 8)) is None
    assert pull_back(sight_of(operator, lab=lab), torch.ones(2, 1, 4, 4)) is None
    detached = sight_of(operator, lab=lab, surrogate=lambda y, A: A.pseudo_inverse(y).detach())
    assert pull_back(detached, torch.ones(2, 1, 8, 8)) is None


@pytest.mark.parametrize("basis", [pulled(4), damaged_places(3)])
@pytest.mark.parametrize("lacking", [{"with_pull": False}, {"surrogate": None}])
def test_adapted_directions_fall_back_to_blind_ones(lab, basis, lacking):
    sight = sight_of(Fourier(lab.some_mask(8)), lab=lab, **lacking)
    assert (tensors.norm(basis(sight, lab.seeded(0))) > 0).all()


def test_noise_at_damaged_places_stays_there(lab):
    """Damage in one corner: with every sample measured, the direction is that corner's noise and nothing else."""
    operator = Fourier(torch.ones(16, 16, dtype=torch.bool))
    sight = sight_of(operator, lab=lab)
    pull = torch.zeros_like(sight.pull)
    pull[..., 2:4, 2:4] = 1
    direction = damaged_places(3)(Sight(sight.problem, sight.variable, pull, pseudo_inverse), lab.seeded(0))
    image = operator.adjoint(direction).abs()
    assert image[..., 6:, :].max() < 1e-4 * image.max()


def test_a_region_of_samples_is_kept(lab):
    region = torch.zeros(16, 16, dtype=torch.bool)
    region[:8] = True
    operator = Fourier(torch.ones(16, 16, dtype=torch.bool))
    sight = sight_of(operator, lab=lab, region=region)
    for basis in BASES.values():
        assert not basis(sight, lab.seeded(0))[..., 8:, :].any()
