"""``python -m experiments.training.classical``: the weights of wavelets and of total generalised variation, chosen as that of total variation is.

For the scan of a trained network (`experiments.training.recipes`) each method gets the weight of a grid with the best mean PSNR on eight
tuning phantoms. All are then scored on the forty held-out phantoms of the model cards; the interval is the 95 % t interval of
the mean paired difference to total variation. Prints JSON, one object a scan.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import torch
from scipy import stats
from torch import Tensor

from experiments.training.evaluate import by_ones, held_out, tune, tune_tv
from experiments.training.recipe import HELD_OUT_SEED, Recipe
from experiments.training.recipes import RECIPES
from reconstructors.invariant import InvariantWavelets
from reconstructors.primal_dual import PrimalDual
from reconstructors.tgv import TotalGeneralisedVariation
from stabtest.metrics import psnr

SCANS = ("unet-mri", "fbpconvnet-ell50")
METHODS: dict[str, type[PrimalDual]] = {"wavelet": InvariantWavelets, "tgv": TotalGeneralisedVariation}
WEIGHTS = {
    "mri": (1e-3, 2e-3, 4e-3, 6e-3, 8e-3, 1.2e-2),
    "ct": (7e-4, 1e-3, 1.3e-3, 1.5e-3, 1.8e-3, 2.2e-3, 3e-3),
}
"""Candidates for the weights, steps of a factor of about 1.5."""


def compare(recipe: Recipe, methods: Sequence[str], *, count: int, tuning: int) -> dict[str, object]:
    """Tune the methods and score them on the same held-out phantoms."""
    operator = recipe.build_operator()
    tuned: dict[str, tuple[PrimalDual, dict[str, object]]] = {"tv": tune_tv(recipe, operator, count=tuning)}
    for name in methods:
        tuned[name] = tune(METHODS[name], WEIGHTS[recipe.modality], recipe, operator, count=tuning)
    truth, y = held_out(recipe, operator, seed=HELD_OUT_SEED, count=count)
    scores = {
        name: psnr(by_ones(lambda v, method=method: method(v, operator), y), truth).double()
        for name, (method, _) in tuned.items()
    }
    return {
        "scan": recipe.name,
        "images": count,
        "psnr_db": {name: score.mean().item() for name, score in scores.items()},
        "minus_tv_db": {name: _paired(scores[name] - scores["tv"]) for name in methods},
        **{name: card for name, (_, card) in tuned.items()},
    }


def _paired(difference: Tensor) -> dict[str, object]:
    count, mean = len(difference), difference.mean().item()
    half = stats.t.ppf(0.975, count - 1) * difference.std().item() / count**0.5
    return {"mean": mean, "interval_95": [mean - half, mean + half], "images_where_tv_is_better": int((difference < 0).sum())}


def main() -> None:
    """Compare on the scans asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", nargs="*", default=list(SCANS), metavar="NAME", help=f"of a recipe; default {' '.join(SCANS)}")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--tuning", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.scans:
        print(
            json.dumps(compare(RECIPES[name], arguments.methods, count=arguments.images, tuning=arguments.tuning), indent=1),
            flush=True,
        )


if __name__ == "__main__":
    main()
