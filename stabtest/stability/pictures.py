"""Tensors into pictures of the report, with display windows that do not flatter anybody.

The anatomy window is that of the *case*, from its truth (or the direct linear reconstruction), and so the same for all
methods. Difference maps and perturbations share one scale a case, `ERROR_SHARE` of the window's width: what went in and what
came out can be compared by eye.
"""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor

from stabtest.findings.records import Picture
from stabtest.stability.cases import Case

ERROR_SHARE = 0.2
"""Full scale of difference maps and perturbations, as a share of the width of the anatomy window."""


def display_window(case: Case) -> tuple[float, float]:
    """Anatomy window of a case: zero (MRI) or the 0.5 % quantile (else) to the 99.5 % quantile of its reference image.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    >>> low, high = display_window(Case("a", "a", "other", Identity((8, 8)), image, truth=image))
    >>> round(low, 2), round(high, 2)
    (0.01, 1.0)
    """
    image = case.reference_image
    values = (image.abs() if image.is_complex() else image).detach().to("cpu", torch.float64).numpy()
    # Not torch.quantile, which refuses images beyond 16 million pixels.
    low = 0.0 if image.is_complex() else float(np.quantile(values, 0.005))
    high = float(np.quantile(values, 0.995))
    return (low, high) if high > low else (low, low + case.peak)


def error_limit(case: Case) -> float:
    """Full scale of the difference maps of a case."""
    low, high = display_window(case)
    return ERROR_SHARE * (high - low)


def picture(
    image: Tensor,
    case: Case,
    *,
    section: str,
    method: str,
    role: str,
    kind: str,
    caption: str,
    label: str = "",
    limit: float | None = None,
    radius: float | None = None,
    count: int | None = None,
) -> Picture:
    """One picture of the report.

    Parameters
    ----------
    image
        ``(1, 1, H, W)``; drawn is the magnitude of a complex image (of any image for ``kind="error"``), the real part for
        ``kind="signed"``.
    case
        Gives the window.
    section, method, role, kind, caption, radius, count
        As in `Picture`; ``method="truth"`` for what all methods share.
    label
        Distinguishes pictures of one section, case, method and role, e.g. the radius.
    limit
        Full scale of ``error`` and ``signed``; `error_limit` of the case unless given.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> image = torch.rand(1, 1, 8, 8)
    >>> case = Case("a", "a", "other", Identity((8, 8)), image, truth=image)
    >>> picture(image, case, section="quality", method="truth", role="truth", kind="anatomy", caption="Truth").id
    'quality.a.truth.truth'
    """
    if kind == "anatomy":
        window_low, window_high = display_window(case)
        values = image.abs() if image.is_complex() else image
    else:
        window_high = limit if limit is not None else error_limit(case)
        window_low = 0.0 if kind == "error" else -window_high
        values = image.abs() if kind == "error" else image.real
    pixels = values[0, 0].detach().to("cpu", torch.float64).numpy()
    data, low, high = Picture.encode(pixels)
    return Picture.model_validate(
        {
            "id": slug(section, case.name, method, role, label),
            "section": section,
            "case": case.name,
            "method": method,
            "role": role,
            "kind": kind,
            "caption": caption,
            "radius": radius,
            "count": count,
            "shape": (pixels.shape[0], pixels.shape[1]),
            "low": low,
            "high": high,
            "window_low": window_low,
            "window_high": window_high,
            "data": data,
        }
    )


def perturbation_picture(
    image: Tensor, case: Case, *, method: str, label: str, radius: float, caption: str, section: str = "worst_case"
) -> Picture:
    """A perturbation in the image domain: its magnitude in MRI, with its sign else, on the scale of the difference maps."""
    kind = "error" if image.is_complex() else "signed"
    return picture(
        image, case, section=section, method=method, role="perturbation", kind=kind, caption=caption, label=label, radius=radius
    )


def slug(*parts: str) -> str:
    """A name for files and identifiers: letters, digits, ``_``, ``-`` and dots between the parts.

    Examples
    --------
    >>> slug("worst_case", "head 3", "U-Net (4x)", "r0.02")
    'worst_case.head-3.U-Net-4x.r0.02'
    """
    return ".".join(re.sub(r"[^A-Za-z0-9_.-]+", "-", part).strip("-") for part in parts if part)
