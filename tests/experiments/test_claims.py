"""Published claims: what is a condition, what is said of it, and that the published results say what their values say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from experiments.frame import claims, page
from experiments.frame.claims import AGREES, CANNOT, DIFFERS, Claim, judge
from experiments.frame.run import names

ROOT = Path(__file__).parents[2]
PUBLISHED = [name for name in names() if (ROOT / "reports" / name / "claims.json").exists()]
WORDS = {"claim": "c", "published": "p", "where": "w", "how": "h"}


def claim(*holds: str, cannot: str = "") -> Claim:
    return Claim("id", **WORDS, holds=holds, cannot=cannot)


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [
        ("a < b", AGREES),
        ("b < a", DIFFERS),
        ("a < b < 3", AGREES),
        ("a < b < 2", DIFFERS),
        ("b > 1.5 * a", AGREES),
        ("b > 2 * a", DIFFERS),
        ("a = 1", AGREES),
        ("far = inf", AGREES),
        ("a = 1.0001", DIFFERS),
        ("none < a", CANNOT),
    ],
)
def test_a_condition_is_read_as_it_stands(condition, verdict):
    assert judge(claim(condition), {"a": [1.0], "b": [1.5, 2.5], "far": [float("inf")]}).verdict == verdict


def test_one_condition_that_fails_is_enough_and_is_named():
    judged = judge(claim("a < b", "b < a"), {"a": [1.0], "b": [2.0]})
    assert (judged.verdict, judged.why) == (DIFFERS, "does not hold: b < a")


def test_what_was_not_measured_is_no_agreement():
    judged = judge(claim("a < b", "a < c"), {"a": [1.0], "b": [2.0]})
    assert judged.verdict == CANNOT
    assert "c" in judged.why


def test_a_mean_that_rests_on_one_image_shows():
    judged = judge(claim("a < b"), {"a": [1.0, 1.0, 1.0], "b": [0.9, 0.9, 9.0]})
    assert judged.verdict == AGREES
    assert "1 of 3 images" in judged.ours


def test_nan_holds_nothing():
    assert judge(claim("a < b"), {"a": [float("nan")], "b": [1.0]}).verdict == DIFFERS


@pytest.mark.parametrize("condition", ["a", "a ~ b", "a < ", "a <b", "a < b or c", "2 * < b"])
def test_what_is_no_condition_is_refused(condition):
    with pytest.raises(ValueError, match="condition"):
        claim(condition)


def test_a_claim_has_conditions_or_a_reason():
    for holds, cannot in (((), ""), (("a < b",), "no data")):
        with pytest.raises(ValueError, match="either"):
            claim(*holds, cannot=cannot)


@pytest.mark.parametrize("name", names())
def test_an_experiment_says_what_it_is_of(name):
    title, source, found = claims.load(ROOT / "experiments" / name)
    assert title
    assert re.search(r"\d{4}|lecture", source)
    assert len(found) >= 3
    readme = (ROOT / "experiments" / name / "README.md").read_text(encoding="utf-8")
    assert all(word in readme for word in ("**Source.**", "**Set-up.**", "**What differs.**", f"python -m experiments.{name}"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_verdicts_are_those_of_the_claims_and_the_values_beside_them(name):
    document = json.loads((ROOT / "reports" / name / "claims.json").read_text(encoding="utf-8"))
    _, _, expected = claims.load(ROOT / "experiments" / name)
    values = {key: [float(value) for value in series] for key, series in document["values"].items()}
    assert document["claims"] == [page.entry(judge(one, values)) for one in expected]


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_published_was_run_with_the_real_measurements(name):
    document = json.loads((ROOT / "reports" / name / "claims.json").read_text(encoding="utf-8"))
    assert not [one["id"] for one in document["claims"] if one["why"] == claims.ABSENT]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_page_is_small_whole_and_needs_no_network(name):
    folder = ROOT / "reports" / name
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=.https?:", text)
    shown = re.findall(r"<img src='([^']+)'", text)
    assert sorted(shown) == sorted(path.name for path in folder.glob("*.png"))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_results_are_those_of_the_setting_in_the_source(name):
    import importlib

    document = json.loads((ROOT / "reports" / name / "claims.json").read_text(encoding="utf-8"))
    settings = importlib.import_module(f"experiments.{name}.measure").SETTINGS
    assert document["setting"] == {"level": "published", **settings["published"]}
    assert {"quick", "published", "full"} <= set(settings)
