"""A solver that stopped early is told from a finished one, at the clean measurement and at a witness, by the numbers of plain runs."""

import math

import pytest
import torch

from reconstructors.tv import TotalVariation
from reconstructors.wavelet import WaveletL1
from stabtest.findings.records import SolverRow
from stabtest.stability.cases import Method
from stabtest.stability.solver import LONGER, Finishing
from stabtest.stability.worst_case import WorstCaseTest

TV = TotalVariation(0.01, iterations=12)
TEST = WorstCaseTest(radii=(0.02, 0.05), evaluations=8, noise_draws=1, pictures=False)


def relative(a, b):
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))


def figures_of(**figures):
    rest = {"iterations": 1, "longer": 10, "clean_gap": 0, "gap": 0, "clean_residual": 0, "residual": 0}
    return SolverRow(**rest, **figures)


def perturbation(case, seed):
    noise = case.operator.restrict(case.operator.range.randn(generator=torch.Generator().manual_seed(seed)))
    return 0.05 * noise * torch.linalg.vector_norm(case.measurement) / torch.linalg.vector_norm(noise)


@pytest.fixture(scope="module")
def attacked(mri):
    return TEST.measure(Method("tv", "reference", TV), mri, seed=0)


def test_distances_are_those_of_two_runs(mri):
    e, A, y = perturbation(mri, 0), mri.operator, mri.measurement
    row = Finishing.of(TV, mri).at(e)
    long = TotalVariation(0.01, iterations=12 * LONGER)
    assert row.iterations == 12
    assert row.clean_distance == pytest.approx(relative(TV(y, A), long(y, A)), rel=1e-4)
    assert row.distance == pytest.approx(relative(TV(y + e, A), long(y + e, A)), rel=1e-4)
    assert row.longer_change == pytest.approx(relative(long(y + e, A), long(y, A)), rel=1e-4)


def test_the_longer_run_is_tried_under_every_perturbation_that_was_found(mri):
    finishing = Finishing.of(TV, mri)
    small, large = 0.2 * perturbation(mri, 0), perturbation(mri, 1)
    assert finishing.at(small, [large]).longer_change == finishing.at(large).longer_change
    assert finishing.at(large, [small]).longer_change == finishing.at(large).longer_change
    assert finishing.at(small, [large]).distance == finishing.at(small).distance


def test_a_solver_that_stopped_early_is_told_from_a_finished_one(mri):
    e, A, y = perturbation(mri, 0), mri.operator, mri.measurement
    methods = [TotalVariation(0.01, iterations=k) for k in (3, 400)]
    few, many = (Finishing.of(method, mri).at(e) for method in methods)
    assert not few.finished(relative(methods[0](y + e, A), methods[0](y, A)))
    assert many.finished(relative(methods[1](y + e, A), methods[1](y, A)))


def test_wavelets_can_be_asked_too(mri):
    e = perturbation(mri, 0)
    few, more = (Finishing.of(WaveletL1(0.02, iterations=k), mri).at(e) for k in (3, 100))
    assert few.gap > 2 * more.gap
    assert few.residual > 2 * more.residual


def test_near_images_and_equal_changes_are_both_asked_for():
    row = figures_of(clean_distance=0.001, distance=0.001, longer_change=0.2)
    assert not row.finished(0.1)
    assert figures_of(clean_distance=0.001, distance=0.001, longer_change=0.105).finished(0.1)
    assert figures_of(clean_distance=0.1, distance=math.inf, longer_change=0.1).finished(math.inf)


def test_a_network_has_no_solver_and_one_derivative(mri):
    rows = TEST.measure(Method("net", "under test", lambda y, A: A.pseudo_inverse(y)), mri, seed=0).rows
    assert all((row.solver, row.differentiation) == (None, None) for row in rows)


def test_the_row_says_which_derivative_found_its_witness_and_whether_the_solver_was_finished(attacked):
    for row in attacked.rows:
        assert row.differentiation in ("unrolled", "implicit")
        assert not row.solver.finished(row.relative_change)
        assert row.gradient == "healthy"


def test_the_witness_does_to_the_shipped_solver_what_the_row_says(attacked, mri):
    for row in attacked.rows:
        e = torch.from_numpy(attacked.witnesses[row.witness])[None]
        change = relative(TV(mri.measurement + e, mri.operator), TV(mri.measurement, mri.operator))
        assert change == pytest.approx(row.relative_change, rel=1e-4)


def test_no_way_is_worse_off_together_than_alone(attacked, mri):
    alone = WorstCaseTest(radii=(0.02, 0.05), evaluations=8, noise_draws=1, pictures=False, further_ways=0)
    rows = alone.measure(Method("tv", "reference", TV), mri, seed=0).rows
    for both, one in zip(attacked.rows, rows, strict=True):
        assert one.differentiation == "unrolled"
        assert both.relative_change >= one.relative_change
        assert both.evaluations > one.evaluations


def test_the_budget_names_the_further_ways():
    assert "as many evaluations again for each further way" in TEST.budget
    assert "25 % of the evaluations more for each" in WorstCaseTest(further_ways=0.25).budget
    assert "further way" not in WorstCaseTest(further_ways=0).budget
