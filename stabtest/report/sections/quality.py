"""Section 7: conventional image quality on the clean measurements, and what a medical physicist measures beside it."""

from __future__ import annotations

from stabtest.findings.document import Document
from stabtest.findings.records import QualityRow
from stabtest.report import panels, tables
from stabtest.report.anchors import quality_panels, was_run
from stabtest.report.blocks import Block, Heading, Paragraph, Section, Table
from stabtest.report.methods import method_order
from stabtest.report.numbers import number
from stabtest.report.sections.image_quality import image_quality
from stabtest.report.text import shorten

_ROLES = ("truth", "clean", "difference")


def quality(document: Document) -> Section:
    """Accuracy without perturbation: the ground under every figure of stability."""
    blocks = [*_accuracy(document), *image_quality(document)]
    run = any(was_run(document, anchor) for anchor in ("quality", "image-quality"))
    return Section(7, "quality", "Conventional image quality", tuple(blocks), "run" if run else "not run")


def _accuracy(document: Document) -> list[Block]:
    rows = document.quality
    if not rows:
        return [Paragraph("Not run: the audit holds no accuracy on clean measurements.", "absent")]
    methods = method_order(document, [row.method for row in rows])
    of = {method: [row for row in rows if row.method == method] for method in methods}
    summary = tables.rows(
        tables.words(methods),
        tables.counts([len(of[m]) for m in methods]),
        tables.measured([tables.median(r.nrmse for r in of[m]) for m in methods]),
        tables.measured([tables.largest(r.nrmse for r in of[m]) for m in methods]),
        tables.measured([tables.median(r.psnr for r in of[m]) for m in methods]),
        tables.measured([tables.smallest(r.psnr for r in of[m]) for m in methods]),
        tables.measured([tables.median(r.ssim for r in of[m]) for m in methods]),
        tables.measured([tables.smallest(r.ssim for r in of[m]) for m in methods]),
    )
    heads = (
        "Method",
        "Cases",
        "NRMSE, median",
        "NRMSE, largest",
        "PSNR (dB), median",
        "PSNR (dB), smallest",
        "SSIM, median",
        "SSIM, smallest",
    )
    ordered = [row for method in methods for row in of[method]]
    every = tables.rows(
        tables.words(r.method for r in ordered),
        tables.words(r.case for r in ordered),
        tables.measured([r.nrmse for r in ordered]),
        tables.measured([r.psnr for r in ordered]),
        tables.measured([r.ssim for r in ordered]),
    )
    blocks: list[Block] = [
        Paragraph(
            "Each method reconstructs the clean measurement and is compared with the truth. A method that is blind is stable too: "
            "read every number below beside these.",
            "method",
        ),
        Table("quality-summary", "Image quality by method", heads, summary, numeric=(False, *[True] * 7)),
        Table(
            "quality-rows",
            "Image quality, every case",
            ("Method", "Case", "NRMSE", "PSNR (dB)", "SSIM"),
            every,
            folded=len(ordered) > 10,
            numeric=(False, False, True, True, True),
        ),
    ]
    shown = quality_panels(document)
    if shown:
        blocks.append(Heading("quality-pictures", "Clean reconstructions"))
        total = len({picture.case for picture in document.pictures if picture.section == "quality"})
        if total > len(shown):
            blocks.append(Paragraph(f"The first {len(shown)} of {total} cases with pictures.", "note"))
    for anchor, _, group in shown:

        def notes(method: str, case: str = group.case) -> tuple[str, ...]:
            return _notes(rows, method, case)

        caption = f"Clean reconstructions, case {shorten(group.case, 80)}"
        blocks.append(panels.panel(document, group, _ROLES, anchor=anchor, caption=caption, notes=notes))
    return blocks


def _notes(rows: list[QualityRow], method: str, case: str) -> tuple[str, ...]:
    row = next((row for row in rows if row.method == method and row.case == case), None)
    return () if row is None else (f"PSNR {number(row.psnr)} dB", f"NRMSE {number(row.nrmse)}")
