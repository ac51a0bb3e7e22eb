"""Adversarial stability testing of MRI and CT reconstruction networks.

The rooms of the library are its subpackages; each is imported when it is first named, so that ``import stabtest`` is cheap:

>>> import stabtest
>>> stabtest.errors.StabtestError.__name__
'StabtestError'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stabtest import (
        audit,
        bounds,
        data,
        errors,
        findings,
        metrics,
        networks,
        operators,
        phantoms,
        report,
        search,
        stability,
        statistics,
        tensors,
    )

__all__ = [
    "__version__",
    "audit",
    "bounds",
    "data",
    "errors",
    "findings",
    "metrics",
    "networks",
    "operators",
    "phantoms",
    "report",
    "search",
    "stability",
    "statistics",
    "tensors",
]

__version__: str


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("stabtest")
        except metadata.PackageNotFoundError:  # a checkout that was never installed
            return "0+unknown"
    if name in __all__:
        return importlib.import_module(f"stabtest.{name}")
    raise AttributeError(f"module 'stabtest' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
