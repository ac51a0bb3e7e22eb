"""What a witness holds of the search that found it."""

import pytest
import torch

from stabtest.errors import SearchError
from stabtest.search.witness import witness_of
from stabtest.search.worst_case import worst_case


@pytest.fixture
def found(lab, fourier, measurement):
    return worst_case(lab.SmallCNN(), fourier, measurement, radius=0.05, evaluations=6)


def test_it_holds_the_numbers_of_the_search(fourier, measurement, found):
    witness = witness_of(found, fourier, measurement)
    for held, reported in ((witness.perturbation, found.perturbation), (witness.gain, found.gain)):
        assert torch.equal(held, reported)
    assert witness.measurement is None
    assert torch.equal(witness_of(found, fourier, measurement, keep_measurement=True).measurement, measurement)


def test_measurements_are_told_by_their_fingerprints(fourier, measurement, found):
    ours = witness_of(found, fourier, measurement).measurement_sha256
    assert ours == witness_of(found, fourier, measurement.clone()).measurement_sha256
    assert ours[0] != witness_of(found, fourier, measurement * (1 + 1e-6)).measurement_sha256[0]


def test_wrong_number_of_names_is_refused(fourier, measurement, found):
    with pytest.raises(SearchError, match="2 names"):
        witness_of(found, fourier, measurement, cases=["a"])
