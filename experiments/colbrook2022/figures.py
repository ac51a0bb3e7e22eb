"""The plane of accuracy and stability, and the images at the largest radius as the paper shows them: clean, perturbed."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib import pyplot

from experiments.colbrook2022.measure import CLASSICAL
from experiments.frame.page import Figure, Measured

SHOWN = ("tv", "firenet", "unet-mri", "unet-mri-adversarial", "unet-mri-spectral", "cascade-mri")


def draw(measured: Measured) -> list[Figure]:
    """Two figures."""
    return [_plane(measured), _images(measured)]


def _plane(measured: Measured) -> Figure:
    radii = measured.arrays["radii"].tolist()
    names = [key.removeprefix("psnr.") for key in measured.values if key.startswith("psnr.")]
    drawing, axes = pyplot.subplots(1, len(radii), figsize=(4.6 * len(radii) + 1.6, 4.2), layout="constrained", squeeze=False)
    for axis, radius in zip(axes[0], radii, strict=True):
        for name, colour, marker in zip(names, pyplot.colormaps["tab20"].colors, cycle("sPDo^v<>Xhp"), strict=False):
            accuracy, change = (np.mean(measured.values[key]) for key in (f"psnr.{name}", f"change.{name}.{radius:g}"))
            style = {"markersize": 9 if name in CLASSICAL else 7, "linestyle": "none", "markeredgecolor": "#16191d"}
            axis.plot(accuracy, change, marker, color=colour, label=name, **style)
        axis.axhline(radius, color="#5b5b5b", linestyle=":", linewidth=1)
        axis.set_yscale("log")
        axis.margins(x=0.18, y=0.12)
        axis.set_xlabel("PSNR without perturbation, dB")
        axis.set_ylabel("largest relative change found")
        axis.set_title(f"perturbation of {100 * radius:g} % of the measurement", fontsize=10)
        axis.grid(alpha=0.3, which="both")
    drawing.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    words = (
        "Accuracy against stability, means over the images: down is more stable, right is more accurate. Larger markers: classical "
        "methods and FIRENET. Dotted: a change as large, relatively, as the perturbation."
    )
    return Figure("plane", words, drawing)


def _images(measured: Measured) -> Figure:
    named = [key.removeprefix("worst.") for key in measured.arrays if key.startswith("worst.")]
    shown = [name for name in SHOWN if name in named] or named
    drawing, axes = pyplot.subplots(
        2, len(shown) + 1, figsize=(1.75 * (len(shown) + 1), 4), layout="constrained", squeeze=False
    )
    high = float(np.abs(measured.arrays["truth"]).max())
    for axis in axes.flat:
        axis.axis("off")
    axes[0, 0].imshow(np.abs(measured.arrays["truth"]), cmap="gray", vmin=0, vmax=high)
    axes[0, 0].set_title("truth", fontsize=8)
    for column, name in zip(axes.T[1:], shown, strict=True):
        for axis, kind in zip(column, ("clean", "worst"), strict=True):
            axis.imshow(np.abs(measured.arrays[f"{kind}.{name}"]), cmap="gray", vmin=0, vmax=high)
            axis.set_title(f"{name}\n{'clean' if kind == 'clean' else 'its worst case'}", fontsize=7)
    radius = float(measured.arrays["radii"].max())
    words = f"One image without perturbation and with the worst perturbation found for each method, {100 * radius:g} % of the measurement."
    return Figure("images", words, drawing)
