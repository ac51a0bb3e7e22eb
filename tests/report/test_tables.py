import math

from hypothesis import given
from hypothesis import strategies as st

from stabtest.report import tables
from stabtest.report.numbers import read

COLUMN = st.lists(st.none() | st.floats(), min_size=1, max_size=6)


@given(COLUMN)
def test_decimal_points_line_up(values):
    cells = [cell for cell in tables.measured(values) if cell.numeric and "×" not in cell.text and "(" not in cell.text]
    ends = {len(cell.text.partition(".")[2]) + cell.pad for cell in cells}
    assert len(ends) <= 1


@given(COLUMN)
def test_a_cell_carries_its_exact_value(values):
    for value, cell in zip(values, tables.measured(values)):
        if value is None:
            assert cell.value is None
            assert cell.missing
            assert read(cell.text) is None
        else:
            assert math.isnan(value) == math.isnan(float(cell.value))
            assert math.isnan(value) or float(cell.value) == value


@given(COLUMN)
def test_aggregates_never_hide_a_nan(values):
    has_nan = any(value is not None and math.isnan(value) for value in values)
    for join in (tables.largest, tables.smallest, tables.median):
        joined = join(values)
        assert (joined is not None and math.isnan(joined)) >= has_nan


def test_a_ratio_to_zero_is_infinite_and_not_an_error():
    assert tables.ratio(1.0, 0.0) == math.inf
    assert tables.ratio(0.0, 0.0) is None
    assert tables.ratio(None, 1.0) is None
