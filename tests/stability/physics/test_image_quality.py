import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from stabtest import metrics, phantoms, tensors
from stabtest.errors import ConfigError, DataError, NetworkError
from stabtest.findings.physics_rows import BiasRow, NoisePowerRow, TransferRow, UniformityRow
from stabtest.networks.magnitude import Magnitude
from stabtest.operators import Fourier, MultiCoilFourier, ifft2c
from stabtest.stability.cases import Case, Method
from stabtest.stability.physics.contrast import contrast_statements
from stabtest.stability.physics.image_quality import ImageQualityTest

SIZE = 64
TEST = ImageQualityTest(diameter_px=12, noise_side_px=10, edge_realisations=4, noise_realisations=8)
EDGES = dataclasses.replace(TEST, flat_object=False, edge_realisations=4, noise_realisations=4)


def direct(y, A):
    return A.pseudo_inverse(y)


DIRECT = Method("direct", "reference", direct)
MAGNITUDE = Method("magnitude", "reference", Magnitude(direct))


def keeps_strong_edges(y, A):
    """A denoiser: smooth, plus the detail that exceeds a threshold."""
    image = A.pseudo_inverse(y)
    smooth = metrics.smooth(image, sigma=2.0)
    detail = image - smooth
    return smooth + detail * (1 - 0.02 / detail.abs().clamp_min(1e-12)).clamp_min(0)


def median(y, A):
    return torch.from_numpy(ndimage.median_filter(A.pseudo_inverse(y).numpy(), size=(1, 1, 5, 5)))


def of(outcome, kind):
    return [row for row in outcome.rows if isinstance(row, kind)]


def flat_case(level=0.01, value=1.0, size=SIZE, kind=torch.complex64):
    """A large uniform disc in the full scan of one coil."""
    fine = value * phantoms.disc(2 * size, centre=((size - 1) / 2,) * 2, diameter=0.8 * size, nominal=size)[None].to(kind)
    A = Fourier(torch.ones(size, size, dtype=torch.bool))
    clean = A.refine(2).forward(fine)
    noise = level * tensors.randn(tuple(clean.shape), dtype=clean.dtype, generator=torch.Generator().manual_seed(9))
    return Case("flat", "flat", "mri", A, clean + noise, truth=ifft2c(clean), truth_source="phantom", noise_std=level)


@pytest.fixture(scope="module")
def scan(make_mri):
    return make_mri(0, size=SIZE, fraction=1.0)


@pytest.fixture(scope="module")
def under(make_mri):
    return make_mri(0, size=SIZE, fraction=0.35)


@pytest.fixture(scope="module")
def sinogram(make_ct):
    return make_ct(0, size=SIZE, views=60)


@pytest.fixture(scope="module")
def coils():
    fine = phantoms.head(2 * SIZE, seed=1)[None].to(torch.complex64)
    full = torch.ones(SIZE, SIZE, dtype=torch.bool)
    A = MultiCoilFourier(full, phantoms.coil_maps(SIZE, 4, seed=2))
    truth = ifft2c(Fourier(full).refine(2).forward(fine))
    level = 0.002 * float(truth.abs().max())
    clean = A.refine(2).forward(fine)
    noise = level * tensors.randn(tuple(clean.shape), dtype=clean.dtype, generator=torch.Generator().manual_seed(3))
    return Case("coils", "coils", "mri", A, clean + noise, truth=truth, truth_source="phantom", noise_std=level)


def test_single_coil_multi_coil_and_ct_are_measured(scan, coils, sinogram):
    for case, of_what in ((scan, "along the local phase"), (coils, "along the local phase"), (sinogram, "value")):
        outcome = TEST.measure(DIRECT, case)
        kinds = [type(row) for row in outcome.rows]
        assert kinds == [TransferRow] * 3 + [NoisePowerRow, BiasRow, UniformityRow]
        assert {row.quantity for row in outcome.rows} == {of_what}
        assert all(row.reliable for row in of(outcome, TransferRow))
        assert outcome.witnesses["noise-map"].shape == (SIZE, SIZE)


