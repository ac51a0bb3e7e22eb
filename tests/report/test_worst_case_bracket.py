"""Between found and guaranteed: the bound of the change is that of the gain times the size, on the cases that it holds for."""

import math
import re

import pytest

from stabtest.findings.records import Bracket
from stabtest.report import render
from stabtest.report.sections.worst_case_bracket import steps

NET, CASE = "unet-mri", "head-000"


def bounded(document, *brackets, **changes):
    section = document.worst_case.model_copy(update=changes)
    lipschitz = document.lipschitz.model_copy(update={"brackets": list(brackets)})
    return document.model_copy(update={"lipschitz": lipschitz, "worst_case": section})


def bound(upper, status="certified", **more):
    given = {"name": "measurement to image", "case": CASE, "lower": 1.0, "lower_source": "", "upper_source": ""}
    return Bracket(**{**given, "upper": upper, "upper_status": status, **more})


def rows(document, radius):
    return [r for r in document.worst_case.rows if r.method == NET and r.radius == radius]


def made(document):
    return steps(document, document.worst_case)


def test_a_certified_bound_closes_the_bracket_of_every_case(full):
    found, cases = made(bounded(full, bound(50.0)))
    assert len(cases) == 4
    for step in found:
        sizes = [row.relative_change / row.gain for row in rows(full, step.radius)]  # norm of e over that of the image
        assert step.guaranteed == pytest.approx(50 * max(sizes), rel=1e-12)
        assert step.found == max(row.relative_change for row in rows(full, step.radius))


def test_a_bound_on_a_ball_speaks_of_its_own_case_only(full):
    found, cases = made(bounded(full, bound(50.0, "on a ball")))
    assert cases == [CASE]
    (row,) = [row for row in rows(full, 0.05) if row.case == CASE]
    step = next(step for step in found if step.radius == 0.05)
    assert (step.found, step.cases) == (row.relative_change, 1)
    assert step.guaranteed == pytest.approx(50 * row.relative_change / row.gain, rel=1e-12)


def test_a_bound_on_a_ball_ends_at_its_radius(full):
    found, _ = made(bounded(full, bound(50.0, "on a ball", radius=0.02)))
    assert [step.guaranteed is not None for step in found] == [True, True, True, False, False]


def test_a_ball_of_relative_radius_says_nothing_of_radii_in_other_units(full):
    found, _ = made(bounded(full, bound(50.0, "on a ball", radius=0.02), unit="noise"))
    assert {step.guaranteed for step in found} == {None}


@pytest.mark.parametrize(
    "none",
    [
        bound(math.inf),
        bound(None, "unknown"),
        bound(50.0, "infinite"),
        bound(50.0, name="network alone"),
        bound(50.0, "on a ball", case="another"),
    ],
    ids=["infinite", "unknown", "status", "network alone", "another case"],
)
def test_what_is_no_bound_from_measurement_to_image_is_not_drawn(full, none):
    document = bounded(full, none)
    found, cases = made(document)
    assert {step.guaranteed for step in found} == {None}
    assert len(cases) == 4
    figure = re.search(r'<figure id="figure-bracket".*?</figure>', render(document), re.DOTALL).group()
    assert "no finite guaranteed bound" in figure
    assert "at most this" not in figure


def test_the_smaller_of_two_bounds_counts(full):
    both, _ = made(bounded(full, bound(50.0), bound(7.0, "on a ball")))
    (row,) = [row for row in rows(full, 0.01) if row.case == CASE]
    others = [50 * row.relative_change / row.gain for row in rows(full, 0.01) if row.case != CASE]
    assert both[1].guaranteed == pytest.approx(max(7 * row.relative_change / row.gain, *others), rel=1e-12)


def test_the_table_equals_the_steps_and_every_bracket_has_its_bar(full, pages):
    document = bounded(full, bound(50.0))
    html = render(document)
    found, _ = made(document)
    for step, record in zip(found, pages.read(html).records("worst-case-bracket-table"), strict=True):
        for head, value in (("Found", step.found), ("Guaranteed", step.guaranteed), ("Noise, largest", step.noise_most)):
            assert float(record[head][1]) == value
        assert float(record["Reference TV, found"][1]) == step.reference
    figure = re.search(r'<figure id="figure-bracket".*?</figure>', html, re.DOTALL).group()
    assert len(re.findall(r'<line class="bracket"', figure)) == len(found)


def test_noise_at_a_single_radius_is_drawn(full):
    section = full.worst_case.model_copy(update={"rows": [row for row in full.worst_case.rows if row.radius == 0.05]})
    figure = re.search(
        r'<figure id="figure-change".*?</figure>', render(full.model_copy(update={"worst_case": section})), re.DOTALL
    ).group()
    plot = figure.partition('<g class="legend">')[0]
    assert len(re.findall(r'<polyline class="line dash"', plot)) == 3
    assert len(re.findall(r'<rect class="band', plot)) == 3
