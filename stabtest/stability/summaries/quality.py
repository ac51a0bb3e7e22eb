"""Findings on the clean image: medians of NRMSE, PSNR and SSIM, and the paired difference to the reference method.

The medians have order-statistic bounds (from five patients on); the difference in PSNR has a paired t interval (from two on).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stabtest import statistics
from stabtest.findings.records import QualityRow
from stabtest.findings.verdicts import Finding
from stabtest.stability.summaries.context import Context, bounds_text, patients_text

MEASURES: tuple[tuple[str, str, Callable[[QualityRow], float | None]], ...] = (
    ("nrmse", "", lambda row: row.nrmse),
    ("psnr", "dB", lambda row: row.psnr),
    ("ssim", "", lambda row: row.ssim),
)


def summarise_quality(rows: Sequence[QualityRow], context: Context) -> list[Finding]:
    """``quality.{nrmse,psnr,ssim}.median``, and ``quality.psnr.difference_to_reference`` of all but the reference."""
    found: list[Finding] = []
    reference = {row.case: row.psnr for row in rows if row.method == context.reference and row.psnr is not None}
    for method in context.methods(rows):
        own = [row for row in rows if row.method == method]
        for name, unit, of in MEASURES:
            pairs = [(context.patient(row.case), value) for row in own if (value := of(row)) is not None]
            values = statistics.by_patient(pairs, statistics.mean)
            found.append(_median(method, name, unit, values, context))
        psnr = {row.case: row.psnr for row in own if row.psnr is not None}
        if method != context.reference and (both := statistics.paired(psnr, reference)):
            gains = statistics.by_patient([(context.patient(case), a - b) for case, a, b in both], statistics.mean)
            found.append(_difference(method, gains, context))
    return found


def _median(method: str, name: str, unit: str, values: list[float], context: Context) -> Finding:
    if not values:
        value, interval, sentence = None, None, f"Without a truth the {name.upper()} of {method} cannot be had."
    else:
        value = statistics.median(values)
        interval = statistics.quantile_interval(values, 0.5, level=context.level)
        shown = f"{value:.3g} {unit}".strip()
        bounds = bounds_text(interval, lambda end: f"{end:.3g}")
        sentence = f"On the clean measurement {method} has a median {name.upper()} of {shown} over "
        sentence += f"{patients_text(len(values))} {bounds}."
    statistic = f"quality.{name}.median"
    n = len(values)
    return context.finding("quality", statistic, method, value=value, interval=interval, n=n, sentence=sentence, unit=unit)


def _difference(method: str, gains: list[float], context: Context) -> Finding:
    value = statistics.mean(gains)
    interval = statistics.mean_interval(gains, level=context.level)
    bounds = bounds_text(interval, lambda end: f"{end:+.2f} dB")
    return context.finding(
        "quality",
        "quality.psnr.difference_to_reference",
        method,
        value=value,
        interval=interval,
        n=len(gains),
        valid=context.reference is not None and context.healthy(context.reference, test="quality"),
        unit="dB",
        sentence=f"On clean measurements the PSNR of {method} differs from that of {context.reference} by {value:+.2f} dB on "
        f"average over {patients_text(len(gains))} {bounds}.",
    )
