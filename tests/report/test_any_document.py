"""Every valid document renders: random documents, drawn from the fields of the models."""

import types
import typing
from xml.dom import minidom

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from stabtest.findings.document import SCHEMA_VERSION, Document
from stabtest.findings.records import Picture
from stabtest.report import render
from stabtest.report.job_summary import job_summary
from stabtest.report.junit import junit
from stabtest.report.verdict_words import judged

FLOATS = st.floats() | st.sampled_from([0.0, 0.01, 0.05, 1.0, 1e300, -1e300, 5e-324])
TEXT = st.sampled_from(["net", "TV", "case-1", "<b>", "worst_case", ""]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=12
)
WHOLE = st.integers(-3, 40) | st.integers(-(2**62), 2**62)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def pictures(draw):
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    data, low, high = Picture.encode(np.arange(shape[0] * shape[1], dtype=float).reshape(shape))
    fixed = {"shape": shape, "data": draw(st.just(data) | st.just("broken")), "low": low, "high": high}
    names = [name for name in Picture.model_fields if name not in fixed]
    return Picture(**fixed, **{name: draw(of(Picture.model_fields[name].annotation)) for name in names})


def of(annotation):
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    simple = {float: FLOATS, int: WHOLE, str: TEXT, bool: st.booleans(), typing.Any: JSON, type(None): st.none()}
    if annotation in simple:
        return simple[annotation]
    if origin in (typing.Union, types.UnionType):
        return st.one_of([of(argument) for argument in arguments])
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(of(arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(of(arguments[0]), of(arguments[1]), max_size=3)
    if origin is tuple:
        return st.tuples(*[of(argument) for argument in arguments])
    if annotation is Picture:
        return pictures()
    if issubclass(annotation, BaseModel):
        return model(annotation)
    return st.sampled_from(list(annotation))


def model(kind):
    fields = {name: of(field.annotation) for name, field in kind.model_fields.items()}
    if kind is Document:
        fields["schema_version"] = st.just(SCHEMA_VERSION)
    return st.builds(kind, **fields)


# no shrinking: it takes minutes, and the failing document is printed anyway
@settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(document=model(Document))
def test_a_random_valid_document_renders(pages, document):
    document = Document.model_validate_json(document.model_dump_json())
    page = pages.read(render(document))
    assert page.faults == []
    assert len(page.ids) == len(set(page.ids))
    links = {attributes["href"] for attributes in page.of("a")}
    assert {link for link in links if link[1:] not in page.ids} == set()
    assert len(page.of("script")) == 1
    rows = document.worst_case.rows if document.worst_case else []
    assert len(page.tables.get("worst-case-rows", [])) == len(rows)
    suite = minidom.parseString(junit(document).encode("utf-8")).getElementsByTagName("testsuite")[0]
    assert len(suite.getElementsByTagName("testcase")) == int(suite.getAttribute("tests")) >= len(document.failures)
    # One line each, whatever stands in it: a title, the verdicts, and a table of as many rows as there are verdicts.
    assert job_summary(document).startswith("## ")
    assert len(judged(document)) == sum(line.startswith("| ") for line in job_summary(document).splitlines()[2:]) - 2 * bool(
        judged(document)
    )
