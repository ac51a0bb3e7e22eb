"""Whether the network is tried on what it was trained on.

A network may know the cases of its training by heart, so that figures from them say nothing about others (leakage; S. Kapoor and
A. Narayanan, *Leakage and the reproducibility crisis in machine-learning-based science*, Patterns 4 (2023)). What can be compared here:

- files, by the SHA-256 of their content, which finds copies under other names and no others;
- patients, by the names that the user gives both (slices of one patient are alike);
- phantoms, by their seeds; a phantom of another family is another object.

What was not compared is not known to be apart, and the report says which. A case that both share makes the findings of the network invalid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from reconstructors import zoo
from stabtest.audit.config import Config
from stabtest.audit.fingerprint import known_sha256
from stabtest.audit.privacy import public
from stabtest.errors import ConfigError
from stabtest.findings.document import Separation, SeparationCheck
from stabtest.findings.records import Gate

GATE = "separate from training data"
_SHA256 = re.compile(r"^\\?([0-9a-fA-F]{64})\b")
_CARD = re.compile(r"\b(head|ellipses|chest) phantoms, seeds (\d+) to (\d+)")
"""How a card of the zoo says what a network was trained on."""


def separation(config: Config) -> Separation:
    """Compare the cases of an audit with what the network was trained on, as far as both are known.

    Parameters
    ----------
    config
        With ``[training]``, or a network of the zoo that has a card.

    Raises
    ------
    ConfigError
        If the list of digests cannot be read or holds none.
    DataError
        If a file cannot be read.

    Examples
    --------
    >>> from stabtest.audit.config.file import parse_config
    >>> apart = separation(parse_config('network.zoo = "unet-mri"'))
    >>> [(check.what, check.shared) for check in apart.checks]
    [('phantoms, by seed', [])]
    """
    return Separation(statement=config.training.split, checks=[*_files(config), *_patients(config), *_phantoms(config)])


def separation_gate(found: Separation, subject: str) -> Gate | None:
    """The gate that the network's findings depend on; None where nothing was compared.

    Parameters
    ----------
    found
        From `separation`.
    subject
        The network's name.

    Examples
    --------
    >>> gate = separation_gate(Separation(checks=[SeparationCheck(what="files", audited=2, training=9, shared=["b.npy"])]), "net")
    >>> gate.passed, gate.value
    (False, 1.0)
    """
    if not any(check.audited for check in found.checks):
        return None
    shared = sum(len(check.shared) for check in found.checks)
    said = (
        f"{check.what}: {check.audited} here, {check.training} in the training, {len(check.shared)} in both"
        for check in found.checks
    )
    return Gate(name=GATE, subject=subject, passed=shared == 0, value=float(shared), limit=0.0, detail="; ".join(said) + ".")


def _files(config: Config) -> Iterator[SeparationCheck]:
    training = config.training
    if not training.files and training.digests is None:
        return
    known = {known_sha256(config.path(name)) for name in training.files}
    if training.digests is not None:
        known |= _digests(config.path(training.digests))
    here = {public(name): known_sha256(config.path(name)) for name in config.data.files}
    shared = [name for name, digest in here.items() if digest in known]
    what = "files, by SHA-256" if here else "files: not compared, since the cases of the audit are phantoms"
    yield SeparationCheck(what=what, audited=len(here), training=len(known), shared=shared)


def _digests(path: Path) -> set[str]:
    """The digests in a text file, one at the start of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"[training] digests {str(path)!r}", expected="a text file", came=str(error), remedy="sha256sum FILES > it"
        ) from error
    filled = [line for line in lines if line.strip() and not line.startswith("#")]
    strange = next((line for line in filled if not _SHA256.match(line)), None)
    if strange is not None or not filled:
        raise ConfigError(
            f"[training] digests {str(path)!r}",
            expected="lines that begin with a SHA-256 of 64 hexadecimal digits",
            came="no line" if strange is None else repr(strange[:80]),
            remedy="sha256sum FILES > it",
        )
    return {match.group(1).lower() for line in filled if (match := _SHA256.match(line))}


def _patients(config: Config) -> Iterator[SeparationCheck]:
    if not config.training.patients:
        return
    here, known = dict.fromkeys(config.data.patients), set(config.training.patients)
    shared = [name for name in here if name in known]
    what = "patients, by name" if here else "patients: not compared, since [data] patients names none"
    yield SeparationCheck(what=what, audited=len(here), training=len(known), shared=shared)


def _phantoms(config: Config) -> Iterator[SeparationCheck]:
    data, span = config.data, config.training.seeds
    if span:
        family, first, last = data.phantom, span[0], span[1]
    elif (carded := _card(config)) is not None:
        family, first, last = carded
    else:
        return
    trained = last - first + 1
    if data.kind != "phantom":
        what = f"trained on simulated {family} phantoms, tried on files"
        yield SeparationCheck(what=what, audited=len(data.files), training=trained, shared=[])
        return
    if data.phantom != family:
        what = f"trained on {family} phantoms, tried on {data.phantom} phantoms"
        yield SeparationCheck(what=what, audited=data.count, training=trained, shared=[])
        return
    overlap = range(max(first, data.first_seed), min(last, data.first_seed + data.count - 1) + 1)
    shared = [f"seed {seed}" for seed in overlap]
    yield SeparationCheck(what="phantoms, by seed", audited=data.count, training=trained, shared=shared)


def _card(config: Config) -> tuple[str, int, int] | None:
    """The family and the seeds that a network of the zoo was trained on; None where there is no card, or it says nothing of the kind."""
    name = config.network.zoo
    try:
        card = {} if name is None else zoo.read_card(name)
    except FileNotFoundError:
        return None
    found = _CARD.search(str(card.get("training", {}).get("data", "")))
    return None if found is None else (found.group(1), int(found.group(2)), int(found.group(3)))
