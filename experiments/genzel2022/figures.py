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

TITLES = {"mri": "MRI", "ct": "CT", "real": "real slice"}
"""What is measured; a real slice is of a brain, in MRI, and out of the training distribution."""


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
            axis.set_title(f"{TITLES[modality]}: {title}", fontsize=9)
        row[0].set_ylabel("relative error to the truth")
        row[0].legend(fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("relative noise level, %")
    words = (
        "Relative error against the relative size of the perturbation: the largest error that each of two searches found with the same number of "
        "evaluations, and the mean error under Gaussian noise. Means over the images, bands their range; total variation with a weight for each "
        "level, chosen on a phantom. A real brain slice (MRI), where there is one, is out of the training distribution."
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
        levels = [0.0, *map(float, percents)]
        axis.plot(levels, np.mean(errors, axis=1), marker=".", label=name, **style)
        if len(errors[0]) > 1:
            axis.fill_between(
                levels, np.min(errors, axis=1), np.max(errors, axis=1), color=style["color"], alpha=0.12, linewidth=0
            )
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
            of = "" if modality != "real" else ", real slice"
            axis.set_title(f"{name}{of}\nworst at {level:g} %: error {error:.2f}", fontsize=8)
    return Figure("images", "Reconstructions under the worst perturbation found for each method at the largest level.", drawing)
