"""``python -m experiments.training.segmentation``: the U-Net of the lecture, trained to tell cells from membranes.

`reconstructors.lecture.unet.LectureUNet` on `experiments.training.cells`: cross-entropy, Adam with a one-cycle learning rate, windows at a random
place and turn of the images of the training seeds. Scored on images that were not trained on, by the intersection over union (IoU) of each class,
beside the best that one threshold for each image does after a Gaussian filter, where the threshold is chosen *with the truth* and the width on
tuning images: what grey values alone can tell. Deterministic from the seed for a given number of threads; not resumed, as it is short.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from scipy import ndimage
from torch import Tensor, nn

import reconstructors
from experiments.training.cells import cells
from experiments.training.recipe import HELD_OUT_SEED, TRAINING_SEED, TUNING_SEED
from reconstructors.lecture.unet import LectureUNet

NAME = "lecture-unet-cells"
IMAGES, SIZE, WINDOW = 160, 128, 96
STEPS, BATCH, LEARNING_RATE, SEED = 300, 4, 1e-3, 0
WIDTHS = (0.7, 1.0, 1.4)
"""Of the Gaussian filter before the threshold, in pixels."""
LEVELS = 60


def draw(first_seed: int, count: int, *, size: int = SIZE) -> tuple[Tensor, Tensor]:
    """Images ``(N, 1, H, W)`` and classes ``(N, H, W)``."""
    images, classes = zip(*(cells(size, seed=first_seed + k) for k in range(count)))
    return torch.stack(images), torch.stack(classes)


def windows(images: Tensor, classes: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch of windows at random places, mirrored and turned at random."""
    parts: list[tuple[Tensor, Tensor]] = []
    room = images.shape[-1] - WINDOW + 1
    for which in torch.randint(0, len(images), (BATCH,), generator=generator).tolist():
        row, column, turns, flip = (int(torch.randint(0, n, (1,), generator=generator)) for n in (room, room, 4, 2))
        place = (..., slice(row, row + WINDOW), slice(column, column + WINDOW))
        pair = (images[which][place], classes[which][place])
        parts.append(tuple(torch.rot90(part.flip(-1) if flip else part, turns, dims=(-2, -1)) for part in pair))  # type: ignore[arg-type]
    return torch.stack([image for image, _ in parts]), torch.stack([classes for _, classes in parts])


def train(
    images: Tensor, classes: Tensor, *, steps: int = STEPS, only_steps: int | None = None
) -> tuple[nn.Module, list[list[float]]]:
    """The trained network and its loss curve, ``[step, mean loss of the last ten]``."""
    torch.manual_seed(SEED)
    network = LectureUNet().to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    curve, recent, began = [], [], time.perf_counter()
    for step in range(steps if only_steps is None else only_steps):
        generator = torch.Generator().manual_seed(SEED * 1_000_003 + step)
        image, target = windows(images, classes, generator=generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(image.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        recent.append(loss.item())
        if (step + 1) % 10 == 0:
            curve.append([step + 1, sum(recent) / len(recent)])
            recent = []
            print(
                f"step {step + 1}/{steps} loss {curve[-1][1]:.4f} {(time.perf_counter() - began) / (step + 1):.2f} s/step",
                flush=True,
            )
    return network.eval().requires_grad_(False), curve


def intersection_over_union(found: Tensor, truth: Tensor) -> Tensor:
    """Of class 0 (membrane) and class 1 (cell), means over the images, ``(2,)``.

    Examples
    --------
    >>> intersection_over_union(torch.tensor([[[0, 0], [1, 1]]]), torch.tensor([[[0, 1], [1, 1]]]))
    tensor([0.5000, 0.6667])
    """
    scores = [
        ((found == kind) & (truth == kind)).flatten(1).sum(1) / ((found == kind) | (truth == kind)).flatten(1).sum(1)
        for kind in (0, 1)
    ]
    return torch.stack(scores).mean(1)


def thresholded(images: Tensor, classes: Tensor, *, width: float) -> Tensor:
    """Classes by the threshold of each image that gives its membranes the largest IoU, after a Gaussian filter."""
    found: list[Tensor] = []
    for image, truth in zip(images, classes):
        smooth = torch.from_numpy(ndimage.gaussian_filter(image[0].numpy(), width))
        candidates = [
            (smooth > level).long()[None] for level in torch.linspace(float(smooth.min()), float(smooth.max()), LEVELS)
        ]
        found.append(max(candidates, key=lambda one: float(intersection_over_union(one, truth[None])[0])))
    return torch.cat(found)


def evaluate(network: nn.Module, *, count: int = 20, tuning: int = 8) -> dict[str, object]:
    """IoU of network and threshold on held-out images."""
    few, their_classes = draw(TUNING_SEED, tuning)
    width = max(
        WIDTHS, key=lambda one: float(intersection_over_union(thresholded(few, their_classes, width=one), their_classes)[0])
    )
    images, classes = draw(HELD_OUT_SEED, count)
    found = {
        "network": torch.cat([network(image[None]).argmax(1) for image in images]),
        "threshold": thresholded(images, classes, width=width),
    }
    scores = {name: intersection_over_union(each, classes) for name, each in found.items()}
    return {
        "images": count,
        "iou": {name: {"membrane": score[0].item(), "cell": score[1].item()} for name, score in scores.items()},
        "threshold_after_gaussian_filter_of_pixels": width,
    }


def main() -> None:
    """Train, score, write weights and card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path(reconstructors.__file__).parent, help="where weights/ and lecture/ are")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network, curve = train(*draw(TRAINING_SEED, IMAGES))
    metrics = evaluate(network)
    weights = arguments.to / "weights" / f"{NAME}.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, weights)
    weights.chmod(0o644)  # safetensors gives a file of its own to its owner alone
    card = {
        "training": {
            "data": f"{IMAGES} images of cells, seeds {TRAINING_SEED} to {TRAINING_SEED + IMAGES - 1}, {SIZE} pixels; windows of {WINDOW}, "
            "mirrored and turned",
            "loss": "cross-entropy",
            "optimiser": f"Adam, one-cycle learning rate up to {LEARNING_RATE:g}",
            "steps": STEPS,
            "batch": BATCH,
            "seed": SEED,
            "precision": "bfloat16 autocast",
            "hardware": f"CPU ({platform.machine()}), 1 thread",
            "torch": torch.__version__,
            "command": "python -m experiments.training.segmentation",
        },
        "held_out": metrics,
        "loss_curve": curve,
        "weights": weights.name,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    (arguments.to / "lecture" / f"{NAME}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
