"""The command of an experiment: ``python -m experiments.NAME [--quick | --full] [--images N] [--out DIR]``.

What was measured before is taken from ``runs/experiments/pieces``, so that a run that was ended goes on, and a change of a figure or of a claim
measures nothing again. Without options the results go to ``reports/NAME``; those of ``--quick`` and ``--full`` to ``runs/experiments/quick``
and ``full``, and those of another number of images than the setting's to a folder with that number in its name, unless ``--out`` says otherwise. The
last lines are the claims: claim - published - ours - agrees, differs or cannot be tested here, and why.

Where ``STABTEST_DATA`` names the folder of real measurements, an experiment whose setting asks for them (``real``) measures them too; else it says
that they are absent.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import torch

from experiments.frame import claims, page, real
from experiments.frame.page import Figure, Measured
from experiments.frame.pieces import Pieces

ROOT = Path(__file__).parents[2]
KEPT = Path("runs/experiments")


class Measuring(Protocol):
    """What ``measure.py`` of a folder has."""

    SETTINGS: Mapping[str, dict[str, Any]]
    """Under ``"quick"``, ``"published"`` and ``"full"``: what is measured, as JSON values."""

    def measure(self, settings: dict[str, Any], pieces: Pieces) -> Measured:
        """All numbers and arrays."""
        ...


class Drawing(Protocol):
    """What ``figures.py`` of a folder has."""

    def draw(self, measured: Measured) -> list[Figure]:
        """The paper's figures from our data."""
        ...


def names() -> list[str]:
    """All experiments: folders with an ``expected.json``."""
    return sorted(path.parent.name for path in (ROOT / "experiments").glob("*/expected.json"))


def run(
    name: str, level: str, *, images: int | None = None, out: Path | None = None, kept: Path = KEPT
) -> list[dict[str, str]]:
    """Measure, draw, write and judge.

    Parameters
    ----------
    name
        Folder of the experiment.
    level
        ``"quick"``, ``"published"`` or ``"full"``.
    images
        How many phantoms; what the setting says if None.
    out
        Folder of the results.
    kept
        Where pieces are kept.

    Returns
    -------
    list of dict
        The claims with their verdicts.
    """
    torch.set_num_threads(1)
    folder = ROOT / "experiments" / name
    measuring = cast(Measuring, importlib.import_module(f"experiments.{name}.measure"))
    drawing = cast(Drawing, importlib.import_module(f"experiments.{name}.figures"))
    title, source, published = claims.load(folder)
    settings = measuring.SETTINGS[level]
    folder_of = kept / level if level != "published" else Path("reports")
    if images is not None and images != settings["images"]:
        settings = {**settings, "images": images}
        folder_of = kept / f"{level}-{images}-images"
    if settings.get("real") and not real.available():
        print("real measurements: absent, STABTEST_DATA names no folder; claims on them are not tested")
    measured = measuring.measure(settings, Pieces(kept / "pieces"))
    values = claims.rounded(measured.values)
    judged = [claims.judge(claim, values) for claim in published]
    where = out or folder_of / name
    page.write(
        where,
        name=name,
        title=title,
        source=source,
        setting={"level": level, **settings},
        judged=judged,
        values=values,
        figures=drawing.draw(measured),
    )
    print(f"{where / 'index.html'}\n")
    return [page.entry(one) for one in judged]


def main(name: str, words: Sequence[str] | None = None) -> None:
    """The command of one experiment."""
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{name}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    level = parser.add_mutually_exclusive_group()
    level.add_argument("--quick", dest="level", action="store_const", const="quick", help="under two minutes")
    level.add_argument("--full", dest="level", action="store_const", const="full", help="more images, radii and evaluations")
    parser.add_argument("--images", type=positive, metavar="N", help="another number of phantoms than the setting's")
    parser.add_argument("--out", type=Path, help="folder of the results")
    arguments = parser.parse_args(words)
    print(page.lines(run(name, arguments.level or "published", images=arguments.images, out=arguments.out)))


def positive(word: str) -> int:
    """A whole number above 0, of a command line."""
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1 image, came {number}")
    return number
