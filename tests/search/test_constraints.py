"""Sets of perturbations: projection, furthest point, the way there, violation, for every norm, support and floor."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon
from stabtest.search.constraints import Ball, ImageBall, MeasurementBall, ball
from stabtest.search.regions import measured_samples


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


MASK = torch.rand(6, 5, generator=seeded(3)) < 0.5
COILS = tensors.randn((3, 6, 5), dtype=torch.complex64, generator=seeded(4))
OPERATORS = [Fourier(MASK), MultiCoilFourier(MASK, COILS), Identity((6, 5)), Radon((6, 5), 4)]
"""Complex, complex with several coils, real, and sinograms."""
FEW = settings(max_examples=40, deadline=None)


@st.composite
def sets(draw, dtype=None, floors=True):
    """Any set over any operator, with radii and a floor over many orders of magnitude."""
    operator, kind = draw(st.sampled_from(OPERATORS)), draw(st.sampled_from([MeasurementBall, ImageBall]))
    norm = draw(st.sampled_from(["l2", "linf"]))
    dtype = dtype or draw(st.sampled_from([torch.float32, torch.float64]))
    radius = torch.tensor([draw(st.floats(1e-3, 1e3)), draw(st.floats(1e-3, 1e3))], dtype=dtype)
    space = operator.range if kind is MeasurementBall else operator.domain
    generator = seeded(draw(st.integers(0, 10_000)))
    region = None
    if draw(st.booleans()):
        region = torch.rand(space.shape[-2:], generator=generator) < draw(st.sampled_from([0.2, 0.8]))
        seen = region & measured_samples(operator) if kind is MeasurementBall else region
        assume(bool(seen.any()))
    floor = None
    if floors and kind is MeasurementBall and not space.is_complex and draw(st.booleans()):
        depth = torch.rand(2, *space.shape, generator=generator, dtype=torch.float64)
        depth = depth * (torch.rand(depth.shape, generator=generator) < 0.8)  # some samples must not fall at all
        floor = tensors.scale(-depth, draw(st.sampled_from([1e-3, 0.3, 3.0])) * radius.double())
    return kind(operator, radius, norm=norm, region=region, floor=floor)


@st.composite
def sets_and_points(draw, dtype=None):
    """A set, and two points anywhere about it."""
    constraint = draw(sets(dtype))
    generator = seeded(draw(st.integers(0, 10_000)))
    spread = draw(st.sampled_from([0.01, 0.2, 1.0, 100.0]))
    points = [
        tensors.scale(constraint.space.randn(2, generator=generator, dtype=constraint.radius.dtype), spread * constraint.radius)
        for _ in range(2)
    ]
    return constraint, *points


def rounding(constraint: Ball) -> float:
    return 1e-12 if constraint.radius.dtype == torch.float64 else 1e-6


@FEW
@given(sets_and_points())
def test_projection_is_feasible_and_idempotent(drawn):
    constraint, a, _ = drawn
    once = constraint.project(a)
    assert once.dtype == a.dtype
    assert (constraint.violation(once) < rounding(constraint)).all()
    torch.testing.assert_close(constraint.project(once), once, rtol=rounding(constraint), atol=0)


@FEW
@given(sets_and_points(dtype=torch.float64))
def test_projection_is_non_expansive(drawn):
    constraint, a, b = drawn
    moved = tensors.norm(constraint.project(a) - constraint.project(b))
    assert (moved <= tensors.norm(a - b) * (1 + 1e-12)).all()


@FEW
@given(sets_and_points(dtype=torch.float64))
def test_projection_is_the_nearest_point(drawn):
    """Variational inequality: <a - Pa, w - Pa> <= 0 for every w of the set."""
    constraint, a, b = drawn
    near = constraint.project(a)
    for other in (constraint.project(b), constraint.maximise_linear(b), constraint.maximise_linear(a - near)):
        slack = 1e-10 * tensors.norm(a - near) * (tensors.norm(other) + tensors.norm(near))
        assert (tensors.inner(a - near, other - near) <= slack).all()


@FEW
@given(sets_and_points())
def test_furthest_point_beats_every_feasible_point(drawn):
    constraint, g, b = drawn
    best = constraint.maximise_linear(g)
    assert best.dtype == g.dtype
    assert (constraint.violation(best) < rounding(constraint)).all()
    near_best = constraint.project(best + 0.01 * b)
    for other in (constraint.project(b), constraint.maximise_linear(b), near_best):
        slack = 4 * rounding(constraint) * tensors.norm(g) * tensors.norm(best)
        assert (tensors.inner(g, best) >= tensors.inner(g, other) - slack).all()


@FEW
@given(sets_and_points(), st.sampled_from([1e-10, 1e-3, 7.0, 1e10]))
def test_furthest_point_does_not_depend_on_the_length_of_the_direction(drawn, factor):
    constraint, g, _ = drawn
    torch.testing.assert_close(
        constraint.maximise_linear(g * factor),
        constraint.maximise_linear(g),
        rtol=1e-4,
        atol=1e-6 * constraint.radius.max().item(),
    )


@FEW
@given(sets_and_points())
def test_support_is_respected_to_the_bit(drawn):
    constraint, a, b = drawn
    outside = ~measured_samples(constraint.operator) if isinstance(constraint, MeasurementBall) else False
    outside = outside | (~constraint.region if constraint.region is not None else False)
    full = constraint.maximise_linear(a)
    half = torch.full((2,), 0.5, dtype=a.real.dtype)
    way = constraint.towards(constraint.maximise_linear(b), full, half, a)
    for point in (constraint.project(a), full, way):
        assert not (point * torch.as_tensor(outside)).any()


@FEW
@given(sets_and_points(), st.floats(1e-3, 1.0))
def test_the_way_stays_in_the_set_and_rises(drawn, t):
    """From a point of the boundary; the linear function with that gradient never falls along the way."""
    constraint, g, b = drawn
    here, full = constraint.maximise_linear(b), constraint.maximise_linear(g)
    values = [tensors.inner(g, here)]
    for share in (t / 2, t, 1.0):
        point = constraint.towards(here, full, torch.full((2,), share, dtype=g.real.dtype), g)
        assert (constraint.violation(point) < rounding(constraint)).all()
        values.append(tensors.inner(g, point))
    slack = 10 * rounding(constraint) * tensors.norm(g) * torch.maximum(tensors.norm(full), tensors.norm(here))
    for before, after in itertools.pairwise(values):
        assert (after >= before - slack).all()


@FEW
@given(sets_and_points(), st.booleans())
def test_the_way_ends_at_the_furthest_point_to_the_bit(drawn, other_is_done):
    """Each image has its own place on its way."""
    constraint, g, b = drawn
    here, full = constraint.project(b), constraint.maximise_linear(g)
    t = torch.tensor([1.0, 1.0 if other_is_done else 0.3], dtype=g.real.dtype)
    point = constraint.towards(here, full, t, g)
    assert torch.equal(point[0], full[0])
    assert torch.equal(point[1], full[1]) or not other_is_done


@FEW
@given(sets_and_points(), st.floats(0.1, 0.9))
def test_images_of_a_batch_are_independent(drawn, t):
    constraint, g, b = drawn
    share = torch.full((2,), t, dtype=g.real.dtype)
    full = constraint.maximise_linear(g)
    together = [constraint.project(b), full, constraint.towards(constraint.project(b), full, share, g), constraint.violation(b)]
    for k in range(2):
        one = constraint.take(torch.tensor([k]))
        g1, b1 = g[k : k + 1], b[k : k + 1]
        full1 = one.maximise_linear(g1)
        alone = [one.project(b1), full1, one.towards(one.project(b1), full1, share[:1], g1), one.violation(b1)]
        for a, c in zip(alone, together, strict=True):
            torch.testing.assert_close(a[0], c[k], rtol=1e-12, atol=0)  # a vector unit rounds its last lanes in its own way


@FEW
@given(sets_and_points())
def test_points_outside_are_violations(drawn):
    """Controls, for every set: too large, off the support, below the floor."""
    constraint, g, b = drawn
    inside = 0.5 * constraint.project(b)
    assert (constraint.violation(inside) == 0).all()
    direction = constraint.admissible(g.abs() if constraint.floor is not None else g)
    large = tensors.scale(direction, 1.25 * constraint.radius / constraint.size(direction))
    torch.testing.assert_close(constraint.violation(large), torch.full((2,), 0.25, dtype=torch.float64), rtol=1e-5, atol=1e-5)
    off = constraint.space.zeros(2, dtype=constraint.radius.dtype) + 1
    off = off - constraint.admissible(off)
    if off.any():
        expected = constraint.size(off).double() / constraint.radius.double() * 1e-3
        found = constraint.violation(off * (1e-3 if not off.is_complex() else 1e-3j))
        torch.testing.assert_close(found, expected + (expected - 1).clamp_min(0), rtol=1e-4, atol=1e-6)
    if constraint.floor is not None:
        low = constraint.admissible((constraint.floor - constraint.radius.min().double()).to(g.dtype))
        low = tensors.scale(low, 0.9 * constraint.radius / constraint.size(low))
        below = (constraint.floor - low.double()).clamp_min(0)
        torch.testing.assert_close(
            constraint.violation(low), constraint.size(below) / constraint.radius.double(), rtol=1e-4, atol=1e-7
        )


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: type(operator).__name__)
def test_furthest_point_spends_the_whole_dual_norm(operator, norm):
    """Hölder: the largest <g, e> is R ||g||_2 in l2, and R sum |g_i| in linf with the modulus of each coil's sample."""
    constraint = MeasurementBall(operator, torch.tensor([2.0], dtype=torch.float64), norm=norm)
    g = operator.range.randn(1, generator=seeded(1), dtype=torch.float64)
    moduli = operator.restrict(g).abs()
    dual = moduli.square().sum().sqrt() if norm == "l2" else moduli.sum()
    assert tensors.inner(g, constraint.maximise_linear(g)).item() == pytest.approx(2 * dual.item(), rel=1e-12)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_furthest_point_along_zero_is_zero(norm):
    constraint = MeasurementBall(Fourier(MASK), torch.ones(1), norm=norm)
    assert not constraint.maximise_linear(torch.zeros(1, 1, 6, 5, dtype=torch.complex64)).any()


