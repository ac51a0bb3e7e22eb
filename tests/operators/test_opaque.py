"""Steps that an exporter does not look into: plain calls outside of a recording, one operation inside of it."""

import pytest
import torch
from torch import nn

from stabtest.operators import Radon
from stabtest.operators.opaque import OpaqueOperator, recording, step


def by_numpy(x, factor):
    """What no exporter can follow."""
    return torch.from_numpy(x.detach().numpy() * factor.detach().numpy())


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(3.0))

    def forward(self, x):
        return step("scaled", by_numpy, x, self.factor, unit="mm") + 1


@pytest.fixture
def radon():
    return Radon(16, 6)


def test_outside_of_a_recording_it_is_the_call_itself():
    x = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda u: step("cube", lambda v: v**3, u), (x,))


def test_inside_it_is_one_operation_with_its_constants():
    with recording() as steps, torch.no_grad():
        program = torch.export.export(Scaled(), (torch.ones(2),), strict=False)
        assert [str(node.target) for node in program.graph.nodes if node.op == "call_function"] == [
            "stabtest.opaque.default",
            "aten.add.Tensor",
        ]
        assert torch.equal(program.module()(torch.tensor([1.0, 2.0])), torch.tensor([4.0, 7.0]))
    (one,) = steps.functions
    assert (one.name, one.settings) == ("scaled", {"unit": "mm"})
    assert one(torch.ones(1), [torch.tensor(5.0)]).item() == 5


def test_without_a_step_there_is_no_graph(monkeypatch):
    """Control: the same function, called plainly, is not followed."""

    class Plain(nn.Module):
        def forward(self, x):
            return by_numpy(x, torch.tensor(2.0))

    with torch.no_grad(), pytest.raises(Exception, match=r"numpy|NumPy"):
        torch.export.export(Plain(), (torch.ones(2),), strict=False)


def test_a_recording_ends():
    with pytest.raises(ValueError, match="inside"), recording():
        raise ValueError("inside")
    assert step("square", torch.square, torch.tensor([3.0])).item() == 9
    with pytest.raises(RuntimeError, match="outside"):
        torch.ops.stabtest.opaque(torch.ones(1), [], 0, [], False)


def test_the_maps_of_a_model_are_its_own(radon):
    shown = OpaqueOperator(radon)
    x = radon.domain.randn(2, generator=torch.Generator().manual_seed(0))
    y = radon.forward(x)
    assert torch.equal(shown.forward(x), y)
    assert torch.equal(shown.adjoint(y), radon.adjoint(y))
    assert torch.equal(shown.pseudo_inverse(y), radon.pseudo_inverse(y))
    assert torch.equal(shown.restrict(y), y)
    assert (shown.norm_bound(), shown.describe(), shown.angles) == (radon.norm_bound(), radon.describe(), radon.angles)
    assert shown.refine(2).domain == radon.refine(2).domain
