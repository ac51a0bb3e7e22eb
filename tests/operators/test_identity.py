"""The identity and its block means."""

from __future__ import annotations

import pytest
import torch

from stabtest.errors import OperatorError
from stabtest.operators import Identity


def test_everything_is_the_identity(generator):
    A = Identity((4, 5))
    x = A.domain.randn(2, generator=generator)
    for y in (A(x), A.adjoint(x), A.pseudo_inverse(x), A.restrict(x)):
        assert torch.equal(y, x)


def test_fine_object_is_seen_as_its_block_means(generator):
    A = Identity((4, 5), is_complex=True).refine(3)
    x = A.domain.randn(2, generator=generator, dtype=torch.float64)
    blocks = torch.nn.functional.avg_pool2d(x.real, 3)
    torch.testing.assert_close(A(x).real, blocks)
    y = A(x)
    torch.testing.assert_close(A(A.pseudo_inverse(y)), y)


def test_refinements_multiply(generator):
    once, twice = Identity((2, 3)).refine(6), Identity((2, 3)).refine(2).refine(3)
    x = once.domain.randn(1, generator=generator)
    assert torch.equal(once(x), twice(x))


def test_empty_shape_is_refused():
    with pytest.raises(OperatorError, match="shape"):
        Identity((0, 3))
