import dataclasses
import itertools
import math

import pytest
import torch

from stabtest.errors import ConfigError, DataError, NetworkError
from stabtest.stability.shift.box import Box, transform
from stabtest.stability.shift.search import worst_shift

TURN = Box(degrees=20, rows=0, columns=0, intensity=0)
SIDE = Box(degrees=0, rows=0, columns=4, intensity=0)


def rosette(petals=6, size=48):
    """``r^6 exp(-r^2 / 2 sigma^2) cos(6 phi)``: smooth, and a rotation by t turns its phase by 6 t."""
    row, column = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2 for _ in range(2))
    z = torch.complex(column.expand(size, size), -row[:, None].expand(size, size)) / 4
    return (z**petals).real[None, None] * torch.exp(-z.abs().square() / 2)


def blind_to(direction):
    """A method that cannot show one image: its error is the share of it in the object."""
    u = direction / direction.norm()
    return lambda y, A: y - u * (u * y).sum((1, 2, 3), keepdim=True)


def dense(method, case, box, points):
    """Every point of a dense grid, through the method, without the search."""
    axis = torch.linspace(-1, 1, points, dtype=torch.float64)
    found = []
    for node in itertools.product(axis.tolist(), repeat=len(box.names)):
        place = {name: value * float(side) for name, value, side in zip(box.names, node, box.sides)}
        x = transform(case.truth, **place)
        image = method(case.measurement + case.operator.forward(x - case.truth), case.operator)
        found.append(float((image - x).norm() / x.norm()))
    return max(found)


def test_the_worst_angle_of_a_known_error(tools):
    """Closed form: the error is |cos 6 (t - 7.3 degrees)|."""
    image = rosette()
    turned = transform(image, degrees=7.3, kernel="fourier")
    found = worst_shift(tools.net(blind_to(turned)), tools.itself(image), TURN, kernel="fourier", steps=20)
    assert found.parameters["degrees"] == pytest.approx(7.3, abs=0.05)
    assert found.nrmse == pytest.approx(1, abs=1e-4)
    assert found.clean == pytest.approx(abs(math.cos(math.radians(6 * 7.3))), abs=1e-4)
    assert found.gradient == "autograd"


def test_the_worst_translation_of_a_known_error(tools):
    """Closed form: |cos(2 pi 3 (s - 1.3) / 32)|, exact since a wave is periodic."""
    case, method = tools.itself(tools.wave(cycles=3)), tools.net(blind_to(tools.wave(1.3, cycles=3)))
    found = worst_shift(method, case, SIDE, kernel="fourier", steps=20)
    assert found.parameters["columns"] == pytest.approx(1.3, abs=0.01)
    assert found.nrmse == pytest.approx(1, abs=1e-6)
    assert found.damage == pytest.approx(1 - abs(math.cos(2 * math.pi * 3 * 1.3 / 32)), abs=1e-6)


def test_the_worst_intensity_lies_on_the_side_of_the_box(tools):
    case = tools.itself(torch.ones(1, 1, 8, 8, dtype=torch.float64))
    saturating = tools.net(lambda y, A: y.clamp_max(1.0))
    found = worst_shift(saturating, case, Box(degrees=0, rows=0, columns=0, intensity=0.3), points=1)
    assert found.parameters["intensity"] == 0.3
    assert found.nrmse == pytest.approx(0.3 / 1.3)
    assert found.grid_nrmse == found.clean == 0


def rugged(tools, seed, image, box):
    """Blind to several shifted copies of the object: an error with many maxima in the box."""
    generator = torch.Generator().manual_seed(seed)
    places = (2 * torch.rand(4, len(box.names), generator=generator, dtype=torch.float64) - 1) * box.sides
    copies = torch.cat([transform(image, **dict(zip(box.names, place.tolist()))) for place in places]).flatten(1)
    basis = torch.linalg.qr((copies - image.flatten()).T)[0]
    return tools.net(lambda y, A: y - ((y.flatten(1) @ basis) @ basis.T).tanh().reshape(y.shape))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("box", "points"), [(TURN, 201), (Box(degrees=10, rows=0, columns=3, intensity=0), 21)], ids=["angle", "angle and columns"]
)
def test_the_search_finds_what_a_dense_grid_finds(seed, box, points, tools):
    image = tools.spots()
    case = tools.itself(image)
    method = rugged(tools, seed, image, box)
    found = worst_shift(method, case, box, points=5, restarts=4, steps=12)
    most = dense(method, case, box, points)
    assert found.nrmse >= 0.99 * most
    assert found.evaluations < 170 < points ** len(box.names)


def spiked(y, A):
    """An error that is large at one corner of the grid alone, where no gradient leads: the object is brighter and moved."""
    spike = (y.sum((1, 2, 3), keepdim=True) > 1.05 * TOTAL) & (y[..., :, :14].sum((-2, -1), keepdim=True) > 0.6 * TOTAL)
    return torch.where(spike, 2 * y, y + 0.01 * torch.sin(40 * y))


TOTAL = 1.0  # of `spots`, set by the test


