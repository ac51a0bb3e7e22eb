"""Loads the helper modules of this folder, which has no package."""

import importlib.util
from pathlib import Path

import pytest


def _load(name):
    spec = importlib.util.spec_from_file_location(f"report_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def factory():
    """Synthetic documents."""
    return _load("factory")


@pytest.fixture(scope="session")
def pages():
    """A reader of pages that shares no code with the renderer."""
    return _load("pages")


@pytest.fixture(scope="session")
def cdp():
    """A browser driven through its own protocol."""
    return _load("cdp")


@pytest.fixture(scope="session")
def full(factory):
    return factory.full()


@pytest.fixture(scope="session")
def html(full):
    from stabtest.report import render

    return render(full)


@pytest.fixture(scope="session")
def page(pages, html):
    return pages.read(html)
