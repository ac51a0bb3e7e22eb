import pytest
import torch

from stabtest.errors import DataError, NetworkError, OperatorError
from stabtest.operators import Fourier, Identity
from stabtest.stability.cases import Case, Method

IMAGE = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1


def case(measurement=IMAGE, truth=IMAGE):
    return Case("a", "a", "other", Identity((8, 8)), measurement, truth=truth)


def test_a_batch_is_not_a_case():
    with pytest.raises(DataError, match="one image"):
        case(IMAGE.expand(2, 1, 8, 8))


def test_a_measurement_of_zeros_is_refused():
    with pytest.raises(DataError, match="zeros only"):
        case(torch.zeros(1, 1, 8, 8))


def test_nan_is_refused():
    with pytest.raises(DataError, match="NaN"):
        case(torch.full((1, 1, 8, 8), torch.nan))


def test_a_truth_of_another_shape_is_refused():
    with pytest.raises(OperatorError, match=r"\(1, 1, 8, 9\)"):
        case(truth=torch.ones(1, 1, 8, 9))


def test_without_truth_the_direct_reconstruction_stands_for_it():
    found = case(2 * IMAGE, None)
    assert torch.equal(found.reference_image, 2 * IMAGE)
    assert found.peak == pytest.approx(2 * float(IMAGE.max()))


@pytest.mark.parametrize(
    ("output", "word"),
    [(lambda y, A: y[..., :4], "wrong output"), (lambda y, A: y / 0, "finite"), (lambda y, A: y + 0j, "real")],
)
def test_a_wrong_output_is_named(output, word):
    with pytest.raises(NetworkError, match=word):
        Method("net", "under test", output)(IMAGE, Identity((8, 8)))


def test_magnitudes_are_allowed_in_mri():
    operator = Fourier(torch.ones(8, 8, dtype=torch.bool))
    magnitude = Method("net", "under test", lambda y, A: A.pseudo_inverse(y).abs())
    assert not magnitude(operator(IMAGE + 0j), operator).is_complex()


def test_reconstructing_keeps_no_graph():
    weight = torch.ones(1, requires_grad=True)
    assert not Method("net", "under test", lambda y, A: weight * y)(IMAGE, Identity((8, 8))).requires_grad
