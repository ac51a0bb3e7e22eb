"""Audits side by side: names, what differs, refusal, and that the page says what the documents say."""

import json
from pathlib import Path

import pytest

from stabtest.errors import AuditError, DataError
from stabtest.findings.records import Interval
from stabtest.report import write_report
from stabtest.report.comparison import Audit, comparison, read_audits, require_one_protocol, write_comparison
from stabtest.report.comparison.audits import _names, by_scan
from stabtest.report.comparison.figures import figures, groups
from stabtest.report.comparison.protocols import differences, touching, unrecorded
from stabtest.report.numbers import read
from stabtest.report.render import render_page

CONFIGURATION = {
    "audit": {"title": "t", "seed": 1},
    "network": {"zoo": "unet-mri"},
    "operator": {"kind": "fourier", "size": 96},
    "reference": {"weight": 0.01},
    "worst_case": {"enabled": True, "radii": [0.01], "evaluations": 60},
    "kernel": {"enabled": False, "points": 3},
}


def configured(document, **changes):
    tables = {name: {**table, **changes.get(name, {})} for name, table in CONFIGURATION.items()}
    return document.model_copy(update={"configuration": tables})


@pytest.fixture(scope="module")
def small(factory):
    return configured(factory.full(cases=2, size=16))


@pytest.fixture
def folders(tmp_path, small):
    other = configured(small, worst_case={"evaluations": 600}).model_copy(update={"id": "audit-0002"})
    for name, document in (("a/one", small), ("b/one", other)):
        write_report(document, tmp_path / name)
    return [tmp_path / "a" / "one", tmp_path / "b" / "one"]


@pytest.fixture
def audits(folders, tmp_path):
    return read_audits(folders, page=tmp_path / "out" / "index.html")


def same(small):
    return [Audit("first", small), Audit("second", small.model_copy(update={"id": "b"}))]


def test_equal_items_are_told_apart_by_their_folders(audits):
    assert [audit.name for audit in audits] == ["unet-mri (a/one)", "unet-mri (b/one)"]


def test_folders_that_end_alike_are_told_apart():
    assert _names(["n", "n"], [Path("/x/p/q"), Path("/y/p/q")]) == ["n (x/p/q)", "n (y/p/q)"]


def test_links_start_at_the_page(audits, tmp_path):
    assert audits[0].link == "../a/one/report.html"
    assert (tmp_path / "out" / audits[0].link).resolve().exists()


def test_one_audit_is_no_comparison(folders, tmp_path):
    with pytest.raises(DataError, match="at least two"):
        read_audits(folders[:1], page=tmp_path / "x.html")


def test_the_same_folder_twice_is_refused(folders, tmp_path):
    with pytest.raises(DataError, match="twice"):
        read_audits([folders[0], folders[0] / "report.json"], page=tmp_path / "x.html")


def test_equal_protocols_have_no_difference(small):
    assert differences(same(small)) == ()
    require_one_protocol(same(small))


def test_a_changed_setting_is_named_with_both_values(audits):
    (found,) = differences(audits)
    assert (found.key, found.values) == ("worst_case.evaluations", ("60", "600"))


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"network": {"zoo": "other"}}, 0),
        ({"audit": {"title": "other"}}, 0),
        ({"kernel": {"points": 4}}, 0),
        ({"operator": {"size": 64}}, 1),
        ({"reference": {"weight": 0.5}}, 1),
    ],
)
def test_only_what_a_statistic_can_depend_on_counts(small, changes, count):
    assert len(differences([Audit("a", small), Audit("b", configured(small, **changes))])) == count


def test_another_seed_and_other_data_count(small):
    data = small.data.model_copy(update={"files": {"mask.npy": "b" * 64}})
    other = small.model_copy(update={"seed": 8, "data": data})
    keys = {each.key for each in differences([Audit("a", small), Audit("b", other)])}
    assert keys == {"audit.seed", "data.sha256.mask.npy"}


def test_a_setting_that_one_audit_does_not_have_is_no_difference_and_is_counted(small):
    pair = [Audit("a", small), Audit("b", configured(small, operator={"coils": 4}))]
    assert differences(pair) == ()
    assert unrecorded(pair) == 1


