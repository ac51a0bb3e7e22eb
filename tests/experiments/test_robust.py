"""Robust training: the inputs that it shows the network are feasible and worse, and the noise levels are those stated."""

import dataclasses
import math

import pytest
import torch

from experiments.training.data import add_noise, simulate
from experiments.training.recipes import RECIPES
from experiments.training.robust import worst_input
from experiments.training.train import to_channels
from reconstructors.layout import join, split
from reconstructors.unet import UNet
from stabtest import tensors

SCANS = {
    "mri": dataclasses.replace(RECIPES["unet-mri-adversarial"], size=32),
    "ct": dataclasses.replace(RECIPES["fbpconvnet-ell50-adversarial"], size=16, operator={"kind": "radon", "angles": 12}),
}


def made(scan):
    recipe = SCANS[scan]
    operator = recipe.build_operator()
    images = simulate(recipe, operator, first_seed=1, count=3)
    torch.manual_seed(0)
    network = UNet(channels=int(recipe.network["channels"]), width=4, depth=2).train()
    return network, to_channels(operator.pseudo_inverse(images.measurement)), to_channels(images.truth), operator


@pytest.fixture(scope="module", params=SCANS)
def setting(request):
    return made(request.param)


def attacked(setting, **changes):
    network, source, target, operator = setting
    settings = {"radius": 0.05, "steps": 3, "generator": torch.Generator().manual_seed(0), **changes}
    return worst_input(network, network, source, target, operator, **settings)


def test_perturbation_is_in_the_ball_and_on_the_measured_samples():
    setting = made("mri")
    _, source, _, operator = setting
    change = attacked(setting) - source
    assert (tensors.norm(change) <= 0.05 * tensors.norm(source) * (1 + 1e-5)).all()
    measured = split(operator.adjoint(operator.forward(join(change, like=change.to(torch.complex64)))))
    torch.testing.assert_close(measured, change, rtol=0, atol=1e-6)


def test_a_sinogram_in_the_ball_has_the_perturbation_as_its_back_projection():
    """The shortest one, by a dense matrix of filtered back-projection."""
    setting = made("ct")
    _, source, target, operator = setting
    change = (attacked(setting) - source).double().flatten(1)
    basis = torch.eye(math.prod(operator.range.shape), dtype=torch.float64).reshape(-1, *operator.range.shape)
    matrix = operator.pseudo_inverse(basis).flatten(1).T
    shortest = (torch.linalg.pinv(matrix, rtol=1e-6) @ change.T).T
    torch.testing.assert_close((matrix @ shortest.T).T, change, rtol=0, atol=1e-5)
    limit = 0.05 * tensors.norm(operator.forward(target))
    assert (shortest.norm(dim=1) <= limit * (1 + 1e-5)).all()
    assert (shortest.norm(dim=1) > 0.5 * limit).all()


def test_it_is_worse_than_noise_of_the_same_size(setting):
    network, _, target, _ = setting
    error = {}
    for name, steps in (("start", 0), ("searched", 5)):
        there = attacked(setting, steps=steps)
        network.eval()
        error[name] = tensors.norm(network(there) - target)
    assert (error["searched"] > error["start"]).all()


def test_the_training_goes_on_as_it_was(setting):
    network, *_ = setting
    before = {key: value.clone() for key, value in network.state_dict().items()}
    attacked(setting)
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("name", ["unet-mri-jittered", "fbpconvnet-ell50-jittered"])
def test_jitter_draws_between_the_levels_and_only_in_training(name):
    recipe = dataclasses.replace(RECIPES[name], size=32)
    operator = recipe.build_operator()
    images = simulate(recipe, operator, first_seed=1, count=1)
    truth, measured = images.truth.expand(200, -1, -1, -1), images.measurement.expand(200, -1, -1, -1)

    samples = measured[0].numel() if recipe.modality == "ct" else int(operator.mask.sum())
    largest = (measured if recipe.modality == "ct" else truth).abs().amax()

    def levels(**kind):
        y = add_noise(measured, truth, recipe, operator, generator=torch.Generator().manual_seed(0), **kind)
        return tensors.norm(y - measured) / samples**0.5 / largest

    drawn, plain = levels(jittered=True), levels()
    assert plain.std() < 0.05 * recipe.noise
    assert recipe.noise * 0.9 < drawn.min() < 1.3 * recipe.noise
    assert 0.9 * recipe.noise_up_to < drawn.max() < 1.1 * recipe.noise_up_to
    assert drawn.mean().item() == pytest.approx((recipe.noise + recipe.noise_up_to) / 2, rel=0.1)
