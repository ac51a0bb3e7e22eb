"""Spoilt files and configurations: nothing but the tool's own errors may come out of a reader.

Each reader is given valid small files of its formats, mutated (cut, bytes overwritten, pieces taken out, doubled or inserted, numbers
blown up) or replaced by random bytes; the configuration is given TOML whose lines were exchanged, taken out or given other values; a
forward model of the user's is an object whose products are of another kind or shape than they should be, fail, or are no linear maps. A
reader may take what it is given, or refuse it by a `StabtestError`. Anything else is a defect. Hypothesis draws the mutations and
makes what falls small.

    python -m benchmarks.fuzz --minutes 60 [--only NAME ...] [--seed 0]

Readers run in processes of their own with limited memory, so that a crash of a library (a segmentation fault in HDF5, say) is a row
of the table and not the end. Exit status 1 where something fell. `tests/test_fuzz.py` runs a short profile.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from scipy import sparse

from stabtest import data, networks
from stabtest.audit.cases.mask_file import read_mask
from stabtest.audit.cases.naming import case_names
from stabtest.audit.cases.own_operator import read_matrix
from stabtest.audit.cases.trajectory_file import read_trajectory
from stabtest.audit.config.file import parse_config
from stabtest.audit.config.template import init_template
from stabtest.audit.measures import measurements
from stabtest.audit.units.store import Result, Store
from stabtest.data.coil_maps import read_coil_maps
from stabtest.data.volumes import count_slices, volume_patients
from stabtest.errors import StabtestError
from stabtest.findings.records import QualityRow
from stabtest.operators import MatrixMap, OwnOperator, fft2c, spokes
from stabtest.phantoms import coil_maps, head
from stabtest.report import load_document
from stabtest.search.witness import Witness
from stabtest.search.witness_file import load_witness, save_witness

MEMORY = 12 * 2**30
"""Bytes of address space of a process of the long run."""
BATCH = 100
"""Examples of one process."""


@dataclass(frozen=True)
class Subject:
    """A reader with valid files.

    Parameters
    ----------
    valid
        Makes the contents of valid files.
    read
        Reads a file.
    ending
        Of the file's name.
    """

    valid: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    ending: str


def _written(ending: str, write: Callable[[Path], object]) -> bytes:
    """What a function writes to a path."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"valid{ending}"
        write(path)
        return path.read_bytes()


def _kspace() -> np.ndarray:
    return fft2c(head(16, seed=0)).numpy()[0]


def _saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _zipped(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def _hdf5(**options: object) -> bytes:
    def write(path: Path) -> None:
        import h5py

        with h5py.File(path, "w") as file:
            file.create_dataset("kspace", data=_kspace()[None], **options)
            file.attrs["max"] = 1.0

    return _written(".h5", write)


_SPACE = "<matrixSize><x>16</x><y>16</y><z>1</z></matrixSize>"
_HEADER = f"<h><encoding><encodedSpace>{_SPACE}</encodedSpace><reconSpace>{_SPACE}</reconSpace></encoding></h>"


def _volume(*, mask: bool) -> bytes:
    """Several coils in fastMRI's layout, with a header, images, and perhaps the mask of an undersampled scan."""

    def write(path: Path) -> None:
        import h5py

        coils = fft2c(head(16, seed=0) * coil_maps(16, 3, seed=0)[None]).numpy()
        columns = np.abs(np.arange(16) - 8) < 6
        with h5py.File(path, "w") as file:
            file["kspace"] = np.concatenate([coils, 0.5 * coils]) * (columns if mask else 1)
            file["ismrmrd_header"] = _HEADER
            file["reconstruction_rss"] = np.ones((2, 16, 16), np.float32)
            file.attrs["patient_id"] = "A"
            if mask:
                file["mask"] = columns.astype(np.uint8)

    return _written(".h5", write)


def _read_volume(path: Path) -> None:
    count_slices(path, coils=True)
    volume_patients([path])
    data.read_kspace(path, index=1, coils=True, undersampled=b"mask" in path.read_bytes(), size=16)


def _coil_maps() -> bytes:
    return _saved(coil_maps(8, 3, seed=0).numpy())


def _sparse_matrix() -> bytes:
    return _written(".npz", lambda path: sparse.save_npz(path, sparse.csr_array(np.eye(5, 16))))


def _onnx() -> list[bytes]:
    """A convolution and a ReLU."""
    import onnx

    weight = onnx.numpy_helper.from_array(np.full((2, 2, 3, 3), 0.1, np.float32), "weight")
    nodes = [
        onnx.helper.make_node("Conv", ["x", "weight"], ["h"], pads=[1, 1, 1, 1]),
        onnx.helper.make_node("Relu", ["h"], ["y"]),
    ]
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2, 8, 8]) for name in "xy")
    graph = onnx.helper.make_graph(nodes, "network", [x], [y], [weight])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    return [model.SerializeToString()]


