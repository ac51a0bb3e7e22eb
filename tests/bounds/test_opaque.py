"""Bounds of networks with parts that the exporter cannot follow, against dense matrices."""

import pytest
import torch
from torch import nn

from reconstructors.inverse import inverse
from reconstructors.learned_primal_dual import LearnedPrimalDual
from reconstructors.modl import Modl
from reconstructors.splines import UniformSpline
from reconstructors.variational import VariationalNetwork
from stabtest.bounds.graph import trace
from stabtest.bounds.linear import linear_replay
from stabtest.bounds.lipschitz import lipschitz
from stabtest.bounds.positive import positive_bound
from stabtest.errors import BoundsError
from stabtest.operators import MultiCoilFourier, Radon, cartesian_gaussian
from stabtest.operators.own import OwnOperator
from stabtest.operators.solvers import conjugate_gradient
from stabtest.phantoms import coil_maps

SIDE = 8


@pytest.fixture(scope="module")
def radon():
    return Radon(SIDE, 4)


@pytest.fixture(scope="module")
def dense(radon):
    """The system matrix."""
    columns = radon.forward(torch.eye(SIDE**2, dtype=torch.float64).reshape(-1, 1, SIDE, SIDE))
    return columns.flatten(1).T


@pytest.fixture(scope="module")
def coils():
    mask = cartesian_gaussian((SIDE, SIDE), acceleration=2, seed=0)
    return MultiCoilFourier(mask, coil_maps(SIDE, 3, seed=0))


class Normal(nn.Module):
    """``A^T A x`` and, after a ReLU, once more."""

    def forward(self, x, operator):
        z = torch.relu(operator.adjoint(operator.forward(x)))
        return operator.adjoint(operator.forward(z))


class Solved(nn.Module):
    """``z + (A^T A + w)^-1 A^T A (-z)``, which is ``w (A^T A + w)^-1 z``."""

    def __init__(self, weight=0.5):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, z, operator):
        def solve(b, w):
            return conjugate_gradient(operator, b, weight=float(w), iterations=400, tol=1e-10).x

        return z - inverse(operator.adjoint(operator.forward(z)), self.weight, solve)


def image(shape=(1, 1, SIDE, SIDE), dtype=torch.float32):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1))


def test_maps_of_a_model_have_their_norms(radon, dense):
    bound = lipschitz(Normal(), image(), constants=(radon,), seconds=2.0)
    norm = torch.linalg.matrix_norm(dense, 2).item()
    assert norm**4 <= bound.upper <= 1.1 * norm**4


def test_an_operator_of_the_users_own_is_bounded_by_its_products(dense):
    class Scanner:
        """Takes and gives NumPy arrays of one image."""

        matrix = dense.numpy()

        def forward(self, x):
            return self.matrix @ x.reshape(-1)

        def adjoint(self, y):
            return (self.matrix.T @ y).reshape(SIDE, SIDE)

    operator = OwnOperator(Scanner(), (SIDE, SIDE))
    bound = lipschitz(Normal(), image(), constants=(operator,), jacobian_steps=3)
    norm = torch.linalg.matrix_norm(dense, 2).item()
    assert norm**4 * 0.999 <= bound.upper <= 1.1 * norm**4


def test_maps_without_written_weights_have_no_absolute_values(radon):
    with pytest.raises(BoundsError, match="linear_operator"):
        positive_bound(linear_replay(trace(Normal(), image(), constants=(radon,))))


def test_the_model_is_linear_in_the_replay(radon, dense):
    replay = linear_replay(trace(Normal(), image(), constants=(radon,)))
    (gate,) = replay.gates
    dx = image(dtype=torch.float64)
    normal = dense.T @ dense
    torch.testing.assert_close(replay(dx, [torch.ones(gate.shape, dtype=torch.float64)]), normal @ normal @ dx.flatten())


def test_an_inverse_is_bounded_by_its_weight_and_taken_with_what_is_around_it(radon, dense):
    bound = lipschitz(Solved(), image(), constants=(radon,), seconds=2.0)
    normal = dense.T @ dense
    exact = torch.linalg.matrix_norm(
        torch.eye(SIDE**2, dtype=torch.float64) - torch.linalg.solve(normal + 0.5 * torch.eye(SIDE**2), normal), 2
    )
    (row,) = [row for row in bound.rows if row.operation == "resolvent"]
    assert (row.constant, row.status) == (2.0, "certified")
    product = bound.bounds[0].upper
    assert exact.item() <= bound.upper <= 1.05 * exact.item() < product


def test_the_weight_of_an_inverse_that_depends_on_the_input_is_unknown(radon):
    class Adaptive(nn.Module):
        def forward(self, x, operator):
            return inverse(x, x.square().mean() + 1, lambda b, w: b / w)

    assert lipschitz(Adaptive(), image(), constants=(radon,), jacobian_steps=0).upper is None


def test_a_spline_has_its_steepest_slope():
    spline = UniformSpline(2, knots=7, reach=1.5)
    with torch.no_grad():
        spline.values.copy_(torch.randn(2, 7, generator=torch.Generator().manual_seed(0)))
    bound = lipschitz(spline, image((1, 2, 4, 4)), jacobian_steps=0)
    assert bound.upper == pytest.approx(spline.steepest().max().item(), rel=1e-6)
    (gate,) = linear_replay(trace(spline, image((1, 2, 4, 4)))).gates
    u = torch.linspace(-2, 2, 40_001, dtype=torch.float64).repeat(2, 1)[None, :, None]
    with torch.no_grad():
        pieces = spline.double()(u).diff(dim=-1) / u.diff(dim=-1)
    assert (gate.low, gate.high) == pytest.approx((pieces.min().item(), pieces.max().item()), rel=1e-3)


def test_sorting_and_medians_of_separate_groups_do_not_spread():
    class Ordered(nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def forward(self, x):
            return x.sort(dim=-1).values if self.name == "sort" else x.median(dim=-1).values

    for name in ("sort", "median"):
        assert lipschitz(Ordered(name), image(), jacobian_steps=0).upper == 1.0


@pytest.mark.parametrize("kind", ["modl", "variational"])
def test_unrolled_networks_for_coils_are_bounded(coils, kind):
    network = (
        Modl(repetitions=2, layers=2, width=4) if kind == "modl" else VariationalNetwork(stages=2, filters=3, size=3, knots=5)
    )
    y = coils.forward(coils.domain.randn(1, generator=torch.Generator().manual_seed(0)))
    bound = lipschitz(network.eval(), y, constants=(coils,), jacobian_steps=5, seconds=0.0)
    assert 0 < bound.lower <= bound.upper < 1e6


def test_learned_primal_dual_is_bounded(radon):
    network = LearnedPrimalDual(iterations=2, primal=2, dual=1, width=4).eval()
    y = radon.forward(image())
    bound = lipschitz(network, y, constants=(radon,), jacobian_steps=5)
    assert 0 < bound.lower <= bound.upper < 1e6
    assert {row.name.split(".")[-1] for row in bound.rows} >= {"forward", "adjoint", "pseudo_inverse"}
