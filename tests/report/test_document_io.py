import json
import math

import jsonschema
import pytest

from stabtest.errors import AuditError, DataError
from stabtest.report import document_io, json_schema, load_document, render, write_report


def test_a_written_document_reads_back_equal(tmp_path, full):
    paths = write_report(full, tmp_path / "new" / "folder")
    assert load_document(paths.json) == full
    assert load_document(paths.json.parent) == full
    assert paths.html.read_text("utf-8") == render(full)


def test_infinities_and_nan_survive(tmp_path, factory, full):
    row = full.worst_case.rows[0].model_copy(update={"gain": math.inf, "local_damage": -math.inf, "violation": math.nan})
    document = full.model_copy(update={"worst_case": full.worst_case.model_copy(update={"rows": [row]})})
    back = load_document(write_report(document, tmp_path).json).worst_case.rows[0]
    assert back.gain == math.inf
    assert back.local_damage == -math.inf
    assert math.isnan(back.violation)


def test_no_temporary_file_is_left(tmp_path, full):
    write_report(full, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_a_failed_write_leaves_what_was_there(tmp_path, full, factory, monkeypatch):
    write_report(full, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(document_io.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(AuditError, match="no space left"):
        write_report(factory.document(), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_page_that_cannot_be_rendered_leaves_nothing(tmp_path, full, monkeypatch):
    monkeypatch.setattr(document_io, "render", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(full, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"report\.json.*stabtest audit"):
        load_document(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_called_so(tmp_path, full, share):
    text = full.model_dump_json()
    (tmp_path / "report.json").write_text(text[: int(share * len(text))])
    with pytest.raises(DataError, match="truncated"):
        load_document(tmp_path)


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00", b"[" * 100_000])
def test_bytes_that_are_no_json_are_refused(tmp_path, raw):
    (tmp_path / "report.json").write_bytes(raw)
    with pytest.raises(DataError):
        load_document(tmp_path)


def test_a_newer_schema_asks_for_an_upgrade(tmp_path, full):
    changed = {**json.loads(full.model_dump_json()), "schema_version": 99, "new_section": {}}
    (tmp_path / "report.json").write_text(json.dumps(changed))
    with pytest.raises(AuditError, match=r"newer stabtest.*version 99.*upgrade"):
        load_document(tmp_path)


@pytest.mark.parametrize("change", [{"seed": "many"}, {"unknown": 1}, {"items": [{}]}])
def test_an_invalid_document_names_the_place(tmp_path, full, change):
    changed = {**json.loads(full.model_dump_json()), **change}
    (tmp_path / "report.json").write_text(json.dumps(changed))
    with pytest.raises(AuditError, match=next(iter(change))):
        load_document(tmp_path)


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_json_that_is_no_document_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(AuditError, match="not a valid report"):
        load_document(tmp_path)


def test_documents_fit_the_published_schema(factory, full):
    validator = jsonschema.Draft202012Validator(json_schema())
    for document in (factory.document(), full):
        assert list(validator.iter_errors(json.loads(document.model_dump_json()))) == []


def test_the_published_schema_refuses_what_the_reader_refuses(full):
    validator = jsonschema.Draft202012Validator(json_schema())
    good = json.loads(full.model_dump_json())
    for change in ({"seed": "many"}, {"unknown": 1}, {"schema_version": 99}):
        assert list(validator.iter_errors({**good, **change}))


def test_a_document_of_version_1_loads_and_its_radii_are_relative(tmp_path, full):
    """As it was written before radii had a unit: without the keys that came with version 2."""
    old = json.loads(full.model_dump_json())
    old["schema_version"] = 1
    new = ("unit", "norm", "region", "nonnegative")
    for table in (old["worst_case"], *old["worst_case"]["rows"]):
        for key in (*new, "spread"):
            table.pop(key, None)
    (tmp_path / "report.json").write_text(json.dumps(old))
    section = load_document(tmp_path).worst_case
    assert (section.unit, section.norm, section.region, section.nonnegative) == ("relative", "l2", None, False)
    assert {row.spread for row in section.rows} == {None}