def _exchange() -> bytes:
    def write(path: Path) -> None:
        import h5py

        across = np.arange(32) - 15.5
        chord = 2 * np.sqrt(np.maximum(9.0**2 - across**2, 0))
        with h5py.File(path, "w") as file:
            file["exchange/data"] = np.broadcast_to(1000 * np.exp(-0.05 * chord), (12, 1, 32))
            file["exchange/data_white"] = np.full((2, 1, 32), 1000.0)
            file["exchange/data_dark"] = np.zeros((2, 1, 32))
            file["exchange/theta"] = np.linspace(0, 180, 12, endpoint=False)
            file["exchange/theta"].attrs["units"] = "degrees"

    return _written(".h5", write)


def _picture(ending: str) -> bytes:
    from skimage import io as pictures

    values = np.random.default_rng(0).integers(0, 255, (12, 12)).astype(np.uint8)
    return _written(ending, lambda path: pictures.imsave(path, values, check_contrast=False))


def _dicom() -> bytes:
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    def write(path: Path) -> None:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
            ExplicitVRLittleEndian,
            CTImageStorage,
            pydicom.uid.UID("1.2.3"),
        )
        file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        file.PatientID, file.Modality, file.RescaleSlope, file.RescaleIntercept, file.RescaleType = "A", "CT", 1, -1000, "HU"
        file.PixelSpacing = [1.0, 1.0]
        file.Rows = file.Columns = 8
        file.SamplesPerPixel, file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 1, 16, 16, 15, 0
        file.PhotometricInterpretation = "MONOCHROME2"
        file.PixelData = np.arange(64, dtype="<u2").tobytes()
        file.save_as(path, enforce_file_format=True)

    return _written(".dcm", write)


def _nifti(ending: str) -> bytes:
    def write(path: Path) -> None:
        import nibabel

        values = np.arange(96, dtype=np.float32).reshape(8, 12)
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)  # pyright: ignore[reportPrivateImportUsage]

    return _written(ending, write)


def _network() -> torch.nn.Module:
    return torch.nn.Conv2d(2, 2, 3)


def _weights() -> list[bytes]:
    from safetensors.torch import save

    modern, old, lightning = io.BytesIO(), io.BytesIO(), io.BytesIO()
    state = {name: value.clone() for name, value in _network().state_dict().items()}
    torch.save(state, modern)
    torch.save(state, old, _use_new_zipfile_serialization=False)
    torch.save({"state_dict": {f"model.{name}": value for name, value in state.items()}, "epoch": 3}, lightning)
    return [save(state), modern.getvalue(), old.getvalue(), lightning.getvalue()]


def _programs() -> list[bytes]:
    made = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(_network()), made)
    return [made.getvalue()]


def _witness() -> list[bytes]:
    found = Witness(torch.ones(1, 1, 4, 4), domain="image", network="unet", gain=torch.tensor([2.0]))
    return [_written(".npz", lambda path: save_witness(path, found))]


def _row() -> QualityRow:
    return QualityRow(case="a", method="net", nrmse=0.1, psnr=30.0, ssim=None)


def _stored() -> list[bytes]:
    def write(path: Path) -> None:
        Store(path.parent / "units").put("spoilt", "unit", Result([_row()]))
        path.write_bytes((path.parent / "units" / "spoilt.json").read_bytes())

    return [_written(".json", write)]


def _reports() -> list[bytes]:
    found = Path(__file__).parents[1] / "reports"
    files = sorted(found.rglob("report.json"), key=lambda path: path.stat().st_size)
    small = [json.loads(path.read_text(encoding="utf-8")) | {"pictures": []} for path in files[:1]]
    return [json.dumps(document).encode() for document in small] or [b'{"schema_version": 2}']


