"""What one method does on one case with details of the kernel; each a piece.

With ``P_N`` the orthogonal projection onto the null space of ``A``, a detail ``h`` is measured like its part outside of the kernel alone, ``A h = A
(h - P_N h)``. The objects ``x + h`` and ``x + h - P_N h`` therefore have one measurement and one image. Its **transfer**

    t = Re <P_N h, f(y + A h) - f(y)> / ||P_N h||^2

is 1 where the method guesses the invisible part of the first object right, which it then also shows in the second, where it is not:

    ||P_N f(y + A h) - P_N f(y) - P_N h|| + ||P_N f(y + A h) - P_N f(y)||  >=  ||P_N h||,    whatever the method.

Details are shapes that no training has seen, and a part of the object itself, a fifth stronger, about the place where its invisible part is largest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.frame import scans
from experiments.frame.pieces import Arrays, Pieces
from experiments.frame.scans import Reconstructor, Scan
from stabtest import metrics, tensors
from stabtest.search import worst_case
from stabtest.stability.cases import Case
from stabtest.stability.insertion import FACTOR, insert
from stabtest.stability.kernel import Ellipsoid, FreeDetail, kernel_errors, search_detail, transfer_bound
from stabtest.stability.kernel.climb import LEAST
from stabtest.stability.null_space import split
from stabtest.stability.shapes import Shape, draw_shape
from stabtest.stability.structure import detectability, places

DETAILS: dict[Shape, tuple[float, float]] = {"text": (22.0, 0.3), "spade": (12.0, 0.3), "irregular": (8.0, 0.3)}
"""Size in pixels, and contrast."""
ANATOMY, WINDOW, STRONGER = "anatomy", 8.0, 0.2
"""The detail that is a part of the object; standard deviation of its window in pixels, and how much stronger it gets."""


def sigma_of(case: Case) -> float:
    """Noise of a real sample."""
    assert case.noise_std is not None
    return case.noise_std / float(np.sqrt(2)) if case.operator.range.is_complex else case.noise_std


def detail_of(case: Case, shape: Shape | None, seed: int) -> tuple[Tensor, tuple[int, int]]:
    """A detail on the grid of the image, as a perfect reconstruction shows it, and where it is; the part of the object if no shape is given."""
    side = case.operator.domain.shape[-1]
    if shape is None:
        return _part(case)
    size, contrast = DETAILS[shape]
    site = places(case, diameter=size, count=1, seed=seed)[0]
    drawn = draw_shape(shape, FACTOR * side, nominal=side, site=site, size=size, seed=seed)[None]
    return insert(case, case.operator.refine(FACTOR), drawn, site=site, diameter=size, contrast=contrast).template, site


def _part(case: Case) -> tuple[Tensor, tuple[int, int]]:
    """A part of the object, stronger, about the largest of ``G * |P_N x|``."""
    assert case.truth is not None
    invisible = metrics.smooth(split(case.operator, case.truth).null.abs(), sigma=WINDOW)[0, 0]
    row, column = divmod(int(invisible.argmax()), invisible.shape[-1])
    axes = [torch.arange(n) - at for n, at in zip(invisible.shape, (row, column), strict=True)]
    window = torch.exp(-0.5 * (axes[0][:, None].square() + axes[1].square()) / WINDOW**2)
    return STRONGER * window * case.truth, (row, column)


def transferred(pieces: Pieces, one: Reconstructor, scan: Scan, index: int, shape: Shape | None) -> Arrays:
    """Transfer of the kernel's part of a detail; with the images that show it."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        h, site = detail_of(on, shape, index)
        null = split(on.operator, h).null
        clean, with_detail = (one.method(y, on.operator) for y in (on.measurement, on.measurement + on.operator.forward(h)))
        assert on.truth is not None
        error = with_detail - on.truth - h
        return {
            "transfer": float(tensors.inner(null, with_detail - clean) / tensors.inner(null, null)),
            "share": float(tensors.norm(null) / tensors.norm(h)),
            "seen": float(detectability(on.operator.forward(null), on.noise_std) or 0.0),
            "error": [float(tensors.norm(error)), float(tensors.norm(error + null))],
            "image": with_detail[0, 0].numpy(),
            "with": (on.truth + h)[0, 0].numpy(),
            "without": (on.truth + h - null)[0, 0].numpy(),
            "site": [*site, 2 * WINDOW if shape is None else DETAILS[shape][0]],
        }

    told = [ANATOMY, WINDOW, STRONGER] if shape is None else [shape, *DETAILS[shape]]
    inputs = {"method": one.fingerprint, "case": scans.told(scan, index), "detail": told}
    return pieces.get(f"transfer-{one.name}-{told[0]}", inputs, make)