def test_a_full_scan_reconstructed_directly_is_perfect(scan):
    outcome = TEST.measure(DIRECT, scan)
    for row in of(outcome, TransferRow):
        assert row.f50 == math.inf
        assert row.step == pytest.approx(1, abs=1e-4)
        assert row.transfer == pytest.approx([1] * 51, abs=1e-3)


def test_a_full_scan_of_several_coils_is_sharp_too(coils):
    for row in of(TEST.measure(DIRECT, coils), TransferRow):
        assert row.f50 == math.inf
        assert min(row.transfer[:41]) > 0.95  # the maps of the fine grid are interpolated


@pytest.mark.parametrize("sigma", [0.8, 1.2])
def test_a_blur_behind_the_scan_is_found(scan, sinogram, sigma):
    exact = math.sqrt(math.log(2) / 2) / math.pi / sigma
    blur = Method("blur", "under test", lambda y, A: metrics.smooth(A.pseudo_inverse(y), sigma=sigma))
    for row in of(EDGES.measure(blur, scan), TransferRow):
        assert row.f50 == pytest.approx(exact, rel=0.03)
        assert row.f50_interval.lower == pytest.approx(row.f50, rel=1e-3)  # noise cancels: the method is linear


def test_sites_are_put_on_each_other(scan):
    blur = Method("blur", "under test", lambda y, A: metrics.smooth(A.pseudo_inverse(y), sigma=1.0))
    test = dataclasses.replace(EDGES, sites=2, diameter_px=10.0, contrasts=(0.2,))
    (row,) = of(test.measure(blur, scan), TransferRow)
    assert row.sites == 2
    assert row.f50 == pytest.approx(0.1874, rel=0.03)


def test_a_denoiser_that_keeps_strong_edges_only_is_caught(scan, sinogram):
    for case in (scan, sinogram):
        rows = of(EDGES.measure(Method("denoiser", "under test", keeps_strong_edges), case), TransferRow)
        assert [row.contrast for row in rows] == [0.02, 0.1, 0.5]
        assert rows[0].f50 < 0.7 * min(rows[2].f50, 0.5)
        found = contrast_statements(rows)[-1]
        assert found.low_contrast == 0.02
        assert found.statement.startswith("Resolves less at low contrast")


def test_a_median_filter_is_not_linear_but_sharp_where_noise_is_weak(sinogram):
    """Of a noise-free edge a median shows the same at every contrast; in strong noise it smooths the weak edge."""
    noisy = dataclasses.replace(sinogram, noise_std=10 * sinogram.noise_std)
    test = dataclasses.replace(EDGES, contrasts=(0.05, 0.5), edge_realisations=24, noise_realisations=24)
    weak, strong = of(test.measure(Method("median", "under test", median), noisy), TransferRow)
    assert weak.f50 < 0.9 * min(strong.f50, 0.5)


@pytest.mark.parametrize("seed", range(20))
def test_no_false_alarm_on_linear_methods(make_mri, make_ct, seed):
    mri, ct = make_mri(seed, size=SIZE), make_ct(seed, size=SIZE)
    test = dataclasses.replace(EDGES, diameter_px=8.0, noise_side_px=8)
    for method, case in ((DIRECT, mri), (MAGNITUDE, mri), (DIRECT, ct)):
        rows = of(test.measure(method, case, seed=seed), TransferRow)
        assert all(row.reliable for row in rows)
        assert not any(s.statement.startswith("Resolves less") for s in contrast_statements(rows))


def test_an_eraser_has_no_curve(scan):
    smooth = Method("eraser", "under test", lambda y, A: 0.05 * A.pseudo_inverse(y))
    for row in of(EDGES.measure(smooth, scan), TransferRow):
        assert row.step == pytest.approx(0.05, abs=1e-4)
        assert (row.f50, row.f10, row.f50_interval, row.transfer, row.reliable) == (None, None, None, [], False)


