"""A radius in words: the unit, the domain and the norm are never left to be guessed."""

import itertools

from stabtest.findings.sizes import amount, axis_of, size_of

EVERY = list(itertools.product(("relative", "noise", "absolute"), ("measurement", "image"), ("l2", "linf")))


def test_different_sets_have_different_words():
    assert len({size_of(0.5, *one) for one in EVERY}) == len(EVERY) - 1  # noise lives in the measurement only
    assert len({axis_of(*one) for one in EVERY}) == len(EVERY)


def test_only_a_relative_radius_has_per_cent():
    assert [unit for unit in ("relative", "noise", "absolute") if "%" in amount(0.02, unit)] == ["relative"]


def test_small_radii_keep_their_figures():
    assert amount(0.00125, "relative") == "0.125 %"
