"""The paper's robustness curves: relative error against relative noise level, adversarial and Gaussian, one line a method."""

from __future__ import annotations

import re

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes

from experiments.frame.page import Figure, Measured

COLOURS = ("#c04a00", "#00795a", "#9b4f80", "#7a6a00")
ATTACKS = {
    "search": "adversarial, the search of this project",
    "adam": "adversarial, the published attack",
    "gaussian": "Gaussian noise",
}


def draw(measured: Measured) -> list[Figure]:
    """The curves, and the images at the largest level."""
    return [_curves(measured), _images(measured)]


def _curves(measured: Measured) -> Figure:
    modalities = [key.removeprefix("radii.") for key in measured.arrays if key.startswith("radii.")]
    drawing, axes = pyplot.subplots(
        len(modalities), 3, figsize=(11, 3.4 * len(modalities)), layout="constrained", squeeze=False, sharey="row"
    )
    for row, modality in zip(axes, modalities, strict=True):
        for axis, (attack, title) in zip(row, ATTACKS.items(), strict=True):
            _panel(axis, measured, modality, attack)
            axis.set_title(f"{modality.upper()}: {title}", fontsize=9)
        row[0].set_ylabel("relative error to the truth")
        row[0].legend(fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("relative noise level, %")
    words = (
        "Relative error against the relative size of the perturbation: the largest error that each of two searches found with the same number of "
        "evaluations, and the mean error under Gaussian noise. Means over the images; total variation with a weight for each level."
    )
    return Figure("curves", words, drawing)


def _panel(axis: Axes, measured: Measured, modality: str, attack: str) -> None:
    percents = [f"{100 * radius:g}" for radius in measured.arrays[f"radii.{modality}"]]
    names = [found[1] for key in measured.values if (found := re.fullmatch(rf"{modality}\.clean\.(.+)", key))]
    colours = iter(COLOURS)
    for name in names:
        style = {"color": "#0072b2", "linestyle": "--"} if name == "tv" else {"color": next(colours)}
        errors = [measured.values[f"{modality}.clean.{name}"]]
        errors += [measured.values[f"{modality}.{attack}.{name}.{percent}"] for percent in percents]
        axis.plot([0, *map(float, percents)], np.mean(errors, axis=1), marker=".", label=name, **style)
    axis.grid(alpha=0.3)


def _images(measured: Measured) -> Figure:
    keys = [key for key in measured.arrays if key.startswith("worst.")]
    modalities = list(dict.fromkeys(key.split(".")[1] for key in keys))
    columns = max(sum(key.split(".")[1] == modality for key in keys) for modality in modalities)
    drawing, axes = pyplot.subplots(
        len(modalities), columns, figsize=(2.5 * columns, 2.8 * len(modalities)), layout="constrained", squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for row, modality in zip(axes, modalities, strict=True):
        level = 100 * float(measured.arrays[f"radii.{modality}"][-1])
        mine = [key for key in keys if key.split(".")[1] == modality]
        high = max(float(np.quantile(np.abs(measured.arrays[key]), 0.995)) for key in mine)
        for axis, key in zip(row, mine, strict=False):
            name = key.split(".", 2)[2]
            axis.imshow(np.abs(measured.arrays[key]), cmap="gray", vmin=0, vmax=high)
            error = measured.values[f"{modality}.search.{name}.{level:g}"][0]
            axis.set_title(f"{name}\nworst at {level:g} %: error {error:.2f}", fontsize=8)
    return Figure("images", "Reconstructions under the worst perturbation found for each method at the largest level.", drawing)