@pytest.mark.parametrize("seed", range(10))
def test_the_grid_is_never_undercut(seed, tools):
    """Also with rounding, steps and rugged networks: the result is at least the largest value on the grid, exactly."""
    image, box = tools.spots(), Box(degrees=4, rows=0, columns=2, intensity=0.1)
    case = tools.itself(image)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(1, 1, 3, 3, generator=generator, dtype=torch.float64)
    steps = 10.0 ** (seed % 3)
    nets = [
        lambda y, A: torch.round(y * steps) / steps,
        lambda y, A: torch.nn.functional.conv2d(y, weights, padding=1).sin(),
    ]
    for reconstruct in nets:
        method = tools.net(reconstruct)
        found = worst_shift(method, case, box, restarts=seed % 3, steps=3, seed=seed)
        assert found.nrmse >= found.grid_nrmse == dense(method, case, box, 3)
        assert found.damage >= 0


def test_a_maximum_that_only_the_grid_sees_is_kept(tools, monkeypatch):
    image = tools.spots()
    monkeypatch.setitem(globals(), "TOTAL", float(image.sum()))
    box = Box(degrees=0, rows=0, columns=4, intensity=0.1)
    found = worst_shift(tools.net(spiked), tools.itself(image), box, kernel="fourier", restarts=1, steps=4)
    assert found.nrmse > 0.9
    assert found.parameters["columns"] < -3.9
    alone = worst_shift(tools.net(spiked), tools.itself(image), box, kernel="fourier", points=1, restarts=1, steps=4)
    assert alone.nrmse < 0.5  # control: from zero the gradient does not lead there


def half_blind(y):
    """Shows half of one image; the other half of the error's slope comes back through the method."""
    u = rosette(size=32)
    u = u / u.norm()
    return y - 0.5 * u * (u * y).sum()


class Overstated(torch.autograd.Function):
    """The identity with a gradient that is false: it turns the slope of `half_blind` around."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return 20 * g


@pytest.mark.parametrize("kind", ["detached", "numpy", "overstated"])
def test_without_a_right_gradient_differences_are_followed(kind, tools):
    image = transform(rosette(size=32), degrees=8.0, kernel="fourier")
    methods = {
        "detached": lambda y, A: half_blind(y.detach()),
        "numpy": lambda y, A: half_blind(torch.from_numpy(y.numpy())),
        "overstated": lambda y, A: half_blind(Overstated.apply(y)),
    }
    found = worst_shift(tools.net(methods[kind]), tools.itself(image), TURN, kernel="fourier", points=1, restarts=1, steps=20)
    assert found.gradient == "differences"
    assert found.parameters["degrees"] == pytest.approx(-8.0, abs=0.2)


def test_every_evaluation_is_counted_and_in_the_box(tools):
    seen = []

    def counting(y, A):
        seen.append(float(y.sum().detach()))
        return y.clamp_max(0.7)

    image = tools.spots()
    found = worst_shift(tools.net(counting), tools.itself(image), Box(degrees=3, rows=1, columns=1, intensity=0.2), steps=6)
    assert found.evaluations == len(seen)
    assert max(seen) <= 1.2 * float(image.sum()) + 0.05
    assert min(seen) >= 0.8 * float(image.sum()) - 0.05
    assert all(abs(value) <= side for value, side in zip(found.parameters.values(), (3, 1, 1, 0.2)))


def test_the_error_at_the_parameters_is_the_error_that_is_reported(coils, tools):
    method = tools.net(lambda y, A: A.pseudo_inverse(y).abs().clamp_max(0.6))
    found = worst_shift(method, coils, Box(), points=1, restarts=2, steps=4)
    x = transform(coils.truth, **found.parameters)
    image = method(coils.measurement + coils.operator.forward(x - coils.truth), coils.operator)
    assert found.nrmse == pytest.approx(float((image - x.abs()).norm() / x.abs().norm()), rel=1e-5)


def test_the_precision_of_the_measurement_is_kept(mri, ct, tools):
    for case in (mri, ct):
        kinds = set()

        def noting(y, A, kinds=kinds):
            kinds.add(y.dtype)
            return A.pseudo_inverse(y)

        worst_shift(tools.net(noting), case, Box(), points=1, restarts=2, steps=2)
        assert kinds == {case.measurement.dtype}


def test_a_method_that_follows_exactly_has_no_damage(tools):
    image = torch.complex(tools.spots(), tools.spots().roll(1, -1))
    found = worst_shift(tools.net(lambda y, A: y), tools.itself(image), Box(), steps=3)
    assert found.damage < 1e-12


def test_the_same_seed_finds_the_same(ct, tools):
    method, box = tools.net(lambda y, A: A.pseudo_inverse(y).clamp_max(0.8)), Box(degrees=2, rows=0, columns=1, intensity=0)
    assert worst_shift(method, ct, box, steps=3, seed=1) == worst_shift(method, ct, box, steps=3, seed=1)


def test_progress_counts_to_the_end(tools):
    told = []
    worst_shift(
        tools.net(lambda y, A: y),
        tools.itself(tools.spots()),
        SIDE,
        steps=1,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(k, 6) for k in range(1, 7)]


def test_a_case_without_truth_is_refused(mri, tools):
    with pytest.raises(DataError, match="search of the worst shift"):
        worst_shift(tools.net(lambda y, A: A.pseudo_inverse(y)), dataclasses.replace(mri, truth=None), Box())


def test_a_network_that_breaks_down_is_an_error(tools):
    broken = tools.net(lambda y, A: y / 0)
    with pytest.raises(NetworkError, match="finite"):
        worst_shift(broken, tools.itself(tools.spots()), SIDE)


def test_an_even_grid_is_refused(tools):
    with pytest.raises(ConfigError, match="odd"):
        worst_shift(tools.net(lambda y, A: y), tools.itself(tools.spots()), SIDE, points=4)
