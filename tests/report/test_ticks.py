import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stabtest.report.ticks import axis, drawable

ANY = st.lists(st.floats(), max_size=8)


@pytest.mark.parametrize("log", [False, True])
@given(values=ANY)
def test_every_drawable_value_lies_on_the_axis(log, values):
    made = axis(values, log=log)
    for value in values:
        if drawable(value, log=log):
            assert -1e-6 <= made.place(value) <= 1 + 1e-6


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("tight", [False, True])
@given(values=ANY)
def test_ticks_lie_on_the_axis_in_order(log, tight, values):
    made = axis(values, log=log, tight=tight)
    places = [made.place(tick) for tick in made.ticks]
    assert places == sorted(places)
    assert len(made.ticks) <= 14
    assert all(-1e-6 <= place <= 1 + 1e-6 and math.isfinite(place) for place in places)


def test_an_axis_from_zero_starts_there():
    assert axis([3.0, 7.0], log=False, from_zero=True).low == 0


def test_ticks_at_settings_do_not_print_over_each_other():
    made = axis([1.0, 1.001, 10.0], log=False, at=[1.0, 1.001, 10.0])
    assert made.ticks == (1.0, 10.0)


def test_a_log_axis_within_a_decade_still_has_ticks():
    assert len(axis([0.3, 0.8], log=True).ticks) >= 2
