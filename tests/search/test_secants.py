"""The transposed derivative from forward differences: against dense matrices in float64.

The regression takes each secant as carrying noise of variance 1e-3, so that exact data come back within about that.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from stabtest import tensors
from stabtest.search.secants import Secants

NEAR = {"rtol": 0.005, "atol": 0.005}


def dense_map(n, m, lab, seed=0):
    return torch.randn(m, n, dtype=torch.float64, generator=lab.seeded(seed))


def learnt(matrix, lab, pairs, *, memory=64, seed=1):
    secants = Secants(torch.zeros(1, matrix.shape[1]).double(), torch.zeros(1, matrix.shape[0]).double(), memory=memory)
    steps = torch.randn(pairs, 1, matrix.shape[1], dtype=torch.float64, generator=lab.seeded(seed))
    for step in steps:
        secants.add(step, step @ matrix.T)
    return secants, steps[:, 0]


def test_a_full_basis_gives_the_transpose(lab):
    matrix = dense_map(6, 9, lab)
    secants = Secants(torch.zeros(1, 6).double(), torch.zeros(1, 9).double(), memory=16)
    for step in 0.3 * torch.linalg.qr(dense_map(6, 6, lab, 2))[0]:
        secants.add(step[None], step[None] @ matrix.T)
    u = torch.randn(1, 9, dtype=torch.float64, generator=lab.seeded(3))
    assert_close(secants.transpose(u), u @ matrix, **NEAR)
    v = torch.randn(1, 6, dtype=torch.float64, generator=lab.seeded(4))
    assert_close(secants.forward(v), v @ matrix.T, **NEAR)


def test_outside_is_orthogonal_to_all_that_was_tried(lab):
    secants, steps = learnt(dense_map(40, 5, lab), lab, 4)
    rest = secants.outside(torch.randn(1, 40, dtype=torch.float64, generator=lab.seeded(3)))
    assert (steps @ rest[0]).abs().max() < 0.02
    assert rest.norm() > 1


def test_a_good_guess_completes_and_a_bad_one_is_left_out(lab):
    """With S = 2.5 J the estimate is J* u itself, whatever the scale; with S = -J nothing is taken from it."""
    matrix, u = dense_map(40, 9, lab), torch.randn(1, 9, dtype=torch.float64, generator=lab.seeded(3))
    secants = Secants(torch.zeros(1, 40).double(), torch.zeros(1, 9).double(), memory=16)
    basis = torch.linalg.qr(dense_map(8, 40, lab, 2))[0].T
    for step in basis:
        secants.add(step[None], step[None] @ matrix.T)
    true = u @ matrix
    assert_close(secants.transpose(u, 2.5 * true), true, **NEAR)
    assert_close(secants.transpose(u, -true), true @ basis.T @ basis, **NEAR)


def test_estimate_is_that_of_a_ridge_regression(lab):
    """Against NumPy: D^T (X X^T + N)^-1 X for pairs of any directions."""
    matrix = dense_map(6, 5, lab)
    secants, steps = learnt(matrix, lab, 4)
    X = (steps / steps.norm(dim=1, keepdim=True)).numpy()
    J = (X @ matrix.numpy().T).T @ np.linalg.solve(X @ X.T + 1e-3 * np.eye(4), X)
    u, v = (torch.randn(1, n, dtype=torch.float64, generator=lab.seeded(n)) for n in (5, 6))
    np.testing.assert_allclose(secants.transpose(u).numpy(), u.numpy() @ J, rtol=1e-9)
    np.testing.assert_allclose(secants.forward(v).numpy(), v.numpy() @ J.T, rtol=1e-9)


def test_after_a_move_the_newer_secant_counts(lab):
    """The derivative changes from 1 to 3 as the search moves on by a radius; without the move both count the same."""
    for moved, expected in ((0.0, 2.0), (1.0, 3.0)):
        secants = Secants(torch.zeros(1, 1).double(), torch.zeros(1, 1).double(), memory=8)
        secants.add(torch.ones(1, 1).double(), torch.ones(1, 1).double())
        secants.move(torch.tensor([moved]))
        secants.add(torch.ones(1, 1).double(), 3 * torch.ones(1, 1).double())
        assert secants.forward(torch.ones(1, 1).double()).item() == pytest.approx(expected, rel=0.02)


def test_a_nearly_known_direction_is_not_divided_by_what_is_new_in_it(lab):
    """Two directions 1e-3 apart whose changes differ by noise: the estimate stays near them, where interpolation has a slope of 100."""
    secants = Secants(torch.zeros(1, 2).double(), torch.zeros(1, 1).double(), memory=8)
    secants.add(torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[1.0]]).double())
    secants.add(torch.tensor([[1.0, 1e-3]]).double(), torch.tensor([[1.1]]).double())
    assert secants.transpose(torch.ones(1, 1).double())[0, 1].abs() < 0.1


def test_forgetting_keeps_what_is_amplified_most(lab):
    gains = torch.tensor([9.0, 8, 7, 6, 0.1, 0.1, 0.1, 0.1, 0.1], dtype=torch.float64)
    secants = Secants(torch.zeros(1, 9).double(), torch.zeros(1, 9).double(), memory=8)
    for step in torch.eye(9, dtype=torch.float64):
        secants.add(step[None], step[None] * gains)
    assert len(secants) == 5
    kept = secants.transpose(torch.ones(1, 9, dtype=torch.float64))[0]
    assert_close(kept[:4], gains[:4], **NEAR)
    assert kept[4:8].abs().max() < 1e-3


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_pairs_that_are_zero_or_not_finite_teach_nothing(lab, bad):
    matrix, u = dense_map(6, 6, lab), torch.ones(1, 6, dtype=torch.float64)
    secants, _ = learnt(matrix, lab, 3)
    before = secants.transpose(u)
    secants.add(torch.ones(1, 6).double(), torch.full((1, 6), bad).double())
    secants.add(torch.zeros(1, 6).double(), torch.ones(1, 6).double())
    assert_close(secants.transpose(u), before, rtol=0, atol=0)


def test_complex_vectors_count_as_pairs(lab):
    """A map that is real-linear only: conj."""
    secants = Secants(torch.zeros(1, 2, dtype=torch.complex128), torch.zeros(1, 2, dtype=torch.complex128), memory=8)
    for step in torch.eye(2, dtype=torch.complex128):
        for z in (step, 1j * step):
            secants.add(z[None], (3 * z.conj())[None])
    u, v = (tensors.randn((1, 2), dtype=torch.complex128, generator=lab.seeded(s)) for s in (0, 1))
    assert_close(secants.transpose(u), 3 * u.conj(), **NEAR)
    assert_close(tensors.inner(secants.transpose(u), v), tensors.inner(u, secants.forward(v)))
