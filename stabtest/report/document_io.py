"""``report.json`` and ``report.html``: validated, complete or not there at all, and read back with clear errors.

Both files are made in full before the first byte is written, then put in place by ``os.replace`` (POSIX rename: atomic within
a file system). The page is rendered from the JSON text as a reader would parse it, never from the objects in memory.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from stabtest.errors import AuditError, DataError, refused
from stabtest.findings.document import SCHEMA_VERSION, Document
from stabtest.report.render import render

JSON_NAME, HTML_NAME = "report.json", "report.html"


@dataclass(frozen=True)
class ReportPaths:
    """Where the report was written."""

    json: Path
    html: Path


def write_report(document: Document, out_dir: str | os.PathLike[str]) -> ReportPaths:
    """Write ``report.json`` and ``report.html``.

    Parameters
    ----------
    document
        What was found.
    out_dir
        Folder, made if it is not there.

    Returns
    -------
    ReportPaths
        The two files.

    Raises
    ------
    AuditError
        If the document does not survive the trip through JSON, or the folder cannot be written.

    Notes
    -----
    If anything fails, files that were there before are unchanged and no part of a new one is left.
    """
    folder = Path(out_dir)
    text = document.model_dump_json(indent=1) + "\n"
    page = render(_validate(text.encode("utf-8"), folder / JSON_NAME))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = ReportPaths(folder / JSON_NAME, folder / HTML_NAME)
        replace_file(paths.json, text)
        replace_file(paths.html, page)
    except OSError as error:
        raise refused(f"report folder {folder}", error, remedy="make room and run the same command again") from error
    return paths


def load_document(path: str | os.PathLike[str]) -> Document:
    """Read and validate a ``report.json``.

    Parameters
    ----------
    path
        The file, or the folder that holds it.

    Raises
    ------
    DataError
        If there is no such file, or it is no complete JSON.
    AuditError
        If it is not a document, or one of a newer schema than this version knows.
    """
    file = Path(path)
    file = file / JSON_NAME if file.is_dir() else file
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{file}", expected="a report.json", came=error.strerror or str(error), remedy="run `stabtest audit` first"
        ) from error
    return _validate(raw, file)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``report.json``.

    Numbers that JSON does not know are the strings ``NaN``, ``Infinity`` and ``-Infinity``.

    Examples
    --------
    >>> json_schema()["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    True
    """
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema: dict[str, Any] = {**head, **Document.model_json_schema(mode="serialization"), "title": "stabtest report"}
    schema["properties"]["schema_version"] = {"const": SCHEMA_VERSION, "type": "integer", "title": "Schema Version"}
    return cast("dict[str, Any]", _with_non_numbers(schema))


def _with_non_numbers(schema: object) -> object:
    """Let every number be one of the three strings as well."""
    if isinstance(schema, list):
        return [_with_non_numbers(entry) for entry in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    made = {key: _with_non_numbers(value) for key, value in cast("dict[str, Any]", schema).items()}
    if made.get("type") == "number":
        del made["type"]
        made["anyOf"] = [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]
    return made


def _validate(raw: bytes, file: Path) -> Document:
    try:
        parsed = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{file}", expected="UTF-8 text", came=str(error), remedy="is this a report.json?") from error
    except json.JSONDecodeError as error:
        came = "an empty file" if not raw.strip() else f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise DataError(
            f"{file}", expected="complete JSON", came=came, remedy="the file is truncated or damaged; run the audit again"
        ) from error
    except RecursionError as error:
        raise DataError(f"{file}", expected="a report.json", came="JSON nested too deeply") from error
    version = parsed.get("schema_version") if isinstance(parsed, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise AuditError(
            f"{file} was written by a newer stabtest",
            expected=f"schema version {SCHEMA_VERSION} or older",
            came=f"version {version}",
            remedy="upgrade stabtest to read it",
        )
    try:
        return Document.model_validate_json(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        first = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'document'}: {fault['msg']}" for fault in faults[:5])
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise AuditError(
            f"{file} is not a valid report document",
            expected=f"schema version {SCHEMA_VERSION}",
            came=first + more,
            remedy="run the audit again with this version of stabtest",
        ) from error


def replace_file(path: Path, text: str) -> None:
    """Write a text beside a file and put it in its place.

    Raises
    ------
    OSError
        If it cannot be written; what was there before is unchanged.
    """
    # Named as `stabtest.audit.units.store` names its own, so that the next run can tell whether its writer still lives.
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]
    temporary = path.with_name(f".{path.name}.{host}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
