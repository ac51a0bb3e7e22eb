"""What is attacked: reconstructors of the zoo on phantoms that no training has seen, measured as in training.

The phantoms are those that an audit starts with (seeds from 1 000 000), of the network's own kind, simulated on a grid twice as
fine and with the noise of its recipe. Total variation is taken at a small size and with a fixed, moderate number of iterations, since one
gradient costs as much as several hundred of its steps: what is searched is that iteration, differentiated as it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

import reconstructors
from experiments.training.data import add_noise, simulate
from experiments.training.recipe import Recipe
from experiments.training.recipes import RECIPES
from stabtest import tensors
from stabtest.networks import wrap
from stabtest.operators.base import LinearOperator

FIRST_SEED = 1_000_000
TV = {"tv-mri": ("unet-mri", 8e-3), "tv-ct": ("fbpconvnet-ell50", 1.3e-3)}
"""Whose scan total variation reconstructs, and its weight (that of an audit)."""
TV_SIZE, TV_ITERATIONS = 48, 100


@dataclass(frozen=True)
class Subject:
    """A reconstructor with the images that it is attacked on.

    Attributes
    ----------
    name, size, images
        Name, side in pixels, numbers of the images.
    reconstructor, operator, measurement
        ``f``, ``A`` and ``y``, shape ``(B, *range)``.
    digest
        Of what determines the problem but for the radius: weights, scan, noise.
    """

    name: str
    size: int
    images: tuple[int, ...]
    reconstructor: Callable[[Tensor, LinearOperator], Tensor]
    operator: LinearOperator
    measurement: Tensor
    digest: str

    @property
    def norm(self) -> Tensor:
        """``||y||`` of the measured samples, ``(B,)``: what radii are relative to."""
        return tensors.norm(self.operator.restrict(self.measurement))


def names() -> list[str]:
    """Every network of the zoo that has a recipe for a scan, and total variation in both modalities; no denoiser."""
    scans = {name for name, recipe in RECIPES.items() if recipe.modality != "other"}
    return [name for name in reconstructors.names() if name in scans] + list(TV)


def size_of(name: str, wanted: int | None) -> int:
    """The side in pixels: that of training, or the one wanted where the network takes any size."""
    recipe = _recipe(name)
    fixed = "size" in recipe.network and name not in TV
    return recipe.size if wanted is None or fixed else wanted


@lru_cache(maxsize=2)
def load(name: str, size: int, images: tuple[int, ...]) -> Subject:
    """A reconstructor with some of its images.

    Parameters
    ----------
    name
        One of `names`.
    size
        Side in pixels.
    images
        Numbers from 0; image ``k`` is the phantom of seed ``FIRST_SEED + k``.
    """
    recipe = replace(_recipe(name), size=size)
    operator = recipe.build_operator()
    if name in TV:
        settings = {"weight": TV[name][1], "iterations": TV_ITERATIONS}
        make = reconstructors.load("tv").make
        assert make is not None
        reconstructor, version = make(**settings), json.dumps(settings)
    else:
        entry = reconstructors.load(name)
        assert entry.module is not None
        reconstructor = wrap(entry.module, takes=entry.takes, channels=entry.channels, scale=entry.scale)
        version = str(entry.card["sha256"])
    measured = [_measure(recipe, operator, number) for number in images]
    told = json.dumps([version, asdict(recipe)], sort_keys=True, default=str)
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    return Subject(name, size, images, reconstructor, operator, torch.cat(measured), digest)


def _recipe(name: str) -> Recipe:
    return replace(RECIPES[TV[name][0]], size=TV_SIZE) if name in TV else RECIPES[name]


def _measure(recipe: Recipe, operator: LinearOperator, number: int) -> Tensor:
    """Image by image, so that what an image is does not depend on which others are asked for."""
    seed = FIRST_SEED + number
    image = simulate(recipe, operator, first_seed=seed, count=1)
    generator = torch.Generator().manual_seed(seed)
    return add_noise(image.measurement, image.truth, recipe, operator, generator=generator)
