"""Held-out metrics, TV's regularisation weight, weights and model card of a trained network.

PSNR is ``20 log10(max|x| / rmse)`` of the complex (MRI) or real (CT) image, the mean over images; the interval is the 95 %
t interval of the mean paired difference network minus TV. TV gets the weight that is best on other phantoms (a grid of a
factor of about 1.5), and so many iterations that a longer run changes its PSNR by less than 0.1 dB (both figures are in the
card). For a denoiser, whose direct reconstruction is the noisy image, there are a Gaussian and a median filter too, with the widths
that are best on the same other phantoms.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file
from scipy import stats
from torch import Tensor, nn

from experiments.training.data import add_noise, simulate
from experiments.training.recipe import HELD_OUT_SEED, TRAINING_SEED, TUNING_SEED, Recipe
from reconstructors.lecture.filters import GaussianFilter, MedianFilter
from reconstructors.primal_dual import PrimalDual
from reconstructors.tv import TotalVariation
from stabtest.metrics import nrmse, psnr
from stabtest.networks import WrappedNetwork, wrap
from stabtest.operators.base import LinearOperator

DESCRIPTIONS = {
    "unet-mri": "Residual U-Net after zero-filling (post-processing; Ronneberger et al. 2015, Zbontar et al. 2018), single-coil "
    "Cartesian MRI with 4x undersampling, trained on head phantoms.",
    "fbpconvnet-ell50": "FBPConvNet (Jin et al. 2017) at smaller width, the 'Ell 50' of Antun et al. 2020: residual U-Net after filtered "
    "back-projection from 50 parallel views, trained on random ellipses.",
    "fbpconvnet-med50": "FBPConvNet (Jin et al. 2017) at smaller width, the 'Med 50' of Antun et al. 2020 on phantoms: residual U-Net after filtered "
    "back-projection from 50 parallel views, trained on from fbpconvnet-ell50 on axial slices of a chest phantom.",
    "cascade-mri": "Deep cascade of convolutions and data consistency ('Deep MRI'; Schlemper et al. 2018) with learned data weights, "
    "single-coil Cartesian MRI with 4x undersampling, trained on head phantoms.",
    "automap-mri": "AUTOMAP (Zhu et al. 2018) at 40 x 40: two dense layers with tanh straight from the measured samples, then "
    "convolutions; single-coil Cartesian MRI with 4x undersampling, trained on head phantoms, for one size and mask only.",
    "dagan-mri": "DAGAN (Yang et al. 2018): residual U-Net after zero-filling, trained against a discriminator with pixel, k-space and "
    "feature losses (features of the discriminator instead of VGG), single-coil Cartesian MRI with 4x undersampling, head phantoms.",
    "unet-mri-jittered": "The network of unet-mri, trained on with noise of up to ten times the level of its scan (jittering; Krainovic et al. "
    "2023).",
    "unet-mri-adversarial": "The network of unet-mri, trained on with adversarial perturbations of its input of up to 5 % (Raj et al. 2020).",
    "unet-mri-spectral": "The network of unet-mri without normalisation, each layer of a certified norm of at most 1 (spectral normalisation of "
    "the maps of images; Gouk et al. 2021).",
    "fbpconvnet-ell50-jittered": "The network of fbpconvnet-ell50, trained on with noise of up to three times the level of its scan (jittering; "
    "Krainovic et al. 2023).",
    "fbpconvnet-ell50-adversarial": "The network of fbpconvnet-ell50, trained on with adversarial perturbations of the sinogram of up to 2 % (Raj "
    "et al. 2020).",
    "fbpconvnet-ell50-spectral": "The network of fbpconvnet-ell50 without normalisation, each layer of a certified norm of at most 1 (spectral "
    "normalisation of the maps of images; Gouk et al. 2021), trained on a third of its ellipses.",
    "dncnn-denoise": "Residual DnCNN (Zhang et al. 2017) in the size of Unser's lecture, 1-32-32-32-32-32-1: removes Gaussian noise of standard "
    "deviation 20/255 of the largest value from real images, trained on the magnitudes of head phantoms.",
    "lpd-ct": "Learned primal-dual (Adler and Oktem 2018) with 6 iterations and 24 channels instead of 10 and 32, started from filtered "
    "back-projection instead of zero, 50 parallel views, trained on random ellipses.",
    "itnet-ct": "ItNet (Genzel et al. 2022, 2023): one U-Net four times, filtered back-projection of the residual after each, smaller than "
    "published and without memory channels, started from the U-Net of fbpconvnet-ell50; 50 parallel views, trained on random ellipses.",
    "itnet-mri": "ItNet (Genzel et al. 2023): one U-Net four times instead of eight, data consistency after each, smaller than published, "
    "started from the U-Net of unet-mri; single-coil Cartesian MRI with 4x undersampling, trained on head phantoms.",
    "modl-mri-coils": "MoDL (Aggarwal, Mani and Jacob 2019): a shared denoiser and conjugate gradients in turn, 4 times at smaller width, Cartesian "
    "MRI with 8 coils of known sensitivities and 4x undersampling, trained on head phantoms.",
    "vn-mri-coils": "Variational network (Hammernik et al. 2018) with linear splines as activations and fewer, smaller filters, Cartesian MRI "
    "with 8 coils of known sensitivities and 4x undersampling, trained on head phantoms.",
    "pnp-mri": "Plug-and-play with a 1-Lipschitz denoiser, a learned convex ridge (Goujon et al. 2023; Ryu et al. 2019), single-coil Cartesian MRI "
    "with 4x undersampling; the denoiser was trained on head phantoms.",
    "pnp-ct": "Plug-and-play with a 1-Lipschitz denoiser, a learned convex ridge (Goujon et al. 2023; Ryu et al. 2019), CT with 50 parallel "
    "views; the denoiser was trained on random ellipses.",
    "varnet-mri-coils": "End-to-end VarNet (Sriram et al. 2020) without its estimation of coil maps, projected onto scans of one image, with fewer "
    "and smaller U-Nets, Cartesian MRI with 8 coils of known sensitivities and 4x undersampling, trained on head phantoms.",
}
LOSSES = {
    "mean square": "mean squared error",
    "adversarial": "mean squared error in the image and on the measured samples, distance of the discriminator's features (0.2), "
    "adversary (0.3; both relative to the pixel term's gradient at the image); the loss curve is that of the mean squared error",
}
TV_ITERATIONS = 300
GAUSSIAN_WIDTHS = (0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2)
MEDIAN_SIZES = (3, 5, 7)
Method = TypeVar("Method", bound=PrimalDual)


def as_shipped(network: nn.Module, recipe: Recipe) -> WrappedNetwork:
    """The network as an audit uses it: fed by `stabtest.networks.wrap`, which does what training did."""
    return wrap(network, takes=recipe.takes, channels=recipe.channels, scale=recipe.scale)


def round_weights(network: nn.Module, recipe: Recipe) -> None:
    """Give the network, in place, the weights that its file will hold."""
    if recipe.storage == "float16":
        network.load_state_dict({key: stored(value, recipe) for key, value in network.state_dict().items()})


def stored(value: Tensor, recipe: Recipe) -> Tensor:
    """One tensor of the weight file."""
    return (value.half() if recipe.storage == "float16" and value.is_floating_point() else value).contiguous()


def held_out(recipe: Recipe, operator: LinearOperator, *, seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Truths and noisy measurements that no training has seen."""
    images = simulate(recipe, operator, first_seed=seed, count=count)
    generator = torch.Generator().manual_seed(seed)
    return images.truth, add_noise(images.measurement, images.truth, recipe, operator, generator=generator)


