"""What an audit cannot show, and where it went otherwise than planned: said in the report, in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from stabtest.audit.config import Config
from stabtest.audit.subject import WEIGHTS, default_weight
from stabtest.audit.units.engine import Ran
from stabtest.audit.units.plan import Plan
from stabtest.findings.document import CaseInfo
from stabtest.findings.records import Gate
from stabtest.operators import MaskFamily

FEW_PATIENTS = 20
"""Below this number of patients the report says that they are few."""
_TUNED_ON = {"mri": "4x Cartesian sampling, 1 % noise", "ct": "50 views, 2 % noise"}
"""On which phantoms of 128 pixels the default weights of total variation were chosen."""
_SAID = {"tv": "total variation", "tgv": "total generalised variation", "wavelet": "wavelets"}


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
    elif config.data.kind == "images":
        found.append(
            "The measurements are simulated from images. An image holds the noise, the blur and the processing of what made it, and from "
            "processed images methods look better than they are; a magnitude image has no phase. What is shown is how the network treats this "
            "forward model, not a scanner."
        )
    elif config.data.kind == "kspace":
        found += _kspace(config)
    else:
        found.append(
            "The truth is the filtered back-projection of all views of the scan. It holds the scanner's noise and artefacts and the "
            "blur of its rays, and errors are errors against it, not against the object. The views were chosen afterwards."
        )
    if config.operator.kind == "own":
        found.append(
            "The forward model is the user's own program. That it is linear and its adjoint exact was checked; that it describes a scanner was "
            "not. The number of samples was not varied and errors of the scan that belong to a mask, coils, views or a detector were not made: "
            "what these are is not known of it. Its norm is an estimate."
        )
    if config.operator.has_trajectory:
        found.append(
            "The trajectory is known exactly: delays of the gradients, eddy currents and off-resonance, which blur and distort scans along spokes "
            "and spirals, were not simulated. The truth shows the whole square of k-space; where the trajectory leaves its corners out, their "
            "share of the image is part of every error."
        )
    if any(case.truth == "none" for case in cases):
        found.append("There is no truth for some measurements: errors are not given there, only changes.")
    found += _noise(config, cases)
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
    if config.reference.method in WEIGHTS:
        found.append(_weight(config))
    if config.structure.enabled:
        kinds = "round lesions" if config.structure.shapes == ("lesion",) else "of a few simple shapes"
        found.append(
            f"Details are {kinds} at places drawn from the flattest fifth of the body (from the flattest half, or all of it, "
            "where that has no room); other shapes, and details at edges, may be treated otherwise."
        )
    return found


def _kspace(config: Config) -> list[str]:
    """What measured k-space cannot show, by how it was sampled, what it is compared with, and where the coil maps come from."""
    found: list[str] = []
    if config.operator.mask.kind == "measured":
        found.append(
            "The scan was undersampled by the scanner: what was not measured is not known, and how a method does with more or fewer "
            "samples of the same object is not tested."
        )
    truth = config.data.truth or ("none" if config.operator.mask.kind == "measured" else "reconstruction")
    if truth == "reconstruction":
        found.append(
            "The truth is the reconstruction of all measured samples. It holds the scanner's noise and artefacts, and errors "
            "are errors against it, not against the object. The mask was applied afterwards."
        )
    elif truth == "file":
        found.append(
            "The truth is the image in the file. How it was made is not known here; its phase is that of a reconstruction of the same "
            "samples, and errors of phase are not errors against the object."
        )
    if config.operator.kind == "multicoil":
        origin = (
            "were given in a file"
            if config.operator.maps.kind == "given"
            else "were estimated from the calibration lines of the same scan"
        )
        also = (
            ", and the truth is combined by them: errors of the maps are in both and are not seen here"
            if truth == "reconstruction"
            else ""
        )
        found.append(
            f"The coil maps {origin}. Every method is given the same ones{also}. One map a pixel is assumed; where they are 0 nothing is shown."
        )
    return found


def _noise(config: Config, cases: Sequence[CaseInfo]) -> list[str]:
    """What follows from measurements without noise, or with noise of an unknown level."""
    if config.data.simulated and config.data.noise == 0:
        return [
            "No noise was added to the simulated measurements: how the network treats noise, or a detail near it, is not seen."
        ]
    if any(case.noise_std is None for case in cases):
        which = "these" if all(case.noise_std is None for case in cases) else "some"
        return [
            f"The level of the noise of {which} measurements is not known: how far a detail is above it cannot be said there."
        ]
    return []


def _weight(config: Config) -> str:
    """How the weight of the reference came about, as far as it is known."""
    weight, default = config.reference.weight, default_weight(config, config.reference.method)
    name = _SAID[config.reference.method]
    said = f"The weight of the reference ({name}) was not tuned by the audit. "
    if weight is not None and weight != default:
        return said + f"{weight:g} was set in the configuration; how it was chosen is not recorded here."
    if config.modality == "other":
        return said + "It is the default, which suits no particular noise."
    if config.operator.has_trajectory:
        return (
            said
            + "It is the default, chosen on one phantom of 128 pixels (50 spokes, one coil, 1 % noise), and not tuned for another scan."
        )
    on = _TUNED_ON[config.modality]
    return (
        said + f"It is the default, chosen on phantoms of 128 pixels ({on}), and not tuned for another size, sampling or noise."
    )


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
    if size is not None and operator.shape != (size, size):
        here = str(operator.size) if operator.width is None else f"{operator.size} x {operator.width}"
        found.append(f"The network was trained on images of {size} pixels and is audited on {here}.")
    found += _other_data(config, card)
    if trained.get("kind", operator.kind) != operator.kind:
        return [
            *found,
            f"The network was trained for another operator ({trained['kind']}) than the audited one ({operator.kind}).",
        ]
    if operator.kind == "radon" and operator.geometry != "parallel":
        found.append("The network was trained for a parallel beam and is audited on a fan beam.")
    if trained.get("angles") not in (None, operator.angles):
        found.append(f"The network was trained for {trained['angles']} views and is audited with {operator.angles}.")
    if "coil_seed" in trained and operator.kind == "multicoil" and operator.maps.kind != "simulated":
        how = "maps from a file" if operator.maps.kind == "given" else "maps estimated from the scan"
        found.append(
            f"The network was trained with the exact maps of {trained['coils']} simulated coils and is audited with {how}."
        )
    if "mask" in trained:
        found += _other_mask(config, trained)
    return found


def _other_data(config: Config, card: dict[str, Any]) -> list[str]:
    """Other objects or another noise level than those of the training, and images that were trained on."""
    said = str((card.get("training") or {}).get("data", ""))
    phantom = re.search(r"\b(\w+) phantoms", said)
    if not config.data.simulated:
        return [f"The network was trained on simulated {phantom[1]} phantoms and is audited on real data."] if phantom else []
    found: list[str] = []
    if phantom and config.data.kind == "images":
        found.append(f"The network was trained on simulated {phantom[1]} phantoms and is audited on images from files.")
        phantom = None
    if phantom and phantom[1] != config.data.phantom:
        found.append(f"The network was trained on {phantom[1]} phantoms and is audited on {config.data.phantom} phantoms.")
    seeds = re.search(r"seeds (\d+) to (\d+)", said)
    first, last = config.data.first_seed, config.data.first_seed + config.data.count - 1
    if phantom and phantom[1] == config.data.phantom and seeds and first <= int(seeds[2]) and last >= int(seeds[1]):
        found.append("Some of the audited phantoms were trained on: [data] first_seed lies among the seeds of the training.")
    level = card.get("noise_level")
    if level is not None and level != config.data.noise:
        found.append(f"The network was trained with a noise level of {level:g} and is audited with {config.data.noise:g}.")
    return found


def _other_mask(config: Config, trained: dict[str, Any]) -> list[str]:
    """What is different about the sampling mask; a share of the centre that is not given is the default of its kind."""
    section = config.operator.mask
    if section.file is not None or section.kind == "measured":
        whose = "a file" if section.file is not None else "the scanner"
        return [f"The network was trained for a drawn sampling mask and is audited with that of {whose}."]
    here: dict[str, Any] = {**section.model_dump(exclude={"file"}), "mask": section.kind}
    if here["centre_fraction"] is None:
        here["centre_fraction"] = MaskFamily(section.kind, (8, 8)).default_centre_fraction
    differing = [key for key in ("mask", "acceleration", "centre_fraction", "seed") if trained.get(key, here[key]) != here[key]]
    return [
        f"The network was trained for a sampling mask with {'kind' if key == 'mask' else key} {trained[key]} and is audited with "
        f"{here[key]}."
        for key in differing
    ]
