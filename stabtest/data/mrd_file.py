"""Raw data in the ISMRM format (HDF5), Cartesian, read with h5py alone.

A group holds ``xml`` (the header, `stabtest.data.mrd_header`) and ``data``, one record a read-out: ``head`` (which line, slice, average, coil count,
flags), ``data`` (real and imaginary parts in turn, coil by coil) and ``traj``. Flag ``n`` is bit ``n - 1``.

- A read-out goes to column ``kspace_encode_step_1 - centre + W // 2``, its sample ``center_sample`` to row ``H // 2``; reversed ones (flag 22) are
  turned round. What was discarded at either end is left out.
- Averages, and segments that hold a line again, are averaged. Of contrasts, phases, repetitions and sets the first of each is taken, and a note
  says how many there are.
- Noise scans (flag 19), calibration lines that are no part of the image (20), navigators, phase corrections, feedback and dummy scans (23, 24, 26
  to 31) are no image, nor is what belongs to another encoding than the first.
- From the noise scans comes the covariance of the coils, ``Psi = N N^H / n``; the data are multiplied by the inverse of its Cholesky factor, so that
  noise is white and equal in all (virtual) coils (Pruessmann, Weiger, Börnert, Boesiger, MRM 46, 2001). Its level is scaled by the root
  of the ratio of the dwell times, since noise power goes with the bandwidth (Kellman, McVeigh, MRM 54, 2005).

Only the heads and the read-outs of one slice are read.

Source: S. J. Inati et al., *ISMRM Raw data format: a proposed standard for MRI raw datasets*, Magnetic Resonance in Medicine 77 (2017).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stabtest.data import files
from stabtest.data.mrd_header import Encoding, read_header
from stabtest.data.raw import RawKSpace, has_gaps
from stabtest.errors import DataError

if TYPE_CHECKING:
    import h5py

NOISE, CALIBRATION, REVERSED = 19, 20, 22
NO_IMAGE = (NOISE, CALIBRATION, 23, 24, 26, 27, 28, 29, 30, 31)
"""Flags of read-outs that are not lines of the image."""
_FIRST = ("contrast", "phase", "repetition", "set")
_FIELDS = (
    "flags",
    "number_of_samples",
    "active_channels",
    "center_sample",
    "discard_pre",
    "discard_post",
    "encoding_space_ref",
    "sample_time_us",
    "idx",
)


def find_group(file: h5py.File) -> str | None:
    """Name of the group of raw data in an open file; None where it holds none.

    Parameters
    ----------
    file
        Any HDF5 file.
    """
    import h5py

    for name in ("dataset", *file):
        group = file.get(name)
        if isinstance(group, h5py.Group) and "xml" in group and isinstance(group.get("data"), h5py.Dataset):
            names = group["data"].dtype.names  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportAttributeAccessIssue]
            if names is not None and {"head", "data"} <= set(names):  # pyright: ignore[reportUnknownArgumentType]
                return name
    return None


def count_slices(file: h5py.File, group: str) -> int:
    """How many slices the read-outs of images have."""
    head = _heads(file, group)
    image = head[_is_image(head["flags"])]
    return int(image["idx"]["slice"].max()) + 1 if len(image) else 0


def read_acquisitions(file: h5py.File, path: Path, group: str, *, index: int | None, coils: bool) -> RawKSpace:
    """One slice.

    Parameters
    ----------
    file, path, group
        The file, where it lies, and `find_group` of it.
    index
        Slice; may be None where there is one.
    coils
        Whether several coils are expected.

    Raises
    ------
    DataError
        If the trajectory is not Cartesian, the scan is 3-D, there is no such slice, or the records contradict the header.
    """
    name = f"{path}: {group}"
    header = _header(file, path, group)
    head = _heads(file, group)
    image = _is_image(head["flags"]) & (head["encoding_space_ref"] == 0)
    chosen, slices = _slice(head, image, index, name)
    own, notes = _first_of_each(head, chosen)
    channels = _one(head["active_channels"][own], f"{name}: active_channels")
    if (channels > 1) != coils:
        raise DataError(
            name,
            expected="data of several coils" if coils else "data of one coil",
            came=f"{channels} active channels",
            remedy=f'set [operator] kind = "{"fourier" if coils else "multicoil"}"',
        )
    width = header.encoded[1]
    array, columns, averages = _sorted(file, group, head, own, header, channels, name)
    noise_std = float("nan")
    scans = np.flatnonzero(_flag(head["flags"], NOISE))
    if len(scans):
        array, noise_std, said = _whitened(file, group, head, scans, own, array, averages, name)
        notes.append(said)
    else:
        notes.append("no noise scan: the coils were not whitened")
    notes.insert(
        0,
        f"{len(own)} read-outs on {int(columns.sum())} of {width} phase encodings, averaged where a line came again (up to {averages:.3g} times)",
    )
    kept = (header.kept(0, array.shape[1]), header.kept(1, width))
    shown = f"{name}[{index}]" if index is not None and slices > 1 else name
    return RawKSpace(array, shown, columns, kept, prospective=has_gaps(columns), noise_std=noise_std, notes=tuple(notes))


def _header(file: h5py.File, path: Path, group: str) -> Encoding:
    stored = np.asarray(files.dataset(file, f"{group}/xml")[()]).ravel()
    text = stored[0] if len(stored) else b""
    name = f"{path}: {group}/xml"
    header = read_header(text if isinstance(text, (str, bytes)) else str(text), name)
    if header.trajectory != "cartesian":
        came, remedy = repr(header.trajectory[:40]), "grid the data yourself and give Cartesian k-space as NumPy or HDF5"
        raise DataError(name, expected="a Cartesian trajectory", came=came, remedy=remedy)
    if header.partitions > 1:
        came, remedy = (
            f"{header.partitions} partitions",
            "transform along the partitions and give the slices as (slices, coils, H, W)",
        )
        raise DataError(name, expected="a 2-D scan", came=came, remedy=remedy)
    return header


def _heads(file: h5py.File, group: str) -> files.AnyArray:
    """All heads; not the data."""
    stored = files.dataset(file, f"{group}/data")
    if len(stored) == 0:
        raise DataError(
            f"{file.filename}: {group}/data",
            expected="read-outs",
            came="none",
            remedy="export the scan again, with its acquisitions",
        )
    head = np.asarray(stored["head"])
    missing = [key for key in _FIELDS if key not in (head.dtype.names or ())]
    if missing:
        raise DataError(
            f"{file.filename}: {group}/data",
            expected="heads of the ISMRM raw data format",
            came=f"none of {', '.join(missing)}",
            remedy="convert the scan again by the converter of its vendor (siemens_to_ismrmrd and its like)",
        )
    return head


def _flag(flags: files.AnyArray, number: int) -> files.AnyArray:
    return (flags.astype(np.uint64) >> np.uint64(number - 1)) & np.uint64(1) != 0


def _is_image(flags: files.AnyArray) -> files.AnyArray:
    return ~np.any([_flag(flags, number) for number in NO_IMAGE], axis=0)


def _slice(head: files.AnyArray, image: files.AnyArray, index: int | None, name: str) -> tuple[files.AnyArray, int]:
    """Positions of the read-outs of a slice, and how many slices there are."""
    if not image.any():
        raise DataError(
            name,
            expected="read-outs of an image",
            came=f"{len(head)} read-outs, none of them of an image",
            remedy="give the file of the imaging scan; this one holds noise, calibration or navigators",
        )
    of = head["idx"]["slice"]
    slices = int(of[image].max()) + 1
    if index is None and slices > 1:
        remedy = "choose one: [data] row = 0, or slices or every (in Python: index)"
        raise DataError(name, expected="one slice", came=f"{slices} slices", remedy=remedy)
    chosen = np.flatnonzero(image & (of == (index or 0)))
    if not len(chosen):
        raise DataError(
            name,
            expected=f"a slice from 0 to {slices - 1}",
            came=f"index = {index}",
            remedy="correct [data] row (in Python: index)",
        )
    return chosen, slices


def _first_of_each(head: files.AnyArray, chosen: files.AnyArray) -> tuple[files.AnyArray, list[str]]:
    notes: list[str] = []
    for key in _FIRST:
        values = np.unique(head["idx"][key][chosen])
        if len(values) > 1:
            notes.append(f"of {len(values)} values of {key} the first was taken")
            chosen = chosen[head["idx"][key][chosen] == values[0]]
    return chosen, notes


def _one(values: files.AnyArray, name: str) -> int:
    found = np.unique(values)
    if len(found) != 1:
        raise DataError(
            name,
            expected="the same number in each read-out",
            came=", ".join(map(str, found[:6])),
            remedy="give a scan of one setting of the receiver; split the file where it changes",
        )
    return int(found[0])


def _record(file: h5py.File, group: str, head: files.AnyArray, position: int, name: str) -> files.AnyArray:
    """The samples of a read-out, ``(C, samples)``."""
    values = np.asarray(files.dataset(file, f"{group}/data")[position]["data"], dtype=np.float32)
    channels, samples = int(head["active_channels"][position]), int(head["number_of_samples"][position])
    if values.size != 2 * channels * samples:
        raise DataError(
            f"{name}/data[{position}]",
            expected=f"{channels} coils x {samples} complex samples",
            came=f"{values.size} numbers",
            remedy="the file is damaged: copy or convert it again",
        )
    return values.view(np.complex64).reshape(channels, samples)


def _sorted(
    file: h5py.File, group: str, head: files.AnyArray, own: files.AnyArray, header: Encoding, channels: int, name: str
) -> tuple[files.AnyArray, files.AnyArray, float]:
    """K-space ``(C, H, W)``, which columns were measured, and the most often that one was."""
    height, width = header.encoded
    centre = header.limits[2] if header.limits is not None else width // 2
    array = np.zeros((channels, height, width), np.complex128)
    times = np.zeros(width)
    for position in own.tolist():
        one = head[position]
        column = int(one["idx"]["kspace_encode_step_1"]) - centre + width // 2
        if int(one["idx"]["kspace_encode_step_2"]) or not 0 <= column < width:
            came = f"step {int(one['idx']['kspace_encode_step_1'])}, {int(one['idx']['kspace_encode_step_2'])}"
            raise DataError(
                f"{name}/data[{position}]",
                expected=f"a phase encoding within the {width} of a 2-D scan",
                came=came,
                remedy="give a 2-D scan whose header says how many lines were encoded",
            )
        samples = _record(file, group, head, position, name)
        first, last = int(one["discard_pre"]), samples.shape[1] - int(one["discard_post"])
        rows = np.arange(first, last) - int(one["center_sample"]) + height // 2
        if bool(_flag(np.asarray([one["flags"]]), REVERSED)[0]):
            rows = 2 * (height // 2) - rows  # turned about the row of DC
        inside = (rows >= 0) & (rows < height)
        array[:, rows[inside], column] += samples[:, first:last][:, inside]
        times[column] += 1
    columns = times > 0
    array[:, :, columns] /= times[columns]
    return array, columns, float(times.max())


def _whitened(
    file: h5py.File,
    group: str,
    head: files.AnyArray,
    scans: files.AnyArray,
    own: files.AnyArray,
    array: files.AnyArray,
    averages: float,
    name: str,
) -> tuple[files.AnyArray, float, str]:
    """Whitened k-space, the standard deviation of its noise, and what was done."""
    channels = len(array)
    records = [_record(file, group, head, position, name) for position in scans.tolist()]
    if any(len(record) != channels for record in records):
        came = f"{len(records[0])} coils in the noise scan and {channels} in the data"
        raise DataError(f"{name}: noise scan", expected="the coils of the data", came=came, remedy="leave the noise scan out")
    noise = np.concatenate(records, axis=1).astype(np.complex128)
    count = noise.shape[1]
    covariance = noise @ noise.conj().T / max(count, 1)
    try:
        if count < 2 * channels:
            raise np.linalg.LinAlgError
        inverse = np.linalg.inv(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError as error:
        raise DataError(
            f"{name}: noise scan",
            expected=f"a covariance of {channels} coils that can be inverted, from at least {2 * channels} samples",
            came=f"{count} samples" + ("" if count < 2 * channels else ", and a singular covariance"),
            remedy="leave the noise scan out",
        ) from error
    dwell = float(np.median(head["sample_time_us"][scans])), float(np.median(head["sample_time_us"][own]))
    ratio = float(np.sqrt(dwell[0] / dwell[1])) if min(dwell) > 0 else 1.0
    deviations = np.sqrt(np.real(np.diag(covariance)))
    correlation = np.abs(covariance / np.outer(deviations, deviations) - np.eye(channels)).max()
    said = (
        f"whitened with the covariance of {count} samples of the noise scan: standard deviations of the coils from {deviations.min():.3g} to "
        f"{deviations.max():.3g}, largest correlation {correlation:.2f}; coils are virtual from here on"
    )
    return np.einsum("cd,dhw->chw", inverse, array), ratio / float(np.sqrt(averages)), said