def _got(path: Path) -> None:
    """A stored result is the one that was stored, or counts as absent."""
    found = Store(path.parent).get(path.stem)
    assert found is None or found.rows == (_row(),)


SUBJECTS: dict[str, Subject] = {
    "k-space, npy": Subject(lambda: [_saved(_kspace())], data.read_kspace, ".npy"),
    "k-space, npz": Subject(lambda: [_zipped(kspace=_kspace())], data.read_kspace, ".npz"),
    "k-space, HDF5": Subject(
        lambda: [_hdf5(), _hdf5(compression="gzip", chunks=(1, 8, 8))], lambda path: data.read_kspace(path, index=0), ".h5"
    ),
    "several coils": Subject(lambda: [_volume(mask=False), _volume(mask=True)], _read_volume, ".h5"),
    "coil maps": Subject(lambda: [_coil_maps()], lambda path: read_coil_maps(path, (3, 8, 8)), ".npy"),
    "trajectory": Subject(
        lambda: [_saved(spokes(3, 8).numpy()), _saved(spokes(3, 8).unflatten(0, (3, 8)).numpy())],
        lambda path: read_trajectory(path, (8, 8)),
        ".npy",
    ),
    "matrix, npy": Subject(lambda: [_saved(np.eye(5, 16))], lambda path: MatrixMap(read_matrix(path), (4, 4)), ".npy"),
    "matrix, npz": Subject(
        lambda: [_zipped(matrix=np.eye(5, 16)), _sparse_matrix()], lambda path: MatrixMap(read_matrix(path), (4, 4)), ".npz"
    ),
    "network, ONNX": Subject(_onnx, networks.load_onnx, ".onnx"),
    "Data Exchange": Subject(lambda: [_exchange()], lambda path: data.read_data_exchange(path, size=16), ".h5"),
    "image, npy": Subject(lambda: [_saved(np.arange(30.0).reshape(5, 6))], data.read_image, ".npy"),
    "image, PNG": Subject(lambda: [_picture(".png")], data.read_image, ".png"),
    "image, TIFF": Subject(lambda: [_picture(".tif")], data.read_image, ".tif"),
    "image, DICOM": Subject(lambda: [_dicom()], lambda path: (data.patient_numbers([path]), data.read_image(path)), ".dcm"),
    "image, NIfTI": Subject(lambda: [_nifti(".nii")], data.read_image, ".nii"),
    "image, NIfTI gz": Subject(lambda: [_nifti(".nii.gz")], data.read_image, ".nii.gz"),
    "mask": Subject(lambda: [_saved(np.ones(8)), _saved(np.eye(8, dtype=bool))], lambda path: read_mask(path, (8, 8)), ".npy"),
    "weights": Subject(_weights, lambda path: networks.load_weights(_network(), path), ".bin"),
    "program": Subject(_programs, lambda path: networks.load_executable(path, trusted=False), ".pt"),
    "witness": Subject(_witness, load_witness, ".npz"),
    "stored result": Subject(_stored, _got, ".json"),
    "report": Subject(_reports, load_document, ".json"),
}

