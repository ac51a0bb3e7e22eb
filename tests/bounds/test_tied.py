"""Activations of opposite arguments: the same function, fewer patterns, and bounds that know it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from stabtest.bounds import lipschitz
from stabtest.bounds.graph import trace
from stabtest.bounds.idioms import recognised
from stabtest.bounds.linear import linear_replay
from stabtest.bounds.loops import loop_bound
from stabtest.bounds.tied import tied

ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": lambda u: F.leaky_relu(u, 0.2),
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "softshrink": lambda u: F.softshrink(u, 0.3),
    "abs": torch.abs,
}


class Concatenated(nn.Module):
    """``W h([u, -u])`` with ``u`` a convolution of the image."""

    def __init__(self, activation):
        super().__init__()
        self.activation = activation
        self.first, self.last = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, x):
        u = self.first(x)
        return self.last(self.activation(torch.cat([u, -u], 1)))


class Apart(nn.Module):
    def __init__(self, activation, weights=(1.0, -1.0)):
        super().__init__()
        self.activation, self.weights = activation, weights

    def forward(self, x):
        one, other = self.weights
        return one * self.activation(x) + other * self.activation(-x)


def opposite_rows(weights):
    """A layer with a row, another, and the first again with the other sign; then the last layer."""
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1, bias=False)).double()
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[0.6, 0.8], [1.0, 0.3], [-0.6, -0.8]]))
        network[0].bias.copy_(torch.tensor([0.2, 0.1, -0.2]))
        network[2].weight.copy_(torch.tensor([weights]))
    return network


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("kind", [Concatenated, Apart])
def test_the_function_stays(name, kind, rng, run_graph):
    torch.manual_seed(0)
    network = kind(ACTIVATIONS[name]).double()
    x = 2 * torch.randn(1, 1, 8, 8, generator=rng, dtype=torch.float64)
    plain = trace(network, x)
    graph = tied(plain)
    assert graph is not plain
    torch.testing.assert_close(run_graph(graph, x)[0], network(x).detach(), atol=1e-12, rtol=1e-12)


def test_the_function_of_opposite_rows_stays(rng, run_graph):
    network = opposite_rows([1.0, 0.5, -1.0])
    x = torch.randn(1, 2, generator=rng, dtype=torch.float64)
    graph = tied(trace(network, x))
    torch.testing.assert_close(run_graph(graph, x)[0], network(x).detach())
    assert [gate.shape for gate in linear_replay(graph).gates] == [(1, 2)]


@pytest.mark.parametrize("change", ["weight", "bias"])
def test_rows_that_are_nearly_opposite_are_not_tied(change):
    network = opposite_rows([1.0, 0.5, -1.0])
    with torch.no_grad():
        getattr(network[0], change)[2] *= 1 + 1e-12
    plain = trace(network, torch.zeros(1, 2).double())
    assert tied(plain) is plain


def test_a_difference_of_opposite_relus_is_the_identity_for_the_loop_transformation(rng):
    """2 for bounds that let both be open together, as of the untied graph: the control."""
    network = Apart(F.relu).double()
    plain = trace(network, torch.ones(1, 4).double())
    values = [loop_bound(linear_replay(graph), generator=rng).value for graph in (plain, tied(plain))]
    assert values[0] >= 2.0
    assert values[1] == pytest.approx(1.0, rel=1e-6)


def test_a_bound_and_its_floor_know_that_opposite_rows_are_never_open_together():
    bound = lipschitz(opposite_rows([1.0, 0.0, -1.0]), torch.zeros(1, 2).double(), seconds=5)
    assert bound.upper == pytest.approx(1.0, rel=1e-6)  # w x + b again
    assert bound.floor <= bound.upper
    assert bound.lower == pytest.approx(1.0, rel=1e-3)


def test_an_asymmetric_pair_is_bounded_by_its_steeper_side():
    bound = lipschitz(Apart(F.relu, (0.5, -0.2)).double(), torch.ones(1, 3).double(), seconds=5)
    assert 0.5 <= bound.upper < 0.5 + 0.2


def test_a_network_without_a_graph_stays_without_one():
    class Branches(nn.Module):
        def forward(self, x):
            return x if float(x.detach().numpy().sum()) > 0 else -x

    plain = trace(Branches(), torch.ones(1, 3))
    assert plain.problem is not None
    assert tied(plain) is plain
    assert recognised(plain) is plain


def test_activations_of_unrelated_arguments_are_left_alone():
    torch.manual_seed(0)
    plain = trace(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU()), torch.zeros(1, 3))
    assert tied(plain) is plain
