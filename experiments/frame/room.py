"""Cases that have room for details: some phantoms of ellipses have no flat part that is large enough for a text."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from experiments.frame import scans
from experiments.frame.scans import Scan
from stabtest.errors import DataError
from stabtest.stability.structure import places


def with_room(scan: Scan, count: int, sizes: Sequence[float], *, of: int = scans.CASES) -> list[int]:
    """The first cases of a scan that have room for details of every size.

    Parameters
    ----------
    scan
        Of phantoms, or of the real measurements.
    count
        How many are wanted.
    sizes
        Of the details, in pixels.
    of
        How many cases there are.
    """
    found: list[int] = []
    for index in range(of):
        with contextlib.suppress(DataError):
            for size in sizes:
                places(scans.case(scan, index), diameter=size, count=1, seed=index)
            found.append(index)
        if len(found) == count:
            break
    return found
