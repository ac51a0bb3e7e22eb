"""Sections of the report that every reconstructor has: what was measured, with the words that say how.

None where a test was switched off, or has nothing to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from stabtest.audit.cases.simulate import mask_family
from stabtest.audit.config import Config
from stabtest.audit.measures import sampling_levels, worst_case_test
from stabtest.findings.document import (
    LipschitzSection,
    MissedLesionSection,
    NoiseSection,
    SamplingSection,
    StructureSection,
    WorstCaseSection,
)
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.findings.noise_rows import NoiseRow
from stabtest.findings.records import (
    BoundRow,
    Bracket,
    LayerRow,
    NormalisedRow,
    PatternRow,
    SamplingRow,
    StructureRow,
    WorstCaseRow,
)
from stabtest.operators import sampling_fraction
from stabtest.stability import statements
from stabtest.stability.shapes import name_of
from stabtest.stability.structure import LEAST_DETECTABILITY, MOST_NULL_SPACE

OBJECTIVES = {
    "clean": "distance to the clean reconstruction",
    "truth": "distance to the truth",
    "local": "largest local change from the clean reconstruction",
    "ssim": "loss of structural similarity to the clean reconstruction, 1 - SSIM",
}
"""What the search makes large, in words."""


def worst_case_section(config: Config, rows: list[WorstCaseRow]) -> WorstCaseSection | None:
    """What the search found, with its sets and its budget."""
    section = config.worst_case
    if not section.enabled:
        return None
    return WorstCaseSection(
        domain=section.domain,
        objective=OBJECTIVES[section.objective],
        radii=sorted(section.radii),
        unit=section.unit,
        norm=section.norm,
        region=None if section.region is None else section.region.region.words,
        nonnegative=section.nonnegative,
        budget=f"{worst_case_test(config).budget}; the same for every method",
        rows=rows,
    )


def structure_section(config: Config, rows: list[StructureRow]) -> StructureSection | None:
    """What came back of details."""
    section = config.structure
    if not section.enabled:
        return None
    unit = "pixels" if section.pixel_mm is None else f"mm (a pixel is {section.pixel_mm:g} mm)"
    heights = _and(section.contrasts)
    if section.shapes == ("lesion",):
        what = f"Round lesions of {_and(section.sizes.get('lesion', section.diameters))} {unit} diameter"
    else:
        each = (f"{name_of(shape)} ({_and(section.sizes.get(shape, section.diameters))})" for shape in section.shapes)
        what = f"Details of these shapes and sizes in {unit}: {', '.join(each)}"
        what += f"; the text is “{section.text}”" if "text" in section.shapes else ""
    description = (
        f"{what}, {heights} of the largest pixel in height, at {section.sites} places each, "
        "put into the object before it was measured; the noise is the same with and without."
    )
    return StructureSection(description=description, rows=rows)


def missed_lesion_section(config: Config, rows: list[MissedLesionRow]) -> MissedLesionSection | None:
    """The lesion that came back least."""
    if not rows:
        return None
    test = config.missed_lesion.test()
    description = (
        f"The lesion that comes back least is searched: {test.box.words}; with a Gaussian edge, put into the object before it was measured. Only "
        f"lesions count that the data carry (detectability at least {LEAST_DETECTABILITY:g} where the noise is known, null-space share at most "
        f"{MOST_NULL_SPACE:g}). What was found is drawn, measured and reconstructed again by another program."
    )
    return MissedLesionSection(description=description, budget=f"{test.budget}; the same for every method", rows=rows)


def sampling_section(
    config: Config, rows: list[SamplingRow], patterns: list[PatternRow], patients: dict[str, str]
) -> SamplingSection | None:
    """What more and fewer samples do."""
    if not config.sampling.enabled or not sampling_levels(config):
        return None
    what = _samples(config)
    return SamplingSection(
        description=f"The same object with nested sets of {what}: more is always a superset, with the same noise on common ones."
        + _against_itself(config),
        axis=what,
        trained_fraction=sampling_fraction(mask_family(config)[0]) if what == "k-space samples" else 1.0,
        rows=rows,
        statements=statements(rows, patients=patients),
        patterns=patterns,
    )


def noise_section(config: Config, rows: list[NoiseRow]) -> NoiseSection | None:
    """What other levels of noise do."""
    if not rows:
        return None
    section = config.noise
    if section.kind == "poisson":
        words = f"photon counts, {section.photons:g} photons a ray at the level 1 and a largest line integral of {section.attenuation:g}"
    else:
        words = "Gaussian noise"
        if section.correlation:
            words += f" with a correlation of {section.correlation:g} between coils"
    added = ", added to what the scan holds already" if any(row.added for row in rows) else ""
    description = (
        f"{words[0].upper()}{words[1:]} in multiples of the scan's own level{added}; {section.draws} draws at each level, the same for "
        "every method."
    )
    return NoiseSection(
        description=description, trained=(section.trained[0], section.trained[1]) if section.trained else None, rows=rows
    )


def lipschitz_section(
    layers: list[LayerRow], brackets: list[Bracket], bounds: list[BoundRow], normalised: list[NormalisedRow]
) -> LipschitzSection | None:
    """Layers, bounds and brackets."""
    if not layers and not brackets:
        return None
    return LipschitzSection(layers=layers, brackets=brackets, bounds=bounds, normalised=normalised)


def _and(values: Sequence[float]) -> str:
    return " and ".join(f"{value:g}" for value in values)


def _against_itself(config: Config) -> str:
    """What a truth that is made of all samples does to the end of the sweep."""
    itself = config.data.kind == "sinogram" or (config.data.kind == "kspace" and config.data.truth in (None, "reconstruction"))
    if not itself:
        return ""
    return (
        " The truth is the direct reconstruction of all samples, noise included: with all of them its own error is 0 by construction, and a method "
        "that removes noise is counted as wrong."
    )


def _samples(config: Config) -> Literal["k-space samples", "views", "spokes", "interleaves", "readouts"]:
    """What there is more or less of in the sampling sweep."""
    if config.operator.has_trajectory:
        return config.operator.trajectory.words
    return "views" if config.operator.kind == "radon" else "k-space samples"
