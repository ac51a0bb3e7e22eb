"""Real measurements, where ``STABTEST_DATA`` names the folder that holds them: brain slices (MRI, one coil), a tooth (CT).

They are read as the configurations of `experiments.real_data` read them. No method of the zoo was trained or tuned on anything but phantoms: all
that is measured on them is out of the training distribution. What counts as the truth is the reconstruction of all samples, noise included. In MRI
the measurement is exactly what the mask leaves of that image, so that a perturbation is all that is between them; in CT it is not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reconstructors import zoo
from stabtest.audit.cases import case_names
from stabtest.audit.config import Config
from stabtest.audit.config.file import load_config

FILES = {name: Path(__file__).parents[1] / "real_data" / f"{file}.toml" for name, file in (("mri", "brain"), ("ct", "tooth"))}
"""The configuration of each modality."""


@dataclass(frozen=True)
class Real:
    """The scan of a network, of the real measurements in place of phantoms.

    Parameters
    ----------
    of
        A network with a card, for one coil.
    """

    of: str


def available() -> bool:
    """Whether there are any."""
    return bool(os.environ.get("STABTEST_DATA"))


def possible(name: str) -> bool:
    """Whether the scan of a network is one that they were made with: there is none of several coils."""
    card = zoo.read_card(name)
    return card["modality"] in FILES and not card["operator"].get("coils")


def config(modality: str, *, network: str, size: int | None = None) -> Config:
    """The configuration of a modality with another network, without a reference.

    Parameters
    ----------
    modality
        ``"mri"`` or ``"ct"``.
    network
        A name of the zoo.
    size
        Of the image, where it is another than that of the file: k-space is cropped to its centre, the detector is binned.
    """
    read = load_config(FILES[modality])
    changed = {
        "network": read.network.model_copy(update={"zoo": network}),
        "operator": read.operator.model_copy(update={} if size is None else {"size": size}),
        "reference": read.reference.model_copy(update={"method": "none"}),
    }
    return read.model_copy(update=changed)


def count(modality: str) -> int:
    """How many images there are."""
    return len(case_names(load_config(FILES[modality])))


def wanted(asked: int, modality: str) -> int:
    """How many images are measured where a setting asks for so many: no more than there are, and none where no folder is named."""
    return min(asked, count(modality)) if asked and available() else 0


def images(scan: str, phantoms: int, slices: int) -> list[tuple[str, str | Real, int]]:
    """What an experiment measures one after the other: phantoms, then the real slices of the same scan.

    Parameters
    ----------
    scan
        Of the network of that name; MRI of one coil.
    phantoms, slices
        How many a setting asks for.

    Returns
    -------
    list of tuple
        Prefix of the names of the results (none, or ``"real."``), scan, and number of the image.
    """
    real = [("real.", Real(scan), index) for index in range(wanted(slices, "mri"))]
    return [*(("", scan, index) for index in range(phantoms)), *real]


__all__ = ["FILES", "Real", "available", "config", "count", "images", "possible", "wanted"]
