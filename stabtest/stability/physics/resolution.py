"""The task transfer function of one method in one case: discs put into noisy scans, and the mean of what they change.

With scans ``y_i`` of one object, a disc ``h`` at a flat site and the *same* noise with and without it,

    D_i = f(y_i + A_fine h) - f(y_i).

The change is averaged over realisations, and over sites after these are moved onto each other, before anything else is done
with it: the modulus of a noisy spectrum is biased upwards (ensemble averaging: Yu, Vrieze, Leng, Fletcher, McCollough, Med. Phys.
42 (2015) 2261-2267). For a linear method the noise cancels in ``D_i``, and one realisation would do.

The gate: at least `LEAST_STEP` of the edge came back; its height is at least `LEAST_CNR` times the standard error of a pixel of
the averaged change; and the data carry the disc, ``d' >= 5`` (`stabtest.stability.structure`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from stabtest.errors import DataError
from stabtest.findings.physics_rows import TransferRow
from stabtest.operators import LinearOperator
from stabtest.stability.cases import Case
from stabtest.stability.physics.contrast import f50_interval
from stabtest.stability.physics.disc import insert_disc, quantity, signal
from stabtest.stability.physics.realisations import Realisations
from stabtest.stability.physics.ttf import task_transfer
from stabtest.stability.structure import LEAST_DETECTABILITY, detectability, places

LEAST_STEP = 0.1
"""Part of the edge's height that has to come back before its shape means anything."""
LEAST_CNR = 40.0
"""Height of the averaged edge over the standard error of its pixels. With a disc of 16 pixels in white noise, f50 then has a
standard deviation of 2 % at 0.19 cycles per pixel and 4 % at 0.34, and its interval covers as stated (the tests)."""

CLEARANCES = (1.0, 0.6)
"""Least distances of a disc's centre from the border of the body, in diameters (and a pixel): with its window, or alone."""

Run = Callable[[Tensor], Tensor]
"""Measurement ``(1, *range)`` to image ``(1, 1, H, W)``."""


def edge_sites(case: Case, *, diameter: float, count: int, seed: int) -> tuple[tuple[int, int], ...]:
    """Where discs go: into flat parts of the body, where there is room with the window around them, else with the disc alone.

    Parameters
    ----------
    case
        The case.
    diameter
        Of the disc, pixels.
    count, seed
        As in `stabtest.stability.structure.places`.

    Raises
    ------
    DataError
        If the body has no room for them, or the window of one would reach beyond the image.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image = torch.ones(1, 1, 32, 32)
    >>> case = Case("a", "a", "other", Identity((32, 32)), image, truth=image)
    >>> sites = edge_sites(case, diameter=10, count=1, seed=0)
    >>> all(10 <= c <= 21 for c in sites[0])
    True
    """
    roomy, tight = (share * diameter + 1 for share in CLEARANCES)
    try:
        return places(case, diameter=roomy, count=count, seed=seed)
    except DataError:
        sites = places(case, diameter=tight, count=count, seed=seed)
    half, shape = math.ceil(diameter), case.reference_image.shape[-2:]
    if not all(half <= c < n - half for site in sites for c, n in zip(site, shape)):
        raise DataError(
            f"case {case.name}: edge of a disc",
            expected=f"{half} pixels around its centre inside the image",
            came=f"centres {', '.join(map(str, sites))}",
            remedy="use a smaller disc",
        )
    return sites


def transfer_row(
    run: Run,
    case: Case,
    fine: LinearOperator,
    scans: Realisations,
    clean: Sequence[Tensor],
    *,
    name: str,
    sites: Sequence[tuple[int, int]],
    diameter: float,
    contrast: float,
) -> TransferRow:
    """Task transfer function at one contrast.

    Parameters
    ----------
    run
        The method on the case's operator.
    case, fine
        The case, and ``case.operator.refine(2)``.
    scans
        Noise realisations; the first ``len(clean)`` are used.
    clean
        Their reconstructions without a disc, each ``(1, 1, H, W)``.
    name
        Of the method.
    sites
        Of the discs (`edge_sites`).
    diameter, contrast
        As in `stabtest.stability.physics.disc.insert_disc`.

    Raises
    ------
    NetworkError
        If the method does not return a finite image of the right shape.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.stability.physics.realisations import realisations
    >>> image = torch.ones(1, 1, 40, 40)
    >>> case = Case("a", "a", "other", Identity((40, 40)), image, truth=image, truth_source="phantom", noise_std=0.01)
    >>> scans, fine = realisations(case, count=2, seed=0), case.operator.refine(2)
    >>> row = transfer_row(lambda y: y, case, fine, scans, scans.measurements, name="identity", sites=[(20, 20)],
    ...     diameter=12, contrast=0.1)
    >>> row.f50, round(row.step, 3), row.reliable
    (inf, 1.0, True)
    """
    changes: list[Tensor] = []
    templates: list[Tensor] = []
    visible: list[float | None] = []
    for site in sites:
        disc = insert_disc(case, fine, site=site, diameter=diameter, contrast=contrast)
        found = [run(y + disc.data) - image for y, image in zip(scans.measurements, clean)]
        changes.append(_patch(signal(torch.cat(found), disc.phase), site, diameter))
        templates.append(_patch(signal(disc.as_change_of(case, clean[0]), disc.phase), site, diameter))
        visible.append(detectability(disc.data, case.noise_std))
    if len(clean) > 1:
        units, left_out = torch.stack(changes).mean(0), "noise realisations"
    else:
        units, left_out = torch.cat(changes), "sites"
    n, mean = len(units), units.mean(0, keepdim=True)
    without = (n * mean - units) / (n - 1) if n > 1 else units[:0]
    middle = (mean.shape[-1] - 1) / 2
    template = torch.cat(templates).mean(0, keepdim=True)
    curves = task_transfer(torch.cat([mean, without]), template, centre=(middle, middle), radius=diameter / 2)
    step, f50 = float(curves.step[0]), curves.falls_to(0.5).tolist()
    came_back = abs(step) >= LEAST_STEP
    noise = float((units.var(0).mean() / n).sqrt()) if n > 1 else None
    cnr = None if noise is None else _over(abs(step * contrast) * case.peak, noise)
    least = min((d for d in visible if d is not None), default=None)
    reliable = came_back and (cnr is None or cnr >= LEAST_CNR) and (least is None or least >= LEAST_DETECTABILITY)
    return TransferRow(
        case=case.name,
        method=name,
        quantity=quantity(case, clean[0]),
        diameter_px=diameter,
        contrast=contrast,
        sites=len(sites),
        realisations=len(clean),
        noise_ratio=scans.ratio,
        frequencies=curves.frequencies.tolist(),
        transfer=curves.transfer[0].tolist() if came_back else [],
        step=step,
        f50=f50[0] if came_back else None,
        f10=float(curves.falls_to(0.1)[0]) if came_back else None,
        f50_interval=f50_interval(f50[0], f50[1:], units=left_out) if reliable else None,
        f50_left_out=f50[1:] if came_back else [],
        left_out=left_out,
        edge_cnr=cnr,
        data_detectability=least,
        reliable=reliable,
    )


def _patch(images: Tensor, site: tuple[int, int], diameter: float) -> Tensor:
    """The surroundings of a site, ``(B, 1, P, P)`` with the site in the middle."""
    half = math.ceil(diameter)
    row, column = site
    return images[..., row - half : row + half + 1, column - half : column + half + 1].to("cpu", torch.float64)


def _over(height: float, noise: float) -> float:
    return height / noise if noise > 0 else math.inf
