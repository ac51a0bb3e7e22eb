"""The exit status of ``stabtest report`` says what that of ``stabtest audit`` said."""

import pytest
from typer.testing import CliRunner

from stabtest.cli.app import app
from stabtest.findings import Criterion, Document, Finding, decide
from stabtest.findings.document import Cost, DataInfo, Item, Tool
from stabtest.findings.records import Failure, Interval
from stabtest.findings.verdicts import criteria_hash
from stabtest.report import write_report

CRITERION = Criterion(id="C", statistic="quality.nrmse.median", rule="at most", limit=0.1)


def document(value, failures):
    finding = Finding(
        test="quality",
        statistic=CRITERION.statistic,
        method="net",
        value=value,
        interval=Interval(lower=value, upper=value, level=0.95, method=""),
        unit="",
        n=9,
        valid=True,
        witness=None,
        sentence="A sentence.",
    )
    return Document(
        id="a",
        title="An audit",
        created="2025-02-03T10:20:30Z",
        tool=Tool(version="0", commit=None, python="3", packages={}, platform="", device="cpu", threads=1),
        command="stabtest audit a.toml",
        configuration={},
        configuration_sha256="c" * 64,
        seed=0,
        modality="mri",
        items=[Item(name="net", role="under test", description="")],
        operator={},
        data=DataInfo(source="", simulated=True, cases=[]),
        gates=[],
        quality=[],
        criteria=[CRITERION],
        criteria_sha256=criteria_hash([CRITERION]),
        criteria_frozen="2025-02-03T10:20:30Z",
        findings=[decide(finding, CRITERION)],
        failures=failures,
        cost=Cost(wall_seconds=0, units=1, gradient_evaluations=0),
    )


@pytest.mark.parametrize(("value", "failed", "status"), [(0.05, False, 0), (0.05, True, 3), (0.5, False, 1), (0.5, True, 1)])
def test_status_of_report(tmp_path, value, failed, status):
    failures = [Failure(unit="quality: net, case 7", error="wrong output")] if failed else []
    write_report(document(value, failures), tmp_path)
    assert CliRunner().invoke(app, ["report", str(tmp_path)]).exit_code == status


def test_other_criteria_do_not_forget_the_units_that_failed(tmp_path):
    write_report(document(0.05, [Failure(unit="quality: net, case 7", error="wrong output")]), tmp_path)
    other = tmp_path / "other.toml"
    other.write_text('[[criterion]]\nid = "D"\nstatistic = "quality.nrmse.median"\nrule = "at most"\nlimit = 0.2\n')
    result = CliRunner().invoke(app, ["report", str(tmp_path), "--criteria", str(other)])
    assert result.exit_code == 3
    assert "INCONCLUSIVE" in result.output
