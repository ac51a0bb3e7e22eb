"""The exit status of ``stabtest report`` says what that of ``stabtest audit`` said."""

import pytest
from typer.testing import CliRunner

from stabtest.cli.app import app
from stabtest.report import write_report
from tests.cli.judged import document


@pytest.mark.parametrize(("value", "failed", "status"), [(0.05, False, 0), (0.05, True, 3), (0.5, False, 1), (0.5, True, 1)])
def test_status_of_report(tmp_path, value, failed, status):
    write_report(document(value, failures=(7,) if failed else ()), tmp_path)
    assert CliRunner().invoke(app, ["report", str(tmp_path)]).exit_code == status


def test_other_criteria_do_not_forget_the_units_that_failed(tmp_path):
    write_report(document(0.05, failures=(7,)), tmp_path)
    other = tmp_path / "other.toml"
    other.write_text('[[criterion]]\nid = "D"\nstatistic = "quality.nrmse.median"\nrule = "at most"\nlimit = 0.2\n')
    result = CliRunner().invoke(app, ["report", str(tmp_path), "--criteria", str(other)])
    assert result.exit_code == 3
    assert "INCONCLUSIVE" in result.output
