import numpy as np
import torch

from stabtest.stability.pictures import ERROR_SHARE, display_window, error_limit, perturbation_picture, picture, slug


def test_all_methods_of_a_case_have_one_window(mri):
    common = {"section": "quality", "role": "clean", "kind": "anatomy", "caption": ""}
    bright = picture(3 * mri.truth, mri, method="bright", **common)
    dark = picture(0.1 * mri.truth, mri, method="dark", **common)
    assert (bright.window_low, bright.window_high) == (dark.window_low, dark.window_high) == display_window(mri)


def test_difference_maps_have_one_scale(mri):
    small = picture(1e-3 * mri.truth, mri, section="quality", method="a", role="difference", kind="error", caption="")
    large = picture(mri.truth, mri, section="quality", method="b", role="difference", kind="error", caption="")
    assert small.window_high == large.window_high == error_limit(mri)
    low, high = display_window(mri)
    assert error_limit(mri) == ERROR_SHARE * (high - low)


def test_an_anatomy_picture_is_the_magnitude(mri):
    shown = picture(mri.truth, mri, section="quality", method="a", role="truth", kind="anatomy", caption="")
    assert np.allclose(shown.decode(), mri.truth[0, 0].abs().numpy(), atol=(shown.high - shown.low) / 60000)


def test_a_perturbation_has_its_sign_in_ct_only(mri, ct):
    signed = perturbation_picture(-ct.truth, ct, method="a", label="r", radius=0.1, caption="")
    magnitude = perturbation_picture(-mri.truth, mri, method="a", label="r", radius=0.1, caption="")
    assert signed.kind == "signed"
    assert signed.window_low == -signed.window_high
    assert signed.decode().min() < 0
    assert magnitude.kind == "error"
    assert magnitude.decode().min() >= 0


def test_an_image_of_one_value_has_a_window(mri):
    shown = picture(torch.zeros_like(mri.truth), mri, section="quality", method="a", role="clean", kind="anatomy", caption="")
    assert shown.window_high > shown.window_low


def test_names_are_fit_for_files():
    assert slug("worst_case", "head 3/4", "U-Net (4x)", "") == "worst_case.head-3-4.U-Net-4x"
    assert "/" not in slug("a/b", "../c\\d")
