import re
from pathlib import Path

import pytest

from stabtest.audit.config.file import parse_config
from stabtest.errors import ConfigError
from stabtest.findings.statistic_names import STATISTICS

CRITERION = 'network.zoo = "tv"\n[[criterion]]\nid = "C1"\nstatistic = "{}"\nrule = "at most"\nlimit = 1.0\n'


def test_the_list_is_what_an_audit_finds(audited):
    assert {finding.statistic for finding in audited.document.findings} == set(STATISTICS)


def test_the_list_is_what_the_documentation_explains():
    page = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")
    table = page[page.index("### Statistics") :].partition('"Can PASS" is')[0]
    assert set(re.findall(r"^\| `([\w.]+)` \|", table, re.M)) == set(STATISTICS)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_statistic_can_have_a_criterion(statistic):
    assert parse_config(CRITERION.format(statistic)).criterion[0].statistic == statistic


def test_a_misspelt_statistic_is_refused_with_the_nearest():
    with pytest.raises(
        ConfigError, match=r'C1: statistic.*"worst_case.relative_chnage.max".*did you mean "worst_case.relative_change.max"'
    ):
        parse_config(CRITERION.format("worst_case.relative_chnage.max"))


def test_an_unknown_statistic_is_refused_with_the_list():
    with pytest.raises(ConfigError, match=r"the keys are quality\.nrmse\.median, "):
        parse_config(CRITERION.format("zzz"))
