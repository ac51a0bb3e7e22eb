"""The zoo: every name loads, the card tells the truth about the weights, the networks beat the direct method and TV."""

from __future__ import annotations

import hashlib

import pytest
import torch

import reconstructors
from experiments.training.data import add_noise, simulate
from experiments.training.evaluate import by_ones, psnr, reconstruct
from experiments.training.recipes import HELD_OUT_SEED, RECIPES, TRAINING_SEED, TUNING_SEED
from reconstructors.tv import TotalVariation
from stabtest.errors import ConfigError

NETWORKS = ["fbpconvnet-ell50", "unet-mri"]


def test_every_name_loads():
    assert set(NETWORKS) | {"zero-filled", "fbp", "tv"} == set(reconstructors.names())
    for name in reconstructors.names():
        assert reconstructors.load(name).name == name


def test_unknown_name_says_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'unet-mri'"):
        reconstructors.load("unet-mir")


@pytest.mark.parametrize("name", NETWORKS)
def test_card_matches_the_weights(name):
    entry = reconstructors.load(name)
    assert hashlib.sha256(entry.weights.read_bytes()).hexdigest() == entry.card["sha256"]
    assert sum(p.numel() for p in entry.module.parameters()) == entry.card["parameters"]
    assert entry.weights.stat().st_size < 16e6
    assert not any(p.requires_grad for p in entry.module.parameters())
    assert not entry.module.training
    losses = [loss for _, loss in entry.card["loss_curve"]]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_held_out_metrics_of_the_card_come_back_on_its_first_images(name):
    """The card's mean over 40 images and this mean over 6 of them differ only by the choice of images."""
    recipe, entry = RECIPES[name], reconstructors.load(name)
    operator = recipe.build_operator()
    images = simulate(recipe, operator, first_seed=HELD_OUT_SEED, count=6)
    generator = torch.Generator().manual_seed(7)
    y = add_noise(images.measurement, images.truth, recipe, operator, generator=generator)
    network = psnr(by_ones(lambda v: reconstruct(entry.module, recipe, v, operator), y), images.truth)
    direct = psnr(operator.pseudo_inverse(y), images.truth)
    settings = entry.card["held_out"]["tv"]
    tv = TotalVariation(weight=settings["weight"], iterations=settings["iterations"])
    assert network.mean().item() == pytest.approx(entry.card["held_out"]["psnr_db"]["network"], abs=2.0)
    assert (network > direct).all()
    assert network.mean() > psnr(by_ones(lambda v: tv(v, operator), y), images.truth).mean()
    assert entry.card["held_out"]["psnr_gain_over_tv_db"]["interval_95"][0] > 0


def test_seeds_of_training_tuning_and_evaluation_are_disjoint():
    for recipe in RECIPES.values():
        assert TRAINING_SEED + recipe.images <= TUNING_SEED < HELD_OUT_SEED
