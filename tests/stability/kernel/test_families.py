import math

import numpy as np
import pytest
import torch

from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators import Radon
from stabtest.stability.kernel import BumpDetail, Ellipsoid, FreeDetail
from stabtest.stability.kernel.families import WIDTHS


def ellipsoid(build, operator=None):
    return Ellipsoid(operator or build.single_coil(16), size=2.0, data=0.1)


def test_the_radius_is_a_dense_quadratic_form(build):
    operator = Radon(12, 5)
    h = build.random_image(operator)
    matrix, flat = build.dense(operator), h.flatten().numpy()
    expected = math.sqrt(flat @ flat / 4 + np.sum((matrix @ flat) ** 2) / 0.01)
    assert float(ellipsoid(build, operator).radius(h)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["single_coil", "multi_coil"])
def test_the_filter_is_the_inverse_of_that_form(build, name):
    operator = build.single_coil(12) if name == "single_coil" else build.multi_coil(8, coils=2)
    # Well conditioned by the weight, so that its few conjugate gradients are exact enough to compare.
    shape = Ellipsoid(operator, size=2.0, data=3.0)
    g = build.random_image(operator)
    matrix = build.dense(operator)
    form = np.eye(matrix.shape[1]) / 4 + matrix.conj().T @ matrix / 9
    expected = np.linalg.solve(form, g.flatten().numpy())
    assert np.allclose(shape.filter(g).flatten().numpy(), expected, atol=1e-6)


def test_what_lies_inside_is_small_in_both(build):
    for operator in (build.single_coil(16), build.multi_coil(), Radon(12, 5)):
        shape = ellipsoid(build, operator)
        like = build.random_image(operator)
        for family in (FreeDetail(shape), BumpDetail(shape)):
            for seed in range(5):
                h = family.detail(family.feasible(3 * family.start(like, build.generator(seed))))
                assert float(tensors.norm(h)) <= 2.0 * (1 + 1e-9)
                assert float(tensors.norm(operator.forward(h))) <= 0.1 * (1 + 1e-9)


def test_a_free_direction_is_the_steepest_in_its_norm(build):
    shape = ellipsoid(build)
    family, g = FreeDetail(shape), build.random_image(shape.operator)
    best = family.direction(g)
    assert float(shape.radius(best)) == pytest.approx(1, rel=1e-12)
    for seed in range(20):
        other = build.random_image(shape.operator, 10 + seed) + 5 * best
        other = other / float(shape.radius(other))
        assert float(tensors.inner(g, other)) < float(tensors.inner(g, best))


def test_a_bump_is_where_it_says_and_has_its_phase(build):
    operator = build.single_coil(24)
    family = BumpDetail(Ellipsoid(operator, size=1.0, data=1.0))  # hardly filtered
    z = torch.tensor([[7.0, 15.0, math.log(1.5), 0.0, 1.0]], dtype=torch.float64)
    h = family.detail(z)[0, 0]
    assert divmod(int(h.abs().argmax()), 24) == (7, 15)
    assert float(h[7, 15].imag) > 5 * abs(float(h[7, 15].real))


def test_a_bump_stays_in_the_image_and_in_its_widths(build):
    family = BumpDetail(ellipsoid(build))
    z = family.feasible(torch.tensor([[-3.0, 99.0, 9.0, 3.0, 4.0]]))
    assert z[0].tolist() == pytest.approx([0.0, 15.0, math.log(WIDTHS[1]), 0.6, 0.8])


def test_the_gradient_of_a_bump_agrees_with_finite_differences(build):
    # Mild enough for twelve conjugate gradients to be a smooth function in double precision.
    family = BumpDetail(Ellipsoid(Radon(12, 5), size=2.0, data=3.0))
    weight = build.random_image(family.ellipsoid.operator, 3)
    z = torch.tensor([[5.2, 6.1, 0.4, 0.7, 0.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: (family.detail(z) * weight).sum(), (z,), eps=1e-6, atol=1e-5)


def test_sizes_must_be_positive(build):
    with pytest.raises(ConfigError, match="size and data"):
        Ellipsoid(build.single_coil(16), size=0.0, data=1.0)