def by_ones(method: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    """Apply a method image by image (flat memory)."""
    with torch.no_grad():
        return torch.cat([method(y[i : i + 1]) for i in range(len(y))])


def tune_tv(recipe: Recipe, operator: LinearOperator, *, count: int) -> tuple[TotalVariation, dict[str, object]]:
    """Total variation with the weight of the recipe's grid that is best on tuning phantoms, and how it was chosen."""
    return tune(TotalVariation, recipe.tv_weights, recipe, operator, count=count)


def tune(
    kind: type[Method], weights: Sequence[float], recipe: Recipe, operator: LinearOperator, *, count: int
) -> tuple[Method, dict[str, object]]:
    """The weight with the best mean PSNR on tuning phantoms, and what a run ten times as long would change."""
    truth, y = held_out(recipe, operator, seed=TUNING_SEED, count=count)
    scores = {
        weight: psnr(by_ones(lambda v, w=weight: kind(weight=w, iterations=TV_ITERATIONS)(v, operator), y), truth).mean().item()
        for weight in weights
    }
    best = max(scores, key=scores.__getitem__)
    method = kind(weight=best, iterations=TV_ITERATIONS)
    longer = kind(weight=best, iterations=10 * TV_ITERATIONS)
    short, long = method(y[:1], operator), longer(y[:1], operator)
    gap = method.objective(short, y[:1], operator) / method.objective(long, y[:1], operator) - 1
    return method, {
        "weight": best,
        "iterations": TV_ITERATIONS,
        "tuning_psnr_by_weight": {f"{weight:g}": round(score, 3) for weight, score in scores.items()},
        "objective_above_run_of_10x": gap.item(),
        "nrmse_to_run_of_10x": nrmse(short, long).item(),
        "psnr_change_of_run_of_10x": (psnr(long, truth[:1]) - psnr(short, truth[:1])).item(),
    }


def tune_filters(recipe: Recipe, operator: LinearOperator, *, count: int) -> dict[str, GaussianFilter | MedianFilter]:
    """For a denoiser, the filters with the best mean PSNR on tuning phantoms; none for another scan."""
    if recipe.modality != "other":
        return {}
    truth, y = held_out(recipe, operator, seed=TUNING_SEED, count=count)
    families: dict[str, Sequence[GaussianFilter | MedianFilter]] = {
        "gaussian": [GaussianFilter(width=width) for width in GAUSSIAN_WIDTHS],
        "median": [MedianFilter(size=size) for size in MEDIAN_SIZES],
    }
    return {name: max(family, key=lambda one: psnr(one(y), truth).mean().item()) for name, family in families.items()}


def evaluate(network: nn.Module, recipe: Recipe, *, count: int = 40, tuning: int = 8) -> dict[str, object]:
    """Held-out PSNR and NRMSE of direct reconstruction, TV and network, with the paired difference to TV."""
    operator = recipe.build_operator()
    tv, tv_card = tune_tv(recipe, operator, count=tuning)
    truth, y = held_out(recipe, operator, seed=HELD_OUT_SEED, count=count)
    filters = tune_filters(recipe, operator, count=tuning)
    images = {
        "direct": operator.pseudo_inverse(y),
        **{name: each(y) for name, each in filters.items()},
        "tv": by_ones(lambda v: tv(v, operator), y),
        "network": by_ones(lambda v: as_shipped(network, recipe)(v, operator), y),
    }
    scores = {name: psnr(image, truth) for name, image in images.items()}
    difference = (scores["network"] - scores["tv"]).double()
    half = stats.t.ppf(0.975, count - 1) * difference.std().item() / count**0.5
    return {
        "images": count,
        "psnr_db": {name: score.mean().item() for name, score in scores.items()},
        "nrmse": {name: nrmse(image, truth).mean().item() for name, image in images.items()},
        "psnr_gain_over_tv_db": {
            "mean": difference.mean().item(),
            "interval_95": [difference.mean().item() - half, difference.mean().item() + half],
            "images_where_tv_is_better": int((difference < 0).sum()),
        },
        "tv": tv_card,
        **{name: {"pixels": _pixels(each)} for name, each in filters.items()},
    }


def _pixels(chosen: GaussianFilter | MedianFilter) -> float:
    """What was chosen: standard deviation of the Gaussian, side of the median's window."""
    return chosen.width if isinstance(chosen, GaussianFilter) else chosen.size


def _particulars(recipe: Recipe) -> dict[str, str]:
    """What a recipe has beyond the usual."""
    found: dict[str, str] = {}
    if recipe.start:
        found["start"] = f"U-Net of {recipe.start}"
    if recipe.noise_up_to is not None:
        found["jitter"] = f"noise level of each image uniform between {recipe.noise:g} and {recipe.noise_up_to:g}"
    if recipe.attack_radius:
        whole = "norm of the sinogram" if recipe.modality == "ct" else "input's norm"
        found["adversary"] = (
            f"projected gradient ascent, {recipe.attack_steps} steps from a random start, radius {recipe.attack_radius:g} of the {whole}"
        )
    if recipe.denoises is not None:
        found["task"] = f"to denoise images with Gaussian noise of {recipe.denoises:g} of their largest value"
        found["filters"] = "joint norm at most 1: estimated in training, certified in the weights"
    if recipe.norm_limit is not None:
        found["layers"] = f"norm of each at most {recipe.norm_limit:g}: estimated in training, certified in the weights"
    return found


def write(network: nn.Module, recipe: Recipe, folder: Path, metrics: dict[str, object], *, to: Path, threads: int) -> None:
    """Weights as safetensors and the model card as JSON, under ``to / weights`` and ``to / cards``."""
    weights = to / "weights" / f"{recipe.name}.safetensors"
    save_file({key: stored(value, recipe) for key, value in network.state_dict().items()}, weights)
    weights.chmod(0o644)  # safetensors gives a file of its own to its owner alone
    lines = (folder / "loss.jsonl").read_text(encoding="utf-8").splitlines()
    curve = {entry["step"]: entry["loss"] for entry in map(json.loads, lines)}
    card = {
        "name": recipe.name,
        "description": DESCRIPTIONS[recipe.name],
        "modality": recipe.modality,
        "takes": recipe.takes,
        "channels": recipe.channels,
        "scale": recipe.scale,
        "architecture": recipe.architecture,
        "settings": recipe.network,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "size": recipe.size,
        "operator": recipe.operator,
        "noise": f"{recipe.noise:g} of the largest {'sinogram value' if recipe.modality == 'ct' else 'image value'}",
        "noise_level": recipe.noise,
        "training": {
            "data": f"{recipe.images} {recipe.phantom} phantoms, seeds {TRAINING_SEED} to {TRAINING_SEED + recipe.images - 1}, simulated on a "
            "grid twice as fine" + ("; mirrored, turned, random global phase" if recipe.modality == "mri" else ""),
            "loss": LOSSES[recipe.objective],
            **_particulars(recipe),
            "optimiser": f"AdamW, one-cycle learning rate up to {recipe.learning_rate:g}, weight decay {recipe.weight_decay:g}",
            "steps": recipe.steps,
            "batch": recipe.batch,
            "seed": recipe.seed,
            "precision": f"bfloat16 autocast for {recipe.full_precision_from:.0%} of the steps, then float32"
            if recipe.full_precision_from
            else "float32",
            "hardware": f"CPU ({platform.machine()}), {threads} thread",
            "torch": torch.__version__,
            "command": f"python -m experiments.training {recipe.name}",
        },
        "held_out": metrics,
        "loss_curve": [[step, curve[step]] for step in sorted(curve) if step <= 500 or step % 250 == 0],
        "weights": weights.name,
        "weights_precision": recipe.storage,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    (to / "cards" / f"{recipe.name}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
