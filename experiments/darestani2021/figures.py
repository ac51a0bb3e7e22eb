"""Bars of SSIM before and after, small features against quality, and the images."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot

from experiments.frame.page import Figure, Measured

ROWS = {"clean": "clean", "worst": "its worst case", "shifted": "ellipses"}


def draw(measured: Measured) -> list[Figure]:
    """Two figures."""
    names = [key.removeprefix("psnr.") for key in measured.values if key.startswith("psnr.")]
    return [_losses(measured, names), _images(measured, names)]


def _losses(measured: Measured, names: list[str]) -> Figure:
    drawing, axes = pyplot.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    places = np.arange(len(names))
    kinds = {"clean": ("head", "#0072b2"), "worst": ("head, adversary", "#c04a00"), "shifted": ("ellipses", "#00795a")}
    for k, (kind, (label, colour)) in enumerate(kinds.items()):
        heights = [np.mean(measured.values[f"ssim.{kind}.{name}"]) for name in names]
        axes[0].bar(places + 0.27 * (k - 1), heights, 0.25, label=label, color=colour)
    axes[0].set_xticks(places, names, rotation=20, fontsize=8)
    axes[0].set_ylabel("SSIM")
    axes[0].set_ylim(0, 1.15)
    axes[0].set_yticks(np.arange(6) / 5)
    axes[0].legend(fontsize=8, ncols=3)
    for name in names:
        point = [float(np.mean(measured.values[f"{key}.{name}"])) for key in ("psnr", "feature")]
        axes[1].plot(*point, "o", color="#0072b2")
        axes[1].annotate(name, (point[0], point[1]), xytext=(5, 3), textcoords="offset points", fontsize=8)
    axes[1].margins(x=0.25, y=0.12)
    axes[1].set_xlabel("PSNR, dB")
    axes[1].set_ylabel("contrast of small lesions that comes back")
    axes[1].grid(alpha=0.3)
    words = "SSIM without perturbation, under the worst one found, and on other images; recovery of small lesions against PSNR. Means."
    return Figure("losses", words, drawing)


def _images(measured: Measured, names: list[str]) -> Figure:
    drawing, axes = pyplot.subplots(
        3, len(names) + 1, figsize=(1.75 * (len(names) + 1), 5.6), layout="constrained", squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for row, (kind, label) in zip(axes, ROWS.items(), strict=True):
        truth = np.abs(measured.arrays["truth.shifted" if kind == "shifted" else "truth"])
        for axis, name in zip(row, ["", *names], strict=True):
            image = np.abs(measured.arrays[f"{kind}.{name}"]) if name else truth
            axis.imshow(image, cmap="gray", vmin=0, vmax=float(truth.max()))
            axis.set_title(f"{name}\n{label}" if name else "truth\n", fontsize=7)
    return Figure("images", "One image of each kind, by every method.", drawing)
