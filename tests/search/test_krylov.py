"""Band Lanczos against dense eigenvectors: multiplicity, exhaustion, batches, both number systems."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stabtest import tensors
from stabtest.search.krylov import leading


def gram_of(eigenvalues: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """A symmetric matrix with these eigenvalues, float64."""
    n = len(eigenvalues)
    q, _ = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))
    return q @ torch.diag(eigenvalues.double()) @ q.T


def starts_of(count: int, shape: tuple[int, ...], seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(count)]


def values(gram: torch.Tensor, vectors: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack([(v[0] @ gram @ v[0]) for v in vectors])


@settings(max_examples=10, deadline=None)
@given(n=st.integers(1, 8), count=st.integers(1, 10), seed=st.integers(0, 1000))
def test_all_eigenvalues_are_found_when_the_space_is_spanned(n, count, seed):
    eigenvalues = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    gram = gram_of(eigenvalues, seed)
    found = values(gram, leading(lambda v: v @ gram, starts_of(1, (1, n)), count=count, products=12))
    exact = eigenvalues.sort(descending=True).values
    torch.testing.assert_close(found[:n], exact[:count], atol=1e-8, rtol=0)
    assert not found[n:].any()


def test_vectors_are_orthonormal_after_many_steps():
    """Without reorthogonalisation copies of the separated top eigenvector come back."""
    gram = gram_of(torch.cat([torch.tensor([100.0]), torch.linspace(0, 1, 79)]))
    vectors = torch.cat(leading(lambda v: v @ gram, starts_of(1, (1, 80)), count=10, products=60))
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(10, dtype=torch.float64), atol=1e-10, rtol=0)


@pytest.mark.parametrize(("block", "copies"), [(1, 1), (2, 2), (3, 3)])
def test_a_block_sees_as_many_copies_as_it_has_starts(block, copies):
    gram = gram_of(torch.tensor([5.0, 5.0, 5.0, 2.0, 1.0, 0.5, 0.1]))
    found = values(gram, leading(lambda v: v @ gram, starts_of(block, (1, 7)), count=4, products=4 + block))
    assert int((found > 4.99).sum()) == copies


def test_no_more_products_than_asked_and_none_once_exhausted():
    gram, calls = gram_of(torch.tensor([3.0, 3.0, 1.0, 1.0, 1.0, 0.0])), []

    def count_calls(v):
        calls.append(1)
        return v @ gram

    leading(count_calls, starts_of(1, (1, 6)), count=1, products=2)
    assert len(calls) == 2
    leading(count_calls, starts_of(1, (1, 6)), count=1, products=50)
    assert len(calls) == 2 + 3  # three distinct eigenvalues


def test_images_of_a_batch_are_independent_and_may_be_exhausted_apart():
    grams = torch.stack([gram_of(torch.linspace(0, 1, 9)), gram_of(torch.tensor([2.0] + 8 * [0.0]), 3)])
    start = starts_of(1, (1, 9))[0].expand(2, 9)
    together = leading(lambda v: (grams @ v[..., None])[..., 0], [start], count=3, products=6)
    for image in range(2):
        alone = leading(lambda v, g=grams[image]: v @ g, [start[:1]], count=3, products=6)
        for a, b in zip(together[:1], alone[:1], strict=True):
            assert tensors.inner(a[image : image + 1], b).abs().item() == pytest.approx(1, abs=1e-8)
    assert not together[2][1].any() or (together[2][1] @ grams[1] @ together[2][1]).abs() < 1e-12


def test_a_complex_map_has_each_value_twice():
    matrix = torch.diag(torch.tensor([3.0, 2.0, 1.0])).to(torch.complex128)
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(1, 3, dtype=torch.complex128, generator=generator) for _ in range(2)]
    found = leading(lambda v: v @ matrix, starts, count=4, products=6)
    assert [round(tensors.inner(v, v @ matrix).item(), 6) for v in found] == [3, 3, 2, 2]
    assert tensors.inner(found[0], found[1]).abs() < 1e-10


def test_a_start_of_zeros_gives_zeros():
    (found,) = leading(lambda v: v, [torch.zeros(2, 3)], count=1, products=4)
    assert not found.any()
