"""The listing of a pickle's imports, against pickles made here. Never by loading them."""

import collections
import fractions
import pickle

import pytest

from stabtest.networks.pickles import imported_names


@pytest.mark.parametrize("protocol", range(6))
def test_names_of_every_protocol(protocol):
    names = imported_names(pickle.dumps([fractions.Fraction, collections.Counter, fractions.Fraction], protocol=protocol))
    assert names == ["fractions.Fraction", "collections.Counter"]


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_module_written_once_and_used_twice(protocol):
    names = imported_names(pickle.dumps([collections.Counter, collections.deque], protocol=protocol))
    assert names == ["collections.Counter", "collections.deque"]


def test_plain_data_import_nothing():
    assert imported_names(pickle.dumps({"a": [1, 2.0, "collections", b"x"]})) == []


def test_what_is_cut_off_is_listed_as_far_as_it_goes():
    whole = pickle.dumps([fractions.Fraction, collections.Counter])
    assert imported_names(whole[:-20]) == ["fractions.Fraction"]
    assert imported_names(b"\x80\x04garbage") == []
