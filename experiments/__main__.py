"""``python -m experiments --all``: every experiment, the table of all claims, and one page of them in ``reports/claims``.

Without ``--all`` nothing is measured: the results that lie in ``reports`` are judged again, by the claims as they are worded now, and the page is
made of them. ``--quick`` and ``--full`` are those of the experiments, whose results and page then go to ``runs/experiments``.
"""

from __future__ import annotations

import argparse
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.frame import claims, page
from experiments.frame.run import KEPT, ROOT, names, run

TITLE = "Published experiments, reproduced: what holds here"
NOTE = (
    "Every claim of the experiments that are reproduced on this project's phantoms and networks, and where a row says so on real measurements, with "
    "what was published, what was found here, and whether the two agree. The networks are small and were trained on phantoms: a claim that differs "
    "here is not refuted, and one that agrees is not proven. What is given as published is our reading of abstracts and summaries, and was not "
    "checked against the full texts."
)


def gathered(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The results in these folders, judged by the claims of the experiments that they are named after."""
    there = [folder for folder in folders if (folder / "claims.json").exists()]
    return [page.rejudge(folder, *claims.load(ROOT / "experiments" / folder.name)) for folder in there]


def write(folder: Path, documents: Sequence[dict[str, Any]]) -> None:
    """The page of all claims, ``index.html``; the experiments' own pages lie in folders beside it."""
    beside = "<p class='soft'>Beside these: <a href='../index.html'>published audits, side by side</a></p>"
    parts = [f"{beside}<h1>{TITLE}</h1><p>{NOTE}</p>", f"<p>{tally(documents)}</p>"]
    for document in documents:
        name, title, source = (html.escape(document[key]) for key in ("experiment", "title", "source"))
        parts.append(f"<h2>{title}</h2><p class='soft'>After {source}. <a href='../{name}/index.html'>{name}</a></p>")
        parts.append(page.table(document["claims"]))
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "index.html.partial"
    partial.write_bytes(page.page(TITLE, parts))
    partial.replace(folder / "index.html")


def tally(documents: Sequence[dict[str, Any]]) -> str:
    """How many claims came out how.

    Examples
    --------
    >>> tally([{"claims": [{"verdict": "agrees"}, {"verdict": "differs"}]}])
    '2 claims: agrees 1, differs 1'
    """
    verdicts = [claim["verdict"] for document in documents for claim in document["claims"]]
    counts = ", ".join(f"{word} {verdicts.count(word)}" for word in dict.fromkeys(sorted(verdicts)))
    return f"{len(verdicts)} claims: {counts}"


def main(words: Sequence[str] | None = None) -> None:
    """Run all, or gather what is there."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="measure what is not measured yet")
    level = parser.add_mutually_exclusive_group()
    for name in ("quick", "full"):
        level.add_argument(f"--{name}", dest="level", action="store_const", const=name)
    arguments = parser.parse_args(words)
    chosen = arguments.level or "published"
    root = Path("reports") if chosen == "published" else KEPT / chosen
    folders = [root / name for name in names()]
    if arguments.all:
        for name, folder in zip(names(), folders, strict=True):
            print(f"== {name}", flush=True)
            run(name, chosen, out=folder)
    documents = gathered(folders)
    write(root / "claims", documents)
    for document in documents:
        print(f"\n{document['experiment']}: {document['title']}\n{page.lines(document['claims'])}")
    print(f"\n{tally(documents)}; {root / 'claims' / 'index.html'}")


if __name__ == "__main__":
    main()
