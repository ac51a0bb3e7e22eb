"""The plane of accuracy and stability, and the images at the largest radius as the paper shows them: clean, perturbed; of real slices too."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes

from experiments.colbrook2022.measure import CLASSICAL
from experiments.frame.page import Figure, Measured

_OUT = "Real brain slices are out of the training distribution of every network."
SHOWN = ("tv", "firenet", "unet-mri", "unet-mri-adversarial", "unet-mri-spectral", "cascade-mri")


DATA = {"": "head phantoms", "real.": "real brain slices"}
"""What the names of all that is measured on them begin with."""


def draw(measured: Measured) -> list[Figure]:
    """Two figures."""
    there = [prefix for prefix in DATA if f"{prefix}truth" in measured.arrays]
    return [_plane(measured, there), _images(measured, there)]


def _plane(measured: Measured, there: list[str]) -> Figure:
    """A row of panels for each kind of data, a panel for each radius."""
    radii = measured.arrays["radii"].tolist()
    names = [key.removeprefix("psnr.") for key in measured.values if key.startswith("psnr.")]
    drawing, axes = pyplot.subplots(
        len(there), len(radii), figsize=(4.6 * len(radii) + 1.6, 4.2 * len(there)), layout="constrained", squeeze=False
    )
    for row, prefix in zip(axes, there, strict=True):
        for axis, radius in zip(row, radii, strict=True):
            _panel(axis, measured, prefix, names, radius)
            axis.set_title(f"{DATA[prefix]}: perturbation of {100 * radius:g} % of the measurement", fontsize=9)
        row[0].set_ylabel("largest relative change found")
    for axis in axes[-1]:
        axis.set_xlabel("PSNR without perturbation, dB")
    drawing.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    words = (
        "Accuracy against stability, means over the images: down is more stable, right is more accurate. Larger markers: classical "
        "methods and FIRENET. Dotted: a change as large, relatively, as the perturbation."
    )
    return Figure("plane", words + (f" {_OUT}" if "real." in there else ""), drawing)


def _panel(axis: Axes, measured: Measured, prefix: str, names: list[str], radius: float) -> None:
    for name, colour, marker in zip(names, pyplot.colormaps["tab20"].colors, cycle("sPDo^v<>Xhp"), strict=False):
        keys = (f"{prefix}psnr.{name}", f"{prefix}change.{name}.{radius:g}")
        accuracy, change = (float(np.mean(measured.values[key])) for key in keys)
        style = {"markersize": 9 if name in CLASSICAL else 7, "linestyle": "none", "markeredgecolor": "#16191d"}
        axis.plot(accuracy, change, marker, color=colour, label=name, **style)
    axis.axhline(radius, color="#5b5b5b", linestyle=":", linewidth=1)
    axis.set_yscale("log")
    axis.margins(x=0.18, y=0.12)
    axis.grid(alpha=0.3, which="both")


def _images(measured: Measured, there: list[str]) -> Figure:
    """Two rows for each kind of data, clean and perturbed; a column a method."""
    named = [key.removeprefix("worst.") for key in measured.arrays if key.startswith("worst.")]
    shown = [name for name in SHOWN if name in named] or named
    drawing, axes = pyplot.subplots(
        2 * len(there),
        len(shown) + 1,
        figsize=(1.75 * (len(shown) + 1), 2 * 2 * len(there)),
        layout="constrained",
        squeeze=False,
    )
    for axis in axes.flat:
        axis.axis("off")
    for rows, prefix in zip(axes.reshape(len(there), 2, -1), there, strict=True):
        truth = np.abs(measured.arrays[f"{prefix}truth"])
        high = float(truth.max())
        rows[0, 0].imshow(truth, cmap="gray", vmin=0, vmax=high)
        rows[0, 0].set_title("all samples\n(real slice)" if prefix else "truth\n", fontsize=7)
        for column, name in zip(rows.T[1:], shown, strict=True):
            for axis, kind in zip(column, ("clean", "worst"), strict=True):
                axis.imshow(np.abs(measured.arrays[f"{prefix}{kind}.{name}"]), cmap="gray", vmin=0, vmax=high)
                axis.set_title(f"{name}\n{'clean' if kind == 'clean' else 'its worst case'}", fontsize=7)
    radius = float(measured.arrays["radii"].max())
    words = f"One image without perturbation and with the worst perturbation found for each method, {100 * radius:g} % of the measurement."
    return Figure("images", words + (f" {_OUT}" if "real." in there else ""), drawing)