def test_a_difference_touches_the_statistics_of_its_own_test_only(audits):
    found = differences(audits)
    assert touching(found, "worst_case.gain.max") == found
    assert touching(found, "noise.nrmse.growth") == ()


def test_another_reference_touches_comparisons_with_it_only(small):
    found = differences([Audit("a", small), Audit("b", configured(small, reference={"weight": 0.5}))])
    assert touching(found, "worst_case.relative_change.ratio_to_reference")
    assert not touching(found, "worst_case.relative_change.max")


def test_differing_protocols_are_refused_where_that_is_asked_for(audits):
    with pytest.raises(AuditError, match=r"worst_case.evaluations \(60, 600\)"):
        require_one_protocol(audits)


def test_the_page_is_whole_and_flags_the_difference(audits, pages, tmp_path):
    file = write_comparison(audits, tmp_path / "out" / "index.html", title="All <of> them")
    page = pages.read(file.read_text("utf-8"))
    assert page.faults == []
    assert len(page.ids) == len(set(page.ids))
    rows = {row["Statistic"][0]: row for row in page.records("comparison-table")}
    assert rows["worst_case.relative_change.max"]["Protocol"][0] == "1 differ"
    assert rows["quality.psnr.median (dB)"]["Protocol"][0] == "same"
    assert [row["unet-mri (b/one)"][0] for row in page.records("protocols-table")] == ["600"]
    for attributes in page.of("a"):
        link = attributes["href"]
        assert link[1:] in page.ids if link.startswith("#") else (file.parent / link.partition("#")[0]).exists()


def test_every_value_equals_the_document(audits, pages):
    page = pages.read(render_page(comparison(audits)))
    for table, methods in (("comparison-table", "tested"), ("references-table", "reference")):
        for record in page.records(table):
            statistic = record["Statistic"][0].split(" ")[0]
            for audit in audits:
                finding = audit.finding(statistic, getattr(audit, methods))
                shown, exact = record[audit.name]
                if finding is None or finding.value is None:
                    assert exact is None
                else:
                    assert float(exact) == finding.value
                    assert read(shown.partition(" [")[0]) == pytest.approx(finding.value, rel=5.1e-3)


def test_the_numbers_of_the_plots_equal_the_document(audits, pages):
    page = pages.read(render_page(comparison(audits)))
    for audit in audits:
        section = audit.document.worst_case
        for record in page.records("damage-table"):
            if record["Audit"][0] != audit.name:
                continue
            rows = [r for r in section.rows if r.method == record["Method"][0] and r.radius == float(record["Radius"][1])]
            assert float(record["Change found, largest"][1]) == max(row.relative_change for row in rows)
            assert float(record["Gain found, largest"][1]) == max(row.gain for row in rows)


def test_every_verdict_is_listed_under_its_audit(audits, pages):
    page = pages.read(render_page(comparison(audits)))
    rows = page.records("verdicts-table")
    assert len(rows) == 2 * len(audits[0].document.criteria)
    decided = {(f.criterion.id, f.verdict.value) for f in audits[0].document.findings if f.criterion is not None}
    assert {(row["Criterion"][0], row["Verdict"][0]) for row in rows} == decided | {("C5", "NOT RUN")}


def test_an_invalid_value_is_marked(small, pages):
    findings = [f.model_copy(update={"valid": False}) for f in small.findings]
    pair = [Audit("a", small), Audit("b", small.model_copy(update={"findings": findings}))]
    page = pages.read(render_page(comparison(pair)))
    rows = page.records("comparison-table")
    assert all("INVALID" in row["b"][0] for row in rows if row["b"][1] is not None)
    assert not any("INVALID" in row["a"][0] for row in rows)


def test_radii_of_different_sets_are_not_drawn_together(small):
    other = small.model_copy(update={"worst_case": small.worst_case.model_copy(update={"norm": "linf"})})
    assert len(groups([Audit("a", small), Audit("b", other)])) == 2
    assert len(groups(same(small))) == 1


