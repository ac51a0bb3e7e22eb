import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import ConfigError, DataError
from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow, SfrcRow
from stabtest.operators import Radon
from stabtest.stability.cases import Method
from stabtest.stability.kernel import KernelTest, SfrcSettings, transfer_bound

QUICK = KernelTest(steps=12, starts=1)


@pytest.fixture(scope="module")
def scanners(build):
    return {
        "single coil": build.head_case(),
        "several coils": build.head_case(operator=build.multi_coil()),
        "Radon": build.head_case(operator=Radon(16, 6)),
    }


def transfers(outcome):
    return [row for row in outcome.rows if isinstance(row, KernelTransferRow)]


@pytest.mark.parametrize("name", ["single coil", "several coils", "Radon"])
def test_it_works_in_every_scanner(build, scanners, name):
    case = scanners[name]
    test = KernelTest(steps=6, starts=1, sfrc=SfrcSettings(threshold=0.5, least_cutoff=0.5, side=8))
    outcome = test.measure(build.linear(), case)
    assert [type(row) for row in outcome.rows] == [KernelErrorRow, *[KernelTransferRow] * 4, SfrcRow]
    errors = outcome.rows[0]
    # Exact where there is a closed form; otherwise the null part is an upper bound, the measured one a lower.
    error = (build.linear()(case.measurement, case.operator) - case.truth).flatten().numpy()
    measured = np.linalg.norm(build.projector(case.operator, cut=1e-13) @ error) / float(tensors.norm(case.truth))
    null = np.sqrt(errors.error**2 - measured**2)
    if name == "single coil":
        assert (errors.measured_error, errors.null_error) == pytest.approx((measured, null), rel=1e-9)
    assert errors.measured_error <= measured * (1 + 1e-9)
    assert null * (1 - 1e-9) <= errors.null_error <= 1.01 * null
    assert errors.null_recovery == pytest.approx(0, abs=1e-5)
    assert errors.null_invented < 1e-4
    assert (errors.projection_residual == 0) == (name == "single coil")
    assert not any(row.kernel_aware is False for row in transfers(outcome))
    assert all(row.bound <= row.gain + 1e-9 for row in transfers(outcome))


def test_minimum_norm_is_not_caught_in_twenty_seeds(build):
    for seed in range(20):
        rows = transfers(KernelTest(steps=6, starts=1).measure(build.linear(), build.head_case(seed, n=16), seed=seed))
        assert all(row.kernel_aware is True for row in rows)
        assert all(row.bound <= 0 for row in rows if row.base == "truth")


def test_a_hallucinator_is_caught_in_every_seed(build):
    for seed in range(3):
        case = build.head_case(seed)
        method, _, _ = build.hallucinator(case, 10.0)
        outcome = KernelTest(families=("free",), steps=12, starts=1).measure(method, case, seed=seed)
        (row,) = [row for row in transfers(outcome) if row.base == "reconstruction"]
        assert row.kernel_aware is False
        assert row.bound > 8
        assert not row.determined  # the data do not tell, and the method says


def test_single_precision_is_not_caught_either(build):
    for seed in range(3):
        case = build.head_case(seed, dtype=torch.float32)
        rows = transfers(QUICK.measure(build.linear(), case, seed=seed))
        assert all(row.kernel_aware is True for row in rows)


def test_the_witness_gives_the_bound_again(build):
    case = build.head_case()
    method, _, _ = build.hallucinator(case, 10.0)
    outcome = QUICK.measure(method, case)
    own = method(case.measurement, case.operator)
    for row in transfers(outcome):
        detail = torch.from_numpy(outcome.witnesses[row.witness])[None, None]
        base = case.truth if row.base == "truth" else own
        # A witness in the null space gives no bound: there the least distance of the search counts.
        least = 0.05 * row.data_limit * case.noise_std / np.sqrt(2)
        again = transfer_bound(method, case.operator, case.measurement, base, detail, least=least)
        assert again.bound == pytest.approx(row.bound, rel=1e-9)
        assert float(tensors.norm(detail) / tensors.norm(case.truth)) == pytest.approx(row.image_distance, rel=1e-9)
        assert row.image_distance <= row.size_limit * (1 + 1e-9)
        assert row.data_detectability <= row.data_limit * (1 + 1e-9)


def test_the_maps_are_stored_and_have_the_norms_of_the_row(build):
    case = build.head_case()
    outcome = QUICK.measure(build.linear(), case)
    row = outcome.rows[0]
    size = float(tensors.norm(case.truth))
    for name, value in (
        ("measured", row.hallucinated_measured),
        ("null", row.hallucinated_null),
        ("missing", row.missing_null),
    ):
        assert np.linalg.norm(outcome.witnesses[f"{row.maps}.{name}"]) / size == pytest.approx(value, abs=1e-12)


def test_rows_survive_json(build):
    test = KernelTest(steps=2, starts=1, sfrc=SfrcSettings(threshold=0.5, least_cutoff=0.5, side=8))
    for row in test.measure(build.linear(), build.head_case(noise_known=False)).rows:
        assert type(row).model_validate_json(row.model_dump_json()) == row


def test_without_noise_level_distances_are_relative_to_the_measurement(build):
    rows = transfers(KernelTest(steps=2, starts=1).measure(build.linear(), build.head_case(noise_known=False)))
    assert {row.data_unit for row in rows} == {"measurement"}
    assert all(row.data_detectability is None and row.data_distance <= row.data_limit * (1 + 1e-9) for row in rows)


def test_evaluations_and_progress_are_reported(build):
    calls, steps = [], []

    def counted(y, A):
        calls.append(1)
        return A.pseudo_inverse(y)

    outcome = QUICK.measure(Method("counted", "under test", counted), build.head_case(), progress=lambda *s: steps.append(s))
    assert outcome.evaluations == len(calls)
    assert steps == [(k, 5) for k in range(1, 6)]


def test_all_methods_get_the_same_starts(build):
    case = build.head_case()
    one, other = (QUICK.measure(build.linear(name), case, seed=3) for name in ("a", "b"))
    assert [row.bound for row in transfers(one)] == [row.bound for row in transfers(other)]


def test_without_truth_or_phase_there_is_no_test(build):
    case = build.head_case()
    blind = type(case)("a", "a", "mri", case.operator, case.measurement)
    with pytest.raises(DataError, match="truth"):
        QUICK.measure(build.linear(), blind)
    with pytest.raises(DataError, match="magnitudes"):
        QUICK.measure(Method("abs", "under test", lambda y, A: A.pseudo_inverse(y).abs()), case)


@pytest.mark.parametrize(
    "wrong",
    [
        {"families": ("free", "free")},
        {"families": ("square",)},
        {"bases": ("data",)},
        {"size": 0.0},
        {"data": float("inf")},
        {"floor": -1.0},
        {"starts": 0},
        {"sfrc": SfrcSettings(threshold=0.5, least_cutoff=0.5, side=4)},
    ],
)
def test_settings_have_a_range(wrong):
    with pytest.raises(ConfigError, match="kernel"):
        KernelTest(**wrong)


def test_others_than_the_tested_method_can_be_given_fewer_steps(build):
    case, test = build.head_case(n=16), KernelTest(families=("free",), bases=("truth",), steps=9, starts=1, reference_steps=2)
    spent = {}
    for role in ("under test", "reference", "baseline"):
        (row,) = transfers(test.measure(Method("linear", role, build.linear().reconstruct), case))
        spent[role] = row.evaluations
    assert spent["reference"] == spent["baseline"] == spent["under test"] - 7 * row.starts
