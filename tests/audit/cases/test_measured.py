"""Cases from files that the test writes, and from the real data where they are."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from stabtest.audit.cases import case_names, make_case
from stabtest.audit.cases.measured_kspace import kspace_case
from stabtest.audit.cases.patterns import LIMITED, ViewPatterns
from stabtest.audit.cases.scans import ViewSelection
from stabtest.audit.config.file import parse_config
from stabtest.errors import ConfigError, DataError
from stabtest.operators import Radon, fft2c
from stabtest.phantoms import ellipses, head

DATA = os.environ.get("STABTEST_DATA")
CONFIG = '[network]\nzoo = "unet-mri"\n[operator]\nsize = 64\n[data]\nkind = "kspace"\nfiles = ["k.npy"]\n'


def kspace_config(folder, *, size=32, extra=""):
    return parse_config(
        f'[network]\nzoo = "tv"\n[operator]\nsize = {size}\nmask = {{ acceleration = 2.0 }}\n'
        f'[data]\nkind = "kspace"\nfiles = ["a/scan.npy", "b/scan.npy"]\n{extra}',
        base_dir=folder,
    )


@pytest.fixture
def scans(tmp_path):
    for number, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "scan.npy", fft2c(head(48, seed=number)).numpy()[0])
    return tmp_path


def test_kspace_is_cropped_masked_and_compared_with_the_full_reconstruction(scans):
    case = make_case(kspace_config(scans), 0)
    assert case.truth_source == "full reconstruction"
    assert float(case.truth.abs().max()) == pytest.approx(1, rel=1e-5)
    full = fft2c(case.truth)
    torch.testing.assert_close(case.measurement, full * case.operator.mask, atol=1e-5, rtol=1e-4)
    assert any("cropped" in note for note in case.notes)


def test_another_pattern_shows_another_part_of_the_same_scan(scans):
    case = make_case(kspace_config(scans), 0)
    other = case.repattern("variable_density")
    assert not torch.equal(other.operator.mask, case.operator.mask)
    assert torch.equal(other.measurement, case.resample(1.0).measurement * other.operator.mask)


def test_a_limited_angle_with_too_few_views_is_refused(tmp_path):
    views = torch.ones(1, 1, 6, 8)
    scan = ViewSelection(
        views, (0.0, 30.0, 60.0, 90.0, 120.0, 150.0), torch.arange(5), Radon(8, (0.0, 30.0, 60.0, 90.0, 120.0), 8)
    )
    with pytest.raises(DataError, match="4 views of the scan"):
        ViewPatterns(scan, seed=0)("limited_angle")


def test_files_of_one_name_get_different_case_names(scans):
    assert case_names(kspace_config(scans)) == ("a/scan.npy", "b/scan.npy")


def test_patients_are_kept(scans):
    config = kspace_config(scans, extra='patients = ["p", "p"]')
    assert [make_case(config, index).patient for index in range(2)] == ["p", "p"]
    with pytest.raises(ConfigError, match="as many patients"):
        kspace_config(scans, extra='patients = ["p"]')


def test_a_sinogram_becomes_a_case(tmp_path):
    scanner = Radon(48, 60, 80)
    integrals = scanner(ellipses(48, seed=0)[None])[0, 0].numpy() / 20
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["exchange/data"] = (10_000 * np.exp(-integrals)).astype(np.float32)[:, None]
        file["exchange/data_white"] = np.full((2, 1, 80), 10_000.0)
        file["exchange/data_dark"] = np.zeros((2, 1, 80))
        file["exchange/theta"] = np.asarray(scanner.angles)
    text = '[network]\nzoo = "tv"\n[operator]\nkind = "radon"\nsize = 32\nangles = 15\n[data]\nkind = "sinogram"\nfiles = ["scan.h5"]'
    case = make_case(parse_config(text, base_dir=tmp_path), 0)
    assert case.measurement.shape[2] == 15
    assert len(case.resample(30).operator.angles) == 30
    image = case.operator.pseudo_inverse(case.measurement)
    assert float((image - case.truth).norm() / case.truth.norm()) < 0.5
    for kind in ("random_angles", "limited_angle"):  # each reading is the one that was measured at its angle
        other = case.repattern(kind)
        assert (other.count, len(set(other.operator.angles))) == (15, 15)
        rows = [round(angle / 3) for angle in other.operator.angles]
        torch.testing.assert_close(other.measurement, case.resample(60).measurement[:, :, rows])
        assert kind == "random_angles" or max(other.operator.angles) < LIMITED
    with pytest.raises(DataError, match="60 views"):
        make_case(parse_config(text.replace("angles = 15", "angles = 100"), base_dir=tmp_path), 0)


@pytest.mark.parametrize("measured", [True, False])
def test_noise_that_cannot_be_estimated_is_not_known(tmp_path, measured):
    """Partial Fourier in both directions: nothing was measured where the noise is read off."""
    k = fft2c(head(64, seed=3)[None])[0, 0].numpy()
    rng = np.random.default_rng(0)
    k = k + 1e-3 * (rng.standard_normal(k.shape) + 1j * rng.standard_normal(k.shape))
    if not measured:
        for rows in (slice(7), slice(-7, None)):
            for columns in (slice(7), slice(-7, None)):
                k[rows, columns] = 0
    np.save(tmp_path / "k.npy", k)
    case = kspace_case(parse_config(CONFIG).at(tmp_path), 0, "k")
    assert (case.noise_std is not None) == measured


@pytest.mark.realdata
@pytest.mark.skipif(not DATA, reason="STABTEST_DATA names no folder")
def test_the_brain_is_a_case():
    text = '[network]\nzoo = "tv"\n[data]\nkind = "kspace"\nfiles = ["mri-brain/kspace_0.npy"]'
    case = make_case(parse_config(text, base_dir=Path(str(DATA))), 0)
    reference = torch.from_numpy(np.load(Path(str(DATA)) / "mri-brain" / "gt_0.npy")).float()
    small = torch.nn.functional.interpolate(reference[None, None], size=(128, 128), mode="area")[0, 0]
    found = case.truth[0, 0].abs()
    correlation = torch.corrcoef(torch.stack([small.flatten(), found.flatten()]))[0, 1]
    assert float(correlation) > 0.98


@pytest.mark.realdata
@pytest.mark.skipif(not DATA, reason="STABTEST_DATA names no folder")
def test_the_mask_of_another_size_is_refused_with_both_sizes():
    text = '[network]\nzoo = "tv"\n[operator]\nmask = { file = "mri-brain/mask.npy" }\n[data]\nkind = "kspace"\n'
    with pytest.raises(DataError, match=r"128.*320"):
        make_case(parse_config(text + 'files = ["mri-brain/kspace_0.npy"]', base_dir=Path(str(DATA))), 0)


@pytest.mark.realdata
@pytest.mark.skipif(not DATA, reason="STABTEST_DATA names no folder")
def test_the_tooth_is_a_case():
    text = '[network]\nzoo = "tv"\n[operator]\nkind = "radon"\n[data]\nkind = "sinogram"\nfiles = ["ct-tooth/tooth.h5"]'
    case = make_case(parse_config(text, base_dir=Path(str(DATA))), 0)
    assert case.measurement.shape[2] == 50
    direct = case.operator.pseudo_inverse(case.measurement)
    assert float((direct - case.truth).norm() / case.truth.norm()) < 0.6
