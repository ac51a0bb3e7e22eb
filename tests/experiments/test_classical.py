"""The weights of the other sparse methods are chosen as that of total variation is, on phantoms apart from those that score it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from experiments.training import classical, evaluate
from experiments.training.recipe import HELD_OUT_SEED, TUNING_SEED
from experiments.training.recipes import RECIPES
from reconstructors.invariant import InvariantWavelets
from stabtest.metrics import psnr


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.setattr(evaluate, "TV_ITERATIONS", 20)
    monkeypatch.setitem(classical.WEIGHTS, "ct", (1e-4, 3e-3, 0.3))
    return dataclasses.replace(RECIPES["fbpconvnet-ell50"], size=32, tv_weights=(1e-4, 3e-3, 0.3))


def test_the_weight_is_the_best_of_the_grid_on_the_tuning_phantoms(recipe):
    """Scored here by hand."""
    operator = recipe.build_operator()
    method, card = evaluate.tune(InvariantWavelets, (1e-4, 3e-3, 0.3), recipe, operator, count=2)
    truth, y = evaluate.held_out(recipe, operator, seed=TUNING_SEED, count=2)
    scores = [psnr(InvariantWavelets(w, iterations=20)(y, operator), truth).mean().item() for w in (1e-4, 3e-3, 0.3)]
    assert method == InvariantWavelets(3e-3, iterations=20)
    assert int(np.argmax(scores)) == 1
    np.testing.assert_allclose(list(card["tuning_psnr_by_weight"].values()), scores, atol=2e-3)


@pytest.mark.parametrize("name", classical.METHODS)
def test_no_held_out_phantom_has_a_say_in_the_weights(recipe, monkeypatch, name):
    asked = []

    def recorded(recipe, operator, *, seed, count):
        asked.append((seed, count))
        return evaluate_held_out(recipe, operator, seed=seed, count=count)

    evaluate_held_out = evaluate.held_out
    monkeypatch.setattr(evaluate, "held_out", recorded)
    monkeypatch.setattr(classical, "held_out", recorded)
    result = classical.compare(recipe, [name], count=3, tuning=2)
    assert asked == [(TUNING_SEED, 2), (TUNING_SEED, 2), (HELD_OUT_SEED, 3)]
    assert result[name]["weight"] in classical.WEIGHTS["ct"]
    low, high = result["minus_tv_db"][name]["interval_95"]
    means = result["psnr_db"]
    assert low < means[name] - means["tv"] < high
    json.dumps(result)
