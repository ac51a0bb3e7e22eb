import pytest

from stabtest.audit.config.file import parse_config
from stabtest.audit.document.limitations import _outside_training, limitations
from stabtest.findings.document import CaseInfo

MRI = """
network.zoo = "unet-mri"
operator.mask = { kind = "cartesian_gaussian", acceleration = 4.0, seed = 0 }
data.noise = 0.01
"""
MRI_CARD = {
    "size": 128,
    "operator": {"kind": "fourier", "mask": "cartesian_gaussian", "acceleration": 4, "centre_fraction": 0.08, "seed": 0},
    "noise_level": 0.01,
    "training": {"data": "2000 head phantoms, seeds 10000000 to 10001999, simulated on a grid twice as fine"},
}
CT_CARD = {"size": 128, "operator": {"kind": "radon", "angles": 50}, "training": {"data": "60 ellipses phantoms, seeds 1 to 9"}}


def case(noise):
    return CaseInfo(name="a", patient="a", shape=[8, 8], truth="phantom", noise_std=noise)


def said(text, *, noise=0.01):
    return " ".join(limitations(parse_config(text), [case(noise)]))


def test_the_setting_of_the_training_is_no_deviation():
    assert _outside_training(parse_config(MRI), MRI_CARD) == []


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("seed = 0", "seed = 1", "seed 0 and is audited with 1"),
        ("cartesian_gaussian", "radial", "kind cartesian_gaussian"),
        ("seed = 0", "seed = 0, centre_fraction = 0.04", "centre_fraction 0.08 and is audited with 0.04"),
        ("noise = 0.01", "noise = 0.02", "noise level of 0.01 and is audited with 0.02"),
        ("data.noise = 0.01", 'data = { noise = 0.01, phantom = "ellipses" }', "head phantoms and is audited on ellipses"),
        ("data.noise = 0.01", "data = { noise = 0.01, first_seed = 10001999 }", "were trained on"),
        ("operator.mask", "operator.size = 64\noperator.mask", "128 pixels and is audited on 64"),
        ("data.noise = 0.01", 'data = { kind = "kspace", files = ["k.npy"] }', "audited on real data"),
    ],
)
def test_a_difference_from_the_training_is_named(old, new, word):
    assert any(word in line for line in _outside_training(parse_config(MRI.replace(old, new)), MRI_CARD))


def test_a_network_of_another_operator_is_not_asked_for_its_mask_or_views():
    found = _outside_training(parse_config('network.zoo = "a"\noperator.kind = "radon"\ndata.phantom = "head"'), MRI_CARD)
    assert any("another operator (fourier)" in line for line in found)
    assert not any("mask" in line for line in found)
    found = _outside_training(parse_config('network.zoo = "a"'), CT_CARD)
    assert any("another operator (radon)" in line for line in found)
    assert not any("views" in line for line in found)


def test_an_own_network_has_no_training_to_differ_from():
    assert _outside_training(parse_config(MRI), {}) == []


def test_declared_noise_of_zero_is_not_an_unknown_level():
    none = said('network.zoo = "a"\ndata.noise = 0.0', noise=0.0)
    assert "No noise was added" in none
    assert "not known" not in none
    assert "noise" not in said(MRI + "structure.enabled = false\nreference.method = 'none'")


def test_a_level_that_could_not_be_estimated_is_said():
    unknown = said(MRI.replace("data.noise = 0.01", 'data = { kind = "kspace", files = ["k.npy"] }'), noise=None)
    assert "level of the noise of these measurements is not known" in unknown


def test_the_truth_of_a_sinogram_is_a_back_projection():
    text = 'network.zoo = "a"\noperator.kind = "radon"\ndata = { kind = "sinogram", files = ["a.h5"] }'
    assert "filtered back-projection of all views" in said(text)


@pytest.mark.parametrize(
    ("reference", "word"),
    [
        ("", "chosen on phantoms of 128 pixels (4x Cartesian"),
        ("reference.weight = 0.008", "chosen on phantoms"),
        ("reference.weight = 0.5", "0.5 was set in the configuration"),
    ],
)
def test_where_the_weight_of_the_reference_comes_from(reference, word):
    assert word in said(MRI + reference)
