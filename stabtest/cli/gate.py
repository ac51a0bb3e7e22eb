"""An audit as a gate of continuous integration: its exit status, and its verdicts in files that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stabtest.cli.guard import FAILED, INCOMPLETE
from stabtest.errors import ConfigError, refused

if TYPE_CHECKING:
    from stabtest.findings import Document

Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Also write the verdicts as JUnit XML.")]
Summary = Annotated[Path | None, typer.Option("--summary", metavar="FILE", help="Also write the verdicts as Markdown.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit status 1 also where a criterion is INVALID or NOT RUN.")]


def clear(junit: Path | None, summary: Path | None, *, read: tuple[Path | None, ...]) -> None:
    """Take away what an earlier run wrote, before hours are spent: a run that ends early must not leave the verdicts of another.

    Parameters
    ----------
    junit, summary
        What is going to be written.
    read
        Files that the command reads.

    Raises
    ------
    ConfigError
        If a file could not be written, or is needed for something else.
    """
    taken = {file.resolve() for file in read if file is not None}
    for option, file in (("--junit", junit), ("--summary", summary)):
        if file is None:
            continue
        if file.resolve() in taken:
            raise ConfigError(f"{option} {file}", expected="a file of its own", came="one that is read or written otherwise")
        taken.add(file.resolve())
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{option} {file}", expected="a file that can be written", came=error.strerror or str(error)
            ) from error


def write_verdicts(document: Document, *, junit: Path | None, summary: Path | None) -> None:
    """Write the files that were asked for, each whole or not at all.

    Raises
    ------
    AuditError
        If the disk refuses.
    """
    from stabtest.report.document_io import replace_file
    from stabtest.report.job_summary import job_summary
    from stabtest.report.junit import junit as as_junit

    for file, made in ((junit, as_junit), (summary, job_summary)):
        if file is not None:
            try:
                replace_file(file, made(document))
            except OSError as error:
                raise refused(str(file), error, remedy="make room and run the same command again") from error


def status_of(document: Document, *, strict: bool = False) -> int:
    """Exit status of an audit that has a report: FAILED before incomplete before 0.

    Parameters
    ----------
    document
        What was found.
    strict
        Whether a criterion that was held against nothing counts as one that FAILED.
    """
    from stabtest.findings import Verdict
    from stabtest.report.verdict_words import judged

    broken = {Verdict.FAIL, Verdict.INVALID, Verdict.NOT_RUN} if strict else {Verdict.FAIL}
    if any(finding.verdict in broken for finding in judged(document)):
        return FAILED
    return INCOMPLETE if document.failures else 0
