"""`norm_bound` is above the norm, and not far."""

from __future__ import annotations

import pytest
import torch

from stabtest.errors import OperatorError
from stabtest.operators import Fourier, Identity, MultiCoilFourier, Radon, masks, operator_norm
from stabtest.operators.base import LinearOperator
from stabtest.phantoms import coil_maps

MASK = masks.cartesian_random((16, 15), acceleration=3, centre_fraction=0.2, seed=0)
RANDOM_MAPS = torch.randn(3, 16, 15, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
OPERATORS = {
    "fourier": Fourier(MASK),
    "fourier-fine": Fourier(MASK).refine(2),
    "coils": MultiCoilFourier(
        masks.cartesian_random((16, 16), acceleration=2, centre_fraction=0.2, seed=0), coil_maps(16, 4, seed=0)
    ),
    "random-coils": MultiCoilFourier(MASK, RANDOM_MAPS),
    "radon": Radon(17, 12),
    "radon-fine": Radon(17, 12).refine(2),
    "identity": Identity((5, 4)),
    "block-means": Identity((5, 4)).refine(3),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_bound_is_above_the_norm_and_within_a_factor(name, generator):
    operator = OPERATORS[name]
    norm = operator_norm(operator, generator=generator).value
    assert norm * (1 - 1e-6) <= operator.norm_bound() <= 1.6 * norm


def test_an_operator_without_a_bound_says_so():
    with pytest.raises(OperatorError, match="norm_bound"):
        LinearOperator.norm_bound(Radon(9, 7))
