"""The user's own operator: gradients, norm, direct image, finer grid."""

import numpy as np
import pytest
import torch
from torch.func import jvp, vmap

from reconstructors.tv import TotalVariation
from stabtest.errors import OperatorError
from stabtest.operators import Averaged, BlockMean, OwnOperator, Radon
from stabtest.tensors import inner

SHAPE = (6, 5)
M = np.random.default_rng(0).standard_normal((40, 30))


class Numpy:
    """No gradient of PyTorch passes through this."""

    def forward(self, x):
        return M @ np.asarray(x).reshape(30)

    def adjoint(self, y):
        return M.T @ np.asarray(y)


@pytest.fixture(scope="module", name="A")
def _own():
    return OwnOperator(Numpy(), SHAPE)


def images(n, seed=0):
    return torch.randn(n, 1, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_gradient_through_numpy_is_the_adjoint(A):
    x = images(2).requires_grad_()
    w = torch.randn(2, 40, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(inner(A(x), w).sum(), x)
    np.testing.assert_allclose(gradient.flatten(1), w.numpy() @ M, rtol=1e-12)


def test_derivatives_are_right_to_second_order(A):
    assert torch.autograd.gradgradcheck(lambda x: A(x) ** 2, images(1).requires_grad_())


def test_forward_mode_and_vmap(A):
    x, v = images(2), images(2, seed=1)
    torch.testing.assert_close(jvp(A.forward, (x,), (v,))[1], A(v))
    torch.testing.assert_close(vmap(A.forward)(torch.stack([x, v])), torch.stack([A(x), A(v)]))


def test_the_norm_is_the_largest_singular_value_and_its_bound_above(A):
    largest = np.linalg.svd(M, compute_uv=False)[0]
    assert A.norm.value == pytest.approx(largest, rel=1e-6)
    assert largest <= A.norm_bound() <= 1.02 * largest


def test_a_finer_object_is_averaged_over_each_pixel(A):
    fine = A.refine(2)
    x = torch.randn(1, 1, 12, 10, dtype=torch.float64)
    assert isinstance(fine, Averaged)
    torch.testing.assert_close(fine(x), A(BlockMean(SHAPE, 2)(x)))


class Scanner:
    """With a finer grid of its own."""

    def __init__(self, radon):
        self.radon = radon

    def forward(self, x):
        return self.radon.forward(x)

    def adjoint(self, y):
        return self.radon.adjoint(y)

    def refine(self, factor):
        return Scanner(self.radon.refine(factor))


def test_a_refine_of_its_own_is_used():
    radon = Radon(8, 5, 12)
    fine = OwnOperator(Scanner(radon), (8, 8)).refine(2)
    x = torch.rand(1, 1, 16, 16)
    torch.testing.assert_close(fine(x), radon.refine(2)(x))


def test_a_refine_with_other_measurements_is_refused():
    class Other(Scanner):
        def refine(self, factor):
            return Other(Radon(8 * factor, 5, 20))

    with pytest.raises(OperatorError, match=r"refine\(2\)"):
        OwnOperator(Other(Radon(8, 5, 12)), (8, 8)).refine(2)


def test_total_variation_is_the_same_as_on_the_operator_inside():
    radon = Radon(8, 5)
    own = OwnOperator(Scanner(radon), (8, 8), layout="batch")
    image = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    image[..., 2:6, 3:7] = 1
    y = radon(image)
    scaled = 1e-3 * (radon.norm_bound() / own.norm_bound()) ** 2  # the weight is relative to the square of the bound
    near = TotalVariation(scaled, iterations=4000)(y, own)
    torch.testing.assert_close(near, TotalVariation(1e-3, iterations=4000)(y, radon), atol=2e-3, rtol=0)


def test_the_description_says_how_it_is_called_and_what_was_found(A):
    said = A.describe()
    assert said["object"] == "Numpy"
    assert said["methods"] == "forward, adjoint"
    assert said["measurement"] == "40, real"
    assert said["departure of the adjoint"] < 1e-14
