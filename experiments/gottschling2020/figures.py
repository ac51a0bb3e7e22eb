"""Details with and without their invisible part and what methods make of both; the price in stability, and price against accuracy in the kernel."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from numpy.typing import NDArray

from experiments.frame.page import Figure, Measured
from experiments.gottschling2020.details import ANATOMY, DETAILS

MODALITIES = {"mri": "MRI", "ct": "CT", "real.mri": "MRI, real brain slices", "real.ct": "CT, a real tooth"}
"""What the names of all that is measured begin with; what is real is out of the training distribution."""
_OUT = "Real measurements, out of the training distribution."
MARKS = {
    "bound": ("lower bound of the pair", "^", "#0072b2"),
    "gain": ("gain of the pair", "o", "#c04a00"),
    "other-noise": ("gain of the pair, other noise", "x", "#9b4f80"),
    "worst": ("largest gain found in the ball", "s", "#00795a"),
}


def draw(measured: Measured) -> list[Figure]:
    """One figure of details a modality, one of the price; the same of real measurements."""
    found = {
        modality: [key.removeprefix(f"{modality}.bound.") for key in measured.values if key.startswith(f"{modality}.bound.")]
        for modality in MODALITIES
    }
    there = {modality: names for modality, names in found.items() if names}
    figures = [_details(measured, modality, names) for modality, names in there.items()]
    for real in (False, True):
        some = {modality: names for modality, names in there.items() if modality.startswith("real.") == real}
        figures += [_price(measured, some)] if some else []
    return figures


def _details(measured: Measured, modality: str, names: list[str]) -> Figure:
    rows, columns = (*DETAILS, ANATOMY), len(names) + 2
    drawing, axes = pyplot.subplots(
        len(rows), columns, figsize=(1.35 * columns + 0.2, 1.55 * len(rows) + 0.3), layout="constrained", squeeze=False
    )
    for row, shape in zip(axes, rows, strict=True):
        of = {key: measured.arrays[f"{modality}.{key}.{names[0]}.{shape}"] for key in ("with", "without", "site")}
        high = float(np.quantile(np.abs(of["with"]), 0.999))
        window = _around(of["site"], of["with"].shape)
        images = [of["with"], of["without"], *[measured.arrays[f"{modality}.image.{name}.{shape}"] for name in names]]
        titles = ["object 1", "object 2,\nthe same data"]
        titles += [f"{name}\n{float(measured.arrays[f'{modality}.transfer.{name}.{shape}']):.2f}" for name in names]
        for axis, image, title in zip(row, images, titles, strict=True):
            axis.imshow(_shown(image)[window], cmap="gray", vmin=0, vmax=high, interpolation="nearest")
            axis.set_title(title, fontsize=6.5)
            axis.axis("off")
    words = (
        f"{MODALITIES[modality]}: object 1 has the detail, object 2 lacks the part of it that the scanner does not see. Both have the same "
        "measurement and so, by each method, the same image; the figure above it is the share of the invisible part that the method shows, right for "
        "object 1 and wrong for object 2."
    )
    if modality.startswith("real."):
        words = f"{_OUT} {words}"
        return Figure(f"real-details-{modality.removeprefix('real.')}", words, drawing)
    return Figure(f"details-{modality}", words, drawing)


def _price(measured: Measured, found: dict[str, list[str]]) -> Figure:
    there, real = list(found), any(modality.startswith("real.") for modality in found)
    drawing, axes = pyplot.subplots(2, len(there), figsize=(5.4 * len(there), 8), layout="constrained", squeeze=False)
    for column, modality in zip(axes.T, there, strict=True):
        _marks(column[0], measured, modality, found[modality])
        _plane(column[1], measured, modality, found[modality])
    drawing.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", fontsize=8, ncols=3)
    words = (
        "Above: lower bound of the local Lipschitz constant from the pair of images that was found for each method, the gain of that pair, the same "
        "with other noise (median), and the largest gain that the search of an audit found for perturbations as small; the bound of a method whose "
        "image in the kernel does not depend on the data stays below the dash. Below: the gain of the pair against the share of the object's "
        "invisible part that is guessed. Means over the images."
    )
    return Figure("real-price" if real else "price", f"{_OUT} {words}" if real else words, drawing)


def _marks(axis: Axes, measured: Measured, modality: str, names: list[str]) -> None:
    places = np.arange(len(names))
    for k, (kind, (label, marker, colour)) in enumerate(MARKS.items()):
        heights = [float(np.mean(measured.values[f"{modality}.{kind}.{name}"])) for name in names]
        axis.plot(places + 0.12 * (k - 1.5), heights, marker, color=colour, label=label, markersize=6, linestyle="none")
    ceilings = [float(np.mean(measured.values[f"{modality}.ceiling.{name}"])) for name in names]
    axis.plot(places, ceilings, "_", color="#16191d", markersize=18, label="ceiling if the kernel is not filled from the data")
    axis.set_yscale("symlog", linthresh=0.1)
    axis.set_xticks(places, names, rotation=35, ha="right", fontsize=8)
    axis.set_ylabel("gain, image over measurement")
    axis.set_title(MODALITIES[modality], fontsize=10)
    axis.grid(alpha=0.3, axis="y")


def _plane(axis: Axes, measured: Measured, modality: str, names: list[str]) -> None:
    for k, (name, marker) in enumerate(zip(names, cycle("sPDo^v<>X"), strict=False)):
        x, y = (float(np.mean(measured.values[f"{modality}.{key}.{name}"])) for key in ("guessed", "gain"))
        axis.plot(x, y, marker, color=f"C{k}", label=name, linestyle="none", markeredgecolor="#16191d")
    axis.margins(x=0.12, y=0.12)
    axis.legend(fontsize=8, loc="best")
    axis.set_xlabel("share of the object's invisible part that is guessed")
    axis.set_ylabel("gain of the pair")
    axis.grid(alpha=0.3)


def _around(site: NDArray[Any], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The part of the image that is shown, within it."""
    row, column, size = (float(value) for value in site)
    half = round(max(1.1 * size, 14))
    starts = [int(min(max(at - half, 0), n - 2 * half)) for at, n in zip((row, column), shape, strict=True)]
    return slice(starts[0], starts[0] + 2 * half), slice(starts[1], starts[1] + 2 * half)


def _shown(image: NDArray[Any]) -> NDArray[Any]:
    return np.abs(image) if np.iscomplexobj(image) else image
