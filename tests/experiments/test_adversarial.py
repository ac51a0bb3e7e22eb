"""The losses of DAGAN: the balance of the terms, and a discriminator that learns and is resumed."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from experiments.training.adversarial import ADVERSARY_SHARE, FEATURE_SHARE, Adversarial
from stabtest.operators import Fourier, masks

OPERATOR = Fourier(masks.cartesian_gaussian((32, 32), acceleration=4, seed=0))


@pytest.fixture
def objective() -> Adversarial:
    torch.manual_seed(0)
    return Adversarial(OPERATOR)


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(4, 2, 32, 32, generator=generator)
    return target + 0.1 * torch.randn(target.shape, generator=generator), target


def test_gradient_is_the_sum_of_four_terms_with_the_stated_shares(objective, images):
    estimate, target = images
    estimate.requires_grad_()
    loss, terms = objective.loss(estimate, target)
    (found,) = torch.autograd.grad(loss, estimate)

    pixels = 2 * (estimate - target).detach() / target.numel()
    k = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(torch.complex(*pixels.unbind(1)), dim=(1, 2))), dim=(1, 2))
    back = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(k * OPERATOR.mask, dim=(1, 2))), dim=(1, 2))
    rest = found - pixels - torch.stack([back.real, back.imag], dim=1)

    discriminator = objective.discriminator
    logits, features = discriminator(estimate)
    true_features = discriminator(target)[1]
    alike = sum(F.mse_loss(a, b) for a, b in zip(features, true_features, strict=True))
    expected = torch.zeros_like(rest)
    for term, share in (
        (alike, FEATURE_SHARE),
        (F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits)), ADVERSARY_SHARE),
    ):
        direction = torch.autograd.grad(term, estimate, retain_graph=True)[0]
        expected += share * pixels.norm() * direction / direction.norm()
    torch.testing.assert_close(rest, expected, rtol=1e-3, atol=1e-8)
    assert terms["loss"] == pytest.approx(F.mse_loss(estimate, target).item())


def test_objective_gives_no_gradient_to_the_discriminator(objective, images):
    estimate, target = images
    objective.loss(estimate.requires_grad_(), target)[0].backward()
    assert all(parameter.grad is None for parameter in objective.discriminator.parameters())


def test_discriminator_learns_to_tell_noise_from_truth(objective, images):
    estimate, target = images
    first = objective.learn(estimate, target)["discriminator"]
    for _ in range(60):
        last = objective.learn(estimate, target)["discriminator"]
    assert first == pytest.approx(2 * 0.693, abs=0.1)
    assert last < 0.5 * first
    assert objective.discriminator(target)[0].mean() > objective.discriminator(estimate)[0].mean()


def test_resumed_discriminator_goes_on_as_if_never_stopped(objective, images):
    objective.learn(*images)
    other = Adversarial(OPERATOR)
    other.load_state_dict(copy.deepcopy(objective.state_dict()))
    assert other.learn(*images) == objective.learn(*images)
    assert other.loss(*images)[1] == objective.loss(*images)[1]
