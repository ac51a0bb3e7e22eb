"""Records with known shares."""

from __future__ import annotations

import pytest
import torch

from benchmarks.strength.jobs import Row
from benchmarks.strength.subjects import Subject
from stabtest.operators import Fourier


def make_row(family="default", label="default", image=0, best=None, **changes):
    values = {
        "network": "net",
        "size": 16,
        "radius": 0.02,
        "image": image,
        "family": family,
        "label": label,
        "best": {5: 0.5, 10: 0.9, 20: 0.995, 50: 1.0, 100: 1.0} if best is None else best,
        "clean": 2.0,
        "evaluations": 185,
        "seconds": 1.0,
        "problem": "p",
        "code": "c",
    }
    return Row(**{**values, **changes})


@pytest.fixture
def row():
    return make_row


def bent(y, operator):
    """A cheap nonlinear reconstruction: the zero-filled image with its modulus bent."""
    x = operator.pseudo_inverse(y)
    return x + torch.sin(3 * x.real) + 0.5j * x.imag.roll(1, -1)


@pytest.fixture(scope="session")
def subject():
    operator = Fourier(torch.rand(12, 12, generator=torch.Generator().manual_seed(0)) < 0.5)
    y = operator.forward(operator.domain.randn(2, generator=torch.Generator().manual_seed(1)))
    return Subject("bent", 12, (0, 3), bent, operator, y, "digest")
