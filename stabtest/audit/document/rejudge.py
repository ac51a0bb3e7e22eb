"""Other criteria on results that are known: allowed, and said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from stabtest.audit.config.file import load_criteria
from stabtest.audit.config.profiles import profile
from stabtest.audit.document.judge import judge
from stabtest.findings import Criterion, Document, Verdict
from stabtest.findings.verdicts import criteria_hash


def rejudge(document: Document, path: Path) -> Document:
    """The document with its findings judged by the criteria of a file.

    Parameters
    ----------
    document
        Measured and judged before.
    path
        TOML with ``[[criterion]]`` tables or a ``[criteria]`` profile; other tables in it are passed over.

    Returns
    -------
    Document
        With a deviation that says that the criteria came after the results.

    Raises
    ------
    ConfigError
        If the file holds no valid criterion.
    """
    criteria, name = load_criteria(path)
    return _judged_again(document, criteria, name)


def rejudge_by_profile(document: Document, key: str) -> Document:
    """The document with its findings judged by the criteria of a profile that ships.

    Raises
    ------
    ConfigError
        If no profile is called so.
    """
    return _judged_again(document, profile(key).criteria, key)


def _judged_again(document: Document, criteria: Sequence[Criterion], name: str | None) -> Document:
    if criteria_hash(criteria) == document.criteria_sha256:
        return document
    tested = next(item.name for item in document.items if item.role == "under test")
    reference = next((item.name for item in document.items if item.role == "reference"), None)
    # One finding a statistic and method, without the verdicts of before.
    plain = {(f.method, f.statistic): f for f in document.findings if f.verdict is not Verdict.NOT_RUN or f.criterion is None}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    note = (
        f"The criteria were replaced on {now}, after the results were known (before: SHA-256 "
        f"{document.criteria_sha256[:12]}); the verdicts are exploratory."
    )
    return document.model_copy(
        update={
            "findings": judge(list(plain.values()), criteria, tested=tested, failures=document.failures, reference=reference),
            "criteria": list(criteria),
            "criteria_sha256": criteria_hash(criteria),
            "criteria_frozen": now,
            "criteria_profile": name,
            "exploratory": True,
            "deviations": [*document.deviations, note],
        }
    )