def errors(pieces: Pieces, one: Reconstructor, scan: Scan, index: int) -> Arrays:
    """Where the error lies, and how much of the kernel's part of the object is guessed."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        assert on.truth is not None
        found = kernel_errors(on.operator, one.method(on.measurement, on.operator), on.truth, on.measurement)
        recovery = float("nan") if found.null_recovery is None else found.null_recovery
        return {"share": found.null_share, "error": found.total, "recovery": recovery, "invented": found.null_invented}

    return pieces.get(f"kernel-errors-{one.name}", {"method": one.fingerprint, "case": scans.told(scan, index)}, make)


def priced(
    pieces: Pieces,
    one: Reconstructor,
    scan: Scan,
    index: int,
    *,
    size: float,
    data: float,
    steps: int,
    evaluations: int,
    draws: int,
) -> Arrays:
    """The dearest pair of images that was found, what its gain is with other noise, and the worst gain in the same ball.

    Parameters
    ----------
    size
        Largest detail, relative to the object.
    data
        Largest distance in the data, in standard deviations of the noise of a real sample.
    steps
        Evaluations of each ascent of the search for the pair.
    evaluations
        Of the search for the worst gain.
    draws
        Of other noise.
    """

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        assert on.truth is not None
        A, y, eps = on.operator, on.measurement, data * sigma_of(on)
        family = FreeDetail(Ellipsoid(A, size=size * float(tensors.norm(on.truth)), data=eps))
        image = one.method(y, A)
        generator = torch.Generator().manual_seed(0)
        pair = search_detail(one.method, A, y, image, family, steps=steps, starts=1, generator=generator).found
        about = transfer_bound(one.method, A, y, on.truth, pair.detail)
        worst = worst_case(
            one.method.reconstruct, A, y, radius=eps, unit="absolute", evaluations=evaluations, check=False, generator=generator
        )
        return {
            "bound": pair.bound,
            "gain": pair.gain,
            "ceiling": pair.ceiling,
            "undecided": pair.ceiling_residual > 0,
            "bound_truth": about.bound,
            "worst": float(worst.gain),
            "seen": pair.data_distance / sigma_of(on),
            "size": pair.image_distance / float(tensors.norm(on.truth)),
            "others": _with_other_noise(one, on, pair.detail, draws, least=LEAST * eps),
            "detail": pair.detail[0, 0].numpy(),
        }

    inputs = {
        "method": one.fingerprint,
        "case": scans.told(scan, index),
        "size": size,
        "data": data,
        "steps": steps,
        "evaluations": evaluations,
        "draws": draws,
    }
    return pieces.get(f"price-{one.name}", inputs, make)


def _with_other_noise(one: Reconstructor, case: Case, detail: Tensor, draws: int, *, least: float) -> list[float]:
    """Gain of the same detail in measurements of the same object with other noise; the least distance is that of the search.

    A real measurement keeps the noise that it has, and gets as much beside it.
    """
    assert case.noise_std is not None
    base = case.measurement if case.noiseless is None else case.noiseless
    data = case.operator.forward(detail.to(case.operator.domain.dtype(torch.float32)))
    generator, found = torch.Generator().manual_seed(scans.NOISE_SEED), []
    for _ in range(draws):
        noise = tensors.randn(tuple(data.shape), dtype=data.dtype, generator=generator)
        y = base + case.noise_std * case.operator.restrict(noise)
        change = one.method(y + data, case.operator) - one.method(y, case.operator)
        found.append(float(tensors.norm(change)) / max(float(tensors.norm(data)), least))
    return found