def test_plots_of_different_sets_have_the_same_scales(small):
    rows = [row.model_copy(update={"relative_change": 100 * row.relative_change}) for row in small.worst_case.rows]
    section = small.worst_case.model_copy(update={"unit": "noise", "rows": rows})
    first, second, *_ = figures([Audit("a", small), Audit("b", small.model_copy(update={"worst_case": section}))])
    ticks = [[part.split("<")[0] for part in figure.svg.split('text-anchor="end">')[1:]] for figure in (first, second)]
    assert ticks[0] == ticks[1]


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x>', "a\u202eb"])
def test_hostile_names_stay_text(small, pages, text):
    items = [item.model_copy(update={"name": text}) if item.role == "under test" else item for item in small.items]
    document = small.model_copy(update={"title": text, "items": items, "configuration": {"operator": {text: text}}})
    page = pages.read(render_page(comparison([Audit(text, document), Audit("b", small)], title=text)))
    assert page.faults == []
    assert len(page.of("script")) == 1
    assert not [a for a in page.of("a") if not a["href"].startswith("#")]


def test_audits_without_any_result_are_shown(factory, pages):
    page = pages.read(render_page(comparison([Audit("a", factory.document()), Audit("b", factory.document())])))
    assert page.faults == []
    assert "No audit has a criterion" in page.text
    assert "No audit searched for worst cases" in page.text


def test_an_open_bound_is_a_dot(small, pages):
    half = Interval(lower=0.25, upper=None, level=0.95, method="")
    findings = [f.model_copy(update={"interval": half, "value": 0.5}) for f in small.findings]
    document = small.model_copy(update={"findings": findings})
    rows = pages.read(render_page(comparison([Audit("a", document), Audit("b", document)]))).records("comparison-table")
    assert rows[0]["a"][0] == "0.500 [0.250, ·]"


def test_a_place_that_cannot_be_written_is_said(audits, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match="can be written"):
        write_comparison(audits, tmp_path / "file" / "index.html")


def test_the_command_flags_or_refuses(folders, tmp_path):
    from typer.testing import CliRunner

    from stabtest.cli.app import app

    out = tmp_path / "index.html"
    arguments = ["compare", *map(str, folders), "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, out.exists()) == (0, True)
    assert "differs" in result.output
    out.unlink()
    refused = CliRunner().invoke(app, [*arguments, "--same-protocol"])
    assert (refused.exit_code, out.exists()) == (2, False)


def test_a_published_schema_is_not_needed_to_read_an_older_document(folders, tmp_path):
    """Documents of version 1 can be compared with those of today."""
    file = folders[0] / "report.json"
    old = json.loads(file.read_text())
    old["schema_version"] = 1
    file.write_text(json.dumps(old))
    assert len(read_audits(folders, page=tmp_path / "x.html")) == 2


def many_audits(small):
    """Nine audits of one scan, each with another budget, and one of another scan."""
    alike = [
        Audit(f"net {n}", configured(small, worst_case={"evaluations": n}).model_copy(update={"id": f"a{n}"})) for n in range(9)
    ]
    elsewhere = small.model_copy(update={"operator": {"kind": "Radon", "height": 8, "width": 8}, "id": "ct"})
    return [*alike, Audit("ct", configured(elsewhere, worst_case={"evaluations": 3}))]


def test_many_audits_stand_with_those_of_their_scan_in_tables_that_can_be_read(small):
    grouped = by_scan(many_audits(small))
    assert [[audit.name for audit in members] for _, members in grouped] == [[f"net {n}" for n in range(8)], ["net 8"], ["ct"]]
    assert grouped[2][0].startswith("Radon, 8 × 8")


def test_of_many_audits_each_value_of_a_setting_has_a_row(small):
    text = render_page(comparison(many_audits(small)))
    table = text[text.index('id="protocols-table"') :].partition("</table>")[0]
    assert table.replace("<wbr>", "").count("worst_case.evaluations") == 9
    assert "net 3, ct" in table
    assert all(f'id="comparison-table-{n}"' in text for n in (1, 2, 3))
