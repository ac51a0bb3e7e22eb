"""One evaluation: value, gradient against finite differences, and the health of the gradient."""

from __future__ import annotations

import pytest
import torch

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators import Identity
from stabtest.search.constraints import ImageBall, MeasurementBall
from stabtest.search.objectives import DistanceToClean
from stabtest.search.problem import GradientHealth, Problem


def health_of(network, *, batch=1):
    operator = Identity((2, 3))
    y = operator.range.randn(batch, generator=torch.Generator().manual_seed(0))
    problem = Problem(network, y, MeasurementBall(operator, torch.ones(batch)), DistanceToClean(torch.zeros_like(y)))
    evaluation = problem.evaluate(operator.range.randn(batch, generator=torch.Generator().manual_seed(1)))
    return evaluation, [GradientHealth(code).words for code in evaluation.health.tolist()]


@pytest.mark.parametrize("kind", [MeasurementBall, ImageBall])
def test_gradient_agrees_with_finite_differences(lab, fourier, kind):
    y = fourier.forward(fourier.domain.randn(2, generator=lab.seeded(5), dtype=torch.float64))
    network = lab.ConjugateMixing(8, seed=2)
    problem = Problem(network, y, kind(fourier, torch.ones(2).double()), DistanceToClean(network(y, fourier)))
    v, d = (
        problem.constraint.admissible(problem.constraint.space.randn(2, generator=lab.seeded(s), dtype=torch.float64))
        for s in (1, 2)
    )
    slope = (problem.score(v + 1e-5 * d) - problem.score(v - 1e-5 * d)) / 2e-5
    torch.testing.assert_close(tensors.inner(problem.evaluate(v).gradient, d), slope, rtol=1e-6, atol=1e-8)


def test_one_forward_a_step(lab, fourier, measurement):
    calls = []

    def network(y, operator):
        calls.append(len(y))
        return operator.pseudo_inverse(y)

    problem = Problem(
        network, measurement, MeasurementBall(fourier, torch.ones(2)), DistanceToClean(fourier.pseudo_inverse(measurement))
    )
    problem.evaluate(fourier.range.randn(2, generator=lab.seeded(1)))
    assert calls == [2]


def test_gradient_vanishes_off_the_mask(lab, fourier, measurement):
    def network(y, operator):
        return y * 2  # reads every sample, measured or not

    problem = Problem(network, measurement, MeasurementBall(fourier, torch.ones(2)), DistanceToClean(measurement))
    gradient = problem.evaluate(fourier.range.randn(2, generator=lab.seeded(1))).gradient
    assert not gradient[..., ~fourier.mask].any()


def test_healthy_gradient_is_usable():
    assert health_of(lambda y, A: 2 * y)[1] == ["usable"]


def test_constant_network_has_zero_gradient():
    assert health_of(lambda y, A: torch.ones_like(y) + 0 * y)[1] == ["zero"]


def test_detached_network_is_disconnected():
    assert health_of(lambda y, A: 2 * y.detach())[1] == ["disconnected"]


def test_detached_network_with_trainable_weights_is_disconnected():
    weight = torch.nn.Parameter(torch.tensor(2.0))
    assert health_of(lambda y, A: weight * y.detach())[1] == ["disconnected"]


def test_network_under_no_grad_is_disconnected():
    @torch.no_grad()
    def network(y, A):
        return 2 * y

    assert health_of(network)[1] == ["disconnected"]


def test_network_through_numpy_is_disconnected_and_still_scored():
    evaluation, words = health_of(lambda y, A: torch.from_numpy(2 * y.numpy()))
    assert words == ["disconnected"]
    assert evaluation.value.item() > 0


def test_true_error_of_a_network_is_not_swallowed():
    def network(y, A):
        raise RuntimeError("weights of layer 3 do not fit")

    with pytest.raises(RuntimeError, match="layer 3"):
        health_of(network)


def test_nan_gradient_of_a_finite_output_is_named_and_set_to_zero():
    evaluation, words = health_of(lambda y, A: y + 0 * torch.sqrt(y - y.detach()))
    assert words == ["not finite"]
    assert torch.isfinite(evaluation.value).all()
    assert not evaluation.gradient.any()


def test_health_is_per_image():
    def network(y, A):
        keep = torch.tensor([1.0, 0.0, 1.0]).reshape(3, 1, 1, 1)
        return y * keep + torch.tensor([0.0, 0.0, torch.nan]).reshape(3, 1, 1, 1)

    evaluation, words = health_of(network, batch=3)
    assert words == ["usable", "zero", "not finite"]
    assert evaluation.gradient[0].any()


def test_objective_of_wrong_shape_is_refused(fourier, measurement):
    problem = Problem(lambda y, A: y, measurement, MeasurementBall(fourier, torch.ones(2)), lambda x: x.abs().sum())
    with pytest.raises(SearchError, match="objective"):
        problem.evaluate(measurement)
