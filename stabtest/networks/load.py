"""Load a network from the user's own code: ``module:factory`` or ``path/to/file.py:factory``.

The factory is called with the arguments of the configuration and returns the network. Importing a module runs it: this is
the user's code, named by the user, with the user's rights.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from stabtest.errors import NetworkError
from stabtest.networks.protocol import Network


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises
    ------
    NetworkError
        If the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NetworkError(
            f"{path}: cannot be read",
            expected="a file",
            came=error.strerror or str(error),
            remedy="check the path: relative ones start at the configuration",
        ) from error


def load_factory(
    spec: str,
    *,
    arguments: Mapping[str, Any] | None = None,
    base_dir: str | Path = ".",
) -> Network:
    """Import a factory and call it.

    Parameters
    ----------
    spec
        ``"package.module:factory"`` or ``"path/to/file.py:factory"``; the factory may be a dotted name, a function, a class
        or, without arguments, an ``nn.Module`` itself.
    arguments
        Keyword arguments of the factory.
    base_dir
        Folder that relative paths start from (that of the configuration file). It is searched first for modules while
        the factory runs, so that the file may import its neighbours.

    Returns
    -------
    Network
        An ``nn.Module`` or another callable.

    Raises
    ------
    NetworkError
        If the module or the factory is not found, the import or the factory fails, the arguments do not fit, or what
        comes back cannot be called.

    Examples
    --------
    >>> load_factory("torch.nn:Conv2d", arguments={"in_channels": 2, "out_channels": 2, "kernel_size": 3})
    Conv2d(2, 2, kernel_size=(3, 3), stride=(1, 1))
    """
    network = load_object(spec, arguments=arguments, base_dir=base_dir)
    if not callable(network):
        raise NetworkError(
            f"factory {spec!r} does not return a network",
            expected="an nn.Module or another callable",
            came=type(network).__name__,
            remedy="return the network from the factory",
        )
    return network


def load_object(
    spec: str,
    *,
    arguments: Mapping[str, Any] | None = None,
    base_dir: str | Path = ".",
    instances: bool = False,
    table: str = "network",
) -> Any:  # noqa: ANN401 - a user's object can be anything
    """Import a factory and call it, whatever it makes.

    Parameters
    ----------
    spec, arguments, base_dir
        As in `load_factory`.
    table
        Of the configuration, for messages.
    instances
        Whether the name may be that of a finished object, which is not called: one that has ``adjoint`` or ``A_adjoint``, or a pair.

    Raises
    ------
    NetworkError
        If the module or the factory is not found, the import or the factory fails, or the arguments do not fit.

    Examples
    --------
    >>> load_object("fractions:Fraction", arguments={"numerator": 1, "denominator": 2})
    Fraction(1, 2)
    """
    source, separator, name = spec.rpartition(":")
    if not separator or not source or not all(part.isidentifier() for part in name.split(".")):
        raise NetworkError(
            f"factory {spec!r}",
            expected="'package.module:factory' or 'path/to/file.py:factory'",
            came=repr(spec),
            remedy=f"write {spec + ':make' if spec.endswith('.py') else 'it so'}, with the name of the function or class",
        )
    base = Path(base_dir).resolve()
    with _search_first(base):
        module = _import_file(base / source, spec) if source.endswith(".py") else _import_module(source, base, spec)
        factory = _attribute(module, name, spec)
        if instances and not arguments and not inspect.isclass(factory):
            finished = isinstance(factory, tuple) or hasattr(factory, "adjoint") or hasattr(factory, "A_adjoint")
            if finished or hasattr(factory, "rmatvec"):
                return factory
        return _call(factory, dict(arguments or {}), spec, table)


def _import_file(path: Path, spec: str) -> ModuleType:
    """Import one file under a name of its own, so that two files of the same name do not meet."""
    if not path.is_file():
        raise NetworkError(
            f"factory {spec!r}: there is no such file",
            expected="a Python file",
            came=str(path),
            remedy="relative paths start from the folder of the configuration",
        )
    name = f"stabtest_user_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise NetworkError(
            f"factory {spec!r}", expected="a Python file", came=str(path), remedy="name the .py file that the factory is in"
        )
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # before it runs: dataclasses and pickling look the module up
    try:
        with _search_first(path.parent):
            found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _import_error(spec, path, error) from error
    return module


def _import_module(name: str, base: Path, spec: str) -> ModuleType:
    """Import a module by name; one that lies beside the configuration goes before an imported one of the same name."""
    own = base.joinpath(*name.split("."))
    if "." not in name and own.with_suffix(".py").is_file():
        return _import_file(own.with_suffix(".py"), spec)
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise _import_error(spec, name, error) from error
    file = getattr(module, "__file__", None)
    beside = own.with_suffix(".py").is_file() or (own / "__init__.py").is_file()
    if beside and file is not None and not Path(file).resolve().is_relative_to(base):
        raise NetworkError(
            f"factory {spec!r}: another module of this name is imported already",
            expected=f"a module in {base}",
            came=str(file),
            remedy="give the file instead: 'path/to/file.py:factory'",
        )
    return module


def _import_error(spec: str, where: str | Path, error: BaseException) -> NetworkError:
    line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
    return NetworkError(
        f"factory {spec!r}: {where}",
        expected="a module that can be imported",
        came=f"{type(error).__name__}: {error}{line}",
        remedy="import it in Python by itself; modules are searched beside the configuration and on PYTHONPATH",
    )


def _attribute(module: ModuleType, name: str, spec: str) -> Any:  # noqa: ANN401 - a user's object can be anything
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            public = [key for key in dir(value) if not key.startswith("_")]
            near = difflib.get_close_matches(part, public, 3)
            raise NetworkError(
                f"factory {spec!r}",
                expected="a name in it",
                came=f"{part!r}, which {spec.rpartition(':')[0]} has not",
                remedy=f"did you mean {' or '.join(near)}" if near else "give the name of a function or class in it",
            )
        value = getattr(value, part)
    return value


def _call(factory: Any, arguments: dict[str, Any], spec: str, table: str) -> Any:  # noqa: ANN401
    if isinstance(factory, nn.Module) and not arguments:
        return factory
    if not callable(factory):
        raise NetworkError(
            f"factory {spec!r} cannot be called",
            expected="a function or a class",
            came=type(factory).__name__,
            remedy=f"give the name of what makes the {table}"
            + (", or of an nn.Module without arguments" if table == "network" else ""),
        )
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # built-in callables have no signature
        signature = None
    if signature is not None:
        try:
            signature.bind(**arguments)
        except TypeError as error:
            raise NetworkError(
                f"factory {spec!r}: arguments do not fit ({error})",
                expected=f"{getattr(factory, '__name__', 'factory')}{signature}",
                came=", ".join(f"{key}={value!r}" for key, value in arguments.items()) or "none",
                remedy=f"correct [{table}] arguments",
            ) from error
    try:
        return factory(**arguments)
    except (Exception, SystemExit) as error:
        raise NetworkError(
            f"factory {spec!r}",
            expected="a network" if table == "network" else "an operator",
            came=f"{type(error).__name__}: {error}",
            remedy="call it in Python with these arguments: there it fails too",
        ) from error


@contextmanager
def _search_first(folder: Path) -> Generator[None]:
    """Put a folder before the others on the import path for a while."""
    entry = str(folder)
    sys.path.insert(0, entry)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)
