import pytest
import torch

from stabtest.errors import ConfigError
from stabtest.stability.shift.box import Box, transform
from stabtest.stability.shift.resampling import rotate, translate


def test_what_cannot_vary_is_left_out():
    box = Box(degrees=3, rows=0, columns=1, intensity=0)
    assert box.names == ("degrees", "columns")
    assert box.sides.tolist() == [3, 1]


def test_a_point_of_the_box_is_a_rotation_then_a_translation_then_a_gain(tools):
    image = tools.spots()
    by_hand = 1.1 * translate(rotate(image, 4.0), 1.5, -0.5)
    found = transform(image, degrees=4.0, rows=1.5, columns=-0.5, intensity=0.1)
    assert torch.allclose(found, by_hand)
    other_order = 1.1 * rotate(translate(image, 1.5, -0.5), 4.0)
    assert not torch.allclose(found, other_order, atol=1e-3)


def test_numbers_and_tensors_are_the_same(tools):
    image, point = tools.spots(), {"degrees": 4.0, "rows": 1.5, "columns": -0.5, "intensity": 0.1}
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in point.items()}
    assert torch.equal(transform(image, **point), transform(image, **tensors))


def test_nothing_happens_at_zero(tools):
    zeros = {name: torch.zeros((), dtype=torch.float64) for name in ("degrees", "rows", "columns", "intensity")}
    assert torch.equal(transform(tools.spots(), **zeros), tools.spots())
    assert torch.equal(transform(tools.spots()), tools.spots())


@pytest.mark.parametrize(
    "sides", [{"degrees": -1.0}, {"intensity": 1.0}, {"degrees": 0.0, "rows": 0.0, "columns": 0.0, "intensity": 0.0}]
)
def test_a_box_that_makes_no_sense_is_refused(sides):
    with pytest.raises(ConfigError, match="box"):
        Box(**sides)
