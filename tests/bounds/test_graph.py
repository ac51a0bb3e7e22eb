"""The exported graph is the network, or the network is unknown."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stabtest.bounds.graph import trace
from stabtest.bounds.lipschitz import lipschitz


class Net(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


IMAGE = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(0))


def bound(function, x=IMAGE, **modules):
    return lipschitz(Net(function, **modules).eval(), x, jacobian_steps=0)


def numpy_inside(_, x):
    return torch.from_numpy(np.abs(x.detach().cpu().numpy()))


def by_item(_, x):
    return x * x.max().item()


def by_list(_, x):
    return torch.tensor(x.flatten().tolist()).reshape(x.shape)


def by_data(_, x):
    return torch.relu(x.data)


def branches(_, x):
    return x if x.sum() > 0 else -3 * x


@pytest.mark.parametrize("function", [numpy_inside, by_item, by_list, by_data, branches])
def test_values_taken_out_of_the_graph_never_give_a_false_zero(function):
    """Regression: each of these is a constant to one tracer or another. Unknown is right, and so is a true bound; 0 is not."""
    result = bound(function)
    if function is numpy_inside:
        # strict export sees through NumPy: |x| has the constant 1
        assert result.upper in (None, 1.0)
    else:
        assert result.upper is None


def test_data_is_named_as_the_reason():
    """``x.data`` is baked in under strict export (as a tensor without storage, on which PyTorch crashes)."""
    graph = trace(Net(by_data), IMAGE)
    assert graph.problem is not None
    assert "taken for a constant" in graph.problem


def test_random_networks_are_unknown():
    assert bound(lambda _, x: x + torch.randn_like(x)).upper is None
    assert bound(lambda _, x: F.dropout(x, 0.5, training=True)).upper is None


def test_dropout_at_test_time_is_the_identity():
    assert bound(lambda self, x: self.drop(x), drop=nn.Dropout(0.5)).upper == 1.0


def test_a_network_that_changes_its_buffers_is_unknown():
    network = nn.Sequential(nn.BatchNorm2d(2)).train()
    assert lipschitz(network, IMAGE, jacobian_steps=0).upper is None


def test_assignment_in_place_is_seen_through_its_view():
    def assign(_, x):
        out = x.clone()
        part = out[:, 0]
        part.mul_(3)
        return out

    assert bound(assign).upper >= 3.0


def test_assignment_of_a_slice_adds_squares():
    def assign(_, x):
        out = torch.zeros_like(x)
        out[:, 0] = 2 * x[:, 1]
        return out

    assert bound(assign).upper == pytest.approx(2)


def test_in_place_activation_is_the_same_as_not():
    network = nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 3))
    other = nn.Sequential(network[0], nn.ReLU(), network[2])
    assert lipschitz(network, IMAGE).upper == lipschitz(other, IMAGE).upper


def test_constants_computed_in_the_graph_have_their_value():
    network = nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 1, bias=False))
    exact = float(torch.linalg.matrix_norm(network.weight.detach().double()[:, :, 0, 0], 2))
    assert lipschitz(network, IMAGE).upper == pytest.approx(exact, rel=1e-6)


def test_a_constant_output_has_the_constant_zero():
    assert bound(lambda _, x: torch.zeros_like(x)).upper == 0.0


def test_networks_that_read_their_input_without_gradient_are_still_bounded():
    def no_gradient(_, x):
        with torch.no_grad():
            return 2 * x

    assert bound(no_gradient).upper == pytest.approx(2)


def test_names_are_places_in_the_module_tree():
    network = nn.Sequential()
    network.add_module("encoder", nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()))
    network.add_module("head", nn.Conv2d(4, 1, 1))
    assert [node.name for node in trace(network, IMAGE).nodes] == ["input", "encoder.0", "encoder.1", "head"]


def test_a_further_argument_is_a_constant():
    class Masked(nn.Module):
        def forward(self, x, mask):
            return x * mask

    result = lipschitz(Masked(), IMAGE, constants=(torch.full((6, 6), 0.5),))
    assert result.upper == pytest.approx(0.5)
    assert any("held fixed" in words for words in result.assumptions)


def test_several_images_are_one_image():
    network = nn.Conv2d(2, 2, 3)
    assert lipschitz(network, IMAGE.repeat(4, 1, 1, 1)).upper == lipschitz(network, IMAGE).upper


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_what_cannot_be_exported_is_said_in_one_line_without_folders(capfd):
    problem = trace(Branching(), torch.ones(1, 2)).problem
    assert "could not be exported" in problem
    assert "test_graph.py" in problem
    assert "/" not in problem.replace("and/or", "")
    assert capfd.readouterr() == ("", "")
