"""Multipliers of a long bound in a file, so that another run goes on where this one ended.

``multipliers.safetensors`` holds ``rho`` and the multipliers of each variable of `stabtest.bounds.lattice`, under a label that names network and
image size. Multipliers of another network, or of another version of its graph, are not an error: they are left alone, and the bound begins anew.
Whatever is read, what counts is the check at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stabtest.audit.fingerprint import digest
from stabtest.audit.units.plan import Plan

if TYPE_CHECKING:
    from stabtest.bounds.lattice.forms import Multipliers

NAME = "multipliers.safetensors"


def label(plan: Plan) -> str:
    """Names the network under test and what it is given."""
    return digest([plan.subjects[0].fingerprint, plan.config.operator.model_dump(mode="json")])


def read_multipliers(folder: Path, plan: Plan) -> Multipliers | None:
    """Those of an earlier run of the same plan, or None.

    Parameters
    ----------
    folder
        Where `write_multipliers` put them.
    plan
        Whose network they must be of.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    from safetensors import SafetensorError, safe_open

    from stabtest.bounds.lattice.forms import Multipliers

    try:
        with safe_open(path, framework="pt") as stored:
            if (stored.metadata() or {}).get("label") != label(plan):
                return None
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a mapping
        return Multipliers(tensors.pop("rho"), {int(name): weights for name, weights in tensors.items()})
    except (SafetensorError, KeyError, ValueError, OSError):
        return None


def write_multipliers(multipliers: Multipliers, folder: Path, plan: Plan) -> Path:
    """Write them beside the bound, whole or not at all; returns the file."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path, half = folder / NAME, folder / (NAME + ".part")
    values = {
        "rho": multipliers.rho.detach(),
        **{str(index): w.detach().contiguous() for index, w in multipliers.weights.items()},
    }
    save_file(values, half, metadata={"label": label(plan)})
    half.replace(path)
    return path
