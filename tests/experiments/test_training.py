"""Training is deterministic, resumable, and its simulated data are what the recipe says."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from experiments.training import ridge
from experiments.training import train as training
from experiments.training.data import add_noise, simulate
from experiments.training.evaluate import held_out, round_weights, write
from experiments.training.recipe import TUNING_SEED
from experiments.training.recipes import RECIPES
from reconstructors.architectures import build
from stabtest import tensors
from stabtest.audit.cases.simulate import make_operator
from stabtest.audit.config import Config
from stabtest.operators import masks

SMALL = {
    "dncnn": {"width": 4, "layers": 3},
    "unet": {"width": 4, "depth": 2},
    "cascade": {"cascades": 2, "layers": 2, "width": 4},
    "automap": {"size": 32, "hidden": 20, "width": 4},
    "learned-primal-dual": {"iterations": 2, "width": 4},
    "itnet": {"iterations": 2, "width": 4, "depth": 2},
    "modl": {"repetitions": 2, "layers": 2, "width": 4},
    "variational": {"stages": 2, "filters": 3, "size": 3},
    "varnet": {"cascades": 2, "width": 4, "depth": 2},
    "plug-and-play": {"filters": 4, "size": 5, "steps": 2, "iterations": 3},
}
TINY = {
    name: dataclasses.replace(
        recipe, size=32, images=4, steps=6, batch=2, start="", network={**recipe.network, **SMALL[recipe.architecture]}
    )
    for name, recipe in RECIPES.items()
}


@pytest.mark.parametrize("name", TINY)
def test_resumed_run_equals_uninterrupted_run(name, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 3)
    whole = training.train(TINY[name], tmp_path / "whole")
    training.train(TINY[name], tmp_path / "parts", only_steps=3)
    parts = training.train(TINY[name], tmp_path / "parts")
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[key], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    "name", [name for name, recipe in TINY.items() if recipe.takes == "measurements+operator" and recipe.denoises is None]
)
def test_networks_that_take_measurements_are_given_those_of_the_target(name):
    recipe = dataclasses.replace(TINY[name], batch=16)
    operator = recipe.build_operator()
    images = simulate(recipe, operator, first_seed=1, count=4)
    source, target = training.make_batch(recipe, operator, images, generator=torch.Generator().manual_seed(0))
    if recipe.modality == "ct":  # the measurement is that of an object twice as fine, found by the image it is of
        kept = torch.stack([images.measurement[(images.truth == image).flatten(1).all(1)][0] for image in target])
        noise = (source - kept).flatten(1) / kept.flatten(1).amax(1, keepdim=True)
    else:
        truth = torch.complex(target[:, :1], target[:, 1:])
        noise = (source - operator.forward(truth))[:, :, operator.mask] / truth.abs().amax((2, 3))[..., None]
        assert (source[:, :, ~operator.mask] == 0).all()
    assert noise.abs().square().mean().sqrt().item() == pytest.approx(recipe.noise, rel=0.05)


@pytest.mark.parametrize("name", [name for name, recipe in TINY.items() if recipe.denoises is not None])
def test_a_denoiser_is_given_real_images_with_the_stated_noise(name):
    recipe = dataclasses.replace(TINY[name], batch=16)
    operator = recipe.build_operator()
    images = simulate(recipe, operator, first_seed=1, count=4)
    source, target = training.make_batch(recipe, operator, images, generator=torch.Generator().manual_seed(0))
    assert not target.is_complex()
    assert target.abs().max() <= 1 + 1e-6
    assert (source - target).std().item() == pytest.approx(recipe.denoises, rel=0.05)


@pytest.mark.parametrize("name", [name for name, recipe in TINY.items() if recipe.denoises is not None])
def test_scale_of_a_denoiser_is_the_best_of_the_candidates_on_phantoms_of_its_own(name, monkeypatch):
    monkeypatch.setattr(ridge, "SCALES", {name[4:]: (0.01, 1.0, 30.0)})
    monkeypatch.setattr(ridge, "LONGER", 2)
    recipe, seeds = TINY[name], []
    monkeypatch.setattr(ridge, "held_out", lambda *a, seed, count: seeds.append(seed) or held_out(*a, seed=seed, count=count))
    torch.manual_seed(0)
    network = build(recipe.architecture, recipe.network).eval()
    found = ridge.choose_scale(network, recipe, count=2)["scale"]
    scores = {float(scale): score for scale, score in found["tuning_psnr_by_scale"].items()}
    assert seeds == [TUNING_SEED]
    assert found["chosen"] == max(scores, key=scores.get) == pytest.approx(network.scale.item())
    assert len(set(scores.values())) == 3


@pytest.mark.parametrize("name", TINY)
def test_weights_that_are_evaluated_are_those_of_the_file(name, tmp_path):
    recipe = TINY[name]
    for folder in ("weights", "cards"):
        (tmp_path / folder).mkdir()
    (tmp_path / "loss.jsonl").write_text('{"step": 50, "loss": 1.0}\n')
    torch.manual_seed(0)
    network = build(recipe.architecture, recipe.network)
    exact = {key: value.clone() for key, value in network.state_dict().items()}
    round_weights(network, recipe)
    write(network, recipe, tmp_path, {}, to=tmp_path, threads=1)
    card = json.loads((tmp_path / "cards" / f"{name}.json").read_text())
    again = build(card["architecture"], card["settings"])
    again.load_state_dict(load_file(tmp_path / "weights" / card["weights"]))
    for key, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, rtol=0, atol=0)
    changed = any(not torch.equal(value, exact[key]) for key, value in network.state_dict().items())
    assert changed == (card["weights_precision"] == "float16")


@pytest.mark.parametrize("name", TINY)
def test_noise_has_the_stated_level(name):
    recipe = dataclasses.replace(RECIPES[name], size=64)
    operator = recipe.build_operator()
    images = simulate(recipe, operator, first_seed=1, count=1)
    y = add_noise(images.measurement, images.truth, recipe, operator, generator=torch.Generator().manual_seed(0))
    reference = images.truth if recipe.modality == "mri" else images.measurement
    count = len(y[0]) * int(operator.mask.sum()) if recipe.modality == "mri" else y.numel()
    level = (tensors.norm(y - images.measurement) / count**0.5 / reference.abs().max()).item()
    assert level == pytest.approx(recipe.noise, rel=0.05)


def test_mri_mask_has_a_quarter_of_the_samples():
    operator = RECIPES["unet-mri"].build_operator()
    assert masks.sampling_fraction(operator.mask) == 0.25


def test_coils_are_those_of_an_audit():
    """A report on a network of several coils is of the scan that it was trained on, if its settings are those of the card."""
    recipe = RECIPES["modl-mri-coils"]
    scan = {
        "kind": "multicoil",
        "size": recipe.size,
        "coils": recipe.operator["coils"],
        "mask": {
            "kind": recipe.operator["mask"],
            **{key: recipe.operator[key] for key in ("acceleration", "centre_fraction", "seed")},
        },
    }
    audited = make_operator(Config.model_validate({"network": {"zoo": "unet-mri"}, "operator": scan}))
    operator = recipe.build_operator()
    assert torch.equal(audited.mask, operator.mask)
    assert torch.equal(audited.sensitivities, operator.sensitivities)


def test_truths_of_mri_come_without_measurements_where_none_are_asked_for():
    recipe = TINY["modl-mri-coils"]
    operator = recipe.build_operator()
    alone, both = (simulate(recipe, operator, first_seed=1, count=2, measure=measure) for measure in (False, True))
    torch.testing.assert_close(alone.truth, both.truth, rtol=0, atol=0)
    assert alone.measurement.shape == (2, 0)
    assert both.measurement.shape == (2, 8, 32, 32)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_first_steps_reproduce_the_recorded_loss_curve(name, tmp_path):
    """1 % of the steps from the seed; another processor sums in another order, hence not to the last bit."""
    import reconstructors

    curve = dict(map(tuple, reconstructors.load(name).card["loss_curve"]))
    training.train(RECIPES[name], tmp_path, only_steps=100)
    for line in (tmp_path / "loss.jsonl").read_text().splitlines():
        entry = json.loads(line)
        assert entry["loss"] == pytest.approx(curve[entry["step"]], rel=0.05)
