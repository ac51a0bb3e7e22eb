"""The lecture's figures from our data: one image through every denoiser, constants against depth, a mosaic of two textures."""

from __future__ import annotations

import re

import numpy as np
from matplotlib import pyplot

from experiments.frame.page import Figure, Measured

TITLES = {
    "truth": "truth",
    "noisy": "noisy, sigma 20/255",
    "gaussian": "Gaussian filter",
    "median": "median filter",
    "clipped": "high-pass, soft clipping",
    "tv": "total variation",
    "resnet-3x16": "ResNet 3 x 16",
    "resnet-5x32": "ResNet 5 x 32",
}


def draw(measured: Measured) -> list[Figure]:
    """Three figures."""
    return [_denoising(measured), _depth(measured), _textures(measured)]


def _denoising(measured: Measured) -> Figure:
    drawing, axes = pyplot.subplots(2, 4, figsize=(8.4, 4.9), layout="constrained")
    high = float(measured.arrays["image.truth"].max())
    for axis, (name, title) in zip(axes.flat, TITLES.items(), strict=True):
        axis.imshow(measured.arrays[f"image.{name}"], cmap="gray", vmin=0, vmax=high, interpolation="nearest")
        score = "" if name == "truth" else f"\n{measured.values[f'psnr.{name}'][0]:.1f} dB"
        axis.set_title(f"{title}{score}", fontsize=9)
        axis.axis("off")
    return Figure(
        "denoising", "One held-out head phantom, denoised by every method, with its PSNR; all in one window.", drawing
    )


def _depth(measured: Measured) -> Figure:
    values = measured.values
    depths = sorted(int(found[1]) for key in values if (found := re.fullmatch(r"bound\.depth-(\d+)", key)))
    drawing, axis = pyplot.subplots(figsize=(6.4, 4), layout="constrained")
    axis.semilogy(
        depths, [values[f"bound.depth-{d}"][0] for d in depths], "v-", color="#c04a00", label="bound: no gain is larger"
    )
    found = [np.mean(values[f"found.depth-{d}"]) for d in depths]
    axis.semilogy(depths, found, "^-", color="#0072b2", label="found by search: a gain that is reached")
    axis.axhline(values["bound.lip-1"][0], color="#00795a", linestyle="--", label="bound, layers of norm 1 (4 convolutions)")
    axis.plot([4], [np.mean(values["found.lip-1"])], "^", color="#00795a", label="found, layers of norm 1")
    axis.set_xlabel("convolutions")
    axis.set_ylabel("Lipschitz constant")
    axis.set_xticks(depths)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    words = "Residual denoisers of width 16, equally trained: Lipschitz bound and found gain against depth."
    return Figure("depth", words, drawing)


def _textures(measured: Measured) -> Figure:
    arrays = measured.arrays
    drawing, axes = pyplot.subplots(1, 3, figsize=(8.4, 3), layout="constrained")
    limit = float(np.abs(arrays["texture.score"]).max())
    axes[0].imshow(arrays["texture.mosaic"], cmap="gray", interpolation="nearest")
    axes[1].imshow(arrays["texture.score"], cmap="RdBu", vmin=-limit, vmax=limit, interpolation="nearest")
    axes[2].imshow(arrays["texture.score"] > 0, cmap="gray", interpolation="nearest")
    axes[2].contour(arrays["texture.inside"], levels=[0.5], colors="#c04a00", linewidths=1)
    for axis, title in zip(axes, ("two textures", "score", "decision, true outline"), strict=True):
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    return Figure(
        "textures",
        "Mosaic of two textures of the same mean and variance, the discriminator's score, and its decision.",
        drawing,
    )
