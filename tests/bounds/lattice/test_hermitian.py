"""Elimination by blocks: against dense factorisations of the whole matrix, zeros or not."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stabtest.bounds.lattice.hermitian import Hermitian, grouped

COUNT = 2


def sparse(widths, links, *, seed):
    """A positive definite batch with the given blocks off the diagonal, whole and by blocks."""
    generator = torch.Generator().manual_seed(seed)
    ends = [sum(widths[:i]) for i in range(len(widths) + 1)]
    whole = torch.zeros(COUNT, ends[-1], ends[-1], dtype=torch.complex128)
    made = Hermitian(COUNT, widths, dtype=torch.complex128)
    for i, j in sorted({(min(link), max(link)) for link in links if link[0] != link[1]}):
        block = torch.randn(COUNT, widths[i], widths[j], dtype=torch.complex128, generator=generator)
        rows, columns = slice(ends[i], ends[i + 1]), slice(ends[j], ends[j + 1])
        whole[:, rows, columns], whole[:, columns, rows] = block, block.mH
        made.add(j, i, block.mH, both=True)
    size = whole.abs().sum(2).max() + 1
    for i, width in enumerate(widths):
        made.add_diagonal(i, size.expand(width))
    return whole + size * torch.eye(ends[-1]), made


@st.composite
def patterns(draw):
    widths = draw(st.lists(st.integers(1, 4), min_size=2, max_size=6))
    rows = st.integers(0, len(widths) - 1)
    links = draw(st.lists(st.tuples(rows, rows), max_size=8))
    return widths, links, draw(st.integers(1, len(widths))), draw(st.integers(1, 8))


@settings(deadline=None)
@given(patterns(), st.integers(0, 999))
def test_schur_complement_and_determinant_are_those_of_the_whole(pattern, seed):
    widths, links, gone, limit = pattern
    whole, made = sparse(widths, links, seed=seed)
    logs = made.eliminated(grouped(widths[:gone], range(gone), limit=limit))
    n = sum(widths[:gone])
    pivot, side, rest = whole[:, :n, :n], whole[:, :n, n:], whole[:, n:, n:]
    kept = range(gone, len(widths))
    torch.testing.assert_close(logs, torch.linalg.slogdet(pivot)[1])
    torch.testing.assert_close(made.part(kept, kept), rest - side.mH @ torch.linalg.solve(pivot, side))


def test_a_pivot_that_elimination_makes_negative_is_seen():
    made = Hermitian(2, (1, 1), dtype=torch.complex128)
    made.add_diagonal(0, torch.tensor([1.0]))
    made.add_diagonal(1, torch.tensor([1.0]))
    made.add(0, 1, torch.tensor([[[0.5j]], [[2.0j]]], dtype=torch.complex128), both=True)
    assert made.eliminated([(0,), (1,)]).isnan().tolist() == [False, True]


def test_guard_takes_its_share_off_the_diagonal_alone():
    whole, made = sparse((2, 3), [(0, 1)], seed=0)
    made.guard(0.25)
    rows = range(2)
    torch.testing.assert_close(made.part(rows, rows), whole - 0.25 * torch.diag_embed(whole.diagonal(dim1=1, dim2=2)))


def test_gradients_are_those_of_the_whole():
    widths, links = (2, 3, 2), [(0, 1), (1, 2)]
    scale = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)

    def log_determinant(s):
        _, made = sparse(widths, links, seed=3)
        for i in range(3):
            made.add_diagonal(i, s[i].expand(widths[i]))
        return made.eliminated([(0,), (1,), (2,)]).sum()

    assert torch.autograd.gradcheck(log_determinant, (scale,))


@pytest.mark.parametrize("limit", [1, 5, 100])
def test_groups_cover_every_row_once_and_in_order(limit):
    groups = grouped((4, 4, 1, 9, 2), "aabcd", limit=limit)
    assert [row for group in groups for row in group] == list(range(5))
    assert any({0, 1} <= set(group) for group in groups)
