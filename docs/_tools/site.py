"""What the site has beside the files of ``docs``: pages of the repository's root, the API from the docstrings; and what it must not have.

A page of the API is a room of the package: what its ``__init__`` says and exports, then the docstrings of its modules, read from the
source without importing it. After the build every page is searched for anything that a browser would load from another host.
"""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
ROOT_PAGES = {"Contributing": "CONTRIBUTING.md", "Changelog": "CHANGELOG.md"}
LOADED = re.compile(
    r"""<(?:script|img|iframe|link(?=[^>]*(?:stylesheet|icon|preload|preconnect)))\b[^>]*(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The pages that are made here go into the navigation."""
    nav: list[Any] = list(config.nav or [])
    nav.append({"API": [{name: f"api/{name}.md"} for name in rooms()]})
    nav.append({"Project": [{title: name} for title, name in ROOT_PAGES.items()]})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make the pages that are not files of ``docs``."""
    for name in ROOT_PAGES.values():
        text = (ROOT / name).read_text("utf-8")
        files.append(File.generated(config, name, content=text))
    for name, modules in rooms().items():
        files.append(File.generated(config, f"api/{name}.md", content=api_page(name, modules)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Links to the repository's root lead to the pages made of it; words for the tests after the language of a block go."""
    return re.sub(r"^```(\w+) runnable(?: continued)?", r"```\1", markdown.replace("](../C", "](C"), flags=re.M)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that would load anything from elsewhere."""
    for page in Path(config.site_dir).rglob("*.html"):
        found = LOADED.findall(page.read_text("utf-8"))
        if found:
            raise PluginError(f"{page.name} loads from elsewhere: {sorted(set(found))}")


def rooms() -> dict[str, list[str]]:
    """Dotted name of a room -> its modules, the room itself first."""
    found: dict[str, list[str]] = {}
    for package in ("stabtest", "reconstructors"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if path.name == "__main__.py" or "templates" in parts:
                continue
            name = ".".join(parts[:-1] if path.name == "__init__.py" else parts)
            room = (
                ".".join(parts[:2])
                if package == "stabtest" and len(parts) > 1 and path.name != "__init__.py"
                else ".".join(parts[:1])
            )
            if package == "stabtest" and path.name == "__init__.py":
                room = ".".join(parts[:2]) if len(parts) > 2 else package
            if not any(part.startswith("_") for part in name.split(".")):
                found.setdefault(room, []).append(name)
    return {room: sorted(modules, key=lambda name: (name != room, name)) for room, modules in sorted(found.items())}


def api_page(room: str, modules: list[str]) -> str:
    """Markdown of a page of the API."""
    lines = [f"# {room}", ""]
    exported = exports(room)
    if exported:
        lines += ["| Exported | From |", "|---|---|"]
        for name, module in exported.items():
            shown = f"[`{name}`][{module}.{name}]" if name in documented(module) else f"`{name}`"
            lines.append(f"| {shown} | `{module}` |")
        lines.append("")
    for module in modules:
        lines += [f"## {module}", "", f"::: {module}", "    options:", "      show_root_heading: false"]
        if (ROOT / Path(*module.split("."))).is_dir():
            own = sorted(name for name in documented(module) if not name.startswith("_"))
            lines.append(f"      members: {own or 'false'}")  # what it exports of others stands with the module that defines it
        lines.append("")
    return "\n".join(lines)


def exports(room: str) -> dict[str, str]:
    """Names in ``__all__`` of a package -> the module that defines them."""
    file = ROOT / Path(*room.split(".")) / "__init__.py"
    if not file.is_file():
        return {}
    tree = ast.parse(file.read_text("utf-8"))
    found: dict[str, str] = {}
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: node.module for alias in node.names}
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            names = [str(each) for each in ast.literal_eval(node.value)]
    return {name: found[name] for name in names if name in found and found[name] != room}


def documented(module: str) -> set[str]:
    """Names of a module that have a docstring, and so a place on its page."""
    base = ROOT / Path(*module.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    body = ast.parse(file.read_text("utf-8")).body
    found = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node)}
    for node, after in itertools.pairwise(body):
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found
