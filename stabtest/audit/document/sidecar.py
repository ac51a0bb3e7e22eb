"""The pictures that the report leaves out, beside it: a folder of 16-bit PNGs with an index.

A report holds the pictures of a few cases, chosen by a rule (`stabtest.audit.document.pictures`). Those of all others were made as well; here they
can be looked at, and nobody has to take it on trust that the rule did not choose the flattering ones. The gray levels of a file span ``low`` to
``high`` of its row in ``index.csv``: value = low + (high - low) level / 65535.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from base64 import b64decode
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stabtest.audit.units.plan import Plan
from stabtest.audit.units.store import Store, write_atomically
from stabtest.errors import AuditError
from stabtest.findings import Document, Picture

HEADS = ("file", "section", "case", "method", "role", "radius", "count", "height", "width", "low", "high")


def export_pictures(plan: Plan, store: Store, document: Document, folder: Path) -> list[Path]:
    """Write every picture of a plan that a document does not hold, and ``index.csv``.

    Parameters
    ----------
    plan, store
        Where the pictures come from.
    document
        Whose pictures are left out.
    folder
        Made if there is something to write. Files that are there are not written again: a picture is named after the unit that made it.

    Returns
    -------
    list of Path
        The pictures, the index not among them.

    Raises
    ------
    AuditError
        If a file cannot be written.
    """
    shown = {picture.id for picture in document.pictures}
    rows: list[tuple[object, ...]] = []
    written: dict[Path, None] = {}
    try:
        for unit in plan.units:
            result = store.get(unit.key, pictures=True)
            for picture in result.pictures if result is not None else ():
                path = folder / f"{_safe(picture.id)}.{unit.key[:8]}.png"
                if picture.id in shown or path in written:
                    continue
                written[path] = None
                if not path.exists():
                    write_atomically(path, _png(_levels(picture)))
                setting = (picture.radius, picture.count, *picture.shape, repr(picture.low), repr(picture.high))
                rows.append((path.name, picture.section, picture.case, picture.method, picture.role, *setting))
        if rows:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([HEADS, *rows])
            write_atomically(folder / "index.csv", text.getvalue().encode())
    except OSError as error:
        raise AuditError(f"pictures in {folder}", expected="a folder that can be written", came=str(error)) from error
    return list(written)


def _levels(picture: Picture) -> NDArray[np.uint16]:
    """The stored 16-bit levels of a picture, ``(H, W)``."""
    return np.frombuffer(zlib.decompress(b64decode(picture.data)), dtype="<u2").reshape(picture.shape)


def _png(levels: NDArray[np.uint16]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(levels.astype(np.uint16)).save(file, format="PNG")
    return file.getvalue()


def _safe(name: str) -> str:
    """A name that every file system takes.

    Examples
    --------
    >>> _safe("worst_case.a/b .perturbed")
    'worst_case.a-b-.perturbed'
    """
    return re.sub(r"[^\w.+-]", "-", name)[:120]
