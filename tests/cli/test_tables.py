"""Tables in the terminal: what they show of many audits."""

import io

import pytest
from rich.console import Console

from stabtest.cli.tables import BESIDE, LEADING, print_comparison
from stabtest.report.comparison import Audit
from tests.report.factory import full


def printed(audits, *, width=130):
    console = Console(file=io.StringIO(), width=width)
    print_comparison(audits, console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def document():
    return full(cases=2)


def test_few_audits_stand_beside_one_another_with_all_statistics(document):
    audits = [Audit(f"audit{k}", document) for k in range(2)]
    text = printed(audits)
    assert "audit0" in text.splitlines()[2]
    for finding in document.findings:
        if finding.method == audits[0].tested and finding.value is not None:
            assert finding.statistic in text


def test_many_audits_are_rows_whose_names_are_whole(document):
    audits = [Audit(f"a-reconstructor-of-number-{k}", document) for k in range(BESIDE + 1)]
    lines = printed(audits).splitlines()
    values = [
        f"{finding.value:.3g}" for name in LEADING if (finding := audits[0].finding(name, audits[0].tested)) and finding.value
    ]
    assert values
    for audit in audits:
        (row,) = [line for line in lines if f" {audit.name} " in line]
        assert all(value in row for value in values)
    assert max(map(len, lines)) <= 130
