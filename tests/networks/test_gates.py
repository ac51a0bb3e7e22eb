"""Each gate on networks that are sound, and on ones with the defect that it is there for."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from stabtest.errors import NetworkError
from stabtest.networks import Magnitude, check_network, require, wrap
from stabtest.networks.advice import ADVICE
from stabtest.operators import Fourier, Identity, Radon
from stabtest.operators.masks import cartesian_random
from stabtest.phantoms.ellipses import ellipses


class Small(nn.Module):
    """A residual network of two layers; subclasses break it in one place."""

    def __init__(self, channels=2, activation=None):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, channels, 3, padding=1)
        self.activation = activation or torch.relu
        with torch.no_grad():
            self.last.weight.mul_(0.3)

    def features(self, x):
        return self.activation(self.first(x))

    def forward(self, x):
        return x + self.last(self.features(x))


class Dropout(Small):
    def features(self, x):
        return functional.dropout(super().features(x), 0.1)


class BatchStatistics(Small):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(8, track_running_stats=False)

    def features(self, x):
        return self.norm(super().features(x))


class BatchMaximum(Small):
    def forward(self, x):
        return super().forward(x / x.abs().max()) * x.abs().max()


class FixedBatch(Small):
    def forward(self, x):
        return super().forward(x.reshape(1, *x.shape[1:]))


class Detached(Small):
    def forward(self, x):
        return super().forward(x.detach())


class NoGrad(Small):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


class HalfDetached(Small):
    def forward(self, x):
        return x + self.last(self.features(x.detach()))


class Rounded(Small):
    def forward(self, x):
        return torch.round(super().forward(x) * 64) / 64


class StraightThrough(Small):
    def forward(self, x):
        output = super().forward(x)
        return output + (torch.round(output * 64) / 64 - output).detach()


class NotANumber(Small):
    def forward(self, x):
        return torch.log(super().forward(x))


class Halved(Small):
    def forward(self, x):
        return functional.avg_pool2d(super().forward(x), 2)


class Constant(Small):
    def __init__(self):
        super().__init__()
        self.picture = nn.Parameter(torch.rand(1, 2, 24, 24, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        return self.picture + 1e-3 * x


class Untrained(Small):
    def forward(self, x):
        return 5 * self.last(self.features(x))


class Refuses(Small):
    def forward(self, x):
        raise ValueError("I want 320 x 320")


class FixedPrecision(Small):
    """Computes in float32 whatever it is given, so that float64 fails."""

    def forward(self, x):
        return super().forward(x.float())


def mri(batch=1):
    A = Fourier(cartesian_random((24, 24), acceleration=2, centre_fraction=0.2, seed=0))
    truth = torch.stack([ellipses(24, seed=seed) for seed in range(batch)]).reshape(batch, 1, 24, 24).to(torch.complex64)
    return A, A(truth), truth


def gates_of(network, *, batch=1, **options):
    A, y, truth = mri(batch)
    f = wrap(network, channels="real-imag", **options) if isinstance(network, nn.Module) else network
    return {gate.name: gate for gate in check_network(f, A, y, truth, generator=torch.Generator().manual_seed(0))}


def failed(gates):
    return [name for name, gate in gates.items() if not gate.passed]


def fitted():
    """A network that is better than zero-filling because it was fitted to it."""
    network = Small()
    A, y, truth = mri(3)
    x, target = (torch.cat([t.real, t.imag], 1) for t in (A.pseudo_inverse(y), truth))
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(40):
        optimiser.zero_grad()
        functional.mse_loss(network(x), target).backward()
        optimiser.step()
    return network


@pytest.mark.parametrize("scale", ["none", "max", "standardise"])
def test_a_sound_network_passes_all(scale):
    gates = gates_of(fitted(), scale=scale, batch=2)
    assert failed(gates) == [] if scale == "none" else set(failed(gates)) <= {"accuracy"}
    assert list(gates) == [
        "adjoint",
        "runs",
        "shape",
        "finite",
        "kind",
        "determinism",
        "batch",
        "gradient",
        "differences",
        "reacts",
        "accuracy",
    ]


def test_the_direct_reconstruction_passes_all():
    assert failed(gates_of(lambda y, A: A.pseudo_inverse(y))) == []


def test_a_magnitude_method_passes_all():
    assert failed(gates_of(Magnitude(lambda y, A: A.pseudo_inverse(y)))) == []


@pytest.mark.parametrize("activation", [torch.relu, torch.tanh, functional.silu])
def test_the_gradient_is_checked_in_float64_where_that_is_possible(activation):
    gate = gates_of(Small(activation=activation))["differences"]
    assert gate.passed
    assert gate.value < 1e-6
    assert "float64" in gate.detail


def test_else_in_float32():
    gate = gates_of(FixedPrecision())["differences"]
    assert gate.passed
    assert "float32" in gate.detail


@pytest.mark.parametrize(
    ("network", "gate"),
    [
        (Dropout, "determinism"),
        (BatchStatistics, "batch"),
        (BatchMaximum, "batch"),
        (FixedBatch, "batch"),
        (Detached, "gradient"),
        (NoGrad, "gradient"),
        (Rounded, "gradient"),
        (HalfDetached, "differences"),
        (StraightThrough, "differences"),
        (NotANumber, "finite"),
        (Halved, "shape"),
        (Constant, "reacts"),
        (Untrained, "accuracy"),
        (Refuses, "runs"),
    ],
)
def test_each_defect_fails_its_gate_with_cause_and_remedy(network, gate):
    gates = gates_of(network())
    assert gate in failed(gates)
    assert len(gates[gate].detail) > 60
    assert gates["adjoint"].passed


@pytest.mark.parametrize("network", [BatchStatistics, BatchMaximum, FixedBatch])
def test_mixing_the_batch_does_not_fail_the_other_gates(network):
    assert set(failed(gates_of(network()))) <= {"batch", "accuracy"}


@pytest.mark.parametrize("network", [HalfDetached, StraightThrough])
def test_a_wrong_gradient_is_found_in_float32_too(network):
    class Single(network):
        def forward(self, x):
            return super().forward(x.float())

    defective = Single()
    with torch.no_grad():
        defective.last.weight.mul_(4)
    gate = gates_of(defective)["differences"]
    assert "float32" in gate.detail
    assert not gate.passed


def test_a_gradient_that_is_not_finite_is_no_gradient():
    class Root(Small):
        def forward(self, x):
            return x + (super().forward(x) * 0).sqrt()

    gates = gates_of(Root())
    assert "not finite" in gates["gradient"].detail
    assert "differences" not in gates


@pytest.mark.parametrize("network", [NotANumber, Halved, Refuses])
def test_a_network_that_gives_nothing_to_measure_ends_the_run(network):
    A, y, _ = mri()
    f = wrap(network(), channels="real-imag")
    gates = check_network(f, A, y, subject="my network", generator=torch.Generator().manual_seed(0))
    assert [gate.name for gate in gates][-1] in ("runs", "shape", "finite", "kind")
    with pytest.raises(NetworkError, match="my network"):
        require(gates)


def test_the_message_of_another_shape_has_both_shapes():
    with pytest.raises(NetworkError, match=r"\(B, 2, 24, 24\).*\(1, 2, 12, 12\)"):
        require(list(gates_of(Halved()).values()))


@pytest.mark.parametrize("network", [Dropout, BatchStatistics, Detached, Constant])
def test_other_failures_do_not_end_the_run(network):
    require(list(gates_of(network()).values()))


def test_a_real_output_where_images_are_complex():
    gates = gates_of(lambda y, A: A.pseudo_inverse(y).abs())
    assert failed(gates) == ["kind"]
    assert "magnitude" in gates["kind"].detail


def test_a_complex_output_where_images_are_real():
    A = Identity((8, 8))
    y = torch.rand(1, 1, 8, 8)
    gates = check_network(lambda y, A: y.to(torch.complex64), A, y, generator=torch.Generator().manual_seed(0))
    assert [gate.name for gate in gates if not gate.passed] == ["kind"]


def test_no_truth_no_gate_of_accuracy():
    A, y, _ = mri()
    gates = check_network(lambda y, A: A.pseudo_inverse(y), A, y, generator=torch.Generator().manual_seed(0))
    assert "accuracy" not in [gate.name for gate in gates]


def test_a_wrong_adjoint_fails():
    class Wrong(Radon):
        def adjoint(self, y):
            return 1.01 * super().adjoint(y)

    A = Wrong(12, 8)
    y = A(torch.rand(1, 1, 12, 12))
    gates = check_network(lambda y, A: A.pseudo_inverse(y), A, y, generator=torch.Generator().manual_seed(0))
    assert [gate.name for gate in gates if not gate.passed] == ["adjoint"]
    assert gates[0].value > 1e-4


def test_the_checks_leave_the_network_as_it_was():
    network = Small()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    gates_of(network)
    assert all(torch.equal(value, before[key]) and value.dtype == torch.float32 for key, value in network.state_dict().items())


def test_the_same_seed_gives_the_same_numbers():
    first, second = gates_of(Small()), gates_of(Small())
    assert first == second


def test_every_number_has_advice():
    assert set(ADVICE) == {
        *("runs", "shape", "finite", "kind", "determinism", "batch", "gradient", "differences", "reacts", "accuracy", "adjoint")
    }
