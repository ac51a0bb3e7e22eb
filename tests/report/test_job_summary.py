"""The Markdown summary, rendered by markdown-it (CommonMark with tables) and compared with the document."""

import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from stabtest.findings.records import Failure, Gate
from stabtest.findings.verdicts import Criterion, Finding, decide
from stabtest.report.job_summary import LONGEST, job_summary
from stabtest.report.wording import STATEMENT

HOSTILE = "a|b\n# h\n- l\n<script>x</script> [t](http://e.example) ![i](u) `c` **b** _e_ ~s~ \\| &amp; &lt; \x1b 1. x"
ALLOWED = {"h2", "h3", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}


class Page(HTMLParser):
    """Tags, and the text of the cells."""

    def __init__(self, markdown):
        super().__init__()
        self.tags, self.rows, self.text, self.cell = set(), [], "", None
        self.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.cell = ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append(self.cell)
            self.cell = None

    def handle_data(self, data):
        self.text += data
        if self.cell is not None:
            self.cell += data


def test_a_row_for_each_criterion_with_verdict_and_limit(full):
    page = Page(job_summary(full))
    head, *rows = page.rows
    assert head[:3] == ["Verdict", "Criterion", "Statistic"]
    verdicts = {f.criterion.id: f.verdict.value for f in full.findings if f.criterion}
    assert {row[1]: row[0] for row in rows} == {
        criterion.id: verdicts.get(criterion.id, "NOT RUN") for criterion in full.criteria
    }
    assert page.tags <= ALLOWED


def test_the_reference_stands_beside(full):
    head, *rows = Page(job_summary(full)).rows
    column = head.index("Value of TV")
    values = {f.statistic: f.value for f in full.findings if f.method == "TV"}
    shared = [row for row in rows if values.get(row[2]) is not None]
    assert shared
    for row in shared:
        assert float(row[column].replace("−", "-")) == pytest.approx(values[row[2]], rel=5e-3)


def test_failures_deviations_and_statement(full):
    page = Page(job_summary(full))
    assert full.failures[0].error in page.text
    assert full.deviations[0] in page.text
    assert STATEMENT in page.text


def test_gates_that_failed_are_named(factory):
    gate = Gate(name="accuracy", subject="net", passed=False, value=1.0, limit=0.1, detail="worse than zero-filling")
    assert "accuracy of net: worse than zero-filling" in Page(job_summary(factory.document(gates=[gate]))).text


def test_no_criterion_is_no_verdict(factory):
    page = Page(job_summary(factory.document()))
    assert "REPORTED, NO VERDICT" in page.text
    assert page.rows == []


def test_a_long_list_is_cut_and_says_so(factory):
    document = factory.document(failures=[Failure(unit=f"u{n}", error="e") for n in range(LONGEST + 7)])
    text = Page(job_summary(document)).text
    assert "and 7 more" in text
    assert len(re.findall(r"^u\d+: e$", text, re.M)) == LONGEST


def test_hostile_text_stays_text(factory):
    criterion = Criterion(id=HOSTILE, statistic="quality.psnr.median", rule="at least", limit=1.0)
    found = Finding(
        test="quality",
        statistic=criterion.statistic,
        method="unet-mri",
        value=2.0,
        interval=None,
        unit="",
        n=1,
        valid=True,
        witness=None,
        sentence="",
    )
    document = factory.document(
        title=HOSTILE,
        criteria=[criterion],
        findings=[decide(found, criterion)],
        failures=[Failure(unit=HOSTILE, error=HOSTILE)],
        deviations=[HOSTILE],
    )
    page = Page(job_summary(document))
    assert page.tags <= ALLOWED
    shown = " ".join(HOSTILE.replace("\x1b", "⟨U+001B⟩").split())
    assert page.rows[1][1] == shown
    assert page.text.count(shown) == 5


def test_what_is_not_escaped_is_seen():
    """Control: the same text as it is makes headings, lists and a script."""
    assert {"h1", "ul", "script"} <= Page(HOSTILE).tags
