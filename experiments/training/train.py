"""The training loop: AdamW with a one-cycle learning rate, resumable, deterministic from the seed.

The network sees what it will see when wrapped by `stabtest.networks.wrap`: the direct reconstruction, as two real channels
and divided by its largest modulus where the recipe says so, or measurements, divided likewise, and operator; the image of the latter
is multiplied by that modulus before it is compared. Most steps run in bfloat16 (the loss
and the weights stay float32), the last ones in float32. What is minimised is an objective of `experiments.training.objectives`;
what ``loss.jsonl`` records as ``loss`` is the mean squared error of any of them.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from experiments.training.data import Images, add_noise, augment, simulate
from experiments.training.objectives import make_objective
from experiments.training.recipe import TRAINING_SEED, Recipe
from experiments.training.ridge import limit_ridge, settle_ridge
from experiments.training.robust import worst_input
from experiments.training.spectral import limit_norms, settle, start_isometric
from experiments.training.start import start_from
from reconstructors.architectures import build
from reconstructors.layout import largest, split
from reconstructors.plug_and_play import PlugAndPlay
from stabtest.operators.base import LinearOperator

CHECKPOINT_EVERY = 500


def to_channels(image: Tensor) -> Tensor:
    """Complex ``(B, 1, H, W)`` to real ``(B, 2, H, W)``; real images stay."""
    return split(image) if image.is_complex() else image


def make_batch(
    recipe: Recipe, operator: LinearOperator, images: Images, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Network input (image channels or complex measurements) and target ``(B, C, H, W)`` of one training step.

    A denoiser of real images has the real parts of the truths with noise, whose global phase is random.
    """
    chosen = torch.randint(0, len(images.truth), (recipe.batch,), generator=generator)
    truth, measurement = images.truth[chosen], images.measurement[chosen]
    if recipe.modality == "mri":
        truth = augment(truth, generator=generator)
    if recipe.denoises is not None:
        target = (truth / largest(truth)).real
        return target + recipe.denoises * torch.randn(target.shape, generator=generator), target
    if recipe.modality == "mri":
        measurement = operator.forward(truth)
    y = add_noise(measurement, truth, recipe, operator, generator=generator, jittered=True)
    start = operator.pseudo_inverse(y)
    if recipe.takes != "pseudo_inverse":
        return y, to_channels(truth)
    size = largest(start) if recipe.scale == "max" else torch.ones(1)
    return to_channels(start / size), to_channels(truth / size)


def apply(network: nn.Module, recipe: Recipe, source: Tensor, operator: LinearOperator) -> Tensor:
    """The network's image as real channels ``(B, C, H, W)``; of plug-and-play that of its denoiser."""
    if isinstance(network, PlugAndPlay):
        return network.denoiser(source.contiguous(memory_format=torch.channels_last))
    if recipe.takes == "pseudo_inverse":
        return network(source.contiguous(memory_format=torch.channels_last))
    size = largest(operator.pseudo_inverse(source)) if recipe.scale == "max" else torch.ones(1)
    return to_channels(network(source / size, operator) * size)


def initial(recipe: Recipe) -> nn.Module:
    """The network before its first step: random weights, or those of another network of the zoo."""
    torch.manual_seed(recipe.seed)
    network = build(recipe.architecture, recipe.network)
    if recipe.start:
        start_from(network, recipe.start)
    if recipe.norm_limit is not None:
        start_isometric(network)
        limit_norms(network, limit=recipe.norm_limit)
    if isinstance(network, PlugAndPlay):
        limit_ridge(network.denoiser)
    return network.to(memory_format=torch.channels_last).train()


def load_images(recipe: Recipe, operator: LinearOperator, folder: Path) -> Images:
    """The training images, drawn at the first call and kept beside the checkpoints."""
    kept = folder / "images.pt"
    if kept.exists():
        return Images(**torch.load(kept, weights_only=True))
    images = simulate(recipe, operator, first_seed=TRAINING_SEED, count=recipe.images, measure=False)
    torch.save({"truth": images.truth, "measurement": images.measurement}, kept.with_suffix(".partial"))
    kept.with_suffix(".partial").replace(kept)
    return images


def train(recipe: Recipe, folder: Path, *, threads: int = 1, only_steps: int | None = None) -> nn.Module:
    """Train to the end, from the last checkpoint in ``folder`` if there is one.

    Parameters
    ----------
    recipe
        What to train.
    folder
        Where checkpoints and ``loss.jsonl`` go.
    threads
        Threads of PyTorch; the result is reproducible for a given number.
    only_steps
        Stop early (to compare the start of a loss curve); the schedule stays that of the whole run.
    """
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    operator = recipe.build_operator()
    began = time.perf_counter()
    images = load_images(recipe, operator, folder)
    print(f"{recipe.name}: {recipe.images} phantoms in {time.perf_counter() - began:.0f} s", flush=True)

    network = initial(recipe)
    objective = make_objective(recipe, operator)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=recipe.steps, pct_start=0.05, div_factor=10, final_div_factor=1e3
    )
    first, checkpoint = 0, folder / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        objective.load_state_dict(state["objective"])
        first = state["step"]

    recent: list[dict[str, float]] = []
    began = time.perf_counter()
    with (folder / "loss.jsonl").open("a", encoding="utf-8") as log:
        for step in range(first, recipe.steps if only_steps is None else min(recipe.steps, only_steps)):
            # One generator a step: a resumed run draws what an uninterrupted one would have drawn.
            generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
            source, target = make_batch(recipe, operator, images, generator=generator)
            low = step < recipe.full_precision_from * recipe.steps
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
                if recipe.attack_radius:
                    source = worst_input(
                        network,
                        lambda z: apply(network, recipe, z, operator),
                        source,
                        target,
                        operator,
                        radius=recipe.attack_radius,
                        steps=recipe.attack_steps,
                        generator=generator,
                    )
                estimate = apply(network, recipe, source, operator).float()
            loss, terms = objective.loss(estimate, target)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            recent.append({**terms, **objective.learn(estimate.detach(), target)})
            if (step + 1) % 50 == 0:
                mean, recent = {name: sum(entry[name] for entry in recent) / len(recent) for name in recent[0]}, []
                log.write(json.dumps({"step": step + 1, **mean}) + "\n")
                log.flush()
                rate = (time.perf_counter() - began) / (step + 1 - first)
                text = " ".join(f"{name} {value:.3e}" for name, value in mean.items())
                print(f"{recipe.name} step {step + 1}/{recipe.steps} {text} {rate:.2f} s/step", flush=True)
            if (step + 1) % CHECKPOINT_EVERY == 0:
                partial = checkpoint.with_suffix(".partial")
                torch.save(
                    {
                        "network": network.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "schedule": schedule.state_dict(),
                        "objective": objective.state_dict(),
                        "step": step + 1,
                    },
                    partial,
                )
                partial.replace(checkpoint)
    if recipe.norm_limit is not None:
        settle(network, limit=recipe.norm_limit)
    if isinstance(network, PlugAndPlay):
        settle_ridge(network.denoiser)
    return network.eval()
