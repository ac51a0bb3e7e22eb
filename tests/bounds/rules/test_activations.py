"""Slopes against a fine grid, in float64."""

import math

import pytest
import torch

from stabtest.bounds.rules import RULES

aten = torch.ops.aten

ACTIVATIONS = [
    (aten.relu.default, ()),
    (aten.relu6.default, ()),
    (aten.leaky_relu.default, (0.2,)),
    (aten.leaky_relu.default, (-3.0,)),
    (aten.elu.default, ()),
    (aten.elu.default, (2.5,)),
    (aten.elu.default, (1.5, 0.7, 2.0)),
    (aten.celu.default, (0.3,)),
    (aten.selu.default, ()),
    (aten.tanh.default, ()),
    (aten.sigmoid.default, ()),
    (aten.hardsigmoid.default, ()),
    (aten.hardswish.default, ()),
    (aten.hardtanh.default, ()),
    (aten.softplus.default, ()),
    (aten.softplus.default, (3.0,)),
    (aten.gelu.default, ()),
    (aten.silu.default, ()),
    (aten.mish.default, ()),
    (aten.log_sigmoid.default, ()),
    (aten.softshrink.default, ()),
    (aten.abs.default, ()),
    (aten.sin.default, ()),
    (aten.cos.default, ()),
    (aten.atan.default, ()),
    (aten.asinh.default, ()),
    (aten.erf.default, ()),
    (aten.threshold.default, (0.5, 0.5)),
    (aten.clamp.default, (-1.0, 0.5)),
]


def slopes(function):
    # difference quotients reach the slope at kinks as well; a step that is not small would miss the maximum
    x = torch.linspace(-12, 12, 2_400_001, dtype=torch.float64)
    y = function(x)
    return float(((y[1:] - y[:-1]) / (x[1:] - x[:-1])).abs().max())


@pytest.mark.parametrize(("target", "args"), ACTIVATIONS, ids=lambda value: str(value))
def test_largest_slope_on_a_fine_grid(target, args, operation):
    x = torch.randn(3, 4, dtype=torch.float64)
    constant = operation(target, x, *args).gain().factors[0]
    steepest = slopes(lambda t: target(t, *args))
    assert steepest <= constant * (1 + 1e-7)
    assert constant <= steepest * (1 + 1e-4)


def test_gelu_tanh_form(operation):
    constant = operation(aten.gelu.default, torch.randn(3), approximate="tanh").gain().factors[0]
    steepest = slopes(lambda t: aten.gelu.default(t, approximate="tanh"))
    assert steepest <= constant <= steepest * (1 + 1e-5)


def test_prelu_uses_the_learnt_slopes(operation):
    x, weight = torch.randn(1, 3, 4, dtype=torch.float64), torch.tensor([0.1, -2.5, 0.3], dtype=torch.float64)
    assert operation(aten.prelu.default, x, weight).gain().factors[0] == 2.5


def test_prelu_with_slopes_from_the_input_is_unknown(operation):
    x = torch.randn(1, 3, 4)
    weight = torch.rand(3)
    assert operation(aten.prelu.default, x, weight, signals=[x, weight]).gain().factors is None


def test_softmax_reaches_a_half(operation):
    two = torch.zeros(1, 2, dtype=torch.float64)
    assert operation(aten.softmax.int, two, 1).gain().factors[0] == 0.5
    assert operation(aten.softmax.int, two, 1).dense_norm() == pytest.approx(0.5)


def test_softmax_never_beyond_a_half(operation, rng):
    for _ in range(30):
        x = 3 * torch.randn(1, 5, generator=rng, dtype=torch.float64)
        assert operation(aten.softmax.int, x, 1).dense_norm() <= 0.5 + 1e-12


@pytest.mark.parametrize("target", [aten.sign, aten.round, aten.floor, aten.ceil, aten.trunc, aten.isnan, aten.argmax])
def test_jumps_are_infinite(target, operation):
    gain = operation(target.default, torch.randn(4)).gain()
    assert gain.factors == (math.inf,)
    assert gain.method == "discontinuous"


def test_comparison_is_infinite(operation):
    assert operation(aten.gt.Scalar, torch.randn(4), 0).gain().constant == math.inf


def test_threshold_that_jumps_is_infinite(operation):
    assert operation(aten.threshold.default, torch.randn(4), 0.5, 0.0).gain().constant == math.inf


def test_softplus_with_a_low_threshold_jumps(operation):
    assert operation(aten.softplus.default, torch.randn(4), 1.0, 1.0).gain().constant == math.inf


def test_entire_functions_of_complex_numbers_are_unknown(operation):
    z = torch.randn(4, dtype=torch.complex128)
    assert operation(aten.tanh.default, z).gain().factors is None
    assert operation(aten.abs.default, z).gain().factors == (1.0,)


def test_training_mode_is_unknown(operation):
    assert operation(aten.dropout.default, torch.randn(4), 0.5, True).gain().factors is None
    assert operation(aten.dropout.default, torch.randn(4), 0.5, False).gain().factors == (1.0,)


def test_products_and_roots_have_no_rule_that_gives_a_number(operation):
    x = torch.rand(4)
    assert operation(aten.glu.default, x).gain().factors is None
    assert operation(aten.pow.Tensor_Scalar, x, 2).gain().factors is None
    for name in ("sqrt", "exp", "log", "square", "reciprocal", "rsqrt", "std", "var"):
        assert name not in RULES
    q = torch.rand(1, 3, 2)
    assert operation(aten.scaled_dot_product_attention.default, q, q, q).gain().factors is None
