"""A witness in a file: one ``.npz`` of plain arrays (NumPy's NPY format in a ZIP), the metadata as JSON (RFC 8259) inside.

==================  =====================================================================================
array               content
==================  =====================================================================================
``perturbation``    in the domain of the search; of one image without a batch axis, of several with one
``metadata``        text: JSON, see below; absent in files that hold a perturbation only
``measurement``     ``y``, shaped likewise, if it was kept
``region``          support of the perturbation, boolean, if there is one
``floor``           lower limit of the perturbation, if there is one
==================  =====================================================================================

No array holds Python objects, and none is read that does (``allow_pickle=False``). The SHA-256 of the perturbation stands
in the metadata, so that a file that was altered is noticed. Lists in the metadata have one entry an image. Numbers that
are not finite are the strings ``"inf"`` and ``"nan"``, since JSON has none. Nothing depends on the time: the same witness
gives the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import uuid
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest.errors import DataError
from stabtest.search.probe import fingerprint
from stabtest.search.witness import Witness

FORMAT = "stabtest witness"
VERSION = 1
_ARRAYS = ("perturbation", "measurement", "region", "floor")
_PER_IMAGE = ("radius", "relative_radius", "relative_change", "gain", "violation")


def save_witness(path: str | os.PathLike[str], witness: Witness) -> None:
    """Write a witness, whole or not at all.

    Parameters
    ----------
    path
        The file, as it is named (no suffix is added); overwritten.
    witness
        From `stabtest.search.witness.witness_of`.

    Raises
    ------
    DataError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.npz"
    >>> save_witness(path, Witness(torch.ones(1, 1, 2, 2), domain="image", network="unet", gain=torch.tensor([torch.inf])))
    >>> load_witness(path).network, load_witness(path).gain
    ('unet', tensor([inf], dtype=torch.float64))
    """
    path = Path(path)
    one = len(witness) == 1
    arrays: dict[str, NDArray[Any]] = {"metadata": np.array(json.dumps(_metadata(witness), indent=1, allow_nan=False))}
    for name in _ARRAYS:
        values = getattr(witness, name)
        if values is not None:
            plain = values.detach().cpu().resolve_conj().numpy()
            arrays[name] = plain[0] if one and name in ("perturbation", "measurement") else plain
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(buffer.getvalue())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise DataError(str(path), expected="a place that can be written", came=error.strerror or str(error)) from error


def load_witness(path: str | os.PathLike[str]) -> Witness:
    """Read a witness; of a file without metadata (the witnesses of an audit) the perturbation alone.

    Parameters
    ----------
    path
        A file by `save_witness`, or any ``.npz`` with an array ``perturbation`` of one image without a batch axis.

    Raises
    ------
    DataError
        If the file is missing, damaged, altered, of a newer format, or holds no finite perturbation.
    """
    path = Path(path)
    arrays = _read(path)
    if "perturbation" not in arrays:
        came = f"arrays {', '.join(arrays) or 'none'}"
        raise DataError(str(path), expected="an array named perturbation", came=came)
    for name in ("perturbation", "measurement", "floor"):
        if name in arrays and (arrays[name].dtype.kind not in "fc" or not bool(np.isfinite(arrays[name]).all())):
            raise DataError(f"{path}: {name}", expected="finite real or complex numbers", came=_kind(arrays[name]))
    if "region" in arrays and arrays["region"].dtype.kind != "b":
        raise DataError(f"{path}: region", expected="true and false", came=str(arrays["region"].dtype))
    try:
        stored = {name: torch.from_numpy(arrays[name]) for name in _ARRAYS if name in arrays}
    except TypeError as error:
        raise DataError(str(path), expected="numbers of a precision that PyTorch has", came=str(error)) from error
    if "metadata" not in arrays:
        return Witness(perturbation=stored["perturbation"][None])
    return _described(path, str(arrays["metadata"]), stored)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise ValueError("a single array")
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(str(path), expected="a witness (.npz)", came="no such file") from None
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        NotImplementedError,
        TypeError,
        AttributeError,
    ) as error:
        raise DataError(
            str(path), expected="a witness (.npz with plain arrays)", came=str(error).split("\n")[0] or type(error).__name__
        ) from error
    except Exception as error:  # zlib.error and whatever else a damaged archive makes of the reader
        raise DataError(str(path), expected="a witness (.npz with plain arrays)", came=type(error).__name__) from error


def _metadata(witness: Witness) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "stabtest": witness.version,
        "images": len(witness),
        "cases": list(witness.cases),
        "domain": witness.domain,
        "norm": witness.norm,
        **{name: _numbers(getattr(witness, name)) for name in _PER_IMAGE},
        "objective": witness.objective,
        "seed": witness.seed,
        "budget": dict(witness.budget),
        "operator": dict(witness.operator),
        "operator_probe": list(witness.operator_probe),
        "measurement_sha256": list(witness.measurement_sha256),
        "perturbation_sha256": fingerprint(witness.perturbation),
        "network": witness.network,
        "network_sha256": witness.network_sha256,
    }


def _described(path: Path, text: str, stored: dict[str, Tensor]) -> Witness:
    """The witness from its metadata and its arrays."""
    try:
        known = cast("dict[str, Any]", json.loads(text))
        if known["format"] != FORMAT or not isinstance(known["format_version"], int):
            raise ValueError(f"format {known['format']!r}")
        if known["format_version"] > VERSION:
            raise DataError(
                str(path),
                expected=f"format version {VERSION}",
                came=str(known["format_version"]),
                remedy=f"use stabtest {known.get('stabtest', '')} or later",
            )
        images = int(known["images"])
        if images == 1:
            stored = {
                name: values[None] if name in ("perturbation", "measurement") else values for name, values in stored.items()
            }
        perturbation = stored["perturbation"]
        if len(perturbation) != images or any(len(known[name]) not in (0, images) for name in ("cases", "measurement_sha256")):
            raise ValueError(f"not one entry for each of {images} image(s)")
        if known["domain"] not in ("measurement", "image", None) or known["norm"] not in ("l2", "linf"):
            raise ValueError(f"domain {known['domain']!r}, norm {known['norm']!r}")
        witness = Witness(
            perturbation=perturbation,
            domain=known["domain"],
            norm=known["norm"],
            region=stored.get("region"),
            floor=stored.get("floor"),
            objective=str(known["objective"]),
            seed=known["seed"],
            budget=dict(known["budget"]),
            operator=dict(known["operator"]),
            operator_probe=tuple(float(number) for number in known["operator_probe"]),
            measurement_sha256=tuple(map(str, known["measurement_sha256"])),
            measurement=stored.get("measurement"),
            cases=tuple(map(str, known["cases"])),
            network=str(known["network"]),
            network_sha256=known["network_sha256"],
            version=str(known["stabtest"]),
            **{name: _tensor(known[name], images) for name in _PER_IMAGE},
        )
        _check(witness, str(known["perturbation_sha256"]))
        return witness
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError) as error:
        came = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: metadata", expected="those of a stabtest witness", came=came) from error


def _check(witness: Witness, perturbation_sha256: str) -> None:
    """That the arrays are those that the metadata speak of."""
    if fingerprint(witness.perturbation) != perturbation_sha256:
        raise ValueError("another perturbation than when the file was written (SHA-256)")
    if witness.radius is not None and not bool((torch.isfinite(witness.radius) & (witness.radius > 0)).all()):
        raise ValueError(f"radius {witness.radius.tolist()}")
    if witness.measurement is not None and witness.measurement_sha256 != tuple(map(fingerprint, witness.measurement)):
        raise ValueError("another measurement than when the file was written (SHA-256)")
    for name, values in (("region", witness.region), ("floor", witness.floor)):
        if (
            values is not None
            and torch.broadcast_shapes(values.shape, witness.perturbation.shape) != witness.perturbation.shape
        ):
            raise ValueError(f"{name} of shape {tuple(values.shape)}")


def _numbers(values: Tensor | None) -> list[float | str] | None:
    return None if values is None else [number if math.isfinite(number) else str(number) for number in values.double().tolist()]


def _tensor(numbers: Iterable[float | str] | None, images: int) -> Tensor | None:
    if numbers is None:
        return None
    values = torch.tensor([float(number) for number in numbers], dtype=torch.float64)
    if len(values) != images:
        raise ValueError(f"not one entry for each of {images} image(s)")
    return values


def _kind(values: NDArray[Any]) -> str:
    return str(values.dtype) if values.dtype.kind not in "fc" else "NaN or infinity"
