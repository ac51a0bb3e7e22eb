from itertools import pairwise

import numpy as np
import pytest
import torch

from stabtest import phantoms
from stabtest.audit.cases.scans import ViewSelection, check_nested, farthest_first, masks_around, view_noise
from stabtest.audit.cases.simulate import derived_seed, finer_object, make_operator, simulate
from stabtest.audit.config.file import parse_config
from stabtest.audit.measures import sampling_levels
from stabtest.errors import ConfigError, DataError
from stabtest.operators import Radon
from stabtest.stability.shift import Scene

MRI = '[network]\nzoo = "tv"\n[operator]\nsize = 32\nmask = {{ acceleration = 2.0 }}\n[data]\ncount = 2\nnoise = {noise}\n'
CT = (
    '[network]\nzoo = "tv"\n[operator]\nkind = "radon"\nsize = 32\nangles = 12\n[data]\nphantom = "ellipses"\nnoise = {noise}\n'
)
COILS = MRI.replace("size = 32", 'size = 32\nkind = "multicoil"\ncoils = 3')
DENOISING = '[network]\nzoo = "tv"\n[operator]\nkind = "identity"\nsize = 32\n[data]\nnoise = {noise}\n'
ALL = {"mri": MRI, "ct": CT, "coils": COILS, "identity": DENOISING}


def config(text, noise=0.02):
    return parse_config(text.format(noise=noise))


@pytest.mark.parametrize("kind", ALL)
def test_a_case_is_a_function_of_its_configuration(kind):
    one, other = simulate(config(ALL[kind]), 1), simulate(config(ALL[kind]), 1)
    assert torch.equal(one.measurement, other.measurement)
    assert not torch.equal(one.measurement, simulate(config(ALL[kind]), 0).measurement)


def test_mri_truth_is_the_full_scan_of_the_fine_object():
    """Oracle in NumPy: the middle of the fine spectrum, with the half-pixel phase between the two grids."""
    case = simulate(config(MRI, noise=0), 0)
    fine = phantoms.head(64, seed=1_000_000).numpy()[0].astype(np.complex128)
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(fine), norm="ortho"))[16:48, 16:48] / 2
    k = np.arange(32) - 16
    phase = np.exp(2j * np.pi * k * 0.5 / 64)
    image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(spectrum * phase[:, None] * phase), norm="ortho"))
    np.testing.assert_allclose(case.truth[0, 0].numpy(), image, atol=2e-6)


@pytest.mark.parametrize("kind", ALL)
def test_the_finer_object_explains_the_measurement_to_the_noise(kind):
    made = config(ALL[kind])
    case = simulate(made, 1)
    assert Scene(case, finer_object(made, case)).misfit == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("kind", ALL)
def test_the_object_of_another_case_is_refused(kind):
    made = config(ALL[kind])
    with pytest.raises(DataError, match="finer object"):
        Scene(simulate(made, 1), finer_object(made, simulate(made, 0)))


def test_ct_truth_is_the_block_average():
    case = simulate(config(CT, noise=0), 0)
    fine = phantoms.ellipses(64, seed=1_000_000)[0]
    torch.testing.assert_close(case.truth[0, 0], fine.reshape(32, 2, 32, 2).mean(dim=(1, 3)))


def test_measurements_are_not_made_on_the_grid_of_the_reconstruction():
    case = simulate(config(CT, noise=0), 0)
    assert float((case.measurement - case.operator(case.truth)).norm() / case.measurement.norm()) > 1e-3


@pytest.mark.parametrize("kind", ALL)
def test_the_noise_has_the_stated_level(kind):
    clean, noisy = simulate(config(ALL[kind], 0), 0), simulate(config(ALL[kind], 0.05), 0)
    largest = float((clean.measurement if kind == "ct" else clean.truth).abs().max())
    assert noisy.noise_std == pytest.approx(0.05 * largest, rel=1e-6)
    difference = noisy.measurement - clean.measurement
    measured = difference[difference != 0]
    assert float(measured.abs().square().mean().sqrt()) == pytest.approx(noisy.noise_std, rel=0.12)


