"""``python -m experiments.zoo_audits NAME ...``: the published audits of the zoo, one page each.

Every reconstructor goes through the same tests on the scan that its card says it was trained for (classical methods: on that of the U-Net of their
modality), with the same budget, beside total variation with the weight of the card, and is judged by the profile ``antun-2020/1``. Two phantoms are
few: the intervals say so. They keep an audit at some minutes of one core and a page below 5 MB; what a claim about one network needs is more of
both. `write_configuration` makes the configuration that stands beside each page, so that

    stabtest audit reports/zoo/NAME/stabtest.toml

makes the page again. What total variation and the direct reconstruction were found to do on a scan is measured once: the results of a
unit have an address made of all they depend on, and are handed on to the other audits of that scan.

    python -m experiments.zoo_audits --all             # what is not there yet; hours of one core
    python -m experiments.zoo_audits unet-mri --again  # anew
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.zoo_audits.scan import AUDITED, configuration
from stabtest.report import load_document

WORK = Path("runs/zoo-audits")
PUBLISHED = Path("reports/zoo")
DONE = (0, 1)
"""Statuses of an audit that ended with a report: nothing failed, or a criterion did."""


def main(words: Sequence[str] | None = None) -> int:
    """Audit what is asked for; returns the number of audits that did not end with a report."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.zoo_audits", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of `stabtest zoo`")
    parser.add_argument("--all", action="store_true", help="every reconstructor that makes images of a scan")
    parser.add_argument("--again", action="store_true", help="those too whose page is there")
    parser.add_argument("--out", type=Path, default=PUBLISHED, help="where the pages go (default %(default)s)")
    options = parser.parse_args(words)
    names = list(AUDITED) if options.all else options.names
    unknown = [name for name in names if name not in AUDITED]
    if unknown or not names:
        parser.error(f"give names of {', '.join(AUDITED)}, or --all; came {', '.join(unknown) or 'none'}")
    failed = 0
    for name in names:
        if options.again or not (options.out / name / "report.html").exists():
            print(f"== {name}", flush=True)
            failed += not audit(name, options.out / name)
    return failed


def audit(name: str, page: Path) -> bool:
    """Audit one reconstructor and publish its page; returns whether there is one."""
    page.mkdir(parents=True, exist_ok=True)
    file = page / "stabtest.toml"
    write_configuration(name, file)
    work = WORK / name
    (work / "units").mkdir(parents=True, exist_ok=True)
    for unit in _measured_by_others(name):
        if not (work / "units" / unit.name).exists():
            shutil.copy2(unit, work / "units" / unit.name)
    status = subprocess.run([sys.executable, "-m", "stabtest", "audit", str(file), "--out", str(work)], check=False).returncode
    if status not in DONE:
        print(f"{name}: no report, exit status {status}", flush=True)
        return False
    publish(work, page)
    return True


def publish(work: Path, page: Path) -> None:
    """The page whole, and ``report.json`` without its pictures: the page has them, and twice would be much for a repository."""
    shutil.copy2(work / "report.html", page / "report.html")
    document = load_document(work / "report.json").model_copy(update={"pictures": []})
    (page / "report.json").write_text(document.model_dump_json(indent=1) + "\n", encoding="utf-8")


def write_configuration(name: str, file: Path) -> None:
    """The configuration of an audit, as TOML that a reader can go on from."""
    lines = [f"# The published audit of {name}, written by `python -m experiments.zoo_audits {name}`."]
    for section, keys in configuration(name).items():
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {_toml(value)}" for key, value in keys.items()]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)  # numbers, text and lists are written alike in both


def _measured_by_others(name: str) -> Iterator[Path]:
    """Results of audits of the same scan; what does not fit this one is never asked for."""
    scan = configuration(name)["operator"]
    for other in AUDITED:
        if other != name and configuration(other)["operator"] == scan:
            yield from (WORK / other / "units").glob("*")


if __name__ == "__main__":
    sys.exit(main())
