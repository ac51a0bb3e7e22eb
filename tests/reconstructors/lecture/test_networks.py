"""The lecture's networks: its parameter tables, and Lipschitz bounds against closed forms and gains that were reached."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from reconstructors.lecture.dense import LinearSpline, dense
from reconstructors.lecture.dncnn import DnCNN
from reconstructors.lecture.shelf import SHELF
from reconstructors.lecture.unet import LectureUNet
from reconstructors.zoo import load
from stabtest.audit.config.file import parse_config
from stabtest.audit.subject import load_subjects
from stabtest.bounds import lipschitz
from stabtest.errors import ConfigError
from stabtest.operators import Identity


def table(network: nn.Module, kind: type[nn.Module]) -> list[int]:
    """Parameters of each layer of one kind, in the order of the module."""
    return [sum(p.numel() for p in layer.parameters()) for layer in network.modules() if isinstance(layer, kind)]


def gain(network: nn.Module, shape: tuple[int, ...], *, near: float = 1e-3) -> float:
    """The largest of sampled gains: a lower bound."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, *shape, generator=generator, dtype=torch.float64)
    step = near * torch.randn(400, *shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        change = network.double()(x + step) - network.double()(x)
    return (change.flatten(1).norm(dim=1) / step.flatten(1).norm(dim=1)).max().item()


def test_residual_denoiser_has_the_lectures_table():
    network = DnCNN()
    assert table(network, nn.Conv2d) == [320, 9248, 9248, 9248, 9248, 289]
    assert sum(p.numel() for p in network.parameters()) == 37_601


def test_residual_denoiser_is_one_minus_its_convolutions():
    network, x = DnCNN(), torch.randn(1, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    h = x
    for k, layer in enumerate(layer for layer in network.modules() if isinstance(layer, nn.Conv2d)):
        h = torch.conv2d(h.relu() if k else h, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(network(x), x - h)


def test_residual_denoiser_sees_thirteen_pixels():
    network, x = DnCNN(), torch.randn(1, 1, 21, 21, generator=torch.Generator().manual_seed(0)).requires_grad_()
    seen = torch.autograd.grad(network(x)[0, 0, 10, 10], x)[0][0, 0].nonzero()
    assert seen.min(0).values.tolist() == [4, 4]
    assert seen.max(0).values.tolist() == [16, 16]


def test_unet_has_the_lectures_table():
    network = LectureUNet()
    down = [320, 9248, 18_496, 36_928, 73_856, 147_584, 295_168, 590_080]
    up = [295_040, 147_584, 73_792, 36_928, 18_464, 9248]
    assert table(network, nn.Conv2d) == [*down, *up, 66]
    assert table(network, nn.ConvTranspose2d) == [131_200, 32_832, 8224]
    assert sum(p.numel() for p in network.parameters()) == 1_925_058


@pytest.mark.parametrize("nodes", [(1, 1, 1, 1, 1), (2, 4, 3, 2), (4, 5, 4, 2, 3, 2)])
def test_dense_networks_have_the_parameters_of_their_descriptor(nodes):
    weights = sum(b * (a + 1) for a, b in itertools.pairwise(nodes))
    counts = [sum(p.numel() for p in dense(nodes, activation=kind).parameters()) for kind in ("relu", "heaviside", "spline")]
    assert counts == [weights, weights, weights + 5 * sum(nodes[1:-1])]


@pytest.mark.parametrize("nodes", [(1, 1, 1, 1, 1), (2, 4, 3, 2), (4, 5, 4, 2, 3, 2)])
@pytest.mark.parametrize("kind", ["relu", "spline"])
def test_bound_of_dense_networks_is_above_what_is_reached(nodes, kind):
    network = dense(nodes, activation=kind, seed=3)
    upper = lipschitz(network, torch.zeros(1, nodes[0])).upper
    norms = [np.linalg.norm(layer.weight.detach().numpy(), 2) for layer in network if isinstance(layer, nn.Linear)]
    reached = gain(network, (nodes[0],))
    assert 0 <= reached <= upper * (1 + 1e-5)
    assert reached <= np.prod(norms) * (1 + 1e-5)  # every activation has slopes in [-1, 1] at first
    if kind == "relu":
        assert upper <= np.prod(norms) * (1 + 1e-4)


def test_steepest_piece_of_a_spline_is_found_on_a_fine_grid():
    spline = LinearSpline(4, knots=(-1.0, 0.0, 0.5, 2.0)).double()
    with torch.no_grad():
        for parameter in spline.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(parameter.numel()))
    grid = torch.linspace(-4, 4, 8001, dtype=torch.float64)[:, None].repeat(1, 4)
    slopes = (spline(grid).diff(dim=0) / grid.diff(dim=0)).abs().amax(0)
    torch.testing.assert_close(spline.steepest(), slopes, atol=1e-6, rtol=0)


def test_threshold_logic_is_reported_discontinuous():
    network = load("threshold-logic").module
    bound = lipschitz(network, torch.zeros(1, 4))
    assert (bound.upper, bound.status) == (float("inf"), "infinite")
    # Control: the outputs are finitely many, with a jump between neighbours and no slope.
    x = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    assert 1 < len(torch.unique(network(x), dim=0)) <= 2**5


def test_everything_on_the_shelf_says_whether_it_reconstructs():
    for name, piece in SHELF.items():
        entry = load(name)
        assert (entry.card["reconstructs"], entry.card["description"]) == (piece.reconstructs, piece.description)
        assert not entry.module.training
        configured = parse_config(f'[network]\nzoo = "{name}"\n[operator]\nkind = "identity"\nsize = 16')
        if piece.reconstructs:
            image = load_subjects(configured)[0].method.reconstruct(torch.ones(1, 1, 16, 16), Identity((16, 16)))
            assert image.shape == (1, 1, 16, 16)
        else:
            with pytest.raises(ConfigError, match="expected a reconstructor"):
                load_subjects(configured)


def test_untrained_networks_are_the_same_each_time():
    before = torch.random.get_rng_state()
    a, b = (load("lecture-unet").module.state_dict() for _ in range(2))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("nodes", "kind"), [((3,), "relu"), ((2, 0, 1), "relu"), ((2, 2), "tanh")])
def test_descriptors_that_are_none_are_refused(nodes, kind):
    with pytest.raises(ConfigError, match="dense: "):
        dense(nodes, activation=kind)