def test_an_edge_in_too_much_noise_is_not_reliable(scan):
    """A method that adds the noise of its own input cubed: nothing cancels."""
    loud = Method("loud", "under test", lambda y, A: A.pseudo_inverse(y) + torch.sin(1e6 * A.pseudo_inverse(y).real))
    rows = of(EDGES.measure(loud, scan), TransferRow)
    assert not rows[0].reliable
    assert rows[0].f50_interval is None
    assert rows[0].edge_cnr < 1


def test_a_disc_that_the_data_do_not_carry_is_not_reliable(scan):
    noisy = dataclasses.replace(scan, noise_std=0.5 * scan.peak)
    (row,) = of(dataclasses.replace(EDGES, contrasts=(0.001,)).measure(DIRECT, noisy), TransferRow)
    assert row.data_detectability < 5
    assert not row.reliable


def test_the_noise_of_a_full_scan_is_white_with_half_the_variance(scan):
    test = dataclasses.replace(TEST, noise_realisations=64)
    (row,) = of(test.measure(DIRECT, scan), NoisePowerRow)
    expected = scan.noise_std**2 / 2
    assert row.variance == pytest.approx(expected, rel=0.06)
    assert row.integral == pytest.approx(row.variance, rel=1e-9)
    assert row.noise_std == pytest.approx(math.sqrt(expected), rel=0.03)
    for power, error in zip(row.power[1:], row.standard_error[1:]):
        assert abs(power - expected) < 4 * error
    assert row.noise_ratio == 1


def test_the_noise_of_filtered_back_projection_grows_with_frequency(sinogram):
    test = dataclasses.replace(TEST, noise_realisations=48, noise_side_px=16)
    (row,) = of(test.measure(DIRECT, sinogram), NoisePowerRow)
    assert row.power[0] < 0.4 * max(row.power)
    assert row.peak_frequency > 0.2


def test_the_noise_of_a_denoiser_is_weaker_and_coarser(scan):
    one, other = (
        of(dataclasses.replace(TEST, noise_realisations=32).measure(m, scan), NoisePowerRow)[0]
        for m in (DIRECT, Method("denoiser", "under test", keeps_strong_edges))
    )
    assert other.noise_std < one.noise_std
    assert other.mean_frequency < one.mean_frequency


def test_a_bias_is_found_and_given_in_hounsfield_units(sinogram):
    brighter = Method("bright", "under test", lambda y, A: A.pseudo_inverse(y) + 0.03)
    test = dataclasses.replace(TEST, water=0.5)
    (row,), (plain,) = (of(test.measure(m, sinogram), BiasRow) for m in (brighter, DIRECT))
    assert row.bias - plain.bias == pytest.approx(0.03, abs=1e-5)
    assert row.bias_hu == pytest.approx(1000 * row.bias / 0.5)
    assert row.interval.lower > 0.02


def test_the_magnitude_in_noise_is_biased_and_the_part_along_the_phase_is_not():
    """Rician: at a signal of twice the noise of a part the mean magnitude is raised by about 13 % of the signal."""
    case = flat_case(level=0.7, value=1.0, size=48)
    test = dataclasses.replace(EDGES, contrasts=(0.5,), diameter_px=8, noise_realisations=12)
    along, raised = (of(test.measure(m, case), BiasRow)[0] for m in (DIRECT, MAGNITUDE))
    assert along.interval.lower < 0 < along.interval.upper
    nu, s = along.truth, 0.7 / math.sqrt(2)
    rician = np.hypot(
        nu + s * np.random.default_rng(0).standard_normal(200_000), s * np.random.default_rng(1).standard_normal(200_000)
    )
    assert raised.bias == pytest.approx(rician.mean() - nu, abs=0.03)


