"""The paper's figures from our data: increasing perturbations, details, and error against the number of samples; real measurements apart."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from matplotlib import pyplot
from numpy.typing import NDArray

from experiments.antun2020.measure import DETAILS, NETWORKS
from experiments.frame.page import Figure, Measured

REAL, SHOWN_RADIUS = "real.", 0.02
"""What the names of all that is measured on real data begin with, and the radius whose perturbations are shown of it."""


def draw(measured: Measured) -> list[Figure]:
    """One figure of perturbations a network, one of details, one of samples; of real measurements one of perturbations and one of details."""
    names = [name for name in NETWORKS if f"{name}.truth" in measured.arrays]
    figures = [_perturbations(measured, name) for name in names]
    figures.append(_details(measured, names))
    if any(f"more.{name}" in measured.values for name in names):
        figures.append(_samples(measured, names))
    scanned = [name for name in NETWORKS if f"{REAL}{name}.truth" in measured.arrays]
    return figures + ([_real_perturbations(measured, scanned), _details(measured, scanned, REAL)] if scanned else [])


def _perturbations(measured: Measured, name: str) -> Figure:
    """Rows: the perturbed image, the network's, total variation's; columns: no perturbation, then increasing ones."""
    arrays = measured.arrays
    truth = arrays[f"{name}.truth"]
    inputs = np.concatenate([truth[None], truth + arrays[f"{name}.perturbation"]])
    rows = {"x + r": inputs, f"{name}\n({NETWORKS[name]})": arrays[f"{name}.network"], "total variation": arrays[f"{name}.tv"]}
    percents = [f"{100 * radius:g}" for radius in arrays["radii"]]
    drawing, axes = pyplot.subplots(
        3, len(inputs), figsize=(1.75 * len(inputs) + 0.4, 5.4), layout="constrained", squeeze=False
    )
    high = float(np.quantile(np.abs(truth), 0.999))
    for kind, row, (label, images) in zip(("", "change", "tv"), axes, rows.items(), strict=True):
        for axis, image, percent in zip(row, images, ["", *percents], strict=True):
            axis.imshow(_shown(image), cmap="gray", vmin=0, vmax=high, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            if kind and percent:
                axis.set_xlabel(f"changed by {100 * measured.values[f'{kind}.{name}.{percent}'][0]:.0f} %", fontsize=7)
        row[0].set_ylabel(label, fontsize=8)
    for axis, percent in zip(axes[0], ["no perturbation", *[f"||r|| = {p} % of ||x||" for p in percents]], strict=True):
        axis.set_title(percent, fontsize=8)
    words = (
        f"{NETWORKS[name]} ({name} of the zoo): worst perturbations found in the image domain, of increasing size; the network's image, "
        "and that of total variation of the same measurement; the first of the images."
    )
    return Figure(f"perturbations-{name}", words, drawing)


def _real_perturbations(measured: Measured, names: list[str]) -> Figure:
    """A row a network: the object, perturbed; the network's image and that of total variation, without and with the perturbation."""
    k = int(np.argmin(np.abs(measured.arrays["radii"] - SHOWN_RADIUS)))
    percent = f"{100 * float(measured.arrays['radii'][k]):g}"
    drawing, axes = pyplot.subplots(len(names), 6, figsize=(8.4, 1.62 * len(names)), layout="constrained", squeeze=False)
    for row, name in zip(axes, names, strict=True):
        truth, perturbation, network, tv = (
            measured.arrays[f"{REAL}{name}.{what}"] for what in ("truth", "perturbation", "network", "tv")
        )
        images = (truth, truth + perturbation[k], network[0], network[k + 1], tv[0], tv[k + 1])
        high = float(np.quantile(np.abs(truth), 0.999))
        for axis, image in zip(row, images, strict=True):
            axis.imshow(_shown(image), cmap="gray", vmin=0, vmax=high, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        for axis, what in ((row[3], "change"), (row[5], "tv")):
            axis.set_xlabel(f"changed by {100 * measured.values[f'{REAL}{what}.{name}.{percent}'][0]:.1f} %", fontsize=7)
        row[0].set_ylabel(f"{name}\n({NETWORKS[name]})", fontsize=7)
    titles = ("all samples: x", f"x + r, {percent} % of ||x||", "network", "network, x + r", "TV", "TV, x + r")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8)
    words = (
        "Real measurements, out of the training distribution: a brain slice (MRI; cropped to 40 x 40 samples for AUTOMAP) and a tooth (CT). Worst "
        "perturbations found in the image domain, the network's image, and that of total variation of the same measurement. The first of the images."
    )
    return Figure("real-perturbations", words, drawing)


