"""Several bounds: each above what is reached, the smallest counts, and what does not apply says why."""

import math

import pytest
import torch
from torch import nn

from stabtest.bounds import lipschitz
from stabtest.bounds.graph import trace
from stabtest.bounds.several import (
    ABSOLUTE,
    LOOPS,
    PER_GATE,
    PRODUCT,
    REGIONS,
    SEMIDEFINITE,
    GlobalBound,
    further_bounds,
    smallest,
)
from stabtest.operators import Fourier


def generator():
    return torch.Generator().manual_seed(0)


def chain():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 3, padding=1)).double()


def test_every_bound_lies_above_the_jacobian_and_the_smallest_counts():
    bound = lipschitz(chain(), torch.randn(1, 1, 8, 8, generator=generator(), dtype=torch.float64), seconds=20)
    values = {each.name: each.upper for each in bound.bounds}
    assert list(values) == [PRODUCT, REGIONS, ABSOLUTE, LOOPS, SEMIDEFINITE]
    assert all(value >= bound.lower for value in values.values())
    assert bound.upper == min(values.values()) == values[SEMIDEFINITE]
    assert bound.lower <= bound.floor <= bound.upper


def test_without_time_there_is_the_product_alone():
    bound = lipschitz(chain(), torch.zeros(1, 1, 8, 8, dtype=torch.float64))
    assert [each.name for each in bound.bounds if each.upper is not None] == [PRODUCT]
    assert bound.floor is None


def test_a_dense_network_gets_the_bound_per_activation():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double()
    found = {
        each.name: each for each in further_bounds(trace(network, torch.zeros(1, 4).double()), seconds=5, generator=generator())
    }
    assert found[SEMIDEFINITE].upper is None
    assert "(1, C, H, W)" in found[SEMIDEFINITE].note
    assert found[PER_GATE].upper <= lipschitz(network, torch.zeros(1, 4).double()).upper


def test_a_network_that_is_not_piecewise_linear_keeps_its_product_or_nothing():
    bound = lipschitz(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Softmax(1)), torch.randn(1, 1, 8, 8), seconds=5)
    assert [each.name for each in bound.bounds if each.upper is not None] == [PRODUCT]
    assert all(each.note.startswith("does not apply") for each in bound.bounds[1:])


def test_too_little_time_for_the_loops_is_said():
    found = {
        each.name: each
        for each in further_bounds(trace(chain(), torch.zeros(1, 1, 64, 64).double()), seconds=1e-4, generator=generator())
    }
    assert found[LOOPS].upper is None
    assert "more than the" in found[LOOPS].note
    assert found[SEMIDEFINITE].upper is not None


class Consistent(nn.Module):
    """Data consistency around a network: ``z + m A*(y - A z)`` with ``z`` a function of ``A* y``."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, y, operator):
        z = self.inner(operator.pseudo_inverse(y))
        return z + 0.9 * operator.adjoint(y - operator.forward(z))


class Modulus(nn.Module):
    def forward(self, z):
        return torch.complex(torch.relu(z.real), torch.relu(z.imag))


@pytest.mark.parametrize("inner", [nn.Identity(), Modulus()])
def test_data_consistency_is_1_where_its_operations_are_2_8(inner):
    operator = Fourier(torch.rand(6, 5, generator=generator()) < 0.5)
    y = operator.range.randn(generator=generator(), dtype=torch.float64)
    bound = lipschitz(Consistent(inner), y, constants=(operator,), seconds=5)
    found = {each.name: each.upper for each in bound.bounds}
    assert found[PRODUCT] >= 1 + 0.9 * 2 - 1e-6
    if isinstance(inner, nn.Identity):
        assert found[REGIONS] == pytest.approx(1.0, rel=1e-3)
    else:  # y and the two gates are one map's operands: ||z + 0.9 P (y - z)|| <= ||(y, Re z, Im z)||
        assert 1.0 <= found[REGIONS] <= math.sqrt(3) * (1 + 1e-3)
    assert found[LOOPS] <= found[REGIONS] * (1 + 1e-3)


@pytest.mark.parametrize("reverse", [False, True])
def test_smallest_passes_over_what_is_unknown(reverse):
    given = [
        GlobalBound("a", None, "unknown", ""),
        GlobalBound("b", math.inf, "infinite", ""),
        GlobalBound("c", 2.0, "certified", ""),
    ]
    assert smallest(given[::-1] if reverse else given).name == "c"


def test_a_start_from_a_smaller_image_serves_the_larger_one():
    network, large = chain(), torch.zeros(1, 1, 40, 48, dtype=torch.float64)
    graph, small = trace(network, large), trace(network, large[..., :16, :16])
    there, here = (
        {each.name: each.upper for each in further_bounds(graph, seconds=20, small=start, generator=generator())}[SEMIDEFINITE]
        for start in (small, None)
    )
    assert there == pytest.approx(here, rel=0.01)
