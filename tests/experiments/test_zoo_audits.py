"""Audits of the zoo: the configurations are valid, and the published pages are theirs."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from experiments.zoo_audits.__main__ import PUBLISHED, publish, write_configuration
from experiments.zoo_audits.scan import AUDITED, NO_IMAGES, configuration
from reconstructors import zoo
from stabtest.audit.config.file import load_config
from stabtest.report import load_document, write_report
from tests.report.factory import full

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.parent.name for path in (ROOT / PUBLISHED).glob("*/report.json"))


def test_everything_in_the_zoo_is_audited_is_the_reference_or_makes_no_images():
    assert sorted([*AUDITED, *NO_IMAGES, "tv"]) == sorted(zoo.names())


@pytest.mark.parametrize("name", AUDITED)
def test_the_configuration_is_valid_and_says_what_was_meant(name, tmp_path):
    file = tmp_path / "stabtest.toml"
    write_configuration(name, file)
    assert tomllib.loads(file.read_text(encoding="utf-8")) == configuration(name)
    assert load_config(file).network.zoo == name


@pytest.mark.parametrize("name", PAGES)
def test_a_published_page_is_of_the_configuration_beside_it(name):
    folder = ROOT / PUBLISHED / name
    document = load_document(folder / "report.json")
    told = json.loads(json.dumps(load_config(folder / "stabtest.toml").model_dump(mode="json")))
    assert document.configuration == told
    assert tomllib.loads((folder / "stabtest.toml").read_text(encoding="utf-8")) == configuration(name)


def test_what_is_published_beside_a_page_has_its_numbers_and_not_its_pictures(tmp_path):
    work, page = tmp_path / "work", tmp_path / "page"
    page.mkdir()
    write_report(full(cases=2), work)
    publish(work, page)
    whole, slim = load_document(work), load_document(page)
    assert whole.pictures
    assert not slim.pictures
    assert slim.model_copy(update={"pictures": whole.pictures}) == whole
    assert (page / "report.html").read_bytes() == (work / "report.html").read_bytes()


@pytest.mark.parametrize("name", PAGES)
def test_a_published_page_is_below_five_megabytes(name):
    assert (ROOT / PUBLISHED / name / "report.html").stat().st_size < 5e6
