"""Which pictures are in the report, and that all others lie beside it."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from stabtest.audit.document.pictures import choose_pictures, representative_cases
from stabtest.audit.document.sidecar import HEADS, export_pictures
from stabtest.audit.units.store import Result, Store
from stabtest.findings.records import Picture, QualityRow


def results(nrmse):
    rows = [QualityRow(case=case, method="net", nrmse=value, psnr=1.0, ssim=1.0) for case, value in nrmse.items()]
    return [(None, SimpleNamespace(rows=[row])) for row in rows]


CASES = {"a": 0.3, "b": 0.9, "c": 0.5, "d": 0.1, "e": 0.7}


def test_the_worst_the_median_and_one_more_are_chosen():
    chosen = representative_cases(results(CASES), "net", key="audit")
    assert chosen[:2] == ["b", "c"]
    assert len(set(chosen)) == 3


def test_the_random_case_is_that_of_the_key_and_not_of_the_run():
    drawn = [representative_cases(results(CASES), "net", key=f"audit {k}")[2] for k in range(40)]
    again = [representative_cases(results(CASES), "net", key=f"audit {k}")[2] for k in range(40)]
    assert drawn == again
    assert set(drawn) == {"a", "d", "e"}


@pytest.mark.parametrize("count", [1, 2])
def test_few_cases_come_once(count):
    few = dict(list(CASES.items())[:count])
    assert sorted(representative_cases(results(few), "net", key="")) == sorted(few)


def picture(name, values):
    data, low, high = Picture.encode(values)
    window = {"low": low, "high": high, "window_low": low, "window_high": high}
    given = {"section": "quality", "case": "case 1/2", "method": "net", "role": "clean", "kind": "anatomy", "caption": ""}
    return Picture(id=name, shape=values.shape, data=data, **window, **given)


@pytest.fixture
def kept(tmp_path):
    """A plan of one unit with two pictures in a store."""
    generator = np.random.default_rng(0)
    pictures = [picture(f"quality.case 1/2.{name}", generator.normal(size=(6, 5))) for name in ("shown", "left out")]
    store = Store(tmp_path / "units")
    unit = SimpleNamespace(key="0123456789abcdef")
    store.put(unit.key, "quality: net, case 1", Result(rows=[], pictures=pictures))
    return SimpleNamespace(units=[unit]), store, pictures


def test_what_the_report_does_not_show_lies_beside_it_with_its_values(kept, tmp_path):
    plan, store, (shown, left) = kept
    (path,) = export_pictures(plan, store, SimpleNamespace(pictures=[shown]), tmp_path / "pictures")
    (row,) = csv.DictReader((tmp_path / "pictures" / "index.csv").open())
    assert tuple(row) == HEADS
    assert row["file"] == path.name
    levels = np.asarray(Image.open(path)).astype(float)
    assert levels.max() > 255  # 16 bit
    values = float(row["low"]) + (float(row["high"]) - float(row["low"])) * levels / 65535
    assert np.allclose(values, left.decode(), atol=1e-12)


def test_a_report_that_shows_all_has_no_folder_beside_it(kept, tmp_path):
    plan, store, pictures = kept
    assert export_pictures(plan, store, SimpleNamespace(pictures=pictures), tmp_path / "pictures") == []
    assert not (tmp_path / "pictures").exists()


def test_of_an_audit_every_picture_is_in_one_of_both_places(audited, plan):
    store = Store(audited.out_dir / "units")
    every = {p.id for unit in plan.units for p in store.get(unit.key, pictures=True).pictures}
    rows = list(csv.DictReader((audited.out_dir / "pictures" / "index.csv").open()))
    shown = {p.id for p in audited.document.pictures}
    assert len({row["file"] for row in rows}) == len(rows) >= len(every - shown) > 0
    assert all((audited.out_dir / "pictures" / row["file"]).exists() for row in rows)


@pytest.fixture
def many(tmp_path):
    """Two cases, each with three panels of worst cases and one of structure; every picture of one size."""
    store, results, units = Store(tmp_path / "units"), [], []
    for case, nrmse in (("easy", 0.1), ("hard", 0.9)):
        for section, labels in (("worst_case", ("1", "2", "3")), ("structure", ("a",))):
            made = [
                picture(f"{section}.{case}.net.perturbed.{label}", np.eye(8)).model_copy(
                    update={
                        "section": section,
                        "case": case,
                        "role": "perturbed",
                        "radius": float(label) if label in "123" else None,
                    }
                )
                for label in labels
            ]
            unit = SimpleNamespace(key=f"{case}{section}".encode().hex(), case=case, test=section)
            rows = [QualityRow(case=case, method="net", nrmse=nrmse, psnr=1.0, ssim=1.0)]
            store.put(unit.key, section, Result(rows=[], pictures=made))
            units.append((unit, SimpleNamespace(rows=rows)))
            results += made

    def chosen(count):
        audit = SimpleNamespace(pictures_mb=(count + 0.5) * len(results[0].data) / 1e6)
        subject = SimpleNamespace(method=SimpleNamespace(name="net"))
        plan = SimpleNamespace(subjects=[subject], id="audit", config=SimpleNamespace(audit=audit))
        return choose_pictures(plan, store, units)

    return chosen


def test_every_section_shows_its_first_panel_before_any_shows_its_second(many):
    pictures, _ = many(2)
    assert {one.id for one in pictures} == {"worst_case.hard.net.perturbed.3", "structure.hard.net.perturbed.a"}


def test_pictures_stand_in_the_order_of_the_sections_whenever_they_were_chosen(many):
    pictures, _ = many(4)
    assert [one.section for one in pictures] == ["worst_case"] * 3 + ["structure"]
    assert {one.case for one in pictures} == {"hard"}


def test_what_was_left_out_is_said(many):
    assert "3 of 8 panels" in many(5)[1][0]
    assert many(8)[1] == []
