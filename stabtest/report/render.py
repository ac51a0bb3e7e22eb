"""Page -> HTML: one file that needs nothing else and asks for nothing.

Strings are escaped by Jinja's autoescape, unknown names are errors (`jinja2.StrictUndefined`). The Content Security Policy
(W3C, CSP Level 3) refuses everything but ``data:`` images and the one style sheet and the one script whose SHA-256 it names, so
that even a string that slipped through could neither run nor load anything.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from stabtest.findings.document import Document
from stabtest.report.blocks import Page
from stabtest.report.text import breaks, finalize
from stabtest.report.view import build


def render(document: Document) -> str:
    """The report of a document as one HTML page; the same document gives the same page.

    Parameters
    ----------
    document
        What was found. Nothing else is read: no file, no clock, no network.

    Returns
    -------
    str
        The page.
    """
    return render_page(build(document))


def render_page(page: Page) -> str:
    """A page as HTML."""
    style, script = _asset("style.css"), _script()
    policy = (
        "default-src 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    template = _environment().get_template("report.html.j2")
    return template.render(page=page, policy=policy, style=Markup(style), script=Markup(script))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stabtest.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breaks"] = breaks
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment


@cache
def _asset(name: str) -> str:
    return files("stabtest.report").joinpath(name).read_text("utf-8")


def _script() -> str:
    """The one script of a page, in a scope of its own."""
    return '"use strict";\n(() => {\n' + _asset("script.js") + _asset("viewer.js") + "})();\n"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
