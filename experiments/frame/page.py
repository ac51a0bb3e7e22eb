"""The result page of an experiment, its figures as PNG files and its claims as JSON, from what was measured.

A page is one HTML file that needs no network, made of ``claims.json`` alone, so that it can be judged again without a measurement (`rejudge`);
figures lie beside it, so that other pages can show them. Nothing in it depends on the time or the place of the run.
"""

from __future__ import annotations

import html
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import pyplot
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray
from PIL import Image

from experiments.frame.claims import AGREES, CANNOT, DIFFERS, REAL, Claim, Judged, Values, figure, judge

pyplot.switch_backend("Agg")
COLOURS = 256
"""Of a picture: a palette makes a page of gray images small, and this one keeps rare colours."""
STYLE = """:root{color-scheme:light dark;--ink:#16191d;--soft:#505863;--paper:#fff;--line:#d5d9de;--head:#f4f5f7;--link:#0b5394;
--agrees:#1b6b3a;--differs:#a81c1c;--cannot:#7a4d00}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#a9b1bb;--paper:#16191d;--line:#3a414a;--head:#22272d;--link:#8ab8f0;
--agrees:#6cc78f;--differs:#f08a8a;--cannot:#e0b060}}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--paper:#fff;--line:#bbb;--head:#eee;--link:#000;--agrees:#1b6b3a;--differs:#a81c1c;
--cannot:#7a4d00}}
body{margin:0 auto;max-width:75rem;padding:1rem 1.2rem 3rem;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2rem}table{border-collapse:collapse;width:100%}a{color:var(--link)}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid var(--line)}th{background:var(--head)}
td.number{font-variant-numeric:tabular-nums}figure{margin:1.5rem 0}img{max-width:100%;height:auto;border:1px solid var(--line)}
figcaption,.soft{color:var(--soft);font-size:.9rem}.wide{overflow-x:auto}.verdict{font-weight:600;white-space:nowrap}code{overflow-wrap:anywhere}
.verdict .soft{font-weight:400;white-space:normal}
.agrees{color:var(--agrees)}.differs{color:var(--differs)}.cannot{color:var(--cannot);white-space:normal}
@media (max-width:45rem){.claims thead{display:none}.claims tr,.claims td{display:block}.claims td{border:0;white-space:normal}
.claims tr{border-bottom:1px solid var(--line)}.claims td::before{content:attr(data-head);display:block;font-size:.8rem;color:var(--soft)}}"""
_CLASS = {AGREES: "agrees", DIFFERS: "differs", CANNOT: "cannot"}


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure to be shown: name of its file, what it shows, and the drawing."""

    name: str
    caption: str
    drawing: Drawing


@dataclass(frozen=True, eq=False)
class Measured:
    """What an experiment measured: numbers by name, one or one for each image, and arrays for its figures."""

    values: Values
    arrays: dict[str, NDArray[Any]]


def write(
    folder: Path,
    *,
    name: str,
    title: str,
    source: str,
    setting: dict[str, Any],
    judged: Sequence[Judged],
    values: Values,
    figures: Sequence[Figure],
) -> None:
    """``index.html``, ``claims.json`` and the figures of an experiment."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in figures:
        _atomic(folder / f"{one.name}.png", picture(one.drawing))
    document = {
        "experiment": name,
        "title": title,
        "source": source,
        "setting": setting,
        "figures": [{"name": one.name, "caption": one.caption} for one in figures],
        "claims": [entry(one) for one in judged],
        "values": {key: [_json(value) for value in series] for key, series in sorted(values.items())},
    }
    _written(folder, document)


def rejudge(folder: Path, title: str, source: str, published: Sequence[Claim]) -> dict[str, Any]:
    """Claims as they are worded now against the values that lie in a folder of results; writes and returns its document.

    Parameters
    ----------
    folder
        With ``claims.json``.
    title, source, published
        Of ``expected.json`` (`experiments.frame.claims.load`).
    """
    document = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    values = {key: [float(value) for value in series] for key, series in document["values"].items()}
    claims = [entry(judge(claim, values)) for claim in published]
    document |= {"title": title, "source": source, "claims": claims}
    _written(folder, document)
    return document


def _written(folder: Path, document: dict[str, Any]) -> None:
    """``claims.json``, and the page that is made of it."""
    _atomic(folder / "claims.json", (json.dumps(document, indent=1) + "\n").encode())
    safe = {key: _safe(document[key]) for key in ("experiment", "title", "source")}
    figures = [(one["name"], _safe(one["caption"])) for one in document["figures"]]
    parts = [
        "<p class='soft'><a href='../claims/index.html'>All claims</a></p>"
        f"<h1>{safe['title']}</h1><p class='soft'>After {safe['source']}. Made by <code>python -m experiments.{safe['experiment']}</code>; "
        f"setting: <code>{_safe(json.dumps(document['setting']))}</code>.</p>{_on_real(document)}<h2>Claims</h2>",
        table(document["claims"]),
        "<h2>Figures</h2>",
        *[f"<figure><img src='{name}.png' alt='{words}'><figcaption>{words}</figcaption></figure>" for name, words in figures],
        "<h2>What was measured</h2><p class='soft'>One number, or one for each image.</p>"
        + _values({key: [float(value) for value in series] for key, series in document["values"].items()}),
    ]
    _atomic(folder / "index.html", page(document["title"], parts))


