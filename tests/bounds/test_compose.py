"""Product, sum and concatenation on graphs."""

import math

import pytest
import torch
from torch import nn

from stabtest.bounds.call import gain
from stabtest.bounds.convolution import convolution_norm
from stabtest.bounds.lipschitz import lipschitz

X = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def upper(function, x=X, **modules):
    return lipschitz(Net(function, **modules).eval(), x, jacobian_steps=0).upper


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda _, x: torch.relu(3 * x) * 0.5, 1.5),
        (lambda _, x: x + torch.tanh(2 * x), 3.0),
        (lambda _, x: x - x, 2.0),
        (lambda _, x: torch.cat([x, 2 * x], 1), math.sqrt(5)),
        (lambda _, x: torch.cat([part.relu() for part in x.chunk(2, 1)][::-1], 1), math.sqrt(2)),
        (lambda _, x: torch.cat(x.chunk(2, 1)[::-1], 1), 1.0),
        (lambda _, x: torch.cat([x.chunk(2, 1)[0]] * 2, 1), math.sqrt(2)),
        (lambda _, x: torch.sign(x) * 0, 0.0),
    ],
    ids=range(8),
)
def test_rules_of_the_lecture(function, expected):
    assert upper(function) == pytest.approx(expected)


def test_unknown_absorbs_everything_after_it():
    result = lipschitz(Net(lambda _, x: 0.5 * torch.relu(x * x)), X, jacobian_steps=0)
    assert result.upper is None
    assert result.status == "unknown"
    statuses = list(result.layers["status"])
    assert statuses[0] == "unknown"
    assert [row.cumulative for row in result.rows] == [None, None, None]
    assert any("product of two signals" in words for words in result.assumptions)


def test_a_jump_is_infinite():
    result = lipschitz(Net(lambda _, x: torch.round(x) + x), X, jacobian_steps=0)
    assert (result.upper, result.status) == (math.inf, "infinite")


def test_an_unknown_side_branch_that_is_not_used_does_not_matter():
    def dead(_, x):
        _unused = x * x
        return 2 * x

    assert upper(dead) == pytest.approx(2)


def test_a_user_rule_in_three_lines():
    def square_of_a_bounded(call):
        return gain(2.0, "|x| <= 1 is known of the data")

    network = Net(lambda _, x: x.square())
    assert lipschitz(network, X, jacobian_steps=0).upper is None
    result = lipschitz(network, X, rules={"pow": square_of_a_bounded, "square": square_of_a_bounded}, jacobian_steps=0)
    assert result.upper == 2.0
    assert any("given by the user" in words for words in result.assumptions)


def batch_norm(channels):
    layer = nn.BatchNorm2d(channels)
    nn.init.uniform_(layer.weight, -2, 2)
    nn.init.uniform_(layer.running_var, 0.1, 3)
    return layer.eval()


def test_batch_norm_is_multiplied_into_the_kernel():
    torch.manual_seed(0)
    convolution, norm = nn.Conv2d(2, 3, 3, padding=1), batch_norm(3)
    slopes = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().double()
    result = lipschitz(nn.Sequential(convolution, norm).eval(), torch.zeros(1, 2, 8, 8), jacobian_steps=0)
    joint = convolution_norm(convolution.weight.double() * slopes[:, None, None, None])
    apart = convolution_norm(convolution.weight) * float(slopes.abs().max())
    assert result.upper == pytest.approx(joint)
    assert joint < apart
    assert "fused" in result.rows[0].method
    assert result.rows[1].constant == 1.0


@pytest.mark.parametrize("groups", [1, 2])
def test_batch_norm_after_a_transposed_convolution(groups):
    torch.manual_seed(1)
    up, norm = nn.ConvTranspose2d(4, 6, 3, stride=2, groups=groups, bias=False), batch_norm(6)
    network = nn.Sequential(up, norm).eval().double()
    bound = lipschitz(network, torch.zeros(1, 4, 5, 5, dtype=torch.float64), jacobian_steps=0).upper
    eye = torch.eye(100, dtype=torch.float64).reshape(100, 4, 5, 5)
    with torch.no_grad():
        matrix = (network(eye) - network(torch.zeros_like(eye))).reshape(100, -1)
    exact = float(torch.linalg.matrix_norm(matrix, 2))
    assert exact <= bound <= 1.5 * exact


def test_batch_norm_is_not_fused_where_the_convolution_is_read_twice():
    torch.manual_seed(2)
    convolution, norm = nn.Conv2d(2, 3, 3, padding=1), batch_norm(3)
    x = torch.zeros(1, 2, 8, 8)
    both = upper(lambda self, x: (lambda h: h + self.norm(h))(self.convolution(x)), x, convolution=convolution, norm=norm)
    slope = float((norm.weight.detach() / (norm.running_var + norm.eps).sqrt()).abs().max())
    assert both == pytest.approx(convolution_norm(convolution.weight) * (1 + slope), rel=1e-6)


def test_linear_and_batch_norm():
    torch.manual_seed(3)
    linear, norm = nn.Linear(4, 3), nn.BatchNorm1d(3)
    nn.init.uniform_(norm.weight, -2, 2)
    network = nn.Sequential(linear, norm).eval()
    slopes = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().double()
    exact = float(torch.linalg.matrix_norm(slopes[:, None] * linear.weight.detach().double(), 2))
    assert lipschitz(network, X).upper == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_log_shares_add_up_to_one(seed):
    torch.manual_seed(seed)
    modules = {"a": nn.Linear(4, 4), "b": nn.Linear(4, 4), "c": nn.Linear(8, 4)}

    def function(self, x):
        h = torch.relu(self.a(x))
        return 3 * x + self.c(torch.cat([self.b(h), h + x], 1))

    result = lipschitz(Net(function, **modules), X, jacobian_steps=0)
    assert sum(row.log_share for row in result.rows) == pytest.approx(1)


def test_log_share_of_a_chain_is_the_share_of_the_logarithm():
    result = lipschitz(Net(lambda _, x: torch.relu(8 * x) * 4), X, jacobian_steps=0)
    assert [row.log_share for row in result.rows] == pytest.approx([3 / 5, 0, 2 / 5])


def test_several_outputs_are_one_vector():
    assert upper(lambda _, x: (3 * x, 4 * x)) == pytest.approx(5)


def test_a_part_of_a_maximum_with_indices_that_has_no_bound():
    assert upper(lambda _, x: x.max(1)[0]) == pytest.approx(1)
    assert upper(lambda _, x: x.max(1)[1].float()) is None


def test_a_kernel_that_is_used_many_times_is_bounded_once(monkeypatch):
    from stabtest.bounds.rules import convolutions

    calls = []
    original = convolutions.convolution_norm
    monkeypatch.setattr(convolutions, "convolution_norm", lambda *a, **k: calls.append(1) or original(*a, **k))
    layer = nn.Conv2d(2, 2, 3, padding=1)
    x = torch.zeros(1, 2, 6, 6)
    three = upper(lambda self, x: self.c(self.c(self.c(x))), x, c=layer)
    assert len(calls) == 1
    assert three == pytest.approx(original(layer.weight) ** 3)
