import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stabtest.report.numbers import beside, count, number, read, setting

FINITE = st.floats(-1e308, 1e308)


@given(FINITE)
def test_a_shown_number_is_the_value_to_three_digits(value):
    assert read(number(value)) == pytest.approx(value, rel=5.0001e-3, abs=0)


@given(FINITE)
def test_a_setting_reads_back_exactly(value):
    assert read(setting(value)) == value


@given(st.integers())
def test_a_count_reads_back_exactly(value):
    assert int(count(value).replace("\u202f", "").replace("−", "-")) == value


@given(FINITE, FINITE)
def test_an_estimate_never_looks_like_a_limit_that_it_is_not(value, limit):
    if value != limit:
        shown = read(beside(value, limit))
        assert (shown < limit) == (value < limit) or (shown > limit) == (value > limit)
        assert shown != limit or abs(value - limit) <= 1e-15 * abs(limit)


@pytest.mark.parametrize("value", [None, math.inf, -math.inf])
def test_what_is_no_number_is_said_in_words_and_reads_back(value):
    assert read(number(value)) == value
    assert not any(character.isdigit() for character in number(value))


def test_nan_is_said_in_words_and_reads_back():
    assert number(math.nan) == "NaN (not a number)"
    assert math.isnan(read(number(math.nan)))


def test_text_is_refused_as_a_number():
    with pytest.raises(ValueError, match="could not convert"):
        read("about three")
