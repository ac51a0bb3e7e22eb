"""Small features at random and by search, and what one method shows of them; each a piece.

A feature is a lesion of `stabtest.stability.missed_lesion`: of a box of sizes and heights, within the body, put into the object before it is
measured, and carried by the data (``d' >= 5`` and a null-space share of at most 0.9). Measured is its recovery, the share of its contrast in the
image; it is a **false negative** where less than half comes back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
import torch

from experiments.frame import scans
from experiments.frame.pieces import Arrays, Pieces
from experiments.frame.scans import Reconstructor, Scan
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.operators import LinearOperator
from stabtest.stability import MissedLesionTest
from stabtest.stability.cases import Case, Method
from stabtest.stability.insertion import Insertion
from stabtest.stability.missed_lesion import Lesion, LesionBox, put_in
from stabtest.stability.missed_lesion.lesion import Room
from stabtest.stability.null_space import null_space_share
from stabtest.stability.structure import LEAST_DETECTABILITY, MOST_NULL_SPACE, detectability, recovery

MISSED = 0.5
"""Recovery below which a feature is a false negative."""
BOX = LesionBox(diameters=(3.0, 6.0), contrasts=(0.1, 0.3), polarity="bright")


def drawn(case: Case, count: int, seed: int) -> list[tuple[Lesion, Insertion]]:
    """Features uniform in the box and, each, in the places that have room for it; those that the data do not carry are drawn again."""
    room, generator = Room(case.reference_image, BOX), torch.Generator().manual_seed(seed)
    found: list[tuple[Lesion, Insertion]] = []
    while len(found) < count:
        u: list[float] = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
        size, height = (low + share * (high - low) for share, (low, high) in zip(u, (BOX.diameters, BOX.contrasts)))
        somewhere = Lesion(0.0, 0.0, size, height)
        rows, columns = np.nonzero(room.depth >= room.need(somewhere))
        at = min(int(u[2] * len(rows)), len(rows) - 1)
        lesion = Lesion(float(rows[at]) + u[3] - 0.5, float(columns[at]) + u[4] - 0.5, size, height)
        detail = put_in(case, lesion)
        seen = detectability(detail.data, case.noise_std) or math.inf
        if seen >= LEAST_DETECTABILITY and null_space_share(case.operator, detail.template).share <= MOST_NULL_SPACE:
            found.append((lesion, detail))
    return found


def at_random(pieces: Pieces, one: Reconstructor, scan: Scan, index: int, count: int) -> Arrays:
    """Recovery of features drawn at random, the same for all methods."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        clean = one.method(on.measurement, on.operator)
        some = drawn(on, count, seed=index)
        back = [recovery(one.method(on.measurement + f.data, on.operator) - clean, f.template, f.region) for _, f in some]
        return {"recovery": back, "seen": [detectability(f.data, on.noise_std) or math.inf for _, f in some]}

    inputs = {"method": one.fingerprint, "case": scans.told(scan, index), "box": _box(), "count": count}
    return pieces.get(f"random-features-{one.name}", inputs, make)


def by_search(pieces: Pieces, one: Reconstructor, scan: Scan, index: int, *, places: int, evaluations: int) -> Arrays:
    """The feature that came back least, measured again from scratch, with the images that show it."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        (row,) = MissedLesionTest(box=BOX, places=places, evaluations=evaluations).measure(one.method, on, seed=index).rows
        assert isinstance(row, MissedLesionRow)
        lesion = lesion_of(row)
        assert on.truth is not None
        detail = put_in(on, lesion)
        images = [one.method(y, on.operator) for y in (on.measurement, on.measurement + detail.data)]
        return {
            "lesion": astuple(lesion),
            "recovery": row.recovery,
            "seen": row.data_detectability,
            "linear": row.linear_recovery,
            "gate": row.identifiable,
            "image": np.stack([image[0, 0].numpy() for image in images]),
            "ideal": np.stack([image[0, 0].numpy() for image in (on.truth, on.truth + detail.template)]),
        }

    inputs = {
        "method": one.fingerprint,
        "case": scans.told(scan, index),
        "box": _box(),
        "places": places,
        "evaluations": evaluations,
    }
    return pieces.get(f"missed-{one.name}", inputs, make)


def given(pieces: Pieces, one: Reconstructor, scan: Scan, index: int, lesion: Sequence[float]) -> float:
    """Recovery of a feature that was found for another method."""

    def make() -> dict[str, Any]:
        on = scans.case(scan, index)
        detail = put_in(on, Lesion(*lesion))
        return {"recovery": _back(one.method, on.operator, on, detail)}

    inputs = {"method": one.fingerprint, "case": scans.told(scan, index), "lesion": [float(value) for value in lesion]}
    return float(pieces.get(f"given-{one.name}", inputs, make)["recovery"])


def lesion_of(row: MissedLesionRow) -> Lesion:
    """The lesion that a row names; there is one in a body that has room."""
    values = (row.row, row.column, row.diameter_px, row.contrast, row.aspect, row.degrees)
    return Lesion(*[float(value) for value in values if value is not None])


def _back(method: Method, operator: LinearOperator, case: Case, detail: Insertion) -> float:
    change = method(case.measurement + detail.data, operator) - method(case.measurement, operator)
    return recovery(change, detail.template, detail.region)


def _box() -> list[Any]:
    return [list(BOX.diameters), list(BOX.contrasts), BOX.polarity]
