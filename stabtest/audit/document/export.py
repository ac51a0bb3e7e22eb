"""The images behind an audit in files that other programs read: paired images, and what the observers looked at.

    OUT/pairs/truth/truth_001.raw ... truth.mhd        one image a case; no truth, no such folder
    OUT/pairs/METHOD/METHOD_001.raw ... METHOD.mhd     what each method makes of the same measurements
    OUT/pairs/export.json                              names of the cases, in order
    OUT/observers/CASE/METHOD/LESION/...               stacks with and without a lesion, scores.csv (`export_study`)

Everything is made again from the configuration with the seeds of the audit, so that the scores are those behind its figures: no audit
keeps thousands of images in case somebody asks for them. Images of patients are images of patients: nothing is written unless this
is called for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from stabtest.audit.cases import case_names, check_data, make_case
from stabtest.audit.cases.simulate import derived_seed
from stabtest.audit.config import Config
from stabtest.audit.subject import Subject
from stabtest.audit.units.laboratory import to_device
from stabtest.errors import ConfigError
from stabtest.stability.cases import Case, Method
from stabtest.stability.detectability import DetectabilityTest, Study, export_pairs, export_study
from stabtest.stability.pictures import slug


def export_images(
    config: Config,
    subjects: Sequence[Subject],
    out: Path,
    *,
    observers: bool = False,
    device: str = "cpu",
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write the images of an audit.

    Parameters
    ----------
    config, subjects
        Of the audit; the methods as `stabtest.audit.subject.load_subjects` gives them.
    out
        Folder; made if it is not there, files in it are replaced.
    observers
        Also what the observers of ``[detectability]`` look at: ``2 x realisations`` images for each lesion, case and method, and so
        many reconstructions, and those for training.
    device
        Where to compute.
    progress
        Told what has been written.

    Returns
    -------
    list of Path
        The ``export.json`` of each folder.

    Raises
    ------
    StabtestError
        If data or network are wrong, shapes of the cases differ, the test is off, or a file cannot be written.
    """
    check_data(config)
    if observers and not config.detectability.enabled:
        raise ConfigError(
            "export: images of observers",
            expected="[detectability] enabled = true",
            came="false",
            remedy="switch the test on, or leave --observers out",
        )
    methods = [subject.method for subject in subjects]
    written = [_pairs(config, methods, out / "pairs", device)]
    _tell(progress, written[-1])
    for index, name in enumerate(case_names(config) if observers else ()):
        case = to_device(make_case(config, index), device)
        seed = derived_seed(config.audit.seed, "detectability", name)
        for method in methods:
            test = config.detectability.test()
            for study in test.studies(method, case, seed=seed):
                written.append(_study(test, study, method, case, out / "observers" / slug(name) / slug(method.name), config))
                _tell(progress, written[-1])
    return written


def _pairs(config: Config, methods: Sequence[Method], folder: Path, device: str) -> Path:
    """Truth and reconstructions of every case."""
    names = case_names(config)
    stacks: dict[str, list[Tensor]] = {"truth": [], **{slug(method.name): [] for method in methods}}
    for index in range(len(names)):
        case = to_device(make_case(config, index), device)
        for method in methods:
            with torch.no_grad():
                stacks[slug(method.name)].append(method(case.measurement, case.operator).cpu())
        if case.truth is not None:
            stacks["truth"].append(case.truth.cpu())
    whole = {name: torch.cat(images) for name, images in stacks.items() if len(images) == len(names)}
    return export_pairs(folder, whole, spacing=_spacing(config), about={"cases": list(names), "title": config.audit.title})


def _study(test: DetectabilityTest, study: Study, method: Method, case: Case, folder: Path, config: Config) -> Path:
    """One lesion of one case as one method shows it."""
    absent, present = test.test_images(method, case, study)
    row, column = study.detail.site
    what = f"contrast{study.contrast:+.3g}" if study.contrast else "sham"
    lesion = f"{study.detail.diameter:g}px-{what}-at-{row}-{column}"
    truth = None
    if case.truth is not None:
        along = study.detail.as_change_of(case, case.truth) if study.contrast else torch.zeros_like(case.truth)
        truth = (case.truth + along).cpu()
    return export_study(
        folder / lesion,
        absent.cpu(),
        present.cpu(),
        truth=truth,
        scores={str(name): pair for name, pair in study.scores.items()},
        spacing=_spacing(config),
        about={
            "case": case.name,
            "method": method.name,
            "row": row,
            "column": column,
            "diameter_px": study.detail.diameter,
            "contrast": study.contrast,
            "seed": config.audit.seed,
        },
    )


def _spacing(config: Config) -> float:
    """Side of a pixel in mm where ``[structure]`` says it, else 1."""
    return config.structure.pixel_mm or 1.0


def _tell(progress: Callable[[str], None] | None, path: Path) -> None:
    if progress is not None:
        progress(str(path))
