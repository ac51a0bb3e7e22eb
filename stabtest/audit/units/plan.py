"""What an audit consists of: units, each one test of one method on one case, each with its content address.

The key of a unit is the SHA-256 of its test's settings, its method, its case, the audit's seed, the device and the code that
measures. Changing the contrasts of the details therefore leaves the results of the other tests where they are, and a
second audit of another network in the same folder shares nothing but the results of the reference and the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stabtest.audit.cases import case_fingerprint, case_names, check_data
from stabtest.audit.config import Config
from stabtest.audit.fingerprint import code_sha256, digest
from stabtest.audit.measures import Measurement, measurements
from stabtest.audit.subject import Subject, load_subjects
from stabtest.findings.verdicts import criteria_hash


@dataclass(frozen=True)
class Unit:
    """One test of one method on one case.

    Parameters
    ----------
    key
        Content address of its result.
    test
        Name of the test.
    method
        Name of the method.
    index, case
        Number and name of the case.
    """

    key: str
    test: str
    method: str
    index: int
    case: str

    @property
    def label(self) -> str:
        """Name for people."""
        return f"{self.test}: {self.method}, {self.case}"


@dataclass(frozen=True, eq=False)
class Plan:
    """An audit that is ready to run; made by `make_plan`.

    Parameters
    ----------
    config
        As read from the file, with defaults.
    units
        What will be measured, case by case.
    subjects
        The methods.
    device
        Where it is computed.
    here
        Where this process computes: the gates. Another than ``device`` where the units go to a cluster.
    fingerprints
        Method name to fingerprint.
    criteria_sha256
        Hash of the criteria, taken here, before any result is looked at.
    command
        How the audit was started, for the report.
    """

    config: Config
    units: tuple[Unit, ...]
    subjects: tuple[Subject, ...]
    device: str
    here: str
    fingerprints: dict[str, str]
    criteria_sha256: str
    command: str

    @property
    def id(self) -> str:
        """Short name of this audit: the same plan has the same one."""
        return digest([[unit.key for unit in self.units], self.criteria_sha256])[:12]


def make_plan(
    config: Config,
    *,
    device: str = "cpu",
    here: str | None = None,
    seed: int | None = None,
    command: str = "stabtest.audit.run",
) -> Plan:
    """Load the methods, look at the data, and lay out the units.

    Parameters
    ----------
    config
        From `stabtest.audit.load_config`.
    device
        A device of PyTorch, on which units are measured.
    here
        Device of this process, for the gates; ``device`` if not given. ``"cpu"`` where the units go to a cluster with GPUs and this
        machine has none.
    seed
        Instead of the configuration's.
    command
        How the audit was started, for the report.

    Returns
    -------
    Plan

    Raises
    ------
    StabtestError
        If the network, the data or the settings of a test are wrong.
    """
    if seed is not None:
        config = config.model_copy(update={"audit": config.audit.model_copy(update={"seed": seed})}).at(config.base_dir)
    check_data(config)
    subjects = load_subjects(config, device=here or device)
    names = case_names(config)
    units = [
        unit
        for index, name in enumerate(names)
        for measurement in measurements(config)
        for subject in subjects
        if measurement.applies(subject, index)
        for unit in [_unit(config, measurement, subject, index, name, device)]
    ]
    return Plan(
        config=config,
        units=tuple(units),
        subjects=subjects,
        device=device,
        here=here or device,
        fingerprints={subject.method.name: subject.fingerprint for subject in subjects},
        criteria_sha256=criteria_hash(config.criterion),
        command=command,
    )


def _unit(config: Config, measurement: Measurement, subject: Subject, index: int, name: str, device: str) -> Unit:
    content: list[Any] = [
        measurement.name,
        measurement.settings,
        subject.fingerprint,
        case_fingerprint(config, index),
        config.audit.seed,
        device,
        code_sha256(),
    ]
    return Unit(digest(content), measurement.name, subject.method.name, index, name)