LARGE = [b"\xff" * 4, b"\xff" * 8, b"\x00" * 8, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x01" + b"\x00" * 7, b"99999999999"]


@st.composite
def spoilt(draw: st.DrawFn, valid: list[bytes]) -> bytes:
    """A valid file, mutated up to four times; sometimes random bytes, with or without the beginning of a valid one."""
    content = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 4))):
        size = len(content)
        at = draw(st.integers(0, max(size - 1, 0)))
        length = draw(st.integers(1, 64))
        match draw(st.integers(0, 7)):
            case 0:
                del content[at:]
            case 1:
                content[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 2:
                noise = draw(st.binary(min_size=1, max_size=16))
                content[at : at + len(noise)] = noise
            case 3:
                del content[at : at + length]
            case 4:
                content[at:at] = content[at : at + length]
            case 5:
                content[at:at] = draw(st.binary(min_size=1, max_size=64))
            case 6:
                number = draw(st.sampled_from(LARGE))
                content[at : at + len(number)] = number
            case _:
                content[min(size, draw(st.sampled_from([0, 4, 8, 16, 128]))) :] = draw(st.binary(max_size=256))
    return bytes(content)


VALUES = [
    *("nan", "inf", "-1", "0", "1", "2", "8", "9223372036854775807", "1e308", "-0.5", "0.5", "true", "false"),
    *('""', '"a"', '"*"', '"."', '"$HOME"', '"a:b"', '"{measurements} {output}"', '"tv"', '"\\u0000"', '"ü"'),
    *(
        "[]",
        "[1]",
        "[0.5]",
        "[-1.0]",
        "[[]]",
        '["a", "b"]',
        "[1, 2]",
        "[0.1, 0.2]",
        "{}",
        "{ a = 1 }",
        "2024-01-01",
        "12:00:00",
    ),
    *('{ kind = "views", views = [1] }', '{ kind = "box" }', '{ file = "mask.npy" }', "{ lesion = [4.0] }"),
]


@cache
def _lines() -> tuple[str, ...]:
    """Lines of the template that ``stabtest init`` writes, each key once commented and once not."""
    lines = [line for line in init_template().splitlines() if line.strip()]
    return tuple(re.sub(r"^# ?(?=[a-z_]+ = |\[)", "", line) for line in lines)


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """TOML from the template: lines of it, some with another value, some spoilt."""
    lines = list(_lines())
    if draw(st.booleans()):  # from a small file, which is nearer to being valid
        lines = ["[network]", 'zoo = "tv"', "[operator]", "size = 16", *_lines()[draw(st.integers(0, len(lines) - 1)) :][:12]]
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 4)):
            case 0:
                del lines[at]
                lines = lines or ["[network]"]
            case 1:
                lines.insert(at, draw(st.sampled_from(_lines())))
            case 2:
                lines[at] = lines[at].partition("=")[0] + "= " + draw(st.sampled_from(VALUES))
            case 3:
                lines[at] = draw(st.text(max_size=20)) + lines[at]
            case _:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
    return "\n".join(lines)


@dataclass(frozen=True)
class Scanner:
    """Forward and adjoint products of a user's, each spoilt in some way.

    Parameters
    ----------
    ways
        Of the forward and the adjoint, of `SPOILT`.
    is_complex
        What the configuration says of images.
    layout
        What it says that the products take; None: nothing.
    """

    ways: tuple[str, str]
    is_complex: bool
    layout: str | None

    def build(self) -> None:
        """Probe and check it as an audit does."""
        matrix = np.random.default_rng(0).standard_normal((6, 16))

        def forward(x: Any) -> object:
            return SPOILT[self.ways[0]](matrix @ np.asarray(x).ravel())

        def adjoint(y: Any) -> object:
            return SPOILT[self.ways[1]]((matrix.T @ np.asarray(y).ravel()).reshape(4, 4))

        OwnOperator((forward, adjoint), (4, 4), is_complex=self.is_complex, layout=cast(Any, self.layout))


def _raising(error: BaseException) -> Callable[[Any], object]:
    def fail(found: object) -> object:
        raise error

    return fail


SPOILT: dict[str, Callable[[Any], object]] = {
    "good": lambda found: found,
    "none": lambda found: None,
    "text": str,
    "list": lambda found: found.tolist(),
    "ragged": lambda found: [[1.0], [1.0, 2.0]],
    "nothing": lambda found: found[:0],
    "one axis more": lambda found: found[..., None],
    "shorter": lambda found: found[:-1],
    "one number": lambda found: found.sum(),
    "whole": lambda found: found.astype(int),
    "half": lambda found: found.astype(np.float16),
    "truth values": lambda found: found > 0,
    "objects": lambda found: found.astype(object),
    "complex": lambda found: (1 + 2j) * found,
    "tensor": torch.from_numpy,
    "integer tensor": lambda found: torch.from_numpy(found).int(),
    "constant": lambda found: found + 1,
    "zero": lambda found: 0 * found,
    "twice": lambda found: 2 * found,
    "modulus": np.abs,
    "noise": lambda found: found + np.random.default_rng().standard_normal(found.shape),
    "nan": lambda found: found * np.nan,
    "huge": lambda found: found * 1e300,
    "tiny": lambda found: found * 1e-300,
    "masked": lambda found: np.ma.masked_array(found, found > 0),
    "fails": _raising(ValueError("no")),
    "assertion": _raising(AssertionError()),
    "key": _raising(KeyError("k")),
    "memory": _raising(MemoryError()),
    "stops": _raising(StopIteration()),
}
"""What may come of a product in place of what should."""

