"""The Lipschitz test alone, for ``stabtest bound``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stabtest.audit.cases import make_case
from stabtest.audit.cases.simulate import derived_seed
from stabtest.audit.measures import lipschitz_test
from stabtest.audit.units.laboratory import to_device
from stabtest.audit.units.multipliers import read_multipliers, write_multipliers
from stabtest.audit.units.plan import Plan
from stabtest.findings.document import LipschitzSection
from stabtest.findings.records import BoundRow, Bracket, LayerRow, NormalisedRow
from stabtest.stability.lipschitz import BoundProgress

if TYPE_CHECKING:
    from stabtest.bounds.lattice.forms import Multipliers


def lipschitz_section(
    plan: Plan, *, seconds: float | None = None, folder: Path | None = None, progress: BoundProgress | None = None
) -> LipschitzSection:
    """Layer table, brackets and bounds of the method under test on the first case.

    Parameters
    ----------
    plan
        From `stabtest.audit.make_plan`.
    seconds
        As in `stabtest.stability.LipschitzTest`; that of the configuration if not given.
    folder
        Where multipliers of the slowest bound are kept; it goes on from those that an earlier run has left there.
    progress
        Called as ``progress(what, done, planned)``.

    Raises
    ------
    StabtestError
        If a gain contradicts a bound, or the reconstruction has no gradient.
    """
    case = to_device(make_case(plan.config, 0), plan.device)
    test = lipschitz_test(plan.config, seconds=seconds)
    seed = derived_seed(plan.config.audit.seed, "lipschitz", case.name)
    start = None if folder is None else read_multipliers(folder, plan)
    kept: list[Multipliers] = []
    rows = test.measure(plan.subjects[0].method, case, seed=seed, tell_bound=progress, start=start, keep=kept.append).rows
    if folder is not None and kept:
        write_multipliers(kept[0], folder, plan)
    return LipschitzSection(
        layers=[row for row in rows if isinstance(row, LayerRow)],
        brackets=[row for row in rows if isinstance(row, Bracket)],
        bounds=[row for row in rows if isinstance(row, BoundRow)],
        normalised=[row for row in rows if isinstance(row, NormalisedRow)],
    )


def write_section(section: LipschitzSection, folder: Path) -> tuple[Path, ...]:
    """Write ``bound.json``, all of it, and ``layers.csv``, the layer table.

    Returns
    -------
    tuple of Path
        What was written.
    """
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "bound.json", folder / "layers.csv"
    texts = (
        section.model_dump_json(indent=1) + "\n",
        str(
            pd.DataFrame([row.model_dump() for row in section.layers], columns=list(LayerRow.model_fields)).to_csv(index=False)
        ),
    )
    for path, text in zip(paths, texts, strict=True):
        half = path.with_name(path.name + ".part")
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    return paths
