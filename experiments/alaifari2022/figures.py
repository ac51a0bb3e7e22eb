"""Artefact and whole change against the size of the perturbation; the images under that found for each method and for total variation."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from numpy.typing import NDArray

from experiments.frame.page import Figure, Measured

COLOURS = ("#c04a00", "#00795a", "#9b4f80", "#7a6a00", "#56b4e9", "#5b5b5b")
PANELS = {
    "artefact": "largest change of a pixel in the disc,\nshare of the brightest",
    "change": "relative change of the whole image",
    "noise": "the same in the disc, Gaussian noise",
}
HALF = 20
DATA = {"": "head phantoms", "real.": "real slices"}
"""What the names of all that is measured on them begin with."""


def draw(measured: Measured) -> list[Figure]:
    """One of curves, and one of images for each kind of data."""
    names = [key.removeprefix("psnr.") for key in measured.values if key.startswith("psnr.")]
    there = [prefix for prefix in DATA if f"{prefix}region" in measured.arrays]
    return [_curves(measured, there, names), *[_images(measured, prefix, names) for prefix in there]]


def _curves(measured: Measured, there: list[str], names: list[str]) -> Figure:
    """A row for each kind of data; the last panel of a row has the axis of its first."""
    drawing, axes = pyplot.subplots(
        len(there), len(PANELS), figsize=(12.5, 3.9 * len(there)), layout="constrained", squeeze=False
    )
    for row, prefix in zip(axes, there, strict=True):
        for axis, (kind, label) in zip(row, PANELS.items(), strict=True):
            _panel(axis, measured, prefix, kind, names)
            axis.set_ylabel(label, fontsize=9)
            axis.set_title(DATA[prefix], fontsize=9)
        row[2].set_ylim(row[0].get_ylim())
    for axis in axes[-1]:
        axis.set_xlabel("perturbation, % of the measurement")
    axes[0, 0].legend(fontsize=8)
    words = (
        "Perturbations found for a disc of the image: the largest change of a pixel there, what the same perturbations do to the whole "
        "image, and the largest change of a pixel there by Gaussian noise of the same norm (median of the draws). Means over the images."
    )
    if "real." in there:
        words += " Real brain slices are out of the training distribution of every network."
    return Figure("curves", words, drawing)


def _panel(axis: Axes, measured: Measured, prefix: str, kind: str, names: list[str]) -> None:
    percents, colours = [100 * float(radius) for radius in measured.arrays["radii"]], cycle(COLOURS)
    for name in names:
        heights = [0.0, *[float(np.mean(measured.values[f"{prefix}{kind}.{name}.{percent:g}"])) for percent in percents]]
        colour = "#0072b2" if name.startswith("tv") else "#16191d" if name == "zero-filled" else next(colours)
        style = {"tv": "--", "tv-light": ":", "zero-filled": "-."}.get(name, "-")
        axis.plot([0, *percents], heights, style, marker=".", color=colour, label=name)
    axis.grid(alpha=0.3)


def _images(measured: Measured, prefix: str, names: list[str]) -> Figure:
    arrays = {
        key.removeprefix(prefix): array for key, array in measured.arrays.items() if key.startswith("real.") == bool(prefix)
    }
    kinds = ["clean", "own", *(["given"] if any(key.startswith("given.") for key in arrays) else [])]
    window = _around(arrays["region"])
    drawing, axes = pyplot.subplots(
        len(kinds), len(names), figsize=(1.55 * len(names) + 0.4, 1.75 * len(kinds)), layout="constrained", squeeze=False
    )
    high = float(arrays["peak"])
    labels = {"clean": "no perturbation", "own": "found for it", "given": "found for tv"}
    largest = 100 * float(measured.arrays["radii"][-1])
    for row, kind in zip(axes, kinds, strict=True):
        for axis, name in zip(row, names, strict=True):
            axis.set_xticks([])
            axis.set_yticks([])
            images = arrays[f"image.{name}"]
            shown = images[0] if kind == "clean" else images[-1]
            if kind == "given" and name != "tv":
                shown = arrays[f"given.{name}"]
            axis.imshow(np.abs(shown)[window], cmap="gray", vmin=0, vmax=high, interpolation="nearest")
            axis.contour(arrays["region"][window], levels=[0.5], colors="#f08a3c", linewidths=0.7)
            if kind == "clean":
                axis.set_title(name, fontsize=7)
            else:
                key = f"artefact.{name}.{largest:g}" if kind == "own" or name == "tv" else f"given.tv.to.{name}"
                axis.set_xlabel(f"{100 * measured.values[f'{prefix}{key}'][0]:.0f} %", fontsize=7)
        row[0].set_ylabel(labels[kind], fontsize=7)
    words = (
        f"The part of the first image about the disc (orange): without perturbation, under the one of {largest:g} % of the measurement "
        "that was found for each method, and under that found for total variation. Below each image the largest change of a pixel in the "
        "disc, share of the brightest."
    )
    if prefix:
        words = f"A real brain slice, out of the training distribution. {words}"
    return Figure("real-images" if prefix else "images", words, drawing)


def _around(region: NDArray[Any]) -> tuple[slice, slice]:
    """The part of the image that is shown, within it."""
    starts = [
        int(min(max(round(float(at.mean())) - HALF, 0), n - 2 * HALF))
        for at, n in zip(np.nonzero(region), region.shape, strict=True)
    ]
    return slice(starts[0], starts[0] + 2 * HALF), slice(starts[1], starts[1] + 2 * HALF)