def test_samples_without_gradient_stay_zero_in_the_largest_norm():
    g = torch.tensor([[[[1.0 + 1j, 0.0, 1e-43]]]], dtype=torch.complex64)
    constraint = MeasurementBall(Identity((1, 3), is_complex=True), torch.ones(1), norm="linf")
    assert (constraint.violation(constraint.maximise_linear(g)) < 1e-6).all()
    assert constraint.maximise_linear(g)[0, 0, 0, 1] == 0


def test_point_off_the_samples_is_a_violation():
    constraint = MeasurementBall(Fourier(MASK), torch.ones(1))
    e = (~MASK).to(torch.complex64)[None, None] * 1e-3
    assert constraint.violation(e).item() == pytest.approx(1e-3 * (~MASK).sum().sqrt().item(), rel=1e-5)


def test_image_ball_perturbs_through_the_operator():
    operator = Fourier(MASK)
    r = operator.domain.randn(1, generator=seeded(1))
    torch.testing.assert_close(ImageBall(operator, torch.ones(1)).perturbation(r), operator.forward(r))


@given(sets())
@FEW
def test_other_radii_and_other_images_keep_the_rest_of_the_set(constraint):
    other = constraint.with_radius(2 * constraint.radius)
    again = other.take(torch.tensor([1, 1, 0]))
    assert (again.norm, again.region is constraint.region) == (constraint.norm, True)
    torch.testing.assert_close(again.radius, 2 * constraint.radius[[1, 1, 0]])
    if constraint.floor is not None:
        assert torch.equal(again.floor, constraint.floor[[1, 1, 0]])


