import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stabtest.report.brackets import MOST_ROWS, BracketRow, draw_brackets
from stabtest.report.charts import Band, Level, Plot, Series, draw

VALUE = st.none() | st.floats()


def plot(y, **more):
    return Plot("t", "x", "y", (Series("net", tuple(float(k) for k in range(len(y))), tuple(y)),), **more)


@given(st.lists(VALUE, max_size=6), st.booleans())
def test_marks_and_values_left_out_make_up_all_values(y, log):
    drawing = draw(plot(y, log_y=log))
    marks = drawing.svg.count("<circle") - 1  # one in the legend
    assert marks + drawing.left_out == len(y)


@given(st.lists(VALUE, min_size=2, max_size=4))
def test_every_coordinate_is_a_number(y):
    x = tuple(float(k) for k in range(len(y)))
    made = Plot("t", "x", "y", (Series("a", x, tuple(y)),), (Band("", x, tuple(y), tuple(y)),), (Level("limit", 0.5),))
    assert not re.search(r"nan|inf|None", draw(made).svg.replace("none", ""))


def test_a_missing_value_breaks_the_line():
    svg = draw(plot([1.0, 2.0, None, 3.0, 4.0])).svg
    assert svg.count("<polyline") == 2 + 1  # and one in the legend


def test_a_larger_value_is_drawn_higher():
    heights = [float(cy) for cy in re.findall(r'cy="([\d.]+)"', draw(plot([1.0, 2.0, 4.0])).svg)][:3]
    assert heights[0] > heights[1] > heights[2]


def test_equal_ratios_are_equal_steps_on_a_log_axis():
    low, middle, high = [float(cy) for cy in re.findall(r'cy="([\d.]+)"', draw(plot([0.01, 0.1, 1.0], log_y=True)).svg)][:3]
    assert low - middle == pytest.approx(middle - high, abs=0.2)


def test_labels_are_text_and_not_markup():
    svg = draw(Plot("<b>", "<i>", '"', (Series("</svg><script>", (1.0,), (1.0,)),))).svg
    assert "<script" not in svg
    assert "<b>" not in svg
    assert "&lt;/svg&gt;" in svg


def test_a_bracket_points_up_at_what_was_found_and_down_at_the_bound():
    svg = draw_brackets((BracketRow("network", 2.0, 50.0, "certified"),)).svg
    body = svg.split("network</text>")[1]
    found, bound = re.findall(r'<g class="tone(\d)"><path class="mark" d="M([\d.]+) ([\d.]+)L[\d.]+ ([\d.]+)', body)[:2]
    assert float(found[1]) < float(bound[1])
    assert float(found[2]) < float(found[3])  # the tip of the first lies above its base
    assert float(bound[2]) > float(bound[3])


@pytest.mark.parametrize(("upper", "word"), [(None, "unknown"), (math.inf, "no finite bound"), (math.nan, "NaN")])
def test_a_bracket_without_an_upper_end_says_why(upper, word):
    assert word in draw_brackets((BracketRow("network", 2.0, upper, "unknown"),)).svg


def test_brackets_beyond_the_last_row_are_counted_as_left_out():
    rows = tuple(BracketRow(str(k), 1.0, 2.0, "certified") for k in range(MOST_ROWS + 3))
    assert draw_brackets(rows).left_out == 3
