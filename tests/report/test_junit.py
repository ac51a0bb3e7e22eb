"""JUnit XML against the document, read by expat through minidom, which shares nothing with the writer."""

from xml.dom import minidom

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stabtest.findings.records import Failure, Interval
from stabtest.findings.verdicts import Criterion, Finding, Verdict, decide
from stabtest.report.junit import junit

HOSTILE = "]]></failure><testcase name='x'/> & \"q\" <!-- \x00\x1b[31m \u202e\ufffe\r\n\t & &amp; é 🩻"


def suite_of(document):
    root = minidom.parseString(junit(document).encode("utf-8")).documentElement
    assert root.tagName == "testsuites"
    (suite,) = root.getElementsByTagName("testsuite")
    return suite


def cases(document):
    return {case.getAttribute("name"): case for case in suite_of(document).getElementsByTagName("testcase")}


def outcome(case):
    """The element that says how a case ended; none means that it passed."""
    found = [node for node in case.childNodes if getattr(node, "tagName", "system-out") != "system-out" and node.nodeType == 1]
    return found[0] if found else None


def finding(value, **changes):
    base = {
        "test": "quality",
        "statistic": "quality.psnr.median",
        "method": "unet-mri",
        "value": value,
        "interval": Interval(lower=value, upper=value, level=0.95, method="order statistic"),
        "unit": "dB",
        "n": 9,
        "valid": True,
        "witness": None,
        "sentence": "A sentence.",
    }
    return Finding(**{**base, **changes})


def criterion(**changes):
    return Criterion(**{"id": "C1", "statistic": "quality.psnr.median", "rule": "at least", "limit": 28.0, **changes})


def judged(factory, value, *, failures=(), **changes):
    one = decide(finding(value, **changes), criterion())
    return factory.document(criteria=[criterion()], findings=[one], failures=list(failures))


@pytest.mark.parametrize(
    ("value", "changes", "verdict", "element"),
    [
        (30.0, {}, Verdict.PASS, None),
        (20.0, {}, Verdict.FAIL, "failure"),
        (28.5, {"interval": Interval(lower=27.0, upper=30.0, level=0.95, method="t")}, Verdict.INCONCLUSIVE, "skipped"),
        (30.0, {"valid": False}, Verdict.INVALID, "error"),
        (None, {"interval": None}, Verdict.NOT_RUN, "error"),
    ],
)
def test_each_verdict_has_its_outcome(factory, value, changes, verdict, element):
    document = judged(factory, value, **changes)
    assert document.findings[0].verdict is verdict
    (case,) = cases(document).values()
    found = outcome(case)
    assert (found and found.tagName) == element
    if found:
        assert found.getAttribute("message").startswith(verdict.value + ":")


def test_a_failure_tells_value_limit_and_interval(factory):
    (case,) = cases(judged(factory, 20.0)).values()
    message, body = outcome(case).getAttribute("message"), outcome(case).firstChild.data
    for told in ("20.0", "at least 28", "20.0 to 20.0 (95\xa0%)", "beyond the limit"):
        assert told in message
        assert told in body
    assert "of: unet-mri" in body


def test_a_pass_has_its_numbers_too(factory):
    (case,) = cases(judged(factory, 30.0)).values()
    (out,) = case.getElementsByTagName("system-out")
    assert "value: 30.0 dB" in out.firstChild.data


def test_a_criterion_without_a_finding_is_an_error(factory):
    (case,) = cases(factory.document(criteria=[criterion()])).values()
    assert outcome(case).getAttribute("message").startswith("NOT RUN:")


def test_an_audit_without_criteria_is_skipped(factory):
    (case,) = cases(factory.document()).values()
    assert outcome(case).tagName == "skipped"
    assert "NO VERDICT" in outcome(case).getAttribute("message")


def test_units_that_failed_are_errors(factory):
    document = judged(factory, 30.0, failures=[Failure(unit="quality: net, case 7", error="wrong output")])
    case = cases(document)["quality: net, case 7"]
    assert (outcome(case).tagName, outcome(case).getAttribute("message")) == ("error", "wrong output")


def test_counts_are_those_of_the_elements(full):
    suite = suite_of(full)
    found = [outcome(case) for case in suite.getElementsByTagName("testcase")]
    tags = [each.tagName if each else "passed" for each in found]
    assert int(suite.getAttribute("tests")) == len(full.criteria) + len(full.failures)
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.getAttribute(attribute)) == tags.count(tag) > 0


def test_the_same_document_gives_the_same_text(full):
    assert junit(full) == junit(full.model_validate_json(full.model_dump_json()))


def test_hostile_text_stays_text(factory):
    document = judged(factory, 20.0, failures=[Failure(unit=HOSTILE, error=HOSTILE)], method=HOSTILE, sentence=HOSTILE)
    document = document.model_copy(update={"title": HOSTILE, "command": HOSTILE})
    suite = suite_of(document)
    assert len(suite.getElementsByTagName("testcase")) == 2
    assert "⟨U+001B⟩" in suite.getAttribute("name")
    assert "]]></failure><testcase name='x'/> & \"q\" <!--" in suite.getAttribute("name")


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(), max_size=30))
def test_any_text_is_well_formed(factory, text):
    document = judged(factory, 20.0, failures=[Failure.model_construct(unit=text, error=text)], method="net")
    document = document.model_copy(update={"title": text})
    assert suite_of(document).getAttribute("tests") == "2"


def test_the_parser_sees_what_is_not_well_formed():
    """Control: expat refuses a raw control character."""
    with pytest.raises(Exception, match="not well-formed"):
        minidom.parseString(b'<a b="\x1b"/>')
