import dataclasses

import pytest

from stabtest import metrics
from stabtest.stability.cases import Method
from stabtest.stability.quality import quality

DIRECT = Method("direct", "reference", lambda y, A: A.pseudo_inverse(y))


def test_the_row_holds_the_metrics_of_the_clean_image(mri):
    (row,) = quality(DIRECT, mri).rows
    image = mri.operator.pseudo_inverse(mri.measurement)
    assert row.nrmse == pytest.approx(float(metrics.nrmse(image, mri.truth)))
    assert row.psnr == pytest.approx(float(metrics.psnr(image, mri.truth)))
    assert row.ssim == pytest.approx(float(metrics.ssim(image, mri.truth)))


def test_without_a_truth_nothing_is_made_up(mri):
    (row,) = quality(DIRECT, dataclasses.replace(mri, truth=None)).rows
    assert (row.nrmse, row.psnr, row.ssim) == (None, None, None)


def test_magnitudes_are_compared_with_magnitudes(full_mri):
    (row,) = quality(Method("net", "under test", lambda y, A: A.pseudo_inverse(y).abs()), full_mri).rows
    assert row.nrmse < 0.03


def test_pictures_show_truth_reconstruction_and_error(ct):
    shown = quality(DIRECT, ct).pictures
    assert [(picture.role, picture.method) for picture in shown] == [
        ("clean", "direct"),
        ("truth", "truth"),
        ("difference", "direct"),
    ]
