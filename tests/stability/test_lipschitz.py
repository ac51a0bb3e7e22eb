import math

import pytest
import torch
from torch import nn

from stabtest import networks
from stabtest.errors import BoundsError, ConfigError
from stabtest.findings.records import Bracket, LayerRow
from stabtest.stability.cases import Method
from stabtest.stability.lipschitz import LipschitzTest
from stabtest.stability.worst_case import WorstCaseTest

TEST = LipschitzTest(jacobian_steps=6)


@pytest.fixture(scope="module")
def mri(make_mri):
    return make_mri(size=16)


def convolutions(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1))


def method(module, **how):
    return Method("net", "under test", networks.wrap(module, **{"channels": "real-imag", **how}))


def brackets(outcome):
    return {row.name: row for row in outcome.rows if isinstance(row, Bracket)}


@pytest.mark.parametrize("scale", ["none", "max"])
def test_what_was_found_lies_below_what_is_possible(mri, scale):
    found = TEST.measure(method(convolutions(), scale=scale), mri, seed=0)
    for bracket in brackets(found).values():
        assert 0 < bracket.lower <= bracket.upper
    assert set(brackets(found)) == {"network alone", "measurement to image"}
    assert sum(isinstance(row, LayerRow) for row in found.rows) >= 3


def test_the_gain_of_a_search_lies_within_the_bracket(mri):
    net = method(convolutions())
    search = WorstCaseTest(radii=(0.02, 0.2), evaluations=16, noise_draws=1, pictures=False)
    gain = max(row.gain for row in search.measure(net, mri, seed=0).rows)
    whole = brackets(TEST.measure(net, mri, seed=0, found_gain=gain))["measurement to image"]
    assert gain <= whole.lower * (1 + 1e-6)
    assert whole.lower <= whole.upper


def test_a_scaled_identity_is_known_exactly(mri):
    linear = nn.Conv2d(2, 2, 1, bias=False)
    linear.weight.data = 3 * torch.eye(2)[:, :, None, None]
    for bracket in brackets(TEST.measure(method(linear), mri, seed=0)).values():
        assert bracket.lower == pytest.approx(3, rel=1e-3)
        assert bracket.upper == pytest.approx(3, rel=1e-3)


def test_a_gain_beyond_the_bound_stops_the_audit(mri):
    with pytest.raises(BoundsError, match="above the upper bound"):
        TEST.measure(method(convolutions()), mri, seed=0, found_gain=1e9)


def test_a_classical_method_has_no_upper_end(mri):
    found = TEST.measure(Method("direct", "reference", lambda y, A: A.pseudo_inverse(y)), mri, seed=0)
    (row,) = found.rows
    assert row.lower == pytest.approx(1, rel=1e-3)
    assert (row.upper, row.upper_status) == (None, "unknown")


def test_at_least_one_step():
    with pytest.raises(ConfigError, match="jacobian_steps"):
        LipschitzTest(jacobian_steps=0)


class Direction(nn.Module):
    """Divides by the norm of its image: no constant at 0."""

    def forward(self, x):
        return x / torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)


def on_balls(outcome):
    return {row.radius: row for row in outcome.rows if isinstance(row, Bracket) and row.radius is not None}


def test_where_no_bound_holds_everywhere_there_is_one_for_each_radius(mri):
    test = LipschitzTest(jacobian_steps=6, radii=(0.01, 0.1, 2.0))
    outcome = test.measure(method(Direction()), mri, seed=0)
    assert brackets(outcome)["network alone"].upper is None
    found = on_balls(outcome)
    assert 0 < found[0.01].lower <= found[0.01].upper < found[0.1].upper < math.inf
    assert found[0.01].upper_status == "on a ball"
    assert found[2.0].upper_status == "infinite"  # that far the image may vanish
    assert "may vanish" in found[2.0].upper_source


def test_a_normalisation_is_bounded_far_below_its_constant_everywhere(mri):
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.InstanceNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1))
    outcome = LipschitzTest(jacobian_steps=6, radii=(1e-3,)).measure(method(network, scale="max"), mri, seed=0)
    (bracket,) = on_balls(outcome).values()
    everywhere = next(
        row for row in outcome.rows if isinstance(row, Bracket) and row.name == bracket.name and row.radius is None
    )
    assert bracket.lower <= bracket.upper < everywhere.upper / 10


def test_a_search_stays_below_the_bound_of_its_radius(mri):
    net = method(Direction())
    search = WorstCaseTest(radii=(0.01, 0.1), evaluations=16, noise_draws=1, pictures=False).measure(net, mri, seed=0)
    found = on_balls(LipschitzTest(jacobian_steps=2, radii=(0.01, 0.1)).measure(net, mri, seed=0))
    for row in search.rows:
        assert row.gain <= found[row.radius].upper


def test_a_plain_network_has_no_bounds_on_balls(mri):
    assert not on_balls(LipschitzTest(jacobian_steps=2, radii=(0.01,)).measure(method(convolutions()), mri, seed=0))
