"""The methods of an audit from its configuration: regularised ones get a weight and iterations."""

from __future__ import annotations

import pytest

from stabtest.audit.config.file import parse_config
from stabtest.audit.subject import WEIGHTS, load_subjects
from stabtest.errors import ConfigError


def configured(method, extra="", zoo="zero-filled"):
    return parse_config(f'[network]\nzoo = "{zoo}"\n[operator]\nsize = 32\n[reference]\nmethod = "{method}"\n{extra}')


@pytest.mark.parametrize("method", WEIGHTS)
def test_reference_gets_the_weight_of_its_modality_or_the_one_that_is_set(method):
    default, own = (
        next(one for one in load_subjects(configured(method, extra)) if one.role == "reference")
        for extra in ("", "weight = 0.02\niterations = 7\n")
    )
    assert {"weight": WEIGHTS[method]["mri"], "iterations": 300}.items() <= default.item.settings.items()
    assert (own.method.reconstruct.weight, own.method.reconstruct.iterations) == (0.02, 7)
    assert default.fingerprint != own.fingerprint


@pytest.mark.parametrize("method", ["wavelet", "tgv"])
def test_another_regularised_method_can_be_the_one_under_test(method):
    tested = load_subjects(configured("tv", zoo=method))[0]
    assert (tested.role, tested.item.settings["weight"]) == ("under test", WEIGHTS[method]["mri"])


@pytest.mark.parametrize(("name", "setting"), [("cg-sense", "weight"), ("firenet", "inner"), ("sirt", "iterations")])
def test_a_method_with_settings_of_its_own_says_them(name, setting):
    tested = load_subjects(configured("tv", zoo=name))[0]
    assert tested.item.settings[setting] == getattr(tested.method.reconstruct, setting)


def test_a_method_without_settings_says_none():
    assert load_subjects(configured("tv", zoo="zero-filled"))[0].item.settings == {}


def test_a_linear_reference_says_its_settings():
    reference = load_subjects(configured("cg-sense"))[1]
    assert (reference.role, reference.item.settings["weight"]) == ("reference", reference.method.reconstruct.weight)


@pytest.mark.parametrize(("method", "needed"), [("sirt", "radon"), ("fbp", "radon")])
def test_a_reference_for_another_scan_is_refused(method, needed):
    with pytest.raises(ConfigError, match=needed):
        configured(method)