def test_noise_stays_on_measured_samples():
    case = simulate(config(MRI), 0)
    assert torch.equal(case.operator.restrict(case.measurement), case.measurement)


@pytest.mark.parametrize("kind", ["mri", "coils"])
def test_more_k_space_is_a_superset_with_the_same_noise(kind):
    case = simulate(config(ALL[kind]), 0)
    few, many = case.resample(0.3), case.resample(0.8)
    where = few.measurement != 0
    assert torch.equal(few.measurement[where], many.measurement[where])
    assert few.count < many.count
    assert few.count == int(few.operator.mask.sum())


def test_the_trained_level_gives_the_case_itself():
    for text, level in ((MRI, 0.5), (CT, 12)):
        case = simulate(config(text), 0)
        again = case.resample(level)
        assert again.trained
        torch.testing.assert_close(again.measurement, case.measurement)


def test_more_views_are_a_superset_with_the_same_noise():
    case = simulate(config(CT), 0)
    many = case.resample(24)
    assert many.operator.angles[::2] == case.operator.angles
    torch.testing.assert_close(many.measurement[:, :, ::2], case.measurement)
    assert many.fraction == 2


def test_view_noise_is_standard_normal_and_differs_between_views():
    noise = view_noise(200, 300, seed=3)[0, 0]
    assert float(noise.std()) == pytest.approx(1, abs=0.01)
    assert float(torch.corrcoef(noise).fill_diagonal_(0).abs().max()) < 0.35


def test_nested_views_are_checked():
    assert check_nested((50, 25, 100), "[sampling] views") == (25, 50, 100)
    with pytest.raises(ConfigError, match="divides the next"):
        check_nested((50, 75), "[sampling] views")


def test_default_levels_hold_the_trained_one():
    assert sampling_levels(config(CT)) == (6, 12, 24)
    assert 0.5 in sampling_levels(config(MRI))
    assert sampling_levels(config(DENOISING)) == ()


@pytest.mark.parametrize("columns", [True, False])
def test_masks_around_a_mask_are_nested_and_hold_it(columns):
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(1 if columns else 16, 20, generator=generator) < 0.4
    mask = mask.expand(16, 20) | (torch.arange(20) - 10).abs().le(1)
    at = masks_around(mask, seed=0)
    levels = [at(fraction) for fraction in (0.2, 0.4, 0.7, 1.0)]
    for few, many in pairwise(levels):
        assert not bool((few & ~many).any())
    assert torch.equal(at(float(mask.float().mean())), mask)
    assert bool(levels[0][:, 10].any())


def test_views_of_a_scan_are_nested_about_the_trained_ones():
    angles = tuple(float(angle) for angle in range(0, 180, 3))
    trained = torch.tensor([0, 7, 13, 22, 31, 40, 49, 55])
    views = torch.arange(60.0)[None, None, :, None].expand(1, 1, 60, 9)
    scan = ViewSelection(views, angles, trained, Radon(6, [angles[i] for i in trained], 9))
    sets = [set(scan(count).measurement[0, 0, :, 0].int().tolist()) for count in (4, 8, 20, 60)]
    assert all(few < many for few, many in pairwise(sets))
    assert sets[1] == set(trained.tolist())
    assert scan(20).operator.angles == tuple(sorted(scan(20).operator.angles))
    with pytest.raises(DataError, match="at most the 60"):
        scan(61)


def test_farthest_first_spreads():
    order = farthest_first([float(a) for a in range(180)], first=[0])
    gaps = np.diff(sorted([*order[:8], 180]))
    assert gaps.max() <= 2 * gaps.min()


def test_multicoil_operators_have_the_stated_coils():
    assert make_operator(config(COILS)).range.shape == (3, 32, 32)


def test_seeds_are_derived_apart():
    seeds = {derived_seed(0, name, index) for name in ("noise", "gates") for index in range(100)}
    assert len(seeds) == 200
    assert max(seeds) < 2**63
