"""Features at random: within the box, carried by the data, the same each time; a method that erases misses all, one that shows them none."""

from __future__ import annotations

import pytest
import torch

from experiments.cheng2020 import features
from experiments.frame import scans
from experiments.frame.pieces import Pieces
from experiments.frame.scans import Reconstructor
from stabtest.stability.cases import Method
from stabtest.stability.structure import LEAST_DETECTABILITY

SCAN = "unet-mri"


def test_features_are_of_the_box_and_in_the_data(tmp_path):
    some = features.drawn(scans.case(SCAN, 0), 5, seed=3)
    assert all(3 <= lesion.diameter <= 6 and 0.1 <= lesion.contrast <= 0.3 for lesion, _ in some)
    found = features.at_random(Pieces(tmp_path), scans.classical("zero-filled", SCAN), SCAN, 0, 5)
    assert found["seen"].min() >= LEAST_DETECTABILITY


def test_the_same_seed_draws_the_same_features_and_another_others():
    one, same, other = ([lesion for lesion, _ in features.drawn(scans.case(SCAN, 0), 3, seed=seed)] for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_recovery_is_the_share_of_a_feature_that_is_shown(tmp_path, share):
    case = scans.case(SCAN, 0)
    ((lesion, detail),) = features.drawn(case, 1, seed=0)
    shown = Method(
        "made", "under test", lambda y, A: case.truth + share * detail.template * float((y != case.measurement).any())
    )
    values = [getattr(lesion, name) for name in ("row", "column", "diameter", "contrast", "aspect", "degrees")]
    back = features.given(Pieces(tmp_path), Reconstructor(shown, f"made {share}"), SCAN, 0, values)
    assert back == pytest.approx(share, abs=1e-4)


def test_a_method_that_shows_nothing_new_is_found_out(tmp_path):
    case = scans.case(SCAN, 0)
    blind = Reconstructor(Method("blind", "under test", lambda y, A: case.truth + 0 * torch.sum(y)), "blind")
    found = features.by_search(Pieces(tmp_path), blind, SCAN, 0, places=2, evaluations=2)
    assert abs(float(found["recovery"])) < 1e-5
    assert float(found["seen"]) >= LEAST_DETECTABILITY
