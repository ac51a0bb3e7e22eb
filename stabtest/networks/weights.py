"""Put trained weights into a network, from files that cannot run code.

The kind of a file is recognised by its content: safetensors (eight bytes of header length, then JSON), the zip archive or
the older stream of ``torch.save``. Both of the latter hold a pickle, which is read by the restricted unpickler alone
(``torch.load(weights_only=True)``): it makes tensors and containers and imports nothing else. A file that needs more
is refused, with the names that it would have imported.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import safetensors.torch
import torch
from torch import Tensor, nn

from stabtest.errors import NetworkError
from stabtest.networks.archive import DAMAGED
from stabtest.networks.load import sha256
from stabtest.networks.pickles import imported_names
from stabtest.networks.protocol import Network

Kind = Literal["safetensors", "torch"]

NESTED = ("state_dict", "model_state_dict", "model", "net", "network", "params")
"""Keys under which checkpoints keep the state dict (Lightning's is the first)."""

_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6
_SHOWN = 5
_SAVE = "save module.state_dict()"
_COPY = "copy it again, or save module.state_dict() again"


@dataclass(frozen=True)
class LoadedWeights:
    """What was loaded, for the report.

    Attributes
    ----------
    path, sha256
        The file and its hash.
    kind
        ``safetensors`` or ``torch``.
    prefix
        What was taken off the names (``"model."``), or empty.
    ignored
        Names in the file outside the prefix: the metrics and losses of a training checkpoint.
    """

    path: str
    sha256: str
    kind: Kind
    prefix: str
    ignored: tuple[str, ...]


def load_weights(module: Network, path: str | Path) -> LoadedWeights:
    """Load weights into a network, in place.

    Parameters
    ----------
    module
        An ``nn.Module``.
    path
        A safetensors file, or a ``state_dict`` or checkpoint written by ``torch.save``. The state dict may lie under one of
        the keys in `NESTED`, and its names may have a common prefix (``model.``, ``module.``, ``unet.``): the one
        that fits most names is taken off, the shortest of several that fit as well.

    Returns
    -------
    LoadedWeights

    Raises
    ------
    NetworkError
        If the file is missing, damaged, of another kind or would run code; if names or shapes do not fit (the first
        five of each are listed); if a weight is not finite. The module is then unchanged.
    """
    path = Path(path)
    if not isinstance(module, nn.Module):
        raise NetworkError(f"{path}: weights need an nn.Module", expected="an nn.Module", came=type(module).__name__)
    digest = sha256(path)
    kind = recognise(path)
    found = _read_safetensors(path) if kind == "safetensors" else _state_dict(_read_torch(path), path)
    expected = module.state_dict()
    prefix = _common_prefix(set(expected), set(found))
    given = {name[len(prefix) :]: value for name, value in found.items() if name.startswith(prefix)}
    _check_fit({key: value for key, value in expected.items() if isinstance(value, Tensor)}, given, path)
    # In evaluation mode batch norm does not use its counter; files from before it existed lack it.
    module.load_state_dict({**{k: v for k, v in expected.items() if k not in given}, **given})
    ignored = tuple(name for name in found if not name.startswith(prefix))
    return LoadedWeights(str(path), digest, kind, prefix, ignored)


def recognise(path: str | Path) -> Kind:
    """Kind of a weights file, from its content.

    Raises
    ------
    NetworkError
        If it is none that can be loaded without running code, with what it seems to be.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(64)
    if len(head) > 8 and head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") <= path.stat().st_size - 8:
        return "safetensors"
    if head.startswith(_LEGACY):
        return "torch"
    if head.startswith(b"PK"):
        return _recognise_zip(path)
    if head.startswith(b"\x80"):
        raise _would_run(path, imported_names(_beginning(path)), "a bare pickle")
    if not head:
        raise _not_weights(path, "an empty file", remedy=_COPY)
    kinds = {
        b"version https://git-lfs": ("a Git LFS pointer: the file itself was not downloaded", "git lfs pull"),
        b"\x89HDF": ("an HDF5 file (Keras?)", _SAVE),
        b"\x93NUMPY": ("a NumPy array", _SAVE),
        b"<": ("a web page: the download went wrong", "download it again"),
    }
    seems, remedy = next(
        (said for magic, said in kinds.items() if head.startswith(magic)), (f"a file that begins with {head[:8]!r}", _SAVE)
    )
    raise _not_weights(path, seems, remedy=remedy)


def _recognise_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (*DAMAGED, OSError) as error:
        raise _not_weights(path, f"a damaged or truncated archive ({error})", remedy=_COPY) from error
    tails = {name.split("/", 1)[-1] for name in names}
    if "constants.pkl" in tails and any(tail.startswith("code/") for tail in tails):
        raise _not_weights(
            path, "a TorchScript program", remedy="save module.state_dict() instead, or give it as [network] file"
        )
    if any("serialized_exported_program" in tail or tail.startswith("models/") for tail in tails):
        raise _not_weights(
            path, "a torch.export program", remedy="save module.state_dict() instead, or give it as [network] file"
        )
    if "data.pkl" not in tails:
        raise _not_weights(path, "a zip archive without weights (NumPy's npz?)")
    return "torch"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except Exception as error:
        raise _not_weights(path, f"a damaged safetensors file ({error})", remedy=_COPY) from error


def _read_torch(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        names = [name for name in _names_in(path) if not name.startswith(("torch._utils.", "collections.OrderedDict"))]
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise _would_run(path, names, "a checkpoint with more than tensors") from error
        raise _not_weights(path, f"a damaged or truncated file ({_first_line(error)})", remedy=_COPY) from error


def _names_in(path: Path) -> list[str]:
    """Names that the pickle inside a file of ``torch.save`` would import."""
    if not zipfile.is_zipfile(path):
        return imported_names(_beginning(path))
    try:
        with zipfile.ZipFile(path) as archive:
            return [
                name
                for member in archive.namelist()
                if member.endswith("data.pkl")
                for name in imported_names(archive.read(member))
            ]
    except (*DAMAGED, OSError):
        return []


def _beginning(path: Path) -> bytes:
    """As much as a listing of names needs, of a file of any size."""
    with path.open("rb") as file:
        return file.read(2**24)


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """The mapping of names to tensors in a checkpoint."""
    candidates: list[object] = [content]
    if isinstance(content, Mapping):
        checkpoint = cast("Mapping[object, object]", content)
        candidates += [checkpoint[key] for key in NESTED if key in checkpoint]
    for candidate in candidates:
        if not isinstance(candidate, Mapping):
            continue
        entries = cast("Mapping[Any, object]", candidate)
        tensors = {str(key): value for key, value in entries.items() if isinstance(value, Tensor)}
        if tensors and all(str(key) in tensors or str(key).endswith("_extra_state") for key in entries):
            return tensors
    keys = ", ".join(map(str, list(cast("Mapping[object, object]", content))[:_SHOWN])) if isinstance(content, Mapping) else ""
    raise NetworkError(
        f"{path}: no weights in it",
        expected=f"names with tensors, at the top or under {', '.join(NESTED)}",
        came=f"keys {keys}" if keys else type(content).__name__,
        remedy="save module.state_dict()",
    )


def _common_prefix(expected: set[str], found: set[str]) -> str:
    """The prefix of the file's names under which most of the network's names are found; the empty one if as good."""
    candidates = {""}
    for name in found:
        for key in expected:
            if name.endswith("." + key):
                candidates.add(name[: -len(key)])
    return max(
        sorted(candidates, key=lambda prefix: (len(prefix), prefix)),
        key=lambda prefix: sum(prefix + key in found for key in expected),
    )


def _check_fit(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    missing = [name for name in expected if name not in given and not name.endswith("num_batches_tracked")]
    surplus = [name for name in given if name not in expected]
    shapes = [
        f"{name} (expected {tuple(expected[name].shape)}, found {tuple(value.shape)})"
        for name, value in given.items()
        if name in expected and value.shape != expected[name].shape
    ]
    described = (("shapes differ", shapes), ("missing in the file", missing), ("not in the network", surplus))
    problems = [f"{len(names)} {title}: {_listed(names)}" for title, names in described if names]
    if problems:
        raise NetworkError(
            f"{path}: the weights do not fit the network",
            expected=f"{len(expected)} tensors",
            came="; ".join(problems),
            remedy="check the arguments of the factory (widths, depth, channels)",
        )
    bad = [name for name, value in given.items() if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if bad:
        raise NetworkError(
            f"{path}: weights that are not finite",
            expected="finite numbers",
            came=f"NaN or infinite values in {_listed(bad)}",
            remedy="take a checkpoint from before the training diverged",
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _would_run(path: Path, names: list[str], what: str) -> NetworkError:
    return NetworkError(
        f"{path}: refused, loading it would run code",
        expected="a file of tensors alone (safetensors, or a state_dict of torch.save)",
        came=what + (f" that imports {_listed(names)}" if names else ""),
        remedy="where you trust the file, load it in Python and save module.state_dict() by safetensors.torch.save_file",
    )


def _not_weights(path: Path, came: str, *, remedy: str = _SAVE) -> NetworkError:
    return NetworkError(
        f"{path}: not a file of weights", expected="safetensors, or a state_dict of torch.save", came=came, remedy=remedy
    )
