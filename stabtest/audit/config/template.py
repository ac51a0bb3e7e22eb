"""The file that ``stabtest init`` writes: every key, with what it means and its default.

Written from the models of `stabtest.audit.config.model`, so that it cannot fall behind them.
"""

from __future__ import annotations

import json
import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stabtest.audit.config.model import Config
from stabtest.audit.config.settings import MapsSection, MaskSection, TrajectorySection

_HEAD = """\
# What stabtest audits. Run `stabtest check` on this file first, then `stabtest audit`.
# Keys that begin with "#" show their default (or an example where there is none); take the "#" away to set them.
# Relative paths are relative to this file.
"""
_ACTIVE = {
    ("audit", "title"): '"My audit"',
    ("network", "zoo"): '"unet-mri"',
    ("mask", "kind"): '"cartesian_gaussian"',
    ("mask", "acceleration"): "4.0",
    ("mask", "centre_fraction"): "0.08",
    ("mask", "seed"): "0",
    ("data", "noise"): "0.01",
}
"""Keys that are set in the template, so that it runs as it is: the network and the measurement that it was trained for."""
_EXAMPLES = {
    ("network", "factory"): '"my_network.py:make"',
    ("network", "file"): '"my_network.pt2"',
    ("network", "command"): '"my_recon {measurements} {output}"',
    ("network", "timeout"): "60.0",
    ("network", "arguments"): "{ width = 32 }",
    ("network", "weights"): '"weights.safetensors"',
    ("network", "name"): '"my network"',
    ("mask", "file"): '"mask.npy"',
    ("maps", "file"): '"maps/{stem}.npy"',
    ("maps", "dataset"): '"maps"',
    ("trajectory", "file"): '"trajectory.npy"',
    ("trajectory", "readouts"): "50",
    ("trajectory", "samples"): "128",
    ("trajectory", "density_file"): '"density.npy"',
    ("operator", "width"): "368",
    ("operator", "detectors"): "183",
    ("operator", "source_distance"): "256.0",
    ("operator", "detector_distance"): "128.0",
    ("operator", "factory"): '"my_scanner.py:make"',
    ("operator", "arguments"): "{ views = 30 }",
    ("operator", "matrix"): '"system_matrix.npz"',
    ("operator", "layout"): '"image"',
    ("data", "files"): '["scan1.npy", "scan2.npy"]',
    ("data", "patients"): '["patient A", "patient B"]',
    ("data", "groups"): '["scanner A", "scanner B"]',
    ("data", "row"): "0",
    ("data", "slices"): "[10, 15, 20]",
    ("data", "every"): "5",
    ("data", "field_of_view"): '"shown"',
    ("data", "truth"): '"reconstruction"',
    ("data", "span"): "180.0",
    ("data", "zero"): "-1000.0",
    ("data", "one"): "1000.0",
    ("training", "files"): '["training1.npy", "training2.npy"]',
    ("training", "digests"): '"training.sha256"',
    ("training", "patients"): '["patient C"]',
    ("training", "seeds"): "[10000000, 10001999]",
    ("reference", "weight"): "0.01",
    ("reference", "iterations"): "200",
    ("structure", "sizes"): "{ text = [24.0], line_pairs = [10.0, 15.0] }",
    ("structure", "pixel_mm"): "1.0",
    ("missed_lesion", "rows"): "[40, 90]",
    ("missed_lesion", "columns"): "[40, 90]",
    ("sampling", "views"): "[25, 100, 200]",
    ("sampling", "readouts"): "[25, 100, 200]",
    ("image_quality", "water"): "0.02",
    ("kernel", "reference_steps"): "10",
    ("kernel", "sfrc"): "{ threshold = 0.5, least_cutoff = 0.5 }",
    ("shift", "objects"): "{ intensity = [-0.2, 0.2], rotation = [2.0, 10.0], translation_rows = [3.5], "
    "translation_columns = [0.5, 3.5], zoom = [-0.1, 0.1], inversion = [1.0], anatomy = [1.0] }",
    ("shift", "anatomy"): '"chest"',
    ("shift", "scans"): "{ mask = [0.05, 0.1], motion_translation = [1.0], receiver_gain = [1.0] }",
    ("shift", "box"): "{ degrees = 5.0, rows = 2.0, columns = 2.0, intensity = 0.1 }",
    ("criteria", "profile"): '"antun-2020/1"',
    ("worst_case", "region"): '{ kind = "high_frequencies", above = 0.5 }',
    ("worst_case", "restarts"): "2",
}
_INLINE: dict[str, type[BaseModel]] = {"mask": MaskSection, "trajectory": TrajectorySection, "maps": MapsSection}
"""Nested tables that are written as dotted keys."""
_CRITERION = """\
# Acceptance criteria, one table each. Without any, everything is reported and nothing is judged.
# PASS or FAIL is said of a statistic with an interval, such as a median over patients; with few patients it is INCONCLUSIVE.
# A universal criterion (on a largest or least value: .max, .min) claims that the limit is never exceeded. One counterexample
# refutes it and no search can establish it: it can only FAIL or stay INCONCLUSIVE.
# [[criterion]]
# id = "C1"
# statistic = "quality.psnr.median"
# rule = "at least"
# limit = 25.0
# universal = false
# rationale = "why this limit"
"""


def init_template() -> str:
    """The text of a commented ``stabtest.toml`` that is valid as it stands.

    Examples
    --------
    >>> from stabtest.audit.config.file import parse_config
    >>> parse_config(init_template()).network.zoo
    'unet-mri'
    """
    parts = [_HEAD]
    for name, field in Config.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            parts.append(_table(name, model))
    return "\n".join([*parts, _CRITERION])


def _table(name: str, model: type[BaseModel]) -> str:
    lines = [f"# {_first_line(model)}", f"[{name}]"]
    for key, field in model.model_fields.items():
        if key in _INLINE:
            lines += _inline(key, _INLINE[key])
            continue
        lines += _comment(field)
        lines.append(_setting((name, key), key, field))
    return "\n".join(lines) + "\n"


def _inline(name: str, model: type[BaseModel]) -> list[str]:
    """A nested table, one dotted key a line."""
    lines: list[str] = []
    for key, field in model.model_fields.items():
        lines += [*_comment(field), _setting((name, key), f"{name}.{key}", field)]
    return lines


def _setting(place: tuple[str, str], key: str, field: FieldInfo) -> str:
    if place in _ACTIVE:
        return f"{key} = {_ACTIVE[place]}"
    return f"# {key} = {_EXAMPLES.get(place) or _value(field.get_default(call_default_factory=True))}"


def _value(value: Any) -> str:  # noqa: ANN401
    """A default in TOML."""
    if value is None or value is PydanticUndefined:
        raise AssertionError("a key without a default needs an example")
    return json.dumps(
        list(value) if isinstance(value, tuple) else value
    )  # strings, numbers, booleans and lists agree with TOML


def _comment(field: FieldInfo) -> list[str]:
    return textwrap.wrap(field.description or "", 110, initial_indent="## ", subsequent_indent="## ")


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]
