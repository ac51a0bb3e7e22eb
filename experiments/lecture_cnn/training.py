"""Small denoisers trained here, from a seed, in seconds to minutes: chains of 3 x 3 convolutions and ReLU, as they are or as a residual.

Training images are crops of head phantoms with seeds of training, never those of the figures (`experiments.training.recipe`), with fresh Gaussian
noise at each step; mean squared error, Adam with a one-cycle rate. Networks that are compared with one another see the same crops and the same
noise in the same order.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from experiments.training.recipe import TRAINING_SEED
from experiments.training.spectral import limit_norms, settle, start_isometric
from reconstructors.lecture.dncnn import DnCNN
from stabtest.phantoms import head

CROP, BATCH, RATE = 64, 8, 2e-3


def chain(widths: tuple[int, ...]) -> nn.Sequential:
    """Convolutions from width to width with ReLU between them: a denoiser without a residual."""
    modules: list[nn.Module] = []
    for source, target in pairwise(widths):
        modules += [nn.Conv2d(source, target, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def untrained(plan: dict[str, Any]) -> nn.Module:
    """The network of a plan before its first step: ``layers``, ``width``, ``residual``, ``norm_limit``."""
    torch.manual_seed(plan["seed"])
    if plan["residual"]:
        return DnCNN(width=plan["width"], layers=plan["layers"])
    network = chain((1, *[plan["width"]] * (plan["layers"] - 1), 1))
    start_isometric(network)
    if plan["norm_limit"] is not None:
        limit_norms(network, limit=plan["norm_limit"])
    return network


def train(plan: dict[str, Any]) -> nn.Module:
    """The trained network, in evaluation mode.

    Parameters
    ----------
    plan
        That of `untrained`, and ``steps``, ``images``, ``sigma``.
    """
    truth = pictures(plan["images"])
    with torch.random.fork_rng(devices=[]):
        network = untrained(plan).train()
        optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=plan["steps"], pct_start=0.1)
        for step in range(plan["steps"]):
            target, source = batch(truth, plan["sigma"], generator=torch.Generator().manual_seed(step))
            loss = (network(source) - target).square().mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    if plan["norm_limit"] is not None:
        settle(network, limit=plan["norm_limit"])
    return network.eval().requires_grad_(False)


def pictures(count: int, size: int = 128) -> Tensor:
    """Magnitudes of head phantoms for training, ``(N, 1, size, size)``."""
    fine = torch.stack([head(2 * size, seed=TRAINING_SEED + k, phase=False).abs() for k in range(count)])
    return torch.nn.functional.avg_pool2d(fine, 2)


def batch(truth: Tensor, sigma: float, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Crops and the same with noise."""
    size = truth.shape[-1]
    crops = []
    for _ in range(BATCH):
        image, row, column = (
            int(torch.randint(0, n, (1,), generator=generator)) for n in (len(truth), size - CROP + 1, size - CROP + 1)
        )
        crops.append(truth[image, :, row : row + CROP, column : column + CROP])
    target = torch.stack(crops)
    return target, target + sigma * torch.randn(target.shape, generator=generator)
