import numpy as np
import pytest
import torch

from stabtest.operators import Fourier
from stabtest.stability.insertion import coarse_image, insert_lesion, local_phase


def insertion(case, *, contrast=0.2, diameter=5.0, site=(24, 22)):
    return insert_lesion(case, case.operator.refine(2), site=site, diameter=diameter, contrast=contrast)


def test_the_height_is_the_contrast(mri, ct):
    for case in (mri, ct):
        found = insertion(case, diameter=8.0)
        assert float(found.template.abs().max()) / case.peak == pytest.approx(0.2, rel=0.15)


def test_a_fully_sampled_scan_returns_the_template(full_mri):
    found = insertion(full_mri)
    assert torch.allclose(full_mri.operator.pseudo_inverse(found.data), found.template, atol=1e-6)


def test_the_template_is_the_band_limited_block_mean(mri):
    found = insertion(mri, diameter=9.0)
    fine = mri.operator.refine(2).domain.shape
    drawn = torch.ones(1, *fine)
    assert torch.allclose(coarse_image(drawn + 0j, band_limited=True).real, torch.ones(1, 1, 48, 48), atol=1e-5)
    inside = found.template[found.region]
    assert torch.allclose(inside.sum().abs(), torch.tensor(0.2 * mri.peak * np.pi * 81 / 4), rtol=0.03)


def test_the_detail_follows_the_local_phase(mri):
    along = insertion(mri).template * insertion(mri).phase.conj()
    inside = along[insertion(mri).region & (along.abs() > 0.1 * mri.peak)]
    assert (inside.imag.abs() < 0.1 * inside.real).all()


def test_a_negative_contrast_is_dark(mri):
    assert torch.allclose(insertion(mri, contrast=-0.2).template, -insertion(mri).template)


def test_the_region_is_where_the_detail_is(ct):
    found = insertion(ct)
    rows, columns = torch.nonzero(found.region[0, 0], as_tuple=True)
    assert rows.double().mean() == pytest.approx(24, abs=0.2)
    assert columns.double().mean() == pytest.approx(22, abs=0.2)
    assert rows.max() - rows.min() <= 7


def test_the_phase_is_in_register_on_the_finer_grid():
    n = torch.arange(32.0)
    coarse = torch.exp(1j * 0.1 * n).expand(1, 1, 32, 32)
    m = (torch.arange(64.0) + 0.5) / 2 - 0.5
    fine = torch.exp(1j * 0.1 * m).expand(1, 1, 64, 64)
    assert torch.allclose(local_phase(coarse, factor=2)[..., 20:44, 20:44], fine[..., 20:44, 20:44], atol=1e-2)


def test_images_need_not_be_square():
    from stabtest.stability.cases import Case

    x = torch.ones(1, 1, 24, 40, dtype=torch.complex64)
    operator = Fourier(torch.ones(24, 40, dtype=torch.bool))
    case = Case("a", "a", "mri", operator, operator(x), truth=x)
    found = insertion(case, site=(12, 30))
    rows, columns = torch.nonzero(found.region[0, 0], as_tuple=True)
    assert (float(rows.double().mean()), float(columns.double().mean())) == pytest.approx((12, 30), abs=0.2)


def test_magnitudes_show_the_detail_without_its_phase(full_mri):
    found = insertion(full_mri)
    magnitude = found.as_change_of(full_mri, full_mri.truth.abs())
    assert not magnitude.is_complex()
    assert float(magnitude[found.region].mean()) > 0.05 * full_mri.peak
