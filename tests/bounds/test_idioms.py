"""Soft thresholding in each spelling is recognised as the function that it is, and what only looks like it is left alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from stabtest.bounds import lipschitz
from stabtest.bounds.compose import compose
from stabtest.bounds.graph import trace
from stabtest.bounds.idioms import recognised


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.threshold = nn.Parameter(torch.tensor([0.3]))
        self.several = nn.Parameter(torch.tensor([0.1, 0.0, 0.7]).reshape(1, 3, 1))

    def forward(self, x):
        return self.function(self, x)


SPELLINGS = {
    "ISTA-Net": lambda n, x: torch.mul(torch.sign(x), F.relu(torch.abs(x) - n.threshold)),
    "the factors the other way": lambda n, x: F.relu(x.abs() - 0.2) * x.sgn(),
    "clamp": lambda n, x: torch.sign(x) * torch.clamp(torch.abs(x) - 0.2, min=0),
    "clamp_min": lambda n, x: torch.sign(x) * (x.abs() - n.threshold).clamp_min(0.0),
    "max": lambda n, x: torch.sign(x) * torch.max(torch.abs(x) - n.threshold, torch.zeros_like(x)),
    "maximum": lambda n, x: torch.sign(x) * torch.maximum(x.abs() - n.threshold, torch.tensor(0.0)),
    "a threshold for each channel": lambda n, x: torch.sign(x) * F.relu(torch.abs(x) - n.several),
    "two ReLUs": lambda n, x: F.relu(x - n.threshold) - F.relu(-x - n.threshold),
    "no threshold": lambda n, x: F.relu(x) - F.relu(-x),
    "modulus": lambda n, x: F.relu(-x) + F.relu(x),
}

IMPOSTORS = {
    "negative threshold": lambda n, x: torch.sign(x) * F.relu(torch.abs(x) + 0.2),
    "negative threshold, given as such": lambda n, x: torch.sign(x) * F.relu(torch.abs(x) - (-0.2)),
    "sign of another signal": lambda n, x: torch.sign(x.flip(-1)) * F.relu(torch.abs(x) - 0.2),
    "modulus of another signal": lambda n, x: torch.sign(x) * F.relu(torch.abs(x + 1) - 0.2),
    "positive part above 0.1": lambda n, x: torch.sign(x) * torch.clamp(torch.abs(x) - 0.2, min=0.1),
    "positive part up to 1": lambda n, x: torch.sign(x) * torch.clamp(torch.abs(x) - 0.2, 0, 1),
}

UNEQUAL = {
    "different thresholds": lambda n, x: F.relu(x - 0.1) - F.relu(-x - 0.2),
    "the other way round": lambda n, x: F.relu(-x - 0.1) - F.relu(x - 0.1),
    "twice the same": lambda n, x: F.relu(x - 0.1) + F.relu(x - 0.1),
    "weighted": lambda n, x: torch.sub(F.relu(x), F.relu(-x), alpha=2),
}


def samples(rng):
    return torch.cat([3 * torch.randn(1, 3, 500, generator=rng), torch.linspace(-1, 1, 81).expand(1, 3, 81)], -1)


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_spelling_is_replaced_by_the_same_function_with_constant_1(name, rng, run_graph):
    network, x = Of(SPELLINGS[name]), samples(rng)
    graph = recognised(trace(network, x))
    assert {node.call.operation for node in graph.nodes[1:]} <= {"softshrink", "abs", "clamp", "sub"}
    torch.testing.assert_close(run_graph(graph, x.double())[0].float(), network(x).detach(), atol=1e-6, rtol=1e-6)
    bound = lipschitz(network, x[..., :40], seconds=5)
    assert bound.upper == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("name", IMPOSTORS)
def test_what_is_another_function_keeps_no_constant(name, rng, run_graph):
    x = samples(rng)
    plain = trace(Of(IMPOSTORS[name]), x)
    graph = recognised(plain)
    assert graph is plain
    assert compose(graph)[1] is None


@pytest.mark.parametrize("name", UNEQUAL)
def test_sums_of_other_positive_parts_are_left_alone(name, rng):
    plain = trace(Of(UNEQUAL[name]), samples(rng))
    assert recognised(plain) is plain


def test_what_else_reads_the_parts_still_finds_them(rng, run_graph):
    def both(n, x):
        sign, size = torch.sign(x), F.relu(torch.abs(x) - 0.2)
        return sign * size, size

    x = samples(rng)
    graph = recognised(trace(Of(both), x))
    soft, size = run_graph(graph, x.double())
    assert "softshrink" in [node.call.operation for node in graph.nodes[1:]]
    torch.testing.assert_close(soft.float(), torch.sign(x) * F.relu(x.abs() - 0.2), atol=1e-6, rtol=0)
    torch.testing.assert_close(size.float(), F.relu(x.abs() - 0.2), atol=1e-6, rtol=0)


def test_an_unrolled_thresholding_network_has_a_bound_where_a_sign_would_have_none(rng):
    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.matrix = nn.Linear(6, 4, bias=False)
            with torch.no_grad():
                self.matrix.weight.copy_(torch.linalg.qr(torch.randn(6, 6, generator=rng))[0][:4])

        def forward(self, y):
            x = torch.zeros(1, 6)
            for _ in range(5):
                u = x + (y - self.matrix(x)) @ self.matrix.weight
                x = torch.sign(u) * F.relu(torch.abs(u) - 0.05)
            return x

    bound = lipschitz(Unrolled().eval(), torch.randn(1, 4, generator=rng), seconds=5)
    # u -> S(u + A^T (y - A u)) does not expand in u, and each of five iterations adds |dy| at most.
    assert bound.status in ("certified", "probabilistic")
    assert bound.lower <= bound.upper <= 5.3
