r"""Filters of mean zero whose norm is 1, for the denoiser of `reconstructors.plug_and_play`.

The map ``W`` of one image to ``C`` channels has ``||W||^2 <= max_w sum_c |w_c^(w)|^2`` on images of every size. While training the
maximum is taken over a grid of frequencies by the fast Fourier transform, and the filters are divided by it, with the gradient of
both. A maximum over a grid is no bound: after the training `settle_ridge` divides by the certified norm of `stabtest.bounds`.

The denoiser is trained for one noise. At which other one it is used, by ``s D(x / s)``, is chosen with the reconstruction that it is
for, on phantoms that are neither trained nor tested on: those on which total variation has its weight chosen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from experiments.training.evaluate import as_shipped, by_ones, held_out
from experiments.training.recipe import TUNING_SEED, Recipe
from reconstructors.plug_and_play import PlugAndPlay, RidgeDenoiser
from stabtest.bounds.convolution import convolution_norm
from stabtest.metrics import psnr
from stabtest.tensors import norm

GRID = 48
SCALES = {"mri": (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0), "ct": (0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2)}
"""Candidates for ``s``, steps of a factor of at most about 1.5."""
LONGER = 10


class UnitFilters(nn.Module):
    """The parametrisation: subtract the mean of each filter, divide all by their joint norm on the grid.

    Examples
    --------
    >>> filters = UnitFilters()(torch.randn(3, 1, 5, 5))
    >>> bool(filters.mean((2, 3)).abs().max() < 1e-6), 0.95 < convolution_norm(filters) < 1.05
    (True, True)
    """

    def forward(self, weight: Tensor) -> Tensor:
        """Filters ``(C, 1, n, n)``."""
        centred = weight - weight.mean((2, 3), keepdim=True)
        return centred / torch.fft.rfft2(centred.float(), s=(GRID, GRID)).abs().square().sum((0, 1)).amax().sqrt()


def limit_ridge(denoiser: RidgeDenoiser) -> None:
    """Parametrise the filters, in place."""
    parametrize.register_parametrization(denoiser, "weight", UnitFilters())


def settle_ridge(denoiser: RidgeDenoiser) -> None:
    """Make a plain parameter of the filters again, in place, with a certified norm of at most 1.

    Examples
    --------
    >>> denoiser = RidgeDenoiser(filters=3, size=5)
    >>> limit_ridge(denoiser)
    >>> settle_ridge(denoiser)
    >>> convolution_norm(denoiser.weight) <= 1
    True
    """
    if parametrize.is_parametrized(denoiser, "weight"):
        parametrize.remove_parametrizations(denoiser, "weight", leave_parametrized=True)
    with torch.no_grad():
        norm = convolution_norm(denoiser.weight)
        if norm > 1:
            denoiser.weight.mul_((1 - 1e-6) / norm)  # the product is rounded in float32


def choose_scale(network: PlugAndPlay, recipe: Recipe, *, count: int = 4) -> dict[str, object]:
    """Give the network, in place, the scale with the best mean PSNR on tuning phantoms, and say what a run ten times as long would change."""
    operator = recipe.build_operator()
    truth, y = held_out(recipe, operator, seed=TUNING_SEED, count=count)
    shipped = as_shipped(network, recipe)
    scores: dict[float, float] = {}
    for scale in SCALES[recipe.modality]:
        network.scale.fill_(scale)
        scores[scale] = psnr(by_ones(lambda v: shipped(v, operator), y), truth).mean().item()
    best = max(scores, key=scores.__getitem__)
    network.scale.fill_(best)
    short, steps = by_ones(lambda v: shipped(v, operator), y[:1]), network.iterations
    network.iterations = LONGER * steps
    long = by_ones(lambda v: shipped(v, operator), y[:1])
    network.iterations = steps
    return {
        "scale": {
            "chosen": best,
            "tuning_psnr_by_scale": {f"{scale:g}": round(score, 3) for scale, score in scores.items()},
            "nrmse_to_run_of_10x": (norm(short - long) / norm(long)).item(),
            "psnr_change_of_run_of_10x": (psnr(long, truth[:1]) - psnr(short, truth[:1])).item(),
        }
    }
