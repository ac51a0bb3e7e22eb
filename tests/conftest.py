"""What holds for every test: numbers drawn without a generator are the same in every run, whatever ran before.

And volumes of k-space in fastMRI's layout, made with NumPy alone, for the tests of readers and of audits."""

import zlib

import h5py
import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> None:
    """Seed torch's own generator from the test's name, so that no result depends on how the tests were shared out."""
    torch.manual_seed(zlib.crc32(request.node.nodeid.encode()))


_HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><subjectInformation><patientName>Doe</patientName></subjectInformation><encoding>
<encodedSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{fx}</x><y>{fy}</y><z>5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{rx}</x><y>{ry}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{rx}</x><y>{ry}</y><z>5</z></fieldOfView_mm></reconSpace>
<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{last}</maximum><center>{centre}</center></kspace_encoding_step_1></encodingLimits>
<trajectory>{trajectory}</trajectory></encoding></ismrmrdHeader>"""


def header(*, height=64, width=40, shown=(32, 32), first=0, last=None, trajectory="cartesian"):
    """Of a scan with pixels of 1 mm whose columns ``first`` to ``last`` were measured."""
    last = width - 1 if last is None else last
    return _HEADER.format(
        x=height,
        y=width,
        fx=height,
        fy=width,
        rx=shown[0],
        ry=shown[1],
        last=last - first,
        centre=width // 2 - first,
        trajectory=trajectory,
    )


def dft(n):
    """The centred orthonormal transform as a matrix."""
    k = np.arange(n) - n // 2
    return np.exp(-2j * np.pi * np.outer(k, k) / n) / np.sqrt(n)


def transform(images):
    """K-space of images ``(..., H, W)`` by matrices: an oracle that shares no code with the tool."""
    return dft(images.shape[-2]) @ images @ dft(images.shape[-1]).T


def coil_images(*, slices=2, coils=3, shape=(64, 40), seed=0):
    """Smooth coil images of a blob within the middle 28 x 28 pixels, with phase and sensitivities: ``(slices, coils, H, W)``."""
    rng = np.random.default_rng(seed)
    down, across = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
    found = np.empty((slices, coils, *shape), complex)
    for s in range(slices):
        body = np.exp(-(((down - s) / 8) ** 4) - ((across + s) / 10) ** 4) * (1 + 0.3 * np.cos(down / 2) * np.sin(across / 3))
        for c in range(coils):
            angle = 2 * np.pi * (c + rng.uniform(0, 0.2)) / coils
            far = np.hypot(down - 40 * np.sin(angle), across - 40 * np.cos(angle))
            found[s, c] = body * np.exp(1j * (down + 2 * across) / 60 + 1j * c) / (1 + far / 30)
    return found


def write_file(path, kspace, *, header=None, mask=None, images=None, attributes=None):
    """A file in fastMRI's layout: its path."""
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace.astype(np.complex64)
        if header is not None:
            file["ismrmrd_header"] = header
        if mask is not None:
            file["mask"] = mask
        if images is not None:
            file["reconstruction_rss" if kspace.ndim == 4 else "reconstruction_esc"] = images.astype(np.float32)
        for key, value in (attributes or {}).items():
            file.attrs[key] = value
    return path


@pytest.fixture(scope="session")
def tools():
    """The functions above."""

    class Tools:
        pass

    for function in (header, dft, transform, coil_images, write_file):
        setattr(Tools, function.__name__, staticmethod(function))
    return Tools


@pytest.fixture
def write_volume(tmp_path):
    """Write a file in fastMRI's layout into the test's folder: its path."""
    return lambda kspace, *, name="volume.h5", **parts: write_file(tmp_path / name, kspace, **parts)
