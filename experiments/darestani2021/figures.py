"""Bars of SSIM before and after, small features against quality, and the images."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot

from experiments.frame.page import Figure, Measured

ROWS = {
    "clean": "clean",
    "worst": "its worst case",
    "shifted": "ellipses",
    "real.clean": "real slice",
    "real.worst": "its worst case",
}
TRUTHS = {"shifted": "truth.shifted", "real.clean": "real.truth", "real.worst": "real.truth"}


def draw(measured: Measured) -> list[Figure]:
    """Two figures."""
    names = [key.removeprefix("psnr.") for key in measured.values if key.startswith("psnr.")]
    return [_losses(measured, names), _images(measured, names)]


def _losses(measured: Measured, names: list[str]) -> Figure:
    drawing, axes = pyplot.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    places = np.arange(len(names))
    kinds = {
        "ssim.clean": ("head", "#0072b2"),
        "ssim.worst": ("head, adversary", "#c04a00"),
        "ssim.shifted": ("ellipses", "#00795a"),
        "real.ssim.clean": ("real slices", "#56a0d3"),
        "real.ssim.worst": ("real slices, adversary", "#e69a5c"),
    }
    shown = [kind for kind in kinds if f"{kind}.{names[0]}" in measured.values]
    width = 0.82 / len(shown)
    for k, kind in enumerate(shown):
        series = np.asarray([measured.values[f"{kind}.{name}"] for name in names])
        means = series.mean(1)
        label, colour = kinds[kind]
        reach = [means - series.min(1), series.max(1) - means]
        at = places + width * (k - (len(shown) - 1) / 2)
        axes[0].bar(at, means, 0.9 * width, yerr=reach, error_kw={"linewidth": 0.8}, label=label, color=colour)
    axes[0].set_xticks(places, names, rotation=20, fontsize=8)
    axes[0].set_ylabel("SSIM")
    axes[0].set_ylim(0, 1.3)
    axes[0].set_yticks(np.arange(6) / 5)
    axes[0].legend(fontsize=8, ncols=3)
    for prefix, label, colour, below in (("", "head", "#0072b2", 3), ("real.", "real slices", "#56a0d3", -10)):
        there = [name for name in names if f"{prefix}psnr.{name}" in measured.values]
        points = [[float(np.mean(measured.values[f"{prefix}{key}.{name}"])) for key in ("psnr", "feature")] for name in there]
        if points:
            axes[1].plot(*zip(*points, strict=True), "o", color=colour, label=label)
        for name, (x, y) in zip(there, points, strict=True):
            axes[1].annotate(name, (x, y), xytext=(5, below), textcoords="offset points", fontsize=8)
    axes[1].legend(fontsize=8)
    axes[1].margins(x=0.3, y=0.12)
    axes[1].set_xlabel("PSNR, dB")
    axes[1].set_ylabel("contrast of small lesions that comes back")
    axes[1].grid(alpha=0.3)
    words = (
        "SSIM without perturbation, under the worst one found, and on other images; recovery of small lesions against PSNR. Means over the images, "
        "with their range; real slices, where there are any, are out of the training distribution of every network."
    )
    return Figure("losses", words, drawing)


def _images(measured: Measured, names: list[str]) -> Figure:
    rows = {kind: label for kind, label in ROWS.items() if f"{kind}.{names[0]}" in measured.arrays}
    drawing, axes = pyplot.subplots(
        len(rows), len(names) + 1, figsize=(1.75 * (len(names) + 1), 1.87 * len(rows)), layout="constrained", squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for row, (kind, label) in zip(axes, rows.items(), strict=True):
        truth = np.abs(measured.arrays[TRUTHS.get(kind, "truth")])
        for axis, name in zip(row, ["", *names], strict=True):
            image = np.abs(measured.arrays[f"{kind}.{name}"]) if name else truth
            axis.imshow(image, cmap="gray", vmin=0, vmax=float(truth.max()))
            axis.set_title(
                f"{name}\n{label}" if name else "all samples\n" if kind.startswith("real") else "truth\n", fontsize=7
            )
    words = "One image of each kind, by every method; a real slice, where there is one, is out of the training distribution."
    return Figure("images", words, drawing)
