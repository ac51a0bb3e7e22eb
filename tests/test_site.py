"""The site of the documentation: every page in its navigation, nothing from elsewhere. Built with warnings as errors by `make docs`."""

import importlib.util
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def leaves(value):
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from leaves(inner)


def test_every_page_is_in_the_navigation_once():
    assert sorted(leaves(SITE["nav"])) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_nothing_is_loaded_from_elsewhere():
    assert SITE["theme"]["font"] is False
    assert [text for text in leaves(SITE) if "//" in text] == []


@pytest.fixture(scope="module")
def hooks():
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "docs" / "_tools" / "site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://cdn.example/x.js">', True),
        ('<link rel="stylesheet" href="//fonts.example/x.css">', True),
        ('<link href="https://fonts.example" rel="preconnect">', True),
        ("<img src=http://e.example/p.png>", True),
        ('<a href="https://e.example">', False),
        ('<script src="assets/x.js">', False),
    ],
)
def test_what_a_browser_would_load_is_seen(hooks, html, found):
    assert bool(hooks.LOADED.search(html)) is found


def test_every_module_has_a_page(hooks):
    listed = [module for modules in hooks.rooms().values() for module in modules]
    assert len(listed) == len(set(listed))
    assert {"stabtest.search.ascent", "stabtest.audit.config.settings.scan", "reconstructors.tgv", "stabtest.phantoms"} <= set(
        listed
    )
