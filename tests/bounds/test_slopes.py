"""Smallest and largest slopes against difference quotients on a fine grid."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stabtest.bounds.graph import trace
from stabtest.bounds.slopes import slopes

ACTIVATIONS = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "leaky_relu, steep": lambda x: F.leaky_relu(x, 1.7),
    "leaky_relu, negative": lambda x: F.leaky_relu(x, -0.3),
    "elu": F.elu,
    "elu, large": lambda x: F.elu(x, 2.5),
    "celu": lambda x: F.celu(x, 0.4),
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "hardtanh": F.hardtanh,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "softshrink": F.softshrink,
    "logsigmoid": F.logsigmoid,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "atan": torch.atan,
    "asinh": torch.asinh,
    "erf": torch.erf,
    "clamp": lambda x: x.clamp(-1, 2),
}


class Activation(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_are_those_of_a_fine_grid(name):
    function = ACTIVATIONS[name]
    graph = trace(Activation(function), torch.randn(1, 3, dtype=torch.float64))
    answers = [slopes(node.call) for node in graph.nodes if node.call is not None]
    (low, high) = next(answer for answer in answers if answer is not None)
    x = torch.linspace(-12, 12, 2_400_001, dtype=torch.float64)
    quotients = function(x).diff() / x.diff()
    rounding = 1e-9
    assert low - rounding <= float(quotients.min())
    assert float(quotients.max()) <= high + rounding
    # and no wider than they have to be; the slope of asinh falls to 0 at infinity only
    assert float(quotients.max()) == pytest.approx(high, abs=0.01)
    assert float(quotients.min()) == pytest.approx(low, abs=0.1 if name == "asinh" else 0.01)


@pytest.mark.parametrize("function", [lambda x: torch.softmax(x, 1), torch.sign, lambda x: x * x, torch.cumsum])
def test_what_is_no_elementwise_activation_with_bounded_slopes_has_none(function):
    call = (lambda x: function(x, 1)) if function is torch.cumsum else function
    graph = trace(Activation(call), torch.randn(1, 3, dtype=torch.float64))
    assert all(slopes(node.call) is None for node in graph.nodes if node.call is not None)


def test_parametric_relu_has_the_slopes_it_has_learnt():
    layer = nn.PReLU(3).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([-0.4, 0.1, 1.3]))
    graph = trace(layer, torch.randn(1, 3, 4, 4, dtype=torch.float64))
    (answer,) = [slopes(node.call) for node in graph.nodes if node.call is not None and slopes(node.call) is not None]
    assert answer == pytest.approx((-0.4, 1.3))
