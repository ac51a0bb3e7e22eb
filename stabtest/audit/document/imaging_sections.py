"""Sections of the report on image quality, shift, observers and the null space: what was measured, with the words that say how."""

from __future__ import annotations

from collections.abc import Sequence

from stabtest.audit.config import Config
from stabtest.audit.measures import shift_test
from stabtest.findings.detectability_rows import DetectabilityRow
from stabtest.findings.document import (
    CaseInfo,
    DetectabilitySection,
    ImageQualitySection,
    KernelSection,
    ShiftSection,
)
from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow, SfrcRow
from stabtest.findings.physics_rows import BiasRow, NoisePowerRow, TransferRow, UniformityRow
from stabtest.findings.shift_rows import ShiftRow
from stabtest.stability.detectability import compare, thresholds
from stabtest.stability.physics import contrast_statements
from stabtest.stability.physics.resolution import LEAST_CNR, LEAST_STEP
from stabtest.stability.shift import statements as shift_statements
from stabtest.stability.structure import LEAST_DETECTABILITY


def image_quality_section(
    config: Config,
    transfer: list[TransferRow],
    power: list[NoisePowerRow],
    bias: list[BiasRow],
    uniformity: list[UniformityRow],
    patients: dict[str, str],
) -> ImageQualitySection | None:
    """Resolution, noise power, bias and uniformity."""
    if not transfer:
        return None
    section = config.image_quality
    realisations, most = (max(row.realisations for row in rows) if rows else 1 for rows in (transfer, [*power, *bias]))
    scans = f"{most} scans with independent noise, the same for every method" if most > 1 else "One scan"
    edges = f" in {realisations} of them" if most > 1 else ""
    places = "one flat place" if section.sites == 1 else f"{section.sites} flat places"
    description = (
        f"{scans}. A disc of {section.diameter:g} pixels with a sharp edge is put into the object at {places}{edges}, at each contrast (height "
        "relative to the largest pixel). A curve counts where at least "
        f"{100 * LEAST_STEP:g} % of the edge came back, the edge is at least {LEAST_CNR:g} times the noise of the averaged change, and the data "
        f"carry the disc (detectability at least {LEAST_DETECTABILITY:g})."
    )
    return ImageQualitySection(
        description=description,
        transfer=transfer,
        noise_power=power,
        bias=bias,
        uniformity=uniformity,
        statements=contrast_statements(transfer, patients=patients),
    )


def shift_section(
    config: Config, rows: list[ShiftRow], cases: Sequence[CaseInfo], patients: dict[str, str]
) -> ShiftSection | None:
    """Changes of object and scan."""
    if not rows:
        return None
    test, families = shift_test(config), {row.family for row in rows}
    said: list[str] = []
    if "object" in families:
        where = (
            "on the grid twice as fine that it was drawn on" if any(row.finer for row in rows) else "on the pixels of the truth"
        )
        said.append(f"The object is changed {where} and measured again with the same noise.")
    if "scan" in families:
        said.append("The scan departs from what the methods are told of it.")
    if "searched" in families and test.box is not None:
        grid = test.points ** len(test.box.names)
        ascents, steps = (f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((test.restarts, "ascent"), (test.steps, "step")))
        climbs = f", then {ascents} of at most {steps}" if test.restarts and test.steps else ""
        said.append(
            f"The worst shift of a box ({test.box.words}) is searched: {grid} points of a grid{climbs}; the same for every method."
        )
    without = [case.name for case in cases if case.truth == "none" and any(row.case == case.name for row in rows)]
    if without:
        said.append(
            f"Without a truth ({', '.join(without)}) no object can be measured anew: changes of the object, motion, errors of the geometry "
            "and the search were left out there, and no error can be given."
        )
    return ShiftSection(description=" ".join(said), rows=rows, statements=shift_statements(rows, patients=patients))


def detectability_section(
    config: Config, rows: list[DetectabilityRow], tested: str, reference: str | None, patients: dict[str, str]
) -> DetectabilitySection | None:
    """What observers see in the images."""
    if not rows:
        return None
    section = config.detectability
    kind = (
        f"contrasts {', '.join(f'{c:g}' for c in section.contrasts)} of the largest pixel"
        if section.contrasts
        else f"contrasts at which an ideal observer of the raw data has a d′ of {', '.join(f'{level:g}' for level in section.levels)}"
    )
    about = {
        "measurement": "the measurement itself, whose noise then belongs to the object",
        "truth": "the measured true image",
    }
    description = (
        f"Discs of {', '.join(f'{d:g}' for d in section.diameters)} px at {section.sites} {'place' if section.sites == 1 else 'places'} of "
        f"each case, {kind}. {section.realisations} images of fresh noise with the lesion and {section.realisations} without are "
        f"reconstructed and scored by observers who know lesion and place. Noise is added to {about[section.background]}."
    )
    found = thresholds(rows)
    others = [method for method in dict.fromkeys(row.method for row in rows) if reference is not None and method != reference]
    ratios = [
        one for method in others for one in compare(found, method=method, reference=reference or tested, patients=patients)
    ]
    return DetectabilitySection(description=description, rows=rows, thresholds=found, ratios=ratios)


def kernel_section(
    config: Config, errors: list[KernelErrorRow], transfers: list[KernelTransferRow], rings: list[SfrcRow]
) -> KernelSection | None:
    """What a method shows of what the scanner cannot see."""
    if not errors:
        return None
    section = config.kernel
    unit = (
        "standard deviations of the noise"
        if all(row.data_unit == "sigma" for row in transfers)
        else "of the units in the table"
    )
    starts = f"{section.starts} random start{'' if section.starts == 1 else 's'}"
    description = (
        "Each image is split into what the scanner measures and what it cannot see. Details at most "
        f"{section.size:g} of the image in norm and {section.data:g} {unit} in the data are searched, by {starts} for each family "
        "of details and each image that they are added to (any change also from what the method shows beyond the image and what it "
        f"answers), each of at most {section.steps} evaluations, the same for every method."
    )
    note = (
        None
        if rings
        else "Scanning Fourier ring correlation was not computed: it has no thresholds of its own, and none were given."
    )
    return KernelSection(description=description, errors=errors, transfers=transfers, sfrc=rings, sfrc_note=note)
