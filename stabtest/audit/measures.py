"""The tests of an audit, made from its configuration: which there are, on what they run, and how they are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from stabtest.audit.cases import case_operator
from stabtest.audit.cases.scans import check_nested
from stabtest.audit.cases.simulate import finer_object, mask_family
from stabtest.audit.cases.trajectory import readout_levels
from stabtest.audit.config import Config
from stabtest.audit.subject import Subject, load_reference
from stabtest.errors import ConfigError, DataError
from stabtest.operators import sampling_fraction
from stabtest.stability import (
    ImageQualityTest,
    LipschitzTest,
    NoiseTest,
    RepeatabilityTest,
    SamplingTest,
    ShiftTest,
    WorstCaseTest,
    quality,
)
from stabtest.stability.cases import Case, Method, Outcome, Progress
from stabtest.stability.shift.measure import SCANS

TestName = Literal[
    "quality",
    "worst_case",
    "structure",
    "missed_lesion",
    "sampling",
    "noise",
    "repeatability",
    "image_quality",
    "shift",
    "detectability",
    "kernel",
    "lipschitz",
]
Run = Callable[[Method, Case, int, Progress], Outcome]
"""Measures a method on a case with a seed."""


@dataclass(frozen=True)
class Measurement:
    """One test of the audit.

    Parameters
    ----------
    name
        Which test.
    settings
        What its results depend on beside method and case.
    run
        Measures.
    on
        ``"all"``: every method and case; ``"first case"``: every method on the first case; ``"first network"``: the method under test,
        if it is a network, on the first case.
    """

    name: TestName
    settings: dict[str, Any]
    run: Run
    on: Literal["all", "first case", "first network"] = "all"

    def applies(self, subject: Subject, index: int) -> bool:
        """Whether a method is measured on the case with this index."""
        if self.on == "first case":
            return index == 0
        return self.on == "all" or (subject.role == "under test" and subject.module is not None and index == 0)


def measurements(config: Config) -> tuple[Measurement, ...]:
    """The tests that a configuration asks for.

    Raises
    ------
    StabtestError
        If the settings of a test make no sense.
    """
    found = [Measurement("quality", {}, lambda method, case, seed, progress: quality(method, case))]
    if config.worst_case.enabled:
        found.append(_worst_case(config))
    if config.structure.enabled:
        found.append(_structure(config))
    if config.missed_lesion.enabled:
        found.append(_missed_lesion(config))
    if config.sampling.enabled and (levels := sampling_levels(config)):
        sampling = SamplingTest(levels=levels, patterns=config.sampling.patterns)
        found.append(
            Measurement(
                "sampling",
                {"levels": list(levels), "patterns": list(config.sampling.patterns)},
                lambda method, case, seed, progress: sampling.measure(method, case, seed=seed, progress=progress),
            )
        )
    if config.noise.enabled and (levels := noise_levels(config)):
        found.append(_noise(config, levels))
    if config.repeatability.enabled:
        again = RepeatabilityTest()
        found.append(
            Measurement(
                "repeatability",
                {"variations": list(again.variations)},
                lambda method, case, seed, progress: again.measure(method, case, seed=seed, progress=progress),
                on="first case",
            )
        )
    if config.image_quality.enabled:
        found.append(_image_quality(config))
    if config.shift.enabled:
        found.append(_shift(config))
    if config.detectability.enabled:
        found.append(_detectability(config))
    if config.kernel.enabled:
        kernel = config.kernel.test()
        found.append(
            Measurement(
                "kernel",
                config.kernel.model_dump(mode="json"),
                lambda method, case, seed, progress: kernel.measure(method, case, seed=seed, progress=progress),
            )
        )
    if config.lipschitz.enabled:
        found.append(_lipschitz(config))
    return tuple(found)


def worst_case_test(config: Config) -> WorstCaseTest:
    """The search that a configuration asks for."""
    section = config.worst_case
    return WorstCaseTest(
        radii=section.radii,
        domain=section.domain,
        objective=section.objective,
        evaluations=section.evaluations,
        restarts=section.restarts,
        stop_early=section.stop_early,
        unit=section.unit,
        norm=section.norm,
        region=None if section.region is None else section.region.region,
        nonnegative=section.nonnegative,
        further_ways=section.further_ways,
        noise_draws=section.noise_draws,
    )


def _worst_case(config: Config) -> Measurement:
    section, test = config.worst_case, worst_case_test(config)
    if test.region is not None:
        test.region.of(case_operator(config))  # a region with nothing in it is told now and not by every unit
    return Measurement(
        "worst_case",
        section.model_dump(mode="json"),
        lambda method, case, seed, progress: test.measure(method, case, seed=seed, progress=progress),
    )


def _structure(config: Config) -> Measurement:
    section = config.structure
    test = section.test()
    return Measurement(
        "structure",
        section.model_dump(mode="json"),
        lambda method, case, seed, progress: test.measure(method, case, seed=seed, progress=progress),
    )


def _missed_lesion(config: Config) -> Measurement:
    section, named = config.missed_lesion, config.reference
    test = section.test(None if named.method == "none" else lambda: load_reference(config).method)
    return Measurement(
        "missed_lesion",
        {**section.model_dump(mode="json"), "reference": named.model_dump(mode="json")},
        lambda method, case, seed, progress: test.measure(method, case, seed=seed, progress=progress),
    )


def _noise(config: Config, levels: tuple[float, ...]) -> Measurement:
    section = config.noise
    test = NoiseTest(
        levels=levels,
        draws=section.draws,
        kind=section.kind,
        photons=section.photons,
        attenuation=section.attenuation,
        correlation=section.correlation,
    )
    return Measurement(
        "noise",
        {**section.model_dump(mode="json", exclude={"trained"}), "levels": list(levels)},
        lambda method, case, seed, progress: test.measure(method, case, seed=seed, progress=progress),
    )


def _image_quality(config: Config) -> Measurement:
    section = config.image_quality
    water = section.water if config.operator.kind == "radon" else None  # Hounsfield units are CT's
    test = ImageQualityTest(
        contrasts=section.contrasts,
        diameter_px=section.diameter,
        sites=section.sites,
        edge_realisations=section.edge_realisations,
        noise_realisations=section.noise_realisations,
        noise_side_px=section.noise_side,
        flat_object=section.flat_object,
        water=water,
    )
    return Measurement(
        "image_quality",
        {**section.model_dump(mode="json"), "water": water},
        lambda method, case, seed, progress: test.measure(method, case, seed=seed, progress=progress),
    )


def _shift(config: Config) -> Measurement:
    test = shift_test(config)
    section = config.shift.model_dump(mode="json")
    return Measurement(
        "shift",
        {**section, "words": [f"{one.label} {one.size:g}" for one in test.objects]},
        lambda method, case, seed, progress: _possible(test, case).measure(method, case, seed=seed, progress=progress),
    )


def shift_test(config: Config) -> ShiftTest:
    """The test of distribution shift that a configuration asks for; simulated cases are changed on the grid they were drawn on.

    Raises
    ------
    ConfigError
        If it asks for nothing.
    """
    test = config.shift.test(phantom=config.data.phantom if config.data.kind == "phantom" else None)
    if test is None:
        raise ConfigError("[shift]", expected="objects, scans or a box", came="none of them")
    return replace(test, finer=partial(finer_object, config))


def _detectability(config: Config) -> Measurement:
    if config.data.simulated and config.data.noise == 0:
        raise ConfigError(
            "[detectability]", expected="noise of the scan, in which a lesion can be missed", came="[data] noise = 0"
        )
    test = config.detectability.test()
    return Measurement(
        "detectability",
        config.detectability.model_dump(mode="json"),
        lambda method, case, seed, progress: test.measure(method, case, seed=seed, progress=progress),
    )


def _possible(test: ShiftTest, case: Case) -> ShiftTest:
    """What of it a case can have: without a truth no object can be measured anew."""
    if case.truth is not None:
        return test
    wanted = SCANS if test.scans is None else test.scans
    scans = tuple(shift for shift in wanted if not shift.needs_truth and (test.scans is not None or shift.unfit(case) is None))
    if not scans:
        raise DataError(
            f"case {case.name}: distribution shift",
            expected="a truth, or an error of the scan that can be made without one",
            came="neither",
            remedy="name one in [shift] scans, such as { receiver_gain = [1.0] }",
        )
    return replace(test, objects=(), scans=scans, box=None, finer=None)


def _lipschitz(config: Config) -> Measurement:
    test = lipschitz_test(config)
    return Measurement(
        "lipschitz",
        {**config.lipschitz.model_dump(mode="json"), "radii": list(test.radii)},
        lambda method, case, seed, progress: test.measure(method, case, seed=seed, progress=progress),
        on="first network",
    )


def lipschitz_test(config: Config, *, seconds: float | None = None) -> LipschitzTest:
    """The bounds that a configuration asks for; on balls of the radii of the worst-case search where those are Euclidean.

    Parameters
    ----------
    config
        The configuration.
    seconds
        In place of its own.
    """
    section, search = config.lipschitz, config.worst_case
    euclidean = search.enabled and search.norm == "l2" and search.unit == "relative" and search.domain == "measurement"
    return LipschitzTest(
        jacobian_steps=section.jacobian_steps,
        seconds=section.seconds if seconds is None else seconds,
        radii=search.radii if euclidean else (),
    )


def noise_levels(config: Config) -> tuple[float, ...]:
    """The levels of noise that can be had: on a real scan, and where no noise was simulated, not all of those asked for.

    Raises
    ------
    ConfigError
        If photons are asked for where there are none.
    """
    section, real = config.noise, not config.data.simulated
    if section.kind == "poisson" and (real or config.operator.kind != "radon"):
        raise ConfigError("[noise] kind", expected="'gaussian' (photon counts are for simulated CT)", came=repr(section.kind))
    if section.correlation and not config.operator.has_coils:
        raise ConfigError("[noise] correlation", expected="0 without several coils", came=str(section.correlation))
    if not real and config.data.noise == 0:
        return ()
    return tuple(level for level in section.levels if level >= 1 or not real)


def sampling_levels(config: Config) -> tuple[float, ...]:
    """What the sampling sweep measures at, the trained level among it; empty where there is no sweep.

    There is none in denoising, with one view, with the user's own operator, and for k-space without a truth or with the mask of the scan.

    Raises
    ------
    ConfigError
        If numbers of views or readouts are not nested.
    """
    untrue = config.data.truth == "none" or config.operator.mask.kind == "measured"
    if config.operator.kind in ("identity", "own") or (config.data.kind == "kspace" and untrue):
        return ()
    if config.operator.has_trajectory:
        return readout_levels(config)
    if config.operator.kind == "radon":
        trained = config.operator.angles
        if config.data.kind == "sinogram":
            # Among the views of a real scan any number can be chosen, but how many there are is known to the file only.
            views = {*(config.sampling.views or (max(trained // 2, 1),)), trained}
            return tuple(sorted(views)) if len(views) > 1 else ()
        default = (trained // 2, 2 * trained) if trained % 2 == 0 else (2 * trained,)
        return check_nested((*(config.sampling.views or default), trained), "[sampling] views")
    fraction = sampling_fraction(mask_family(config)[0])
    others = [level for level in config.sampling.fractions if abs(level - fraction) > 0.005]
    return tuple(sorted({*others, fraction}))


__all__ = [
    "Measurement",
    "Run",
    "TestName",
    "lipschitz_test",
    "measurements",
    "noise_levels",
    "sampling_levels",
    "shift_test",
    "worst_case_test",
]
