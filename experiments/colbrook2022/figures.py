"""The plane of accuracy and stability, and the images at the largest radius as the paper shows them: clean, perturbed; of real slices too."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from experiments.colbrook2022.measure import CLASSICAL
from experiments.frame.page import Figure, Measured

SHOWN = ("tv", "firenet", "unet-mri", "unet-mri-adversarial", "unet-mri-spectral", "cascade-mri")
DATA = {"": "", "real.": "real slice, "}
"""What the names of all that is measured begin with, and what is put before the title of a panel."""


def draw(measured: Measured) -> list[Figure]:
    """Two figures for each kind of data."""
    there = [prefix for prefix in DATA if f"{prefix}truth" in measured.arrays]
    return [figure(measured, prefix) for prefix in there for figure in (_plane, _images)]


def _plane(measured: Measured, prefix: str) -> Figure:
    """A panel for each radius."""
    radii = measured.arrays["radii"].tolist()
    names = [key.removeprefix("psnr.") for key in measured.values if key.startswith("psnr.")]
    drawing, axes = pyplot.subplots(1, len(radii), figsize=(4.6 * len(radii) + 1.6, 4.2), layout="constrained", squeeze=False)
    for axis, radius in zip(axes[0], radii, strict=True):
        _panel(axis, measured, prefix, names, radius)
    drawing.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    words = (
        "Accuracy against stability, means over the images: down is more stable, right is more accurate. Larger markers: classical "
        "methods and FIRENET. Dotted: a change as large, relatively, as the perturbation."
    )
    return _figure("plane", prefix, words, drawing)


def _panel(axis: Axes, measured: Measured, prefix: str, names: list[str], radius: float) -> None:
    for name, colour, marker in zip(names, pyplot.colormaps["tab20"].colors, cycle("sPDo^v<>Xhp"), strict=False):
        keys = (f"{prefix}psnr.{name}", f"{prefix}change.{name}.{radius:g}")
        accuracy, change = (float(np.mean(measured.values[key])) for key in keys)
        style = {"markersize": 9 if name in CLASSICAL else 7, "linestyle": "none", "markeredgecolor": "#16191d"}
        axis.plot(accuracy, change, marker, color=colour, label=name, **style)
    axis.axhline(radius, color="#5b5b5b", linestyle=":", linewidth=1)
    axis.set_yscale("log")
    axis.margins(x=0.18, y=0.12)
    axis.set_xlabel("PSNR without perturbation, dB")
    axis.set_ylabel("largest relative change found")
    axis.set_title(f"{DATA[prefix]}perturbation of {100 * radius:g} % of the measurement", fontsize=10)
    axis.grid(alpha=0.3, which="both")


def _images(measured: Measured, prefix: str) -> Figure:
    named = [key.removeprefix("worst.") for key in measured.arrays if key.startswith("worst.")]
    shown = [name for name in SHOWN if name in named] or named
    drawing, axes = pyplot.subplots(
        2, len(shown) + 1, figsize=(1.75 * (len(shown) + 1), 4), layout="constrained", squeeze=False
    )
    truth = np.abs(measured.arrays[f"{prefix}truth"])
    high = float(truth.max())
    for axis in axes.flat:
        axis.axis("off")
    axes[0, 0].imshow(truth, cmap="gray", vmin=0, vmax=high)
    axes[0, 0].set_title("all samples" if prefix else "truth", fontsize=8)
    for column, name in zip(axes.T[1:], shown, strict=True):
        for axis, kind in zip(column, ("clean", "worst"), strict=True):
            axis.imshow(np.abs(measured.arrays[f"{prefix}{kind}.{name}"]), cmap="gray", vmin=0, vmax=high)
            axis.set_title(f"{name}\n{'clean' if kind == 'clean' else 'its worst case'}", fontsize=7)
    radius = float(measured.arrays["radii"].max())
    words = f"One image without perturbation and with the worst perturbation found for each method, {100 * radius:g} % of the measurement."
    return _figure("images", prefix, words, drawing)


def _figure(name: str, prefix: str, words: str, drawing: Drawing) -> Figure:
    """A figure; one of real slices says so."""
    if prefix:
        return Figure(
            f"real-{name}", f"A real brain slice, out of the training distribution of every network. {words}", drawing
        )
    return Figure(name, words, drawing)
