"""Sections 15, 16, 18 and 19: deviations and failures, limitations, reproduction, signatures, glossary and references."""

from __future__ import annotations

from stabtest.findings.document import Document
from stabtest.report import tables
from stabtest.report.blocks import Block, Bullets, Cell, Code, Facts, Heading, Paragraph, Section, SignOff, Table, Terms
from stabtest.report.numbers import count, duration, many
from stabtest.report.sections.item import as_json
from stabtest.report.wording import GLOSSARY, REFERENCES, ROLES_TO_SIGN


def deviations(document: Document) -> Section:
    """Deviations from the plan, and units that failed; shown when empty."""
    body = tuple((tables.text(failure.unit, code=True), tables.text(failure.error)) for failure in document.failures)
    blocks: list[Block] = [
        Heading("deviation-list", "Deviations"),
        Bullets(tuple(document.deviations), "No deviations from the plan were recorded."),
        Heading("failure-list", "Failures and exclusions"),
    ]
    if document.failures:
        blocks.append(
            Paragraph(f"Ended in an error and missing above: {many(len(document.failures), 'unit')} of the audit.", "alert")
        )
    blocks.append(Table("failures-table", "Failed units", ("Unit", "Error"), body, empty="No unit of the audit failed."))
    return Section(15, "deviations", "Deviations, failures, exclusions", tuple(blocks))


def limitations(document: Document) -> Section:
    """What the audit cannot show."""
    standing = (
        "A search gives lower bounds: a perturbation that does more damage may exist at every radius.",
        "The results hold for the cases, the forward model and the software versions named here.",
        "Image differences are measured, not their effect on a diagnosis.",
    )
    both = tuple(dict.fromkeys([*document.limitations, *standing]))
    return Section(16, "limitations", "Limitations", (Bullets(both, ""),))


def reproduction(document: Document) -> Section:
    """Command, configuration, versions, hardware, seeds and cost."""
    tool, cost = document.tool, document.cost
    packages = ", ".join(f"{name} {version}" for name, version in tool.packages.items())
    facts = (
        ("Tool", tables.text(f"stabtest {tool.version}")),
        ("Commit", tables.text(tool.commit or "not available", code=tool.commit is not None)),
        ("Python", tables.text(tool.python)),
        ("Packages", tables.text(packages or "not available")),
        ("Platform", tables.text(tool.platform)),
        ("Device", tables.text(tool.device)),
        ("Threads", Cell(str(tool.threads), value=repr(tool.threads))),
        ("Seed", Cell(str(document.seed), value=repr(document.seed))),
        ("Time in units (sum)", Cell(duration(cost.wall_seconds), value=repr(cost.wall_seconds))),
        (
            "Units of the audit",
            Cell(f"{count(cost.units)}, of which {count(cost.resumed_units)} resumed", value=repr(cost.units)),
        ),
        ("Gradient evaluations", Cell(count(cost.gradient_evaluations), value=repr(cost.gradient_evaluations))),
        ("Configuration, SHA-256", tables.text(document.configuration_sha256, code=True)),
    )
    blocks: list[Block] = [
        Code("command", "Command", document.command),
        Facts(facts),
        Code("configuration", "Configuration in full", as_json(document.configuration)),
        Paragraph("This page is rendered from report.json beside it and from nothing else.", "note"),
    ]
    return Section(18, "reproduction", "Reproduction", tuple(blocks))


def closing(document: Document) -> Section:
    """Lines to sign on, glossary and references."""
    blocks: list[Block] = [
        SignOff(ROLES_TO_SIGN),
        Heading("glossary", "Glossary"),
        Terms(GLOSSARY),
        Heading("references", "References"),
        Bullets(REFERENCES, ""),
    ]
    return Section(19, "sign-off", "Signatures, glossary, references", tuple(blocks))
