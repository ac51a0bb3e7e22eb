"""Recovery of random and of found features by every method, and the features that were found: with, without, and what came back.

Each on phantoms and, where there are any, on real slices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import pyplot
from numpy.typing import NDArray

from experiments.cheng2020.features import MISSED
from experiments.frame.page import Figure, Measured

ROWS = ("truth with the feature", "image with it", "image without it", "what came back")
HALF = 16
DATA = {"": "phantoms", "real.": "real brain slices"}
"""By the prefix of the names."""


def draw(measured: Measured) -> list[Figure]:
    """Two figures for each kind of data."""
    names = [key.removeprefix("psnr.") for key in measured.values if key.startswith("psnr.")]
    there = [prefix for prefix in DATA if f"{prefix}psnr.{names[0]}" in measured.values]
    return [figure for prefix in there for figure in (_rates(measured, prefix, names), _features(measured, prefix, names))]


def _rates(measured: Measured, prefix: str, names: list[str]) -> Figure:
    drawing, axis = pyplot.subplots(figsize=(1.3 * len(names) + 2.2, 4.4), layout="constrained")
    jitter = np.random.default_rng(0)
    for place, name in enumerate(names):
        some = measured.arrays[f"{prefix}random.{name}"]
        across = place + jitter.uniform(-0.22, 0.02, len(some))
        axis.plot(across, some, ".", color="#5b5b5b", alpha=0.45, markersize=4, label="at random" if place == 0 else "_")
        found = measured.values[f"{prefix}recovery.found.{name}"]
        axis.plot([place + 0.2] * len(found), found, "v", color="#c04a00", label="found by search" if place == 0 else "_")
    axis.axhline(MISSED, color="#0072b2", linestyle=":", linewidth=1)
    labels = [
        f"{name}\nmissed: {100 * float(np.mean(measured.values[f'{prefix}rate.random.{name}'])):.0f} %, "
        f"{100 * float(np.mean(measured.values[f'{prefix}rate.found.{name}'])):.0f} %"
        for name in names
    ]
    axis.set_xticks(range(len(names)), labels, fontsize=7, rotation=20)
    axis.set_ylabel("share of the feature's contrast that comes back")
    axis.grid(alpha=0.3, axis="y")
    axis.legend(fontsize=8)
    words = (
        f"On {DATA[prefix]}: recovery of small features that the data carry, drawn at random, the same for all methods, and the one that "
        "came back least in each image as far as a search with as many reconstructions found it for each method. Below the line a feature is missed; "
        "shares missed at random, and of those found."
    )
    return Figure(f"{prefix}rates".replace(".", "-"), words, drawing)


def _features(measured: Measured, prefix: str, names: list[str]) -> Figure:
    drawing, axes = pyplot.subplots(
        len(ROWS), len(names), figsize=(1.5 * len(names) + 0.3, 1.62 * len(ROWS)), layout="constrained", squeeze=False
    )
    for column, name in zip(axes.T, names, strict=True):
        truth, with_feature = measured.arrays[f"{prefix}ideal.{name}"]
        clean, image = measured.arrays[f"{prefix}image.{name}"]
        lesion = measured.arrays[f"{prefix}lesion.{name}"]
        window = _around(lesion, truth.shape)
        high, height = float(np.quantile(np.abs(truth), 0.999)), float(np.abs(with_feature - truth).max())
        for axis, shown in zip(column[:3], (with_feature, image, clean), strict=True):
            axis.imshow(np.abs(shown)[window], cmap="gray", vmin=0, vmax=high, interpolation="nearest")
        change = np.abs(image) - np.abs(clean)
        column[3].imshow(change[window], cmap="RdBu_r", vmin=-height, vmax=height, interpolation="nearest")
        column[0].set_title(
            f"{name}\n{measured.values[f'{prefix}recovery.found.{name}'][0]:.2f} of {lesion[2]:.1f} px", fontsize=7
        )
        for axis in column:
            axis.set_xticks([])
            axis.set_yticks([])
    for axis, label in zip(axes[:, 0], ROWS, strict=True):
        axis.set_ylabel(label, fontsize=7)
    words = (
        f"On {DATA[prefix]}: the feature found for each method in the first image, in the middle of a part of the image: in the truth, in "
        "the image, the image without it, and their difference (colours from minus to plus the feature's height)."
    )
    return Figure(f"{prefix}features".replace(".", "-"), words, drawing)


def _around(lesion: NDArray[Any], shape: tuple[int, ...]) -> tuple[slice, slice]:
    starts = [int(min(max(round(float(at)) - HALF, 0), n - 2 * HALF)) for at, n in zip(lesion[:2], shape, strict=True)]
    return slice(starts[0], starts[0] + 2 * HALF), slice(starts[1], starts[1] + 2 * HALF)