def _details(measured: Measured, names: list[str], data: str = "") -> Figure:
    """Rows: details; columns: ideal, network, total variation of each network, on phantoms or on other data."""
    labels = [label for name in names for label in ("ideal", name, f"tv-{name}")]
    drawing, axes = pyplot.subplots(
        len(DETAILS),
        len(labels),
        figsize=(1.0 * len(labels) + 0.4, 1.28 * len(DETAILS) + 0.2),
        layout="constrained",
        squeeze=False,
    )
    for row, shape in zip(axes, DETAILS, strict=True):
        for k, (axis, label) in enumerate(zip(row, labels, strict=True)):
            name = names[k // 3]
            ideal = measured.arrays[f"{data}{name}.ideal.{shape}"]
            image = ideal if label == "ideal" else measured.arrays[f"{data}{label}.detail.{shape}"]
            axis.imshow(
                _shown(image)[_around(measured, f"{data}{name}", shape)],
                cmap="gray",
                vmin=0,
                vmax=float(np.quantile(np.abs(ideal), 0.999)),
            )
            axis.axis("off")
            title = f"{NETWORKS[name]}:\nideal" if label == "ideal" else f"{'TV' if label.startswith('tv-') else 'network'}\n"
            title += "" if label == "ideal" else f"{measured.values[f'{data}recovery.{label}.{shape}'][0]:.2f}"
            axis.set_title(title, fontsize=6.5)
    words = (
        "A text, a card symbol and an irregular tumour: the ideal image, the network's and that of total variation, with the share of the contrast "
        "that came back; the first of the images."
    )
    if data:
        words = f"In real measurements, out of the training distribution (a brain slice, a tooth). {words}"
    return Figure("real-details" if data else "details", words, drawing)


def _around(measured: Measured, name: str, shape: str) -> tuple[slice, slice]:
    """The part of the image that is shown: around the detail, more than twice as wide as it is."""
    row, column, size = measured.arrays[f"{name}.site.{shape}"]
    half = round(max(1.2 * size, 10))
    return slice(max(0, int(row) - half), int(row) + half), slice(max(0, int(column) - half), int(column) + half)


def _samples(measured: Measured, names: list[str]) -> Figure:
    drawing, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name in names:
        axis = axes[1] if name.startswith("fbp") else axes[0]
        for label, style in ((name, "-o"), (f"tv-{name}", "--s")):
            points = sorted(
                (float(found[1]), float(np.mean(series)))
                for key, series in measured.values.items()
                if (found := re.fullmatch(rf"nrmse\.{label}\.([\d.e+-]+)", key))
            )
            if points and (not label.startswith("tv") or name in ("cascade-mri", "fbpconvnet-ell50", "vn-mri-coils")):
                shown = (
                    NETWORKS[name]
                    if label == name
                    else f"TV, {'8 coils' if 'coils' in name else 'one coil' if axis is axes[0] else 'CT'}"
                )
                axis.plot(*zip(*points, strict=True), style, label=shown, markersize=4)
    for axis, title in zip(axes, ("share of k-space", "views, relative to training"), strict=True):
        axis.set_xlabel(title)
        axis.set_ylabel("relative error")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    return Figure(
        "samples",
        "Relative error against the number of samples, means over the images; the leftmost point is what the network was trained for.",
        drawing,
    )


def _shown(image: NDArray[Any]) -> NDArray[Any]:
    return np.abs(image) if np.iscomplexobj(image) else image
