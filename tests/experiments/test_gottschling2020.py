"""Details of the kernel: one measurement of two objects, and a transfer that is 0, 1 or in between as it should be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.frame import scans
from experiments.frame.pieces import Pieces
from experiments.frame.scans import Reconstructor
from experiments.gottschling2020 import details
from stabtest.stability.cases import Method

SCAN = "unet-mri"


def method(reconstruct) -> Reconstructor:
    return Reconstructor(Method("made", "under test", reconstruct), "made")


def oracle(case, share):
    """Shows the truth, and of the kernel's part of a detail a share."""
    h, _ = details.detail_of(case, None, 0)
    seen = case.operator.adjoint(case.operator.forward(h))
    added = seen + share * (h - seen)
    return lambda y, A: case.truth + added * float((y != case.measurement).any())


def test_both_objects_have_one_measurement(tmp_path):
    found = details.transferred(Pieces(tmp_path), scans.classical("zero-filled", SCAN), SCAN, 0, "spade")
    A = scans.case(SCAN, 0).operator
    one, other = (A.forward(torch.from_numpy(found[key])[None, None]) for key in ("with", "without"))
    assert float((one - other).abs().max()) < 1e-5 * float(one.abs().max())
    assert np.abs(found["with"] - found["without"]).max() > 0.05


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_transfer_is_the_share_that_a_method_fills_in(tmp_path, share):
    found = details.transferred(Pieces(tmp_path), method(oracle(scans.case(SCAN, 0), share)), SCAN, 0, None)
    assert float(found["transfer"]) == pytest.approx(share, abs=1e-4)


def test_who_guesses_one_object_is_wrong_about_the_other(tmp_path):
    found = details.transferred(Pieces(tmp_path), method(oracle(scans.case(SCAN, 0), 1.0)), SCAN, 0, None)
    h, _ = details.detail_of(scans.case(SCAN, 0), None, 0)
    assert float(found["error"][0]) < 1e-4
    assert float(found["error"][1]) == pytest.approx(float(found["share"]) * float(torch.linalg.vector_norm(h)), rel=1e-3)


def test_the_bound_of_a_pair_is_below_its_gain_and_zero_filling_stays_blank(tmp_path):
    price = details.priced(
        Pieces(tmp_path),
        scans.classical("zero-filled", SCAN),
        SCAN,
        0,
        size=0.2,
        data=5.0,
        steps=2,
        evaluations=2,
        draws=1,
    )
    assert float(price["bound"]) <= float(price["gain"])
    assert float(price["bound"]) < 0.01
    assert float(price["worst"]) == pytest.approx(1, rel=1e-3)