scanners = st.builds(
    Scanner,
    st.tuples(st.sampled_from(sorted(SPOILT)), st.sampled_from(sorted(SPOILT))),
    st.booleans(),
    st.sampled_from([None, "batch", "image", "flat", "real-imag"]),
)


def read_configuration(text: str) -> None:
    """As far as the plan of an audit, without loading a network."""
    config = parse_config(text)
    if config.operator.size <= 64 and config.data.kind == "phantom" and max(config.data.count, config.operator.coils) <= 100:
        case_names(config)
        measurements(config)


def attempt(read: Callable[[], object]) -> str:
    """``taken`` or ``refused``; what else is raised goes on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read()
        except StabtestError:
            return "refused"
    return "taken"


def fuzz(name: str, *, examples: int, folder: Path, seed: int | None = None, seen: Counter[str] | None = None) -> None:
    """Give a reader spoilt files; raises what it raises, with the example made small.

    Parameters
    ----------
    name
        Of `SUBJECTS`, or ``configuration`` or ``own operator``.
    examples
        How many.
    folder
        For the files.
    seed
        Of the examples; None: always the same ones.
    seen
        Counts what was taken and what was refused.
    """
    counts = Counter[str]() if seen is None else seen
    if name == "configuration":
        strategy: st.SearchStrategy[str | bytes | Scanner] = st.one_of(configurations(), st.text(max_size=200))
    elif name == "own operator":
        strategy = scanners
    else:
        subject = SUBJECTS[name]
        strategy = spoilt(subject.valid())

    def check(content: str | bytes | Scanner) -> None:
        if isinstance(content, Scanner):
            counts[attempt(content.build)] += 1
            return
        if isinstance(content, str):
            counts[attempt(lambda: read_configuration(content))] += 1
            return
        path = folder / f"spoilt{SUBJECTS[name].ending}"
        path.write_bytes(content)
        counts[attempt(lambda: SUBJECTS[name].read(path))] += 1

    chosen = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=seed is None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    run = chosen(given(strategy)(check))
    (run if seed is None else seeded(seed)(run))()


def _batch(name: str, seed: int, write: int) -> None:
    """One process of the long run: counts, or what fell, as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    torch.set_num_threads(1)
    seen: Counter[str] = Counter()
    fell = ""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        try:
            fuzz(name, examples=BATCH, folder=Path(folder), seed=seed, seen=seen)
        except BaseException:
            fell = traceback.format_exc()
    os.write(write, json.dumps({"seen": seen, "fell": shortened(fell)}).encode())


def shortened(text: str, *, lines: int = 60, width: int = 400) -> str:
    """The end of a traceback with what was raised and the start of the example, which can be thousands of bytes on a line."""
    return "\n".join(
        line if len(line) <= width else f"{line[:width]} … ({len(line)} characters)" for line in text.splitlines()[-lines:]
    )


def in_process(name: str, seed: int) -> tuple[Counter[str], str]:
    """A batch in a process of its own; counts and what fell."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 1)
            os.dup2(devnull, 2)
            _batch(name, seed, write)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        said = stream.read()
    _, raw = os.waitpid(pid, 0)
    if not said:
        return Counter(), f"the process ended with status {os.waitstatus_to_exitcode(raw)} (a crash of a library)"
    report = json.loads(said)
    return Counter(report["seen"]), report["fell"]


def main() -> int:
    """Print a row for each reader; exit status 1 where something fell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="in all")
    parser.add_argument("--only", nargs="+", default=["configuration", "own operator", *SUBJECTS])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts: dict[str, Counter[str]] = {name: Counter() for name in arguments.only}
    fallen: dict[str, list[str]] = {name: [] for name in arguments.only}
    until, seed = time.monotonic() + 60 * arguments.minutes, arguments.seed
    while time.monotonic() < until:
        for name in arguments.only:
            if time.monotonic() >= until:
                break
            seen, fell = in_process(name, seed)
            counts[name] += seen
            if fell:
                fallen[name].append(fell)
                print(f"--- {name}, seed {seed}\n{fell}", flush=True)
        seed += 1
    print(f"{'READER':18s} {'REFUSED':>9s} {'TAKEN':>9s} {'FELL':>6s}")
    for name in arguments.only:
        print(f"{name:18s} {counts[name]['refused']:9d} {counts[name]['taken']:9d} {len(fallen[name]):6d}")
    return 1 if any(fallen.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
