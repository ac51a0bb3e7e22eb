"""Solvers that stop early are told from finished ones, at clean and at perturbed measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from reconstructors.convergence import convergence
from reconstructors.invariant import InvariantWavelets
from reconstructors.tv import TotalVariation
from reconstructors.wavelet import WaveletL1
from stabtest import tensors
from stabtest.operators import Radon
from stabtest.phantoms import ellipses

METHODS = {"tv": TotalVariation(1e-3), "invariant": InvariantWavelets(3e-3, levels=2), "wavelet": WaveletL1(3e-3, levels=2)}


@pytest.fixture(scope="module")
def scan():
    operator = Radon(16, 12)
    clean = operator(torch.cat([ellipses(16, seed=seed)[None] for seed in (0, 1)]).double())
    noise = operator.range.randn(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return operator, clean, clean + 0.05 * clean.abs().max() * noise


@pytest.mark.parametrize("name", METHODS)
def test_every_figure_falls_with_the_iterations_at_a_perturbed_measurement(scan, name):
    operator, _, y = scan
    few, many = (convergence(replace(METHODS[name], iterations=k), y, operator, factor=4) for k in (10, 200))
    for figure in ("residual", "gap", "excess", "distance"):
        assert (getattr(many, figure) < 0.2 * getattr(few, figure)).all(), figure
    assert few.distance.min() > 0.01  # control: what is unfinished is seen to be


@pytest.mark.parametrize("name", METHODS)
def test_excess_is_below_its_certificate(scan, name):
    operator, clean, _ = scan
    for iterations in (5, 30, 200):
        found = convergence(replace(METHODS[name], iterations=iterations), clean, operator)
        assert (found.excess <= found.gap * (1 + found.excess) + 1e-12).all()


def test_distance_is_that_of_two_runs_and_a_converged_run_has_none(scan):
    operator, _, y = scan
    method = TotalVariation(1e-3, iterations=20)
    x, limit = method(y, operator), replace(method, iterations=60)(y, operator)
    found = convergence(method, y, operator, factor=3)
    torch.testing.assert_close(found.distance, tensors.norm(x - limit) / tensors.norm(limit))
    solved = convergence(TotalVariation(1e-3, differentiate="implicit", tolerance=1e-8), y, operator)
    assert solved.distance.max() < 1e-4
    assert solved.gap.max() < 1e-5
    assert (solved.residual <= 1e-8).all()
