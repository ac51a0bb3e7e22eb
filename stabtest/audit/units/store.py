"""One result file a unit, so that an audit that was killed goes on where it was.

A file appears under its final name whole or not at all: it is written under another name in the same folder, flushed to the
disk, and renamed (``rename`` is atomic within a file system, POSIX.1-2017). Witnesses go first, the JSON last; a JSON file that
is truncated, altered, of another unit, or whose witnesses are missing counts as absent and the unit is computed again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import socket
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabtest.errors import refused
from stabtest.findings import (
    Picture,
    detectability_rows,
    kernel_rows,
    missed_rows,
    noise_rows,
    physics_rows,
    records,
    shift_rows,
)
from stabtest.findings.document import CaseInfo
from stabtest.findings.records import Record

FORMAT = 1
_ROWS: dict[str, type[Record]] = {
    row.__name__: row
    for row in (
        records.QualityRow,
        records.WorstCaseRow,
        records.StructureRow,
        missed_rows.MissedLesionRow,
        records.SamplingRow,
        records.PatternRow,
        noise_rows.NoiseRow,
        noise_rows.RepeatabilityRow,
        physics_rows.TransferRow,
        physics_rows.NoisePowerRow,
        physics_rows.BiasRow,
        physics_rows.UniformityRow,
        shift_rows.ShiftRow,
        detectability_rows.DetectabilityRow,
        kernel_rows.KernelErrorRow,
        kernel_rows.KernelTransferRow,
        kernel_rows.SfrcRow,
        records.LayerRow,
        records.BoundRow,
        records.NormalisedRow,
        records.Bracket,
        records.Gate,
    )
}


@dataclass(frozen=True)
class Result:
    """What one unit of an audit measured.

    Parameters
    ----------
    rows
        Measured rows of `stabtest.findings.records`.
    pictures
        Pictures of this unit; the report shows only some.
    witnesses
        Name to array: the perturbations behind the rows.
    evaluations
        Gradient evaluations spent.
    seconds
        Wall time.
    case
        What the report says about the case that was measured.
    """

    rows: Sequence[Record]
    pictures: Sequence[Picture] = ()
    witnesses: Mapping[str, NDArray[Any]] | None = None
    evaluations: int = 0
    seconds: float = 0.0
    case: CaseInfo | None = None


class Store:
    """The results of an audit in a folder.

    Parameters
    ----------
    folder
        Made if it is not there.

    Raises
    ------
    AuditError
        If the folder cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()))
    >>> row = records.QualityRow(case="a", method="net", nrmse=0.1, psnr=30.0, ssim=None)
    >>> store.put("0a", "quality of net on a", Result(rows=[row]))
    >>> store.get("0a").rows[0] == row, store.get("0b")
    (True, None)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refused(f"results folder {folder}", error, remedy="make room, or choose another folder: --out") from error

    def put(self, key: str, label: str, result: Result) -> None:
        """Write a unit's result: all of it or, after an interruption, nothing.

        Raises
        ------
        AuditError
            If the disk refuses (full, read-only).
        """
        try:
            stored = None
            if result.witnesses:
                buffer = io.BytesIO()
                np.savez_compressed(buffer, **dict(result.witnesses))  # pyright: ignore[reportArgumentType]
                stored = hashlib.sha256(buffer.getvalue()).hexdigest()
                write_atomically(self.folder / f"{key}.npz", buffer.getvalue())
            body: dict[str, Any] = {
                "format": FORMAT,
                "key": key,
                "label": label,
                "seconds": round(result.seconds, 3),
                "evaluations": result.evaluations,
                "rows": [[type(row).__name__, json.loads(row.model_dump_json())] for row in result.rows],
                "pictures": [json.loads(picture.model_dump_json()) for picture in result.pictures],
                "witnesses_sha256": stored,
                "case": None if result.case is None else json.loads(result.case.model_dump_json()),
            }
            text = json.dumps({**body, "checksum": _checksum(body)})
            write_atomically(self.folder / f"{key}.json", text.encode())
        except OSError as error:
            remedy = f"make room on the disk of {self.folder} and run the same command: it goes on from what is there"
            raise refused(f"result of {label}", error, remedy=remedy) from error

    def get(self, key: str, *, pictures: bool = False) -> Result | None:
        """The stored result, or None where there is none that is whole and of this unit.

        Parameters
        ----------
        key
            The unit's content address.
        pictures
            Whether to decode the pictures as well (the larger part).
        """
        try:
            body = json.loads((self.folder / f"{key}.json").read_bytes())
            checksum = body.pop("checksum")
            if body["format"] != FORMAT or body["key"] != key or checksum != _checksum(body):
                return None
            if body["witnesses_sha256"] is not None:
                content = (self.folder / f"{key}.npz").read_bytes()
                if hashlib.sha256(content).hexdigest() != body["witnesses_sha256"]:
                    return None
            return Result(
                rows=tuple(_ROWS[name].model_validate(row) for name, row in body["rows"]),
                pictures=tuple(Picture.model_validate(picture) for picture in body["pictures"]) if pictures else (),
                evaluations=int(body["evaluations"]),
                seconds=float(body["seconds"]),
                case=None if body["case"] is None else CaseInfo.model_validate(body["case"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def witnesses(self, key: str) -> dict[str, NDArray[Any]]:
        """The stored witnesses of a unit, empty where it has none."""
        path = self.folder / f"{key}.npz"
        if not path.exists():
            return {}
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    def sweep(self, *, older_than: float = 3600.0) -> None:
        """Remove what interrupted writers left under temporary names, in this folder and the one around it.

        Parameters
        ----------
        older_than
            Seconds after which also what another machine was writing counts as left; of this machine it is known whether the
            process still lives.
        """
        for folder in (self.folder, self.folder.parent, self.folder.parent / "witnesses"):
            for path in folder.glob(".*.part"):
                try:
                    if _abandoned(path) or time.time() - path.stat().st_mtime > older_than:
                        path.unlink()
                except OSError:
                    continue  # another audit in this folder was faster


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _host() -> str:
    """Name of this machine as far as it can stand in a file name."""
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]


def _abandoned(part: Path) -> bool:
    """Whether the process of this machine that was writing a file has ended."""
    host, process = part.name.split(".")[-4:-2] if part.name.count(".") >= 5 else ("", "")
    if host != _host() or not process.isdigit() or sys.platform == "win32":
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is whole under its name or not there.

    Parameters
    ----------
    path
        The final name.
    content
        All of its bytes.

    Raises
    ------
    OSError
        If the disk refuses; nothing new is left then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
