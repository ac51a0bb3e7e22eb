"""Local artefacts: phase alone is none, zero-filling shows the share of the samples of a pixel, exact recovery all of it."""

from __future__ import annotations

import pytest
import torch

from experiments.alaifari2022 import local
from experiments.frame import scans
from experiments.frame.pieces import Pieces
from experiments.frame.scans import Reconstructor
from stabtest.operators import sampling_fraction
from stabtest.stability.cases import Method

SCAN = "unet-mri"


def test_a_change_of_the_phase_is_no_damage_and_one_of_the_magnitude_is():
    clean = torch.ones(1, 1, 4, 4, dtype=torch.complex64)
    damage = local.MagnitudeDamage(clean, torch.ones(1, 1, 4, 4, dtype=torch.bool))
    assert float(damage(1j * clean)) == pytest.approx(0, abs=1e-6)
    assert float(damage(1.5 * clean)) == pytest.approx(2.0)


def test_zero_filling_shows_the_share_of_the_samples_of_a_pixel(tmp_path):
    found = local.spiked(Pieces(tmp_path), scans.classical("zero-filled", SCAN), SCAN, 0, radius=0.02)
    fraction = sampling_fraction(scans.case(SCAN, 0).operator.mask)
    assert float(found["share"]) == pytest.approx(fraction, rel=1e-4)
    assert float(found["samples"]) == pytest.approx(fraction, rel=1e-4)


def test_exact_recovery_shows_all_of_it(tmp_path):
    case = scans.case(SCAN, 0)
    row, column = local.site_of(case, 0)
    height = 0.02 * float(torch.linalg.vector_norm(case.measurement)) / float(case.operator.mask.float().mean()) ** 0.5

    def exact(y, A):
        image = case.truth.clone()
        if (y != case.measurement).any():
            here = image[..., row, column]
            image[..., row, column] = here + height * here / here.abs()
        return image

    found = local.spiked(Pieces(tmp_path), Reconstructor(Method("exact", "under test", exact), "exact"), SCAN, 0, radius=0.02)
    assert float(found["share"]) == pytest.approx(1, rel=1e-4)


def test_a_perturbation_that_is_given_to_the_method_it_was_found_for_does_the_same(tmp_path):
    one, pieces = scans.classical("zero-filled", SCAN), Pieces(tmp_path)
    found = local.attacked(pieces, one, SCAN, 0, radii=[0.02], evaluations=2)
    again = local.given(pieces, one, SCAN, 0, found["perturbation"][0])
    assert float(again["artefact"]) == pytest.approx(float(found["artefact"][0]), rel=1e-4)
    noise = local.noised(pieces, one, SCAN, 0, radii=[0.02], draws=1)
    assert float(found["artefact"][0]) > 2 * float(noise["artefact"][0])