def test_cupping_is_found_on_the_flat_disc(scan, sinogram):
    r2 = (torch.arange(SIZE) - 31.5).square()
    cup = 1 + 3e-4 * (r2[:, None] + r2)
    cupped = Method("cupped", "under test", lambda y, A: A.pseudo_inverse(y) * cup)
    for case in (scan, sinogram):
        (row,), (plain,) = (of(TEST.measure(m, case), UniformityRow) for m in (cupped, DIRECT))
        p = 24 * (1 - 3 * 0.113)
        assert row.centre_difference == pytest.approx(row.level * 3e-4 * p**2, rel=0.1)
        assert row.integral_uniformity < plain.integral_uniformity - 0.02
        assert plain.centre_difference < 0.01 * plain.level
        assert abs(plain.bias) < 0.005 * plain.level


def test_a_magnitude_method_is_measured_against_magnitudes(scan):
    outcome = TEST.measure(MAGNITUDE, scan)
    assert {row.quantity for row in outcome.rows} == {"magnitude"}
    for row in of(outcome, TransferRow):
        assert row.step == pytest.approx(1, abs=0.01)
        assert row.f50 == math.inf


def test_without_a_noise_level_sites_give_the_interval(sinogram):
    case = dataclasses.replace(sinogram, noise_std=None)
    test = dataclasses.replace(TEST, sites=3, diameter_px=7.0, noise_side_px=6)
    outcome = test.measure(DIRECT, case)
    assert of(outcome, NoisePowerRow) == []
    assert outcome.witnesses == {}
    for row in of(outcome, TransferRow):
        assert (row.left_out, row.realisations, row.noise_ratio, len(row.f50_left_out)) == ("sites", 1, None, 3)
    assert [row.interval for row in of(outcome, BiasRow)] == [None] * 3


def test_without_a_truth_there_is_no_bias(scan):
    case = dataclasses.replace(scan, truth=None, truth_source="none")
    outcome = TEST.measure(DIRECT, case)
    assert of(outcome, BiasRow) == []
    assert of(outcome, NoisePowerRow)[0].noise_ratio == pytest.approx(math.sqrt(2))


def test_all_methods_get_the_same_noise_and_sites(under):
    seen = {"a": [], "b": []}

    def recording(name):
        return Method(name, "under test", lambda y, A: (seen[name].append(y), A.pseudo_inverse(y))[1])

    for name in seen:
        EDGES.measure(recording(name), under, seed=4)
    assert all(torch.equal(one, other) for one, other in zip(seen["a"], seen["b"], strict=True))


def test_progress_reaches_its_end(scan):
    steps = []
    TEST.measure(DIRECT, scan, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (8 + 4 * (3 + 1),) * 2
    assert [done for done, _ in steps] == list(range(1, len(steps) + 1))


def test_rows_survive_json(scan):
    for row in TEST.measure(DIRECT, scan).rows:
        assert type(row).model_validate_json(row.model_dump_json()) == row


def test_a_body_without_room_and_a_method_that_fails(scan, ct):
    with pytest.raises(DataError, match="room"):
        dataclasses.replace(TEST, diameter_px=60).measure(DIRECT, scan)
    with pytest.raises(NetworkError):
        TEST.measure(Method("broken", "under test", lambda y, A: A.pseudo_inverse(y) * math.nan), scan)


@pytest.mark.parametrize(
    "change",
    [
        {"contrasts": ()},
        {"contrasts": (0.1, 0)},
        {"contrasts": (0.1, 0.1)},
        {"diameter_px": 4},
        {"noise_side_px": 2},
        {"sites": 0},
        {"edge_realisations": 0},
        {"noise_realisations": 2},
        {"noise_realisations": 3, "edge_realisations": 4},
        {"water": 0.0},
    ],
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(ConfigError, match="image quality"):
        ImageQualityTest(**change)
