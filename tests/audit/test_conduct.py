import json
import shutil

import numpy as np
import pytest
import torch

from stabtest.audit import load_config, make_plan, run
from stabtest.audit.conduct import freeze_criteria, one_thread
from stabtest.findings import Document, Verdict

TIMING = {"created", "cost"}


def comparable(document):
    """A document without what differs from run to run by its nature."""
    return {key: value for key, value in json.loads(document.model_dump_json()).items() if key not in TIMING}


def test_every_unit_is_measured(audited, plan):
    assert audited.document.failures == []
    assert audited.complete
    assert len(plan.units) == 2 * 3 * 10 + 3 + 1  # ten tests of every method on every case, repeatability on the first, bounds


def test_every_section_is_filled(audited):
    document = audited.document
    assert len(document.quality) == 2 * 3
    assert len(document.worst_case.rows) == 2 * 3 * 2
    assert len(document.structure.rows) == 2 * 3 * 2
    assert {(row.detail, row.diameter_px, row.modulation is None) for row in document.structure.rows} == {
        ("lesion", 4.0, True),
        ("line pairs", 8.0, False),
    }
    assert "lesion (4), line pairs (8)" in document.structure.description
    assert len(document.missed_lesion.rows) == 2 * 3
    assert {row.method: row.reference for row in document.missed_lesion.rows} == {
        "small": "tv",
        "tv": None,
        "zero-filled": "tv",
    }
    assert all(row.evaluations <= 8 for row in document.missed_lesion.rows)
    assert "8 reconstructions for each method and case" in document.missed_lesion.budget
    assert len(document.sampling.rows) == 2 * 3 * 3
    assert len(document.sampling.patterns) == 2 * 3 * 3
    assert len(document.noise.rows) == 2 * 3 * 2
    assert len(document.repeatability.rows) == 3 * 6
    section = document.image_quality
    assert [len(rows) for rows in (section.transfer, section.noise_power, section.bias, section.uniformity)] == [12, 6, 6, 6]
    assert len(section.statements) == 3 * (2 + 1)  # of every method in every case and over patients
    assert "2 of them" in section.description
    assert [len(document.shift.rows), len(document.shift.statements)] == [2 * 3 * 3, 3 * 3]
    assert {row.family: row.finer for row in document.shift.rows} == {"object": True, "scan": True, "searched": True}
    assert "grid twice as fine" in document.shift.description
    assert "intensity up to 10 %" in document.shift.description
    assert "3 points of a grid, then 1 ascent of at most 1 step;" in document.shift.description
    section = document.detectability
    assert [len(section.rows), len(section.thresholds)] == [2 * 3 * 3, 2 * 3]
    assert "contrasts 0.4, 0.8 of the largest pixel" in section.description
    section = document.kernel
    assert [len(section.errors), len(section.transfers), len(section.sfrc)] == [2 * 3, 2 * 3 * 2, 2 * 3]
    assert "by 1 random start for each family" in section.description
    assert {bracket.name for bracket in document.lipschitz.brackets} == {"network alone", "measurement to image"}
    assert [item.role for item in document.items] == ["under test", "reference", "baseline"]


def test_the_document_survives_json(audited):
    text = audited.document.model_dump_json()
    assert Document.model_validate_json(text).model_dump_json() == text


def test_the_report_stays_small(audited):
    assert len(audited.document.model_dump_json()) < 4_000_000


def test_verdicts_are_those_of_the_rule(audited):
    judged = {f.criterion.id: f.verdict for f in audited.document.findings if f.criterion is not None}
    assert judged == {"C1": Verdict.FAIL, "C2": Verdict.INCONCLUSIVE}
    assert audited.failed


def test_only_the_method_under_test_is_judged(audited):
    assert {f.method for f in audited.document.findings if f.criterion is not None} == {"small"}


def test_the_same_plan_is_resumed_whole(audited, plan):
    events = []
    again = run(plan, audited.out_dir, progress=events.append)
    assert {event.state for event in events} == {"resumed"}
    assert comparable(again.document) == comparable(audited.document)


def test_an_audit_that_lost_results_ends_the_same(audited, plan, tmp_path):
    shutil.copytree(audited.out_dir, tmp_path / "out")
    for path in sorted((tmp_path / "out" / "units").glob("*.json"))[::4]:
        path.write_bytes(path.read_bytes()[:100])
    again = run(plan, tmp_path / "out")
    assert 0 < again.document.cost.resumed_units < len(plan.units)
    assert comparable(again.document) == comparable(audited.document) | {"criteria_frozen": again.document.criteria_frozen}


def test_witnesses_show_the_finding(audited, plan):
    """The stored perturbation, put through the method anew, gives the reported change."""
    finding = next(f for f in audited.document.findings if f.criterion is not None and f.criterion.id == "C1")
    stored = np.load(audited.out_dir / "witnesses" / f"{finding.witness}.npz")["perturbation"]
    row = next(row for row in audited.document.worst_case.rows if row.witness == finding.witness)
    from stabtest.audit.cases import case_names, make_case

    case = make_case(plan.config, case_names(plan.config).index(row.case))
    e = torch.from_numpy(stored).reshape(case.measurement.shape)
    method = plan.subjects[0].method
    clean, perturbed = (method(y, case.operator) for y in (case.measurement, case.measurement + e))
    assert float((perturbed - clean).norm() / clean.norm()) == pytest.approx(finding.value, rel=1e-4)
    assert float(e.norm()) <= 0.05 * float(case.measurement.norm()) * (1 + 1e-4)


def test_pictures_come_once_and_of_representative_cases(audited):
    ids = [picture.id for picture in audited.document.pictures]
    assert len(set(ids)) == len(ids)
    assert {picture.method for picture in audited.document.pictures} >= {"truth", "small", "tv"}


def test_changed_criteria_are_a_deviation(project, audited, tmp_path):
    config = load_config(project)
    first = make_plan(config)
    shutil.copytree(audited.out_dir, tmp_path / "out")
    looser = config.model_copy(update={"criterion": config.criterion[:1]}).at(config.base_dir)
    result = run(make_plan(looser), tmp_path / "out")
    assert any("criteria were changed" in text for text in result.document.deviations)
    assert freeze_criteria(first, tmp_path / "out").deviations == ()


def test_threads_are_as_before_after_a_run():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_nothing_is_written_when_a_gate_ends_the_audit(tmp_path, write_project):
    network = "import torch\n\nclass Bad(torch.nn.Module):\n    def forward(self, x):\n        return x * float('nan')\n"
    path = write_project(tmp_path / "project", network=network + "\ndef make():\n    return Bad()\n")
    from stabtest.errors import NetworkError

    with pytest.raises(NetworkError, match="NaN"):
        run(make_plan(load_config(path)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_case_with_the_least_recovery_of_a_searched_lesion_is_shown(audited):
    rows = [row for row in audited.document.missed_lesion.rows if row.method == "small" and row.identifiable]
    least = min(rows, key=lambda row: row.recovery).case
    shown = {(p.case, p.method) for p in audited.document.pictures if p.section == "missed_lesion"}
    assert {(least, "truth"), (least, "small"), (least, "tv")} <= shown
