import dataclasses
import math

import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import DataError
from stabtest.operators import Identity, Radon
from stabtest.stability.kernel import kernel_errors
from stabtest.stability.kernel.errors import noise_norm
from stabtest.stability.null_space import split


def test_the_parts_agree_with_a_dense_projection(build):
    operator = Radon(12, 5)
    x, f = build.random_image(operator, 0), build.random_image(operator, 1)
    y = operator.forward(x)
    found = kernel_errors(operator, f, x, y, iterations=3000, tolerance=1e-14)
    projector, error = build.projector(operator), (f - x).flatten().numpy()
    size = np.linalg.norm(x.flatten().numpy())
    assert found.measured == pytest.approx(np.linalg.norm(projector @ error) / size, rel=1e-6)
    assert found.null == pytest.approx(np.linalg.norm(error - projector @ error) / size, rel=1e-6)
    expected = np.linalg.norm(build.dense(operator) @ error) / np.linalg.norm(y.flatten().numpy())
    assert found.data_consistency == pytest.approx(expected, rel=1e-9)


def test_the_energies_add_up(build):
    operator = build.single_coil(16)
    x, f = build.random_image(operator, 0), build.random_image(operator, 1)
    found = kernel_errors(operator, f, x, operator.forward(x))
    assert found.total**2 == pytest.approx(found.measured**2 + found.null**2, rel=1e-12)
    assert found.null_share == pytest.approx((found.null / found.total) ** 2, rel=1e-12)


def test_a_perfect_guess_recovers_all_and_invents_nothing(build):
    case = build.head_case()
    found = kernel_errors(case.operator, case.truth, case.truth, case.operator.forward(case.truth))
    assert found.null_recovery == pytest.approx(1, abs=1e-12)
    assert max(found.total, found.null_invented, found.null_share) < 1e-12


def test_a_blank_recovers_nothing_and_invents_nothing(build):
    case = build.head_case()
    image = case.operator.pseudo_inverse(case.measurement)
    found = kernel_errors(case.operator, image, case.truth, case.measurement)
    assert found.null_recovery == pytest.approx(0, abs=1e-12)
    assert found.null_invented < 1e-12
    assert found.null == pytest.approx(found.truth_null, rel=1e-12)


def test_what_is_painted_into_the_null_space_is_invented(build):
    case = build.head_case()
    extra = split(case.operator, build.random_image(case.operator, 4)).null
    hidden = split(case.operator, case.truth).null
    extra = extra - hidden * (tensors.inner(hidden, extra) / tensors.inner(hidden, hidden))
    found = kernel_errors(case.operator, case.truth + extra, case.truth, case.operator.forward(case.truth))
    assert found.null_recovery == pytest.approx(1, abs=1e-9)
    assert found.null_invented == pytest.approx(float(tensors.norm(extra) / tensors.norm(case.truth)), rel=1e-9)
    assert found.data_consistency < 1e-12  # no data contradict it


def test_the_truth_is_consistent_with_the_data_up_to_the_noise(build):
    ratios = []
    for seed in range(20):
        case = build.head_case(seed)
        found = kernel_errors(case.operator, case.truth, case.truth, case.measurement, noise_std=case.noise_std)
        ratios.append(found.data_consistency / found.noise_level)
    samples = case.operator.mask.sum().item()
    # The square of each ratio is chi-square over its mean: standard deviation 1 / sqrt(m) for complex samples.
    assert abs(np.mean(np.square(ratios)) - 1) < 4 / math.sqrt(20 * samples)


def test_the_noise_counts_measured_samples_only(build):
    operator = build.single_coil(16)
    assert noise_norm(operator, 0.5) == pytest.approx(0.5 * math.sqrt(int(operator.mask.sum())))
    assert [noise_norm(operator, level) for level in (None, 0.0, math.inf, math.nan)] == [None] * 4


def test_where_nothing_is_hidden_there_is_no_recovery():
    x = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    found = kernel_errors(Identity((4, 4)), 2 * x, x, x)
    assert found.null_recovery is None
    assert (found.measured, found.null) == (1.0, 0.0)


def test_magnitudes_and_zeros_are_refused(build):
    case = build.head_case()
    with pytest.raises(DataError, match="magnitudes"):
        kernel_errors(case.operator, case.truth.abs(), case.truth, case.measurement)
    with pytest.raises(DataError, match="zero"):
        kernel_errors(case.operator, case.truth, 0 * case.truth, case.measurement)


def test_the_result_is_frozen(build):
    case = build.head_case()
    found = kernel_errors(case.operator, case.truth, case.truth, case.measurement)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.total = 0.0
