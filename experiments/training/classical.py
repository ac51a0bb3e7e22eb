"""``python -m experiments.training.classical``: the weight of the wavelets, chosen as that of total variation is, and both beside each other.

For the scan of a trained network (`experiments.training.recipes`) each method gets the weight of a grid with the best mean PSNR on eight
tuning phantoms. Both are then scored on the forty held-out phantoms of the model cards; the interval is the 95 % t interval of
the mean paired difference wavelets minus total variation. Prints JSON, one object a scan.
"""

from __future__ import annotations

import argparse
import json

import torch
from scipy import stats

from experiments.training.evaluate import by_ones, held_out, tune, tune_tv
from experiments.training.recipe import HELD_OUT_SEED, Recipe
from experiments.training.recipes import RECIPES
from reconstructors.invariant import InvariantWavelets
from stabtest.metrics import psnr

SCANS = ("unet-mri", "fbpconvnet-ell50")
WEIGHTS = {
    "mri": (1e-3, 2e-3, 4e-3, 6e-3, 8e-3, 1.2e-2),
    "ct": (1e-3, 1.3e-3, 1.5e-3, 1.8e-3, 2.2e-3, 3e-3),
}
"""Candidates for the weight of the wavelets, steps of a factor of about 1.5."""


def compare(recipe: Recipe, *, count: int, tuning: int) -> dict[str, object]:
    """Tune both methods and score them on the same held-out phantoms."""
    operator = recipe.build_operator()
    tv, tv_card = tune_tv(recipe, operator, count=tuning)
    wavelets, card = tune(InvariantWavelets, WEIGHTS[recipe.modality], recipe, operator, count=tuning)
    truth, y = held_out(recipe, operator, seed=HELD_OUT_SEED, count=count)
    scores = {
        name: psnr(by_ones(lambda v, method=method: method(v, operator), y), truth).double()
        for name, method in (("tv", tv), ("wavelet", wavelets))
    }
    difference = scores["wavelet"] - scores["tv"]
    half = stats.t.ppf(0.975, count - 1) * difference.std().item() / count**0.5
    mean = difference.mean().item()
    return {
        "scan": recipe.name,
        "images": count,
        "psnr_db": {name: score.mean().item() for name, score in scores.items()},
        "wavelet_minus_tv_db": {"mean": mean, "interval_95": [mean - half, mean + half]},
        "images_where_tv_is_better": int((difference < 0).sum()),
        "tv": tv_card,
        "wavelet": card,
    }


def main() -> None:
    """Compare on the scans asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", nargs="*", default=list(SCANS), metavar="NAME", help=f"of a recipe; default {' '.join(SCANS)}")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--tuning", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.scans:
        print(json.dumps(compare(RECIPES[name], count=arguments.images, tuning=arguments.tuning), indent=1), flush=True)


if __name__ == "__main__":
    main()
