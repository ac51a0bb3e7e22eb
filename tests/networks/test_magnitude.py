"""Methods without phase."""

import torch

from stabtest.networks import Magnitude, comparable, returns_magnitude, wrap
from stabtest.operators import Identity


def test_the_modulus_of_a_method():
    A = Identity((3, 4), is_complex=True)
    y = torch.randn(2, 1, 3, 4, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    f = Magnitude(lambda y, A: 2 * y)
    assert torch.equal(f(y, A), (2 * y).abs())
    assert returns_magnitude(f)


def test_who_declares_magnitudes():
    assert returns_magnitude(wrap(torch.nn.Identity(), channels="magnitude"))
    assert not returns_magnitude(wrap(torch.nn.Identity()))
    assert not returns_magnitude(lambda y, A: y)


def test_the_truth_is_compared_like_with_like():
    truth = torch.tensor([[3 + 4j]])
    assert comparable(truth, torch.ones(1, 1)).item() == 5
    assert comparable(truth, truth) is truth
    real = torch.tensor([[-3.0]])
    assert comparable(real, real) is real
