"""Training and evaluation images: phantoms measured on a grid twice as fine as the one they are reconstructed on.

In MRI the truth is what a full scan without noise would show, the inverse transform of the fully sampled centre of k-space;
in CT and for denoising it is the mean of the object over each pixel (of its modulus for denoising, which is of real images).
Noise is drawn anew at every use.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.training.recipe import Recipe
from experiments.training.robust import jitter
from stabtest.operators.base import LinearOperator
from stabtest.operators.fourier import Fourier, ifft2c
from stabtest.operators.radon import Radon
from stabtest.phantoms import chest, ellipses, head


@dataclass(frozen=True)
class Images:
    """Truths ``(N, 1, H, W)`` and their noise-free measurements ``(N, *range)``, ``(N, 0)`` where none were asked for."""

    truth: Tensor
    measurement: Tensor


def simulate(recipe: Recipe, operator: LinearOperator, *, first_seed: int, count: int, measure: bool = True) -> Images:
    """Phantoms ``first_seed ... first_seed + count - 1`` with their truths and noise-free measurements.

    Without ``measure`` MRI has truths alone: those of training are measured anew after every augmentation, and what thousands
    of them show to several coils fills the memory.
    """
    draw = {"head": head, "ellipses": ellipses, "chest": chest}[recipe.phantom]
    if isinstance(operator, Radon):
        fine_operator = operator.refine(2)
        truths, measurements = [], []
        for seed in range(first_seed, first_seed + count):
            fine = draw(2 * recipe.size, seed=seed)[None]
            truths.append(torch.nn.functional.avg_pool2d(fine, 2))
            measurements.append(fine_operator.forward(fine))
        return Images(torch.cat(truths), torch.cat(measurements))
    if recipe.modality == "other":
        fine = (draw(2 * recipe.size, seed=seed)[None] for seed in range(first_seed, first_seed + count))
        truth = torch.cat([torch.nn.functional.avg_pool2d(image.abs(), 2) for image in fine])
        return Images(truth, operator.forward(truth))
    full = Fourier(torch.ones(recipe.size, recipe.size, dtype=torch.bool)).refine(2)
    truth = torch.cat(
        [ifft2c(full.forward(draw(2 * recipe.size, seed=seed)[None])) for seed in range(first_seed, first_seed + count)]
    )
    return Images(truth, operator.forward(truth) if measure else truth.new_zeros(count, 0))


def augment(truth: Tensor, *, generator: torch.Generator) -> Tensor:
    """Random mirrorings, quarter turns and a random global phase of complex images ``(B, 1, N, N)``."""
    turned = []
    for image in truth:
        flip, turns = torch.randint(0, 2, (1,), generator=generator).item(), int(torch.randint(0, 4, (1,), generator=generator))
        image = torch.rot90(image.flip(-1) if flip else image, turns, dims=(-2, -1))
        angle = 2 * torch.pi * torch.rand(1, generator=generator)
        turned.append(image * torch.polar(torch.ones(1), angle))
    return torch.stack(turned)


def add_noise(
    measurement: Tensor,
    truth: Tensor,
    recipe: Recipe,
    operator: LinearOperator,
    *,
    generator: torch.Generator,
    jittered: bool = False,
) -> Tensor:
    """Gaussian noise on the measured samples; complex noise has the given standard deviation in modulus.

    ``jittered`` draws the level of each image as `Recipe.noise_up_to` says, for training; without one it changes nothing.
    """
    reference = measurement if recipe.modality == "ct" else truth
    level = recipe.noise * reference.abs().flatten(1).amax(1).reshape(-1, 1, 1, 1)
    if jittered and recipe.noise_up_to is not None:
        levels = jitter(recipe.noise, recipe.noise_up_to, len(truth), generator=generator)
        level = level * levels.reshape(-1, 1, 1, 1) / recipe.noise
    noise = torch.randn(measurement.shape, dtype=measurement.dtype, generator=generator)
    return measurement + operator.restrict(level * noise)