def _on_real(document: dict[str, Any]) -> str:
    """What is to be said of real measurements: how they are to be read, or that there are none."""
    if not any("data" in one for one in document["claims"]):
        return ""
    if any(key.startswith(f"{REAL}.") for key in document["values"]):
        words = (
            "Claims and figures on real measurements (experiments/real_data) are out of the training distribution: no network here was trained, and "
            "no weight chosen, on anything but phantoms. The truth they are counted against is the reconstruction of all samples, noise included."
        )
    else:
        words = "No real measurements in this run: the claims on them need the folder that STABTEST_DATA names, and stand as not tested."
    return f"<p>{words}</p>"


def entry(one: Judged) -> dict[str, str]:
    """A claim with its verdict, as JSON; one on real measurements says so."""
    told = {key: getattr(one.claim, key) for key in ("id", "claim", "published", "where", "how")}
    if one.claim.data == REAL:
        told["data"] = "real measurements, out of the training distribution"
    return {**told, "holds": "; ".join(one.claim.holds), "ours": one.ours, "verdict": one.verdict, "why": one.why}


def table(claims: Iterable[dict[str, str]]) -> str:
    """The table of claims in HTML."""
    rows: list[str] = []
    for one in claims:
        safe = {key: _safe(words) for key, words in one.items()}
        cells = [
            safe["claim"] + (f"<br><span class='soft'>{safe['data']}</span>" if "data" in safe else ""),
            *(f"{safe[a]}<br><span class='soft'>{safe[b]}</span>" for a, b in (("published", "where"), ("ours", "how"))),
        ]
        words = f"{safe['verdict']}<br><span class='soft'>{safe['why']}</span>"
        verdict = f"<td class='verdict {_CLASS[one['verdict']]}' data-head='Verdict'>{words}</td>"
        told = "".join(
            f"<td data-head='{head}'>{cell}</td>" for head, cell in zip(("Claim", "Published", "Ours"), cells, strict=True)
        )
        rows.append(f"<tr id='{safe['id']}'>{told}{verdict}</tr>")
    return (
        "<div class='wide'><table class='claims'><thead><tr><th>Claim</th><th>Published</th><th>Ours</th><th>Verdict</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def lines(claims: Iterable[dict[str, str]]) -> str:
    """The same as plain text, a line a claim: claim - published - ours - verdict."""
    return "\n".join(
        " - ".join([one["claim"], one["published"], one["ours"], one["verdict"] + (f": {one['why']}" if one["why"] else "")])
        for one in claims
    )


def page(title: str, parts: Iterable[str]) -> bytes:
    """A whole HTML page."""
    head = (
        "<!doctype html><html lang='en-GB'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; img-src 'self'; style-src 'unsafe-inline'\">"
    )
    return f"{head}<title>{_safe(title)}</title><style>{STYLE}</style></head><body>\n{chr(10).join(parts)}\n</body></html>\n".encode()


def picture(drawing: Drawing) -> bytes:
    """A drawing as PNG with a palette; the same drawing gives the same bytes."""
    raw, small = BytesIO(), BytesIO()
    drawing.savefig(raw, dpi=100, metadata={"Software": None}, facecolor="white")
    pyplot.close(drawing)
    raw.seek(0)
    Image.open(raw).convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        small, format="PNG", optimize=True
    )
    return small.getvalue()


def _values(values: Mapping[str, Sequence[float]]) -> str:
    """A row a name; of several images their mean, median and range as well."""
    rows: list[str] = []
    for key, series in sorted(values.items()):
        several = [sum(series) / len(series), statistics.median(series), min(series), max(series)] if len(series) > 1 else []
        cells = [figure(value) for value in several] or [figure(series[0]), "", "", ""]
        cells.append(", ".join(figure(value) for value in series) if several else "")
        numbers = "".join(f"<td class='number'>{cell}</td>" for cell in cells)
        rows.append(f"<tr><td><code>{_safe(key)}</code></td>{numbers}</tr>")
    head = "<tr><th>Name</th><th>Value or mean</th><th>Median</th><th>Least</th><th>Most</th><th>Each image</th></tr>"
    return f"<div class='wide'><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"


def _atomic(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _json(value: float) -> float | str:
    """JSON has no infinity: ``float("inf")`` reads the word."""
    return value if math.isfinite(value) else str(value)


def _safe(words: str) -> str:
    return html.escape(words, quote=True)
