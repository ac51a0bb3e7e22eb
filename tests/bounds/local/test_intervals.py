"""Slopes between two ends: no difference quotient inside leaves them, and they are no wider than a fine grid shows."""

from __future__ import annotations

import pytest
import torch

from stabtest.bounds.call import Call, Signal
from stabtest.bounds.local.intervals import slopes_between

aten = torch.ops.aten
SIGNAL = Signal((1, 1), torch.float64)
ACTIVATIONS = {
    "relu": (aten.relu.default, {}),
    "leaky_relu": (aten.leaky_relu.default, {"negative_slope": 0.2}),
    "relu6": (aten.relu6.default, {}),
    "hardtanh": (aten.hardtanh.default, {"min_val": -1.0, "max_val": 2.0}),
    "hardsigmoid": (aten.hardsigmoid.default, {}),
    "softshrink": (aten.softshrink.default, {"lambd": 0.5}),
    "abs": (aten.abs.default, {}),
    "tanh": (aten.tanh.default, {}),
    "sigmoid": (aten.sigmoid.default, {}),
    "silu": (aten.silu.default, {}),
    "gelu": (aten.gelu.default, {"approximate": "none"}),
    "softplus": (aten.softplus.default, {"beta": 1, "threshold": 20}),
    "mish": (aten.mish.default, {}),
    "hardswish": (aten.hardswish.default, {}),
    "elu": (aten.elu.default, {"alpha": 0.7, "scale": 1.2, "input_scale": 0.9}),
    "celu": (aten.celu.default, {"alpha": 0.7}),
    "selu": (aten.selu.default, {}),
    "log_sigmoid": (aten.log_sigmoid.default, {}),
    "erf": (aten.erf.default, {}),
    "atan": (aten.atan.default, {}),
}
ENDS = [(-8.0, -5.0), (-4.0, -2.0), (-2.5, -1.1), (-0.7, 0.9), (0.1, 0.3), (0.4, 2.9), (1.0, 2.6), (3.1, 9.0), (-9.0, 9.0)]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("ends", ENDS)
def test_slopes_are_those_of_a_fine_grid(name, ends):
    target, options = ACTIVATIONS[name]
    first = target._schema.arguments[0].name
    call = Call(name, target, {first: SIGNAL, **options}, (1, 1))
    low, high = slopes_between(call, *(torch.full((1, 1), end, dtype=torch.float64) for end in ends))
    grid = torch.linspace(*ends, 20_001, dtype=torch.float64)
    values = target(grid, *options.values()) if name != "gelu" else target(grid, approximate="none")
    quotients = values.diff() / grid.diff()
    assert float(low) <= float(quotients.min()) + 1e-9
    assert float(quotients.max()) - 1e-9 <= float(high)
    assert float(low) == pytest.approx(float(quotients.min()), abs=2e-3)
    assert float(high) == pytest.approx(float(quotients.max()), abs=2e-3)