def test_a_set_by_its_name_is_that_set():
    region, floor = torch.eye(2) > 0, -torch.ones(1, 2, 2)
    constraint = ball("measurement", Identity((2, 2)), torch.ones(1), norm="linf", region=region, floor=floor)
    assert isinstance(constraint, MeasurementBall)
    assert (constraint.norm, constraint.region is region, constraint.floor is floor) == ("linf", True, True)
    assert isinstance(ball("image", Identity((2, 2)), torch.ones(1), norm="linf", region=region), ImageBall)


@pytest.mark.parametrize("radius", [torch.tensor(1.0), torch.tensor([0.0]), torch.tensor([-1.0]), torch.tensor([torch.nan])])
def test_bad_radius_is_refused(radius):
    with pytest.raises(SearchError, match="radius"):
        MeasurementBall(Identity((2, 2)), radius)


def test_unknown_domain_is_refused():
    with pytest.raises(SearchError, match="k-space"):
        ball("k-space", Identity((2, 2)), torch.ones(1))


def test_unknown_norm_is_refused():
    with pytest.raises(SearchError, match="norm: expected 'l2' or 'linf'; came 'l1'"):
        MeasurementBall(Identity((2, 2)), torch.ones(1), norm="l1")


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (torch.ones(6, 5), "boolean"),
        (torch.ones(5, 6, dtype=torch.bool), "broadcasts"),
        (torch.ones(2, 1, 6, 5, dtype=torch.bool), "broadcasts"),
        (torch.zeros(6, 5, dtype=torch.bool), "at least one True"),
        (~MASK, "nothing in it is measured"),
    ],
)
def test_bad_region_is_refused(region, words):
    with pytest.raises(SearchError, match=words):
        MeasurementBall(Fourier(MASK), torch.ones(1), region=region)


