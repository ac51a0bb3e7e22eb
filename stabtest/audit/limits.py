"""What an audit cannot show, and where it went otherwise than planned: said in the report, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stabtest.audit.config import Config
from stabtest.audit.engine import Ran
from stabtest.audit.plan import Plan
from stabtest.findings.document import CaseInfo
from stabtest.findings.records import Gate

FEW_PATIENTS = 20
"""Below this number of patients the report says that they are few."""


def limitations(config: Config, cases: Sequence[CaseInfo]) -> list[str]:
    """What the reader must not conclude.

    Parameters
    ----------
    config
        What was audited.
    cases
        On what.
    """
    found: list[str] = []
    if config.data.kind == "phantom":
        found.append(
            "The measurements are simulated from phantoms. They show how the network treats this forward model and these "
            "structures; they do not show how it does on patients, on a scanner's artefacts, or on anatomy it was not given."
        )
    elif config.data.kind == "kspace":
        found.append(
            "The truth is the reconstruction of all measured samples. It holds the scanner's noise and artefacts, and errors "
            "are errors against it, not against the object. The mask was applied afterwards."
        )
    if any(case.truth == "none" for case in cases):
        found.append("There is no truth for some measurements: errors are not given there, only changes.")
    if not any(case.noise_std for case in cases):
        found.append("No noise was added and its level is not known: how far a detail is above the noise cannot be said.")
    patients = len({case.patient for case in cases})
    if patients < FEW_PATIENTS:
        found.append(
            f"{patients} patient{'' if patients == 1 else 's'}: intervals are wide or cannot be had, rare failures are not seen."
        )
    if config.worst_case.enabled:
        found.append(
            "A search that finds little proves nothing: what was found bounds the worst case from below, within the stated "
            "budget. Whether a scanner ever produces such a perturbation is another question."
        )
    if config.lipschitz.enabled:
        found.append(
            "A certified Lipschitz bound is an upper limit and usually far from attained; only the bracket is a statement."
        )
    if config.reference.method == "tv":
        found.append("The weight of the reference (total variation) was chosen beforehand and not tuned on the audited images.")
    if config.structure.enabled:
        found.append("Details are round lesions in flat tissue; other shapes and places may be treated otherwise.")
    return found


def deviations_of(plan: Plan, gates: Sequence[Gate], ran: Ran) -> list[str]:
    """What went otherwise than a clean run: failed gates, failed units, a network outside of its training."""
    found = [f"Gate {gate.name} failed for {gate.subject}: {gate.detail}" for gate in gates if not gate.passed]
    if ran.failures:
        found.append(f"{len(ran.failures)} of {len(plan.units)} units failed and are missing from every statistic.")
    card = plan.subjects[0].item.card or {}
    found += _outside_training(plan.config, card)
    return found


def _outside_training(config: Config, card: dict[str, Any]) -> list[str]:
    """How the audited measurement differs from that which a network of the zoo was trained for."""
    operator, found = config.operator, list[str]()
    trained: dict[str, Any] = card.get("operator") or {}
    size = card.get("size")
    if size is not None and size != operator.size:
        found.append(f"The network was trained on images of {size} pixels and is audited on {operator.size}.")
    if trained.get("angles") not in (None, operator.angles):
        found.append(f"The network was trained for {trained['angles']} views and is audited with {operator.angles}.")
    if "mask" not in trained:
        return found
    if operator.mask.file is not None:
        return [*found, "The network was trained for another sampling mask than that of the file."]
    here = {**operator.mask.model_dump(exclude={"file"}), "mask": operator.mask.kind}
    differing = [key for key in ("mask", "acceleration", "centre_fraction", "seed") if trained.get(key, here[key]) != here[key]]
    for key in differing:
        found.append(f"The network was trained for a sampling mask with {key} {trained[key]} and is audited with {here[key]}.")
    return found
