"""What every unrolled network for several coils has to do, whatever its steps are."""

from __future__ import annotations

import pytest
import torch

from reconstructors.modl import Modl
from reconstructors.variational import VariationalNetwork
from reconstructors.varnet import VarNet
from stabtest.errors import OperatorError
from stabtest.operators import Fourier
from tests.reconstructors.scans import scan

NETWORKS = {
    "modl": lambda: Modl(repetitions=2, layers=3, width=6, tolerance=1e-12),
    "variational": lambda: VariationalNetwork(stages=2, filters=4, size=5),
    "varnet": lambda: VarNet(cascades=2, width=4, depth=1),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    return NETWORKS[request.param]().double().eval()


def measured(operator, images):
    generator = torch.Generator().manual_seed(5)
    return operator.restrict(operator.range.randn(images, generator=generator, dtype=torch.float64))


def test_measurement_of_zeros_stays_finite_with_its_gradient(network):
    operator = scan(12, 12)
    y = operator.range.zeros(dtype=torch.float64).requires_grad_()
    x = network(y, operator)
    assert torch.autograd.grad(x.real.sum(), y)[0].isfinite().all()
    assert x.isfinite().all()


def test_images_of_a_batch_are_independent(network):
    operator = scan(20, 17)
    y = measured(operator, 2)
    torch.testing.assert_close(network(y, operator)[1:], network(y[1:], operator))


def test_a_single_coil_runs(network):
    operator = Fourier(scan(16, 16).mask)
    assert network(measured(operator, 1), operator).shape == (1, 1, 16, 16)


def test_measurement_of_another_size_is_refused(network):
    with pytest.raises(OperatorError):
        network(scan(16, 16).range.zeros(dtype=torch.float64), scan(12, 16))
