"""The zoo: every name loads, the card tells the truth about the weights, the networks beat the direct method and TV."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import reconstructors
from experiments.training.evaluate import by_ones, held_out
from experiments.training.recipe import HELD_OUT_SEED, TRAINING_SEED, TUNING_SEED
from experiments.training.recipes import RECIPES
from reconstructors.lecture.filters import GaussianFilter, MedianFilter
from reconstructors.lecture.shelf import SHELF
from reconstructors.tv import TotalVariation
from reconstructors.zoo import HERE, WAVELET_WEIGHT, read_card
from stabtest.errors import ConfigError
from stabtest.metrics import psnr
from stabtest.networks import wrap

NETWORKS = [
    "automap-mri",
    "cascade-mri",
    "dagan-mri",
    "dncnn-denoise",
    "fbpconvnet-ell50",
    "fbpconvnet-ell50-adversarial",
    "fbpconvnet-ell50-jittered",
    "fbpconvnet-ell50-spectral",
    "fbpconvnet-med50",
    "itnet-ct",
    "itnet-mri",
    "lpd-ct",
    "modl-mri-coils",
    "pnp-ct",
    "pnp-mri",
    "unet-mri",
    "unet-mri-adversarial",
    "unet-mri-jittered",
    "unet-mri-spectral",
    "varnet-mri-coils",
    "vn-mri-coils",
]
BEHIND_TV = ("fbpconvnet-ell50-spectral", "unet-mri-spectral")
"""Networks that total variation is ahead of, and whose cards and the zoo's table say so."""
BESIDE_TV = ("fbpconvnet-ell50-jittered", "pnp-mri")
"""Networks that are ahead of total variation on average, not on every image."""
MOST_BYTES = 60e6
"""Bytes of all weights together."""


def test_every_name_loads():
    classical = {"zero-filled", "fbp", "cg-sense", "sirt", "tv", "tgv", "firenet", "wavelet"}
    assert set(NETWORKS) | classical | set(SHELF) == set(reconstructors.names())
    for name in reconstructors.names():
        assert reconstructors.load(name).name == name


def test_unknown_name_says_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'unet-mri'"):
        reconstructors.load("unet-mir")


@pytest.mark.parametrize(("name", "weight"), [("tv", 2e-3), ("tgv", 1e-3), ("wavelet", 2e-3)])
def test_a_regularised_method_is_made_from_its_settings_and_beats_the_direct_one(name, weight):
    recipe = replace(RECIPES["fbpconvnet-ell50"], size=32)
    operator = recipe.build_operator()
    truth, y = held_out(recipe, operator, seed=HELD_OUT_SEED, count=2)
    method = reconstructors.load(name).make(weight=weight, iterations=60)
    assert (method.weight, method.iterations) == (weight, 60)
    assert (psnr(method(y, operator), truth) > psnr(operator.pseudo_inverse(y), truth) + 0.5).all()
    assert method(y, operator).shape == truth.shape


def test_wavelets_need_no_settings():
    assert reconstructors.load("wavelet").make().weight == WAVELET_WEIGHT


@pytest.mark.parametrize("name", NETWORKS)
def test_card_matches_the_weights(name):
    entry = reconstructors.load(name)
    assert hashlib.sha256(entry.weights.read_bytes()).hexdigest() == entry.card["sha256"]
    assert sum(p.numel() for p in entry.module.parameters()) == entry.card["parameters"]
    assert entry.weights.stat().st_size < 16e6
    assert not any(p.requires_grad for p in entry.module.parameters())
    assert not entry.module.training
    losses = [loss for _, loss in entry.card["loss_curve"]]
    assert losses[-1] < losses[0]
    scores = entry.card["held_out"]["psnr_db"]
    assert scores["network"] > scores["direct"] + 1


def test_all_weights_together_are_small():
    assert sum(file.stat().st_size for file in (HERE / "weights").iterdir()) < MOST_BYTES


@pytest.mark.parametrize("name", NETWORKS)
def test_precision_of_the_file_is_that_of_the_card(name):
    entry = reconstructors.load(name)
    kinds = {value.dtype for value in load_file(entry.weights).values() if value.is_floating_point()}
    assert kinds == {getattr(torch, entry.card["weights_precision"])}
    assert {value.dtype for value in entry.module.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n.startswith("pnp-") else n for n in NETWORKS])
def test_held_out_figures_of_the_card_come_back(name):
    """The same 40 images as in the card, through the same wrapping as in an audit; TV on the first of them."""
    recipe, entry = RECIPES[name], reconstructors.load(name)
    operator = recipe.build_operator()
    card = entry.card["held_out"]
    truth, y = held_out(recipe, operator, seed=HELD_OUT_SEED, count=card["images"])
    network = wrap(entry.module, takes=entry.takes, channels=entry.channels, scale=entry.scale)
    scores = psnr(by_ones(lambda v: network(v, operator), y), truth)
    direct = psnr(operator.pseudo_inverse(y), truth)
    assert scores.mean().item() == pytest.approx(card["psnr_db"]["network"], abs=0.01)
    assert direct.mean().item() == pytest.approx(card["psnr_db"]["direct"], abs=0.01)
    assert (scores > direct).all()
    tv = TotalVariation(weight=card["tv"]["weight"], iterations=card["tv"]["iterations"])
    ahead = scores[:4] > psnr(by_ones(lambda v: tv(v, operator), y[:4]), truth[:4])
    low, high = card["psnr_gain_over_tv_db"]["interval_95"]
    if name in BESIDE_TV:
        assert low > 0
        assert 0 < card["psnr_gain_over_tv_db"]["images_where_tv_is_better"] < card["images"] / 2
        return
    assert (ahead.all() and low > 0) if name not in BEHIND_TV else (not ahead.any() and high < 0)


def test_denoiser_is_held_against_both_filters_with_the_widths_of_the_card():
    recipe, card = RECIPES["dncnn-denoise"], read_card("dncnn-denoise")["held_out"]
    truth, y = held_out(recipe, recipe.build_operator(), seed=HELD_OUT_SEED, count=card["images"])
    filters = {
        "gaussian": GaussianFilter(width=card["gaussian"]["pixels"]),
        "median": MedianFilter(size=card["median"]["pixels"]),
    }
    for name, each in filters.items():
        assert psnr(each(y), truth).mean().item() == pytest.approx(card["psnr_db"][name], abs=0.01)
        assert card["psnr_db"]["direct"] < card["psnr_db"][name] < card["psnr_db"]["network"]


def row_of(name: str, card: dict) -> str:
    """The row of docs/benchmarks.md."""
    means, gain = card["held_out"]["psnr_db"], card["held_out"]["psnr_gain_over_tv_db"]
    low, high = gain["interval_95"]
    numbers = " | ".join(f"{means[key]:.1f}" for key in ("direct", "tv", "network"))
    return f"| `{name}` | {numbers} | {gain['mean']:+.1f} ({low:.1f} to {high:.1f}) | {gain['images_where_tv_is_better']} |"


def test_table_of_the_documentation_is_that_of_the_cards():
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    section = text.partition("## The shipped networks beside total variation\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| `")]
    assert sorted(table) == sorted(row_of(name, read_card(name)) for name in NETWORKS)


def test_seeds_of_training_tuning_and_evaluation_are_disjoint():
    for recipe in RECIPES.values():
        assert TRAINING_SEED + recipe.images <= TUNING_SEED < HELD_OUT_SEED
