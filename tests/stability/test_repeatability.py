"""Repeatability: networks that depend on what they should not are caught, one that does not is at rounding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stabtest import networks
from stabtest.stability.cases import Case, Method
from stabtest.stability.repeatability import VARIATIONS, RepeatabilityTest


class BatchMean(nn.Module):
    """Subtracts what all images of the batch have in common."""

    def forward(self, x):
        return x - 0.1 * x.mean(0, keepdim=True)


class Drawing(nn.Module):
    def forward(self, x):
        return x + 0.01 * torch.randn_like(x)


class Counting(nn.Module):
    """Remembers how often it was called."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * (1 + 1e-3 * self.calls)


class Amplifying(nn.Module):
    """Subtracts numbers that are nearly equal: float32 has few digits left of them."""

    def forward(self, x):
        return (x + 1e4) - 1e4


def measure(module, case, variations=VARIATIONS):
    reconstruct = networks.wrap(module, channels="real-imag")
    rows = RepeatabilityTest(variations).measure(Method("net", "under test", reconstruct), case).rows
    return {row.variation: row for row in rows}


@pytest.fixture(scope="module")
def case(make_mri):
    return make_mri(size=16)


@pytest.mark.parametrize(
    ("module", "caught"),
    [
        (BatchMean(), {"in a batch"}),
        (nn.BatchNorm2d(2).train(), set()),  # wrap puts it into evaluation mode
        (Drawing(), {"in a batch", "seed"}),
        (Counting(), {"same input", "in a batch", "seed", "threads"}),
        (Amplifying(), {"double precision"}),
        (nn.Conv2d(2, 2, 3, padding=1), set()),
    ],
)
def test_what_an_image_depends_on_is_caught_and_nothing_else(case, module, caught):
    torch.manual_seed(0)
    rows = measure(module, case)
    tried = {name: row.difference for name, row in rows.items() if row.difference is not None}
    loud = {name for name, value in tried.items() if value > 2e-5}
    assert caught <= loud
    if not caught:
        assert not loud
    if module.__class__ is BatchMean:
        assert loud == caught


def test_the_same_input_of_a_plain_network_is_the_same_bit_for_bit(case):
    row = measure(nn.Conv2d(2, 2, 3, padding=1), case)["same input"]
    assert (row.difference, row.largest) == (0.0, 0.0)


def test_rounding_is_measured_against_double_precision(case):
    module = nn.Conv2d(2, 2, 3, padding=1)
    row = measure(module, case, ("double precision",))["double precision"]
    single, double = networks.wrap(module, channels="real-imag"), networks.wrap(module, channels="real-imag").in_double()
    image = single(case.measurement, case.operator).to(torch.complex128)
    exact = double(case.measurement.to(torch.complex128), case.operator)
    expected = torch.linalg.vector_norm(image - exact) / torch.linalg.vector_norm(image)
    assert row.difference == pytest.approx(float(expected), rel=1e-9)
    assert 1e-9 < row.difference < 1e-5


def test_the_number_of_threads_is_put_back(case):
    before = torch.get_num_threads()
    measure(nn.Identity(), case, ("threads",))
    assert torch.get_num_threads() == before


def test_the_global_generator_is_put_back(case):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    measure(Drawing(), case)
    assert torch.equal(torch.rand(3), expected)


def test_what_cannot_be_tried_is_a_row_with_its_reason(case):
    class OneAtATime(nn.Module):
        def forward(self, x):
            if len(x) > 1:
                raise ValueError("one image at a time, please")
            return x

    row = measure(OneAtATime(), case, ("in a batch",))["in a batch"]
    assert row.difference is None
    assert "one image at a time" in row.note


def test_without_a_gpu_the_device_is_not_tried(case, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    row = measure(nn.Identity(), case, ("device",))["device"]
    assert (row.difference, row.note) == (None, "no GPU on this machine")


def test_a_measurement_in_double_precision_is_not_converted(case):
    double = Case(
        "a",
        "a",
        "mri",
        case.operator,
        case.measurement.to(torch.complex128),
        truth=case.truth.to(torch.complex128),
        noise_std=1.0,
    )
    rows = (
        RepeatabilityTest(("double precision",))
        .measure(Method("direct", "baseline", lambda y, A: A.pseudo_inverse(y)), double)
        .rows
    )
    assert rows[0].difference is None
