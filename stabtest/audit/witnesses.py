"""The perturbations behind the findings, one file each, for whoever wants to check them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from stabtest.audit.plan import Plan
from stabtest.audit.store import Store, write_atomically
from stabtest.findings import Document


def export_witnesses(plan: Plan, store: Store, document: Document, folder: Path) -> list[Path]:
    """Write ``folder/<name>.npz`` for every witness that a finding names.

    Parameters
    ----------
    plan, store
        Where the witnesses come from.
    document
        Whose findings name them.
    folder
        Made if there is something to write.

    Returns
    -------
    list of Path
        The files.
    """
    wanted = {finding.witness for finding in document.findings if finding.witness}
    written: list[Path] = []
    for unit in plan.units:
        if not wanted:
            break
        result = store.get(unit.key)
        if result is None or not wanted & {getattr(row, "witness", None) for row in result.rows}:
            continue
        arrays = store.witnesses(unit.key)
        for name in sorted(wanted & set(arrays)):
            buffer = io.BytesIO()
            np.savez_compressed(buffer, perturbation=arrays[name])
            path = folder / f"{name}.npz"
            write_atomically(path, buffer.getvalue())
            written.append(path)
            wanted.discard(name)
    return written
