"""The semidefinite bound: never below a gain, right where the answer is known, and a check that notices."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import nn

from reconstructors.unet import UNet
from stabtest.bounds.graph import trace
from stabtest.bounds.lattice.forms import Multipliers
from stabtest.bounds.lattice.seek import NotPositiveError
from stabtest.bounds.lattice.semidefinite import certify, semidefinite_bound
from stabtest.bounds.lattice.translate import translate
from stabtest.bounds.linear import linear_replay
from stabtest.errors import BoundsError


class Net(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def shaken(network, seed, size=1.0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            fan = max(1, parameter[0].numel()) if parameter.ndim > 1 else 1
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator) / math.sqrt(fan))
        for name, buffer in network.named_buffers():
            if "running_var" in name:
                buffer.copy_(0.2 + torch.rand(buffer.shape, generator=generator))
    return network.double().eval()


def bound(network, shape):
    return semidefinite_bound(translate(trace(network, torch.zeros(shape, dtype=torch.float64))))


def reached(network, shape, seed, points=6, ascent=12):
    """Largest norm of the Jacobian at random images by power iteration."""
    generator = torch.Generator().manual_seed(seed)
    best = 0.0
    for _ in range(points):
        x = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
        v = torch.randn(shape, generator=generator, dtype=torch.float64)
        for _ in range(ascent):
            _, image = torch.func.jvp(network, (x,), (v / v.norm(),))
            best = max(best, float(image.norm()))
            v = torch.func.vjp(network, x)[1](image)[0]
            if float(v.norm()) == 0:
                break
    return best


def skips(self, x):
    h = F.relu(self.a(x))
    d = F.relu(self.b(F.max_pool2d(h, 2)))
    return x + self.d(F.relu(self.c(torch.cat([h, self.up(d)], 1))))


NETWORKS = {
    "chain": (lambda: nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 3, padding=1)), (1, 1, 8, 8)),
    "batch norm": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.LeakyReLU(0.2), nn.Conv2d(3, 2, 5, padding=2), nn.Tanh()
        ),
        (1, 2, 7, 9),
    ),
    "no activation between": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1), nn.SiLU(), nn.Conv2d(2, 1, 1)),
        (1, 1, 6, 6),
    ),
    "valid": (lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.GELU(), nn.ConvTranspose2d(3, 1, 3)), (1, 1, 7, 7)),
    "stride": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(3, 1, 4, stride=2, padding=1),
        ),
        (1, 1, 8, 8),
    ),
    "average and nearest": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.ELU(), nn.AvgPool2d(2), nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(3, 1, 3, padding=1),
        ),
        (1, 1, 8, 12),
    ),
    "dilated groups": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2), nn.ReLU(), nn.Conv2d(4, 2, 1)),
        (1, 2, 8, 8),
    ),
    "skips": (
        lambda: Net(
            skips, a=nn.Conv2d(1, 2, 3, padding=1), b=nn.Conv2d(2, 3, 3, padding=1), up=nn.ConvTranspose2d(3, 2, 2, stride=2),
            c=nn.Conv2d(4, 2, 3, padding=1), d=nn.Conv2d(2, 1, 1),
        ),
        (1, 1, 8, 8),
    ),
    "two levels, padded": (lambda: UNet(channels=1, width=1, depth=2), (1, 1, 6, 9)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_no_gain_exceeds_the_bound(name):
    make, shape = NETWORKS[name]
    network = shaken(make(), 1, size=2.0)
    assert reached(network, shape, 0) <= bound(network, shape).upper


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**6), st.sampled_from(["chain", "stride"]), st.floats(0.5, 4))
def test_no_gain_of_a_random_network_exceeds_the_bound(seed, name, size):
    make, shape = NETWORKS[name]
    network = shaken(make(), seed, size)
    assert reached(network, shape, seed, points=3) <= bound(network, shape).upper


def test_any_pattern_of_a_small_chain_stays_below():
    """Every pattern of slopes, reachable or not, of the zero-padded network itself."""
    network = shaken(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Conv2d(1, 1, 3, padding=1)), 3, 2.0)
    first, second = (dense(layer, 3) for layer in (network[0], network[2]))
    patterns = (torch.tensor(bits, dtype=torch.float64) for bits in itertools.product((0.0, 1.0), repeat=9))
    largest = max(float(torch.linalg.matrix_norm(second @ torch.diag(bits) @ first, 2)) for bits in patterns)
    upper = bound(network, (1, 1, 3, 3)).upper
    assert largest <= upper <= 2 * largest


def dense(layer, size):
    unit = torch.eye(size * size, dtype=torch.float64).reshape(-1, 1, size, size)
    with torch.no_grad():
        return (layer(unit) - layer(0 * unit)).reshape(size * size, -1).T


def test_two_hidden_units_against_a_search_over_both_multipliers():
    """A 1 x 1 network is the same small dense one at every pixel: ``W1^T L (2 L - W2^T W2)^-1 L W1``, minimised directly."""
    network = shaken(nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 1)), 5, 2.0)
    w1, w2 = (network[k].weight.detach()[:, :, 0, 0] for k in (0, 2))

    def square(logs):
        multipliers = torch.diag(torch.tensor(logs, dtype=torch.float64).exp())
        middle = 2 * multipliers - w2.T @ w2
        if float(torch.linalg.eigvalsh(middle)[0]) <= 0:
            return 1e6
        return float(torch.linalg.eigvalsh(w1.T @ multipliers @ torch.linalg.inv(middle) @ multipliers @ w1)[-1])

    best = min(minimize(square, start, method="Nelder-Mead").fun for start in ([1.0, 1.0], [0.0, 2.0], [2.0, 0.0]))
    assert math.sqrt(best) == pytest.approx(bound(network, (1, 2, 4, 4)).upper, rel=2e-3)


def test_non_negative_weights_are_bounded_by_their_product():
    network = shaken(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 3, padding=1)), 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    linear = nn.Sequential(network[0], network[2])
    assert bound(network, (1, 1, 8, 8)).upper == pytest.approx(float(norm_at_zero(linear)), rel=0.02)


def norm_at_zero(linear):
    """Gain of a constant image in the interior: the norm of a non-negative stationary filter on an unbounded grid."""
    with torch.no_grad():
        out = linear(torch.ones(1, 1, 16, 16, dtype=torch.float64)) - linear(torch.zeros(1, 1, 16, 16, dtype=torch.float64))
    return out[0, 0, 8, 8]


def test_rescaling_of_channels_changes_nothing():
    network = shaken(nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 3, padding=1)), 7, 2.0)
    before = bound(network, (1, 1, 8, 8)).upper
    with torch.no_grad():
        factors = torch.tensor([0.01, 1.0, 30.0], dtype=torch.float64)
        network[0].weight.mul_(factors[:, None, None, None])
        network[2].weight.div_(factors[None, :, None, None])
    assert bound(network, (1, 1, 8, 8)).upper == pytest.approx(before, rel=0.01)


def test_a_residual_of_opposite_sign_is_not_paid_twice():
    """``x - (x)`` through one linear layer: the product rule says 2, the truth is 0."""
    network = Net(lambda self, x: x - self.c(x), c=nn.Conv2d(1, 1, 1, bias=False)).double()
    with torch.no_grad():
        network.c.weight.fill_(1.0)
    assert bound(network, (1, 1, 4, 4)).upper < 1e-3


def test_maximum_of_a_constant_block_is_its_value():
    network = nn.Sequential(nn.MaxPool2d(2), nn.ConvTranspose2d(1, 1, 2, stride=2, bias=False)).double()
    with torch.no_grad():
        network[1].weight.fill_(0.5)  # each block of the output holds half its maximum: norm 1 for one pixel a block
    assert bound(network, (1, 1, 4, 4)).upper == pytest.approx(1.0, rel=0.02)


def test_certificate_does_not_accept_a_bound_that_is_too_small():
    network = shaken(NETWORKS["chain"][0](), 1, 2.0)
    lattice = translate(trace(network, torch.zeros(1, 1, 8, 8, dtype=torch.float64)))
    found = semidefinite_bound(lattice)
    tried = Multipliers(found.multipliers.rho / 4, found.multipliers.weights)
    assert math.sqrt(certify(lattice, tried)) == pytest.approx(found.upper, rel=2e-3)


def test_certificate_refuses_multipliers_that_do_not_outweigh_their_readers():
    network = shaken(NETWORKS["chain"][0](), 1, 2.0)
    lattice = translate(trace(network, torch.zeros(1, 1, 8, 8, dtype=torch.float64)))
    found = semidefinite_bound(lattice).multipliers
    light = {variable: 0.2 * weight for variable, weight in found.weights.items()}
    with pytest.raises(NotPositiveError):
        certify(lattice, Multipliers(found.rho, light))


def test_without_time_the_bound_still_holds():
    make, shape = NETWORKS["skips"]
    network = shaken(make(), 4, 2.0)
    lattice = translate(trace(network, torch.zeros(shape, dtype=torch.float64)))
    hasty, patient = semidefinite_bound(lattice, seconds=0.0), semidefinite_bound(lattice)
    assert reached(network, shape, 0) <= patient.upper < hasty.upper


def test_same_seed_same_bound():
    make, shape = NETWORKS["chain"]
    network = shaken(make(), 4, 2.0)
    assert bound(network, shape).upper == bound(network, shape).upper


@pytest.mark.parametrize("zeroed", [0, 2])
def test_a_network_that_passes_nothing_on_is_bounded_by_next_to_nothing(zeroed):
    network = shaken(NETWORKS["chain"][0](), 1)
    with torch.no_grad():
        network[zeroed].weight.zero_()
    assert bound(network, (1, 1, 8, 8)).upper < 1e-3


def test_a_form_that_is_given_the_primal_start_ends_where_it_does_without():
    make, shape = NETWORKS["skips"]
    network = shaken(make(), 4, 2.0)
    graph = trace(network, torch.zeros(shape, dtype=torch.float64))
    lattice = translate(graph)
    near = semidefinite_bound(lattice, replay=linear_replay(graph)).upper
    assert near == pytest.approx(semidefinite_bound(lattice).upper, rel=0.02)


def denoiser(width):
    layers = (nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
    return shaken(nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1)), 3)


def lattice_of(network):
    return translate(trace(network, torch.zeros(1, 1, 12, 12, dtype=torch.float64)))


def test_a_run_goes_on_from_the_multipliers_of_an_earlier_one():
    """A search without time keeps what it is given: no worse than the earlier bound, and far better than its own start."""
    lattice = lattice_of(denoiser(4))
    whole = semidefinite_bound(lattice)
    cold = semidefinite_bound(lattice, seconds=0.0)
    warm = semidefinite_bound(lattice, seconds=0.0, start=whole.multipliers)
    assert warm.upper <= whole.upper * 1.05
    assert cold.upper > 1.2 * warm.upper


def test_multipliers_of_another_network_are_refused():
    found = semidefinite_bound(lattice_of(denoiser(2)), seconds=0.0)
    with pytest.raises(BoundsError, match="start of the semidefinite bound"):
        semidefinite_bound(lattice_of(denoiser(3)), start=found.multipliers)