def test_region_of_the_image_that_no_coil_sees_is_refused():
    coils = COILS.clone()
    coils[:, :3] = 0
    operator, region = MultiCoilFourier(MASK, coils), torch.arange(6)[:, None] < 3
    with pytest.raises(SearchError, match="does not see"):
        ImageBall(operator, torch.ones(1), region=region)
    ImageBall(operator, torch.ones(1), region=~region)


@pytest.mark.parametrize(
    ("operator", "kind", "floor", "words"),
    [
        (Identity((2, 2)), ImageBall, -torch.ones(2, 2), "image domain"),
        (Identity((2, 2), is_complex=True), MeasurementBall, -torch.ones(2, 2), "no order"),
        (Identity((2, 2)), MeasurementBall, -torch.ones(2, 2, dtype=torch.complex64), "wrong kind"),
        (Identity((2, 2)), MeasurementBall, -torch.ones(3, 2), "broadcasts"),
        (Identity((2, 2)), MeasurementBall, -torch.ones(2, 1, 2, 2), "broadcasts"),
        (Identity((2, 2)), MeasurementBall, torch.tensor([[-1.0, 1e-9], [0.0, 0.0]]), "clamp_max"),
        (Identity((2, 2)), MeasurementBall, torch.full((2, 2), torch.nan), "NaN"),
    ],
)
def test_bad_floor_is_refused(operator, kind, floor, words):
    with pytest.raises(SearchError, match=words):
        kind(operator, torch.ones(1), floor=floor)


class Weighted(Identity):
    """Its restriction is no choice of samples."""

    def restrict(self, e):
        return e.mean(-1, keepdim=True).expand_as(e)


def test_operator_that_mixes_samples_has_the_plain_ball_only():
    MeasurementBall(Weighted((2, 2)), torch.ones(1))
    with pytest.raises(SearchError, match="restrict mixes"):
        MeasurementBall(Weighted((2, 2)), torch.ones(1), norm="linf")


@dataclasses.dataclass(frozen=True)
class Doubled(Ball):
    """A set as a user would write it: the methods that CONTRIBUTING asks for and no others."""

    @property
    def space(self):
        return self.operator.domain

    def admissible(self, v):
        return v

    def perturbation(self, v):
        return 2 * self.operator.forward(v)


def test_a_set_of_ones_own_needs_three_methods():
    constraint = Doubled(Identity((1, 2)), torch.ones(1))
    torch.testing.assert_close(constraint.project(torch.tensor([[[[3.0, 4.0]]]])), torch.tensor([[[[0.6, 0.8]]]]))
