"""Artefact and whole change against the size of the perturbation; the images under the perturbation found for each method and for total variation."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib import pyplot

from experiments.frame.page import Figure, Measured

COLOURS = ("#c04a00", "#00795a", "#9b4f80", "#7a6a00", "#56b4e9", "#5b5b5b")
PANELS = {
    "artefact": "largest change of a pixel in the disc,\nshare of the brightest",
    "change": "relative change of the whole image",
    "noise": "the same in the disc, Gaussian noise",
}
HALF = 20


def draw(measured: Measured) -> list[Figure]:
    """Two figures."""
    names = [key.removeprefix("psnr.") for key in measured.values if key.startswith("psnr.")]
    return [_curves(measured, names), _images(measured, names)]


def _curves(measured: Measured, names: list[str]) -> Figure:
    percents = [100 * float(radius) for radius in measured.arrays["radii"]]
    drawing, axes = pyplot.subplots(1, len(PANELS), figsize=(12.5, 3.9), layout="constrained")
    for axis, (kind, label) in zip(axes, PANELS.items(), strict=True):
        colours = cycle(COLOURS)
        for name in names:
            heights = [0.0, *[float(np.mean(measured.values[f"{kind}.{name}.{percent:g}"])) for percent in percents]]
            colour = "#0072b2" if name.startswith("tv") else "#16191d" if name == "zero-filled" else next(colours)
            style = {"tv": "--", "tv-light": ":", "zero-filled": "-."}.get(name, "-")
            axis.plot([0, *percents], heights, style, marker=".", color=colour, label=name)
        axis.set_xlabel("perturbation, % of the measurement")
        axis.set_ylabel(label, fontsize=9)
        axis.grid(alpha=0.3)
    axes[2].set_ylim(axes[0].get_ylim())
    axes[0].legend(fontsize=8)
    words = (
        "Perturbations found for a disc of the image: the largest change of a pixel there, what the same perturbations do to the whole "
        "image, and the largest change of a pixel there by Gaussian noise of the same norm (median of the draws). Means over the images."
    )
    return Figure("curves", words, drawing)


def _images(measured: Measured, names: list[str]) -> Figure:
    kinds = ["clean", "own", *(["given"] if any(key.startswith("given.") for key in measured.arrays) else [])]
    rows, columns = np.nonzero(measured.arrays["region"])
    sides = measured.arrays["region"].shape
    starts = [
        int(min(max(round(float(at.mean())) - HALF, 0), n - 2 * HALF)) for at, n in zip((rows, columns), sides, strict=True)
    ]
    window = tuple(slice(start, start + 2 * HALF) for start in starts)
    drawing, axes = pyplot.subplots(
        len(kinds), len(names), figsize=(1.55 * len(names) + 0.4, 1.75 * len(kinds)), layout="constrained", squeeze=False
    )
    high = float(measured.arrays["peak"])
    labels = {"clean": "no perturbation", "own": "found for it", "given": "found for tv"}
    largest = 100 * float(measured.arrays["radii"][-1])
    for row, kind in zip(axes, kinds, strict=True):
        for axis, name in zip(row, names, strict=True):
            axis.set_xticks([])
            axis.set_yticks([])
            images = measured.arrays[f"image.{name}"]
            shown = images[0] if kind == "clean" else images[-1]
            if kind == "given" and name != "tv":
                shown = measured.arrays[f"given.{name}"]
            axis.imshow(np.abs(shown)[window], cmap="gray", vmin=0, vmax=high, interpolation="nearest")
            axis.contour(measured.arrays["region"][window], levels=[0.5], colors="#f08a3c", linewidths=0.7)
            if kind == "clean":
                axis.set_title(name, fontsize=7)
            else:
                key = f"artefact.{name}.{largest:g}" if kind == "own" or name == "tv" else f"given.tv.to.{name}"
                axis.set_xlabel(f"{100 * measured.values[key][0]:.0f} %", fontsize=7)
        row[0].set_ylabel(labels[kind], fontsize=7)
    words = (
        f"The part of the first image about the disc (orange): without perturbation, under the one of {largest:g} % of the measurement "
        "that was found for each method, and under that found for total variation. Below each image the largest change of a pixel in the "
        "disc, share of the brightest."
    )
    return Figure("images", words, drawing)
