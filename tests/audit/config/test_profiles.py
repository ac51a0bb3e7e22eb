"""Criteria that ship: they load, can be refuted, have reasons, are never changed, and are frozen with an audit's own."""

import pytest

from stabtest.audit.config.file import load_criteria, parse_config
from stabtest.audit.config.profiles import profile, profiles
from stabtest.audit.document.rejudge import rejudge_by_profile
from stabtest.errors import ConfigError
from stabtest.findings import Verdict
from stabtest.findings.statistic_names import STATISTICS
from stabtest.findings.verdicts import criteria_hash

NETWORK = '[network]\nzoo = "unet-mri"\n'
HASHES = {
    "antun-2020/1": "b0f9f8f4018e3c964e8204670974f7c848af723b29330347d4e09ecbf6436a8a",
    "no-worse-than-reference/1": "78b63bba78078ebe26a378f3a32a91e24ae40a5a4c91ede931055c9dc3e05e96",
}
"""Of what has shipped. If this fails, somebody changed a limit that audits refer to: make a new version instead."""
OWN = '[[criterion]]\nid = "own"\nstatistic = "quality.ssim.median"\nrule = "at least"\nlimit = 0.9\n'


@pytest.mark.parametrize("each", profiles(), ids=lambda each: each.key)
def test_a_profile_that_has_shipped_is_not_changed(each):
    assert criteria_hash(each.criteria) == HASHES[each.key]


def test_every_profile_that_has_shipped_is_still_there():
    assert {each.key for each in profiles()} == set(HASHES)


@pytest.mark.parametrize("each", profiles(), ids=lambda each: each.key)
def test_every_limit_has_a_reason_and_a_statistic_that_exists(each):
    assert each.source
    for criterion in each.criteria:
        assert criterion.statistic in STATISTICS
        assert len(criterion.rationale) > 40
        assert criterion.can_be_refuted or not criterion.universal
        assert criterion.id.startswith(each.key[:8])


@pytest.mark.parametrize("each", profiles(), ids=lambda each: each.key)
def test_the_configuration_page_names_it(each):
    from pathlib import Path

    assert f"| `{each.key}` |" in (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")


def test_its_criteria_stand_before_the_own_ones():
    config = parse_config(NETWORK + '[criteria]\nprofile = "antun-2020/1"\n' + OWN)
    assert config.criterion[:-1] == profile("antun-2020/1").criteria
    assert config.criterion[-1].id == "own"


def test_without_a_profile_only_the_own_ones_count():
    assert [criterion.id for criterion in parse_config(NETWORK + OWN).criterion] == ["own"]


def test_an_own_criterion_cannot_take_the_place_of_one_of_the_profile():
    taken = OWN.replace('"own"', '"antun-2020/1 structure"')
    with pytest.raises(ConfigError, match="different one for each"):
        parse_config(NETWORK + '[criteria]\nprofile = "antun-2020/1"\n' + taken)


def test_a_misspelt_profile_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"\[criteria\] profile.*antun-2020/1"):
        parse_config(NETWORK + '[criteria]\nprofile = "antun/1"\n')


def test_a_file_of_criteria_may_name_a_profile_only(tmp_path):
    file = tmp_path / "criteria.toml"
    file.write_text('[criteria]\nprofile = "antun-2020/1"\n')
    assert load_criteria(file) == (profile("antun-2020/1").criteria, "antun-2020/1")


def test_a_file_without_criteria_is_refused(tmp_path):
    file = tmp_path / "criteria.toml"
    file.write_text(NETWORK)
    with pytest.raises(ConfigError, match="at least one"):
        load_criteria(file)


def test_judging_by_a_profile_afterwards_is_marked(audited):
    document = rejudge_by_profile(audited.document, "antun-2020/1")
    assert document.exploratory
    assert document.criteria_profile == "antun-2020/1"
    assert "exploratory" in document.deviations[-1]
    under = {f.criterion.id: f.verdict for f in document.findings if f.criterion is not None}
    assert set(under) == {criterion.id for criterion in profile("antun-2020/1").criteria}
    assert under["antun-2020/1 structure"] in (Verdict.FAIL, Verdict.INCONCLUSIVE)
    assert not audited.document.exploratory
