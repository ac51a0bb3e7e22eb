r"""What makes a training robust: more noise than the scan has, or the worst noise of a given size.

*Jittering* draws the noise level of each image anew, uniformly between that of the scan and a larger one: A. Krainovic, M. Soltanolkotabi,
R. Heckel, *Learning provably robust estimators for inverse problems via jittering*, NeurIPS 2023 (one fixed larger level there; a range here, so
that the clean scan stays in the training).

*Adversarial training* replaces each input by the worst one that a short search finds,

    min_theta  E  max_{||e|| <= r ||z||}  ||f_theta(z + e) - x||^2,

A. Raj, Y. Bresler, B. Li, *Improving robustness of deep-learning-based image reconstruction*, ICML 2020; F. Caliva, K. Cheng, R. Shah, V. Pedoia,
*Adversarial robust training of deep learning MRI reconstruction models*, 2021. What is perturbed is the measurement, so that ``r`` is the
relative radius of `stabtest.search`. In MRI ``z`` is the zero-filled image and ``e`` lies in the range of ``A*``: with ``A A* = M`` for one
coil, such ``e = A* d`` has the norm of the perturbation ``d`` of the measured samples. Filtered back-projection ``F`` keeps no norms: in CT
the search is over sinograms, ``e = F d`` with ``||d|| <= r ||A x||``. It is projected gradient ascent from a random start with steps of
fixed length (A. Madry et al., ICLR 2018), on the network as it is used (batch normalisation by its running statistics); the scale
of the image is kept from before the perturbation. It is weaker than the search of an audit: what a training of few steps withstands says
nothing about more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reconstructors.layout import join, split
from stabtest.operators.base import LinearOperator
from stabtest.tensors import norm

RELATIVE_STEP = 0.6
"""Length of a step over the radius."""


def jitter(level: float, largest: float, count: int, *, generator: torch.Generator) -> Tensor:
    """Noise levels ``(count,)``, uniform between the two.

    Examples
    --------
    >>> levels = jitter(0.01, 0.05, 1000, generator=torch.Generator().manual_seed(0))
    >>> bool(levels.min() >= 0.01), bool(levels.max() <= 0.05)
    (True, True)
    """
    return level + (largest - level) * torch.rand(count, generator=generator)


def worst_input(
    network: nn.Module,
    apply: Callable[[Tensor], Tensor],
    source: Tensor,
    target: Tensor,
    operator: LinearOperator,
    *,
    radius: float,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """The input near ``source`` with the largest error that the ascent finds, image by image.

    Parameters
    ----------
    network
        In training; put into evaluation mode for the search and back.
    apply
        The network on an input, real channels ``(B, C, H, W)``.
    source, target
        Direct reconstruction and truth, ``(B, 2, H, W)`` in MRI and ``(B, 1, H, W)`` in CT.
    operator
        Fourier measurements with one coil, or a Radon transform.
    radius
        Of the perturbation of the measurement, over the norm of the measurement.
    steps
        Of the ascent; each costs a gradient.
    generator
        For the start.
    """

    def feasible(error: Tensor) -> Tensor:
        allowed = around.allowed(error)
        size = norm(allowed).reshape(-1, 1, 1, 1)
        return allowed * (limit / size.clamp_min(torch.finfo(size.dtype).tiny)).clamp_max(1)

    def direction(change: Tensor) -> Tensor:
        return limit * change / norm(change).reshape(-1, 1, 1, 1).clamp_min(torch.finfo(change.dtype).tiny)

    around = _around_image(source, operator) if operator.domain.is_complex else _around_sinogram(target, operator)
    limit = radius * norm(around.centre).reshape(-1, 1, 1, 1)
    error = feasible(direction(torch.randn(around.centre.shape, generator=generator)))
    network.eval()
    for _ in range(steps):
        error.requires_grad_(True)
        loss = (apply(source + around.seen(error)).float() - target).square().sum()
        (gradient,) = torch.autograd.grad(loss, error)
        error = feasible(error.detach() + RELATIVE_STEP * direction(gradient))
    network.train()
    return source + around.seen(error.detach())


@dataclass(frozen=True)
class _Around:
    """Where perturbations are searched: relative to what, which there are, and what the network sees of one."""

    centre: Tensor
    allowed: Callable[[Tensor], Tensor]
    seen: Callable[[Tensor], Tensor]


def _around_image(source: Tensor, operator: LinearOperator) -> _Around:
    """Changes of the zero-filled image that a change of the measured samples has made; both have the same norm."""
    kind = torch.empty(0, dtype=torch.complex64)
    return _Around(source, lambda e: split(operator.adjoint(operator.forward(join(e, like=kind)))), lambda e: e)


def _around_sinogram(target: Tensor, operator: LinearOperator) -> _Around:
    """Changes of the sinogram, in the unit of the target."""
    return _Around(operator.forward(target), operator.restrict, operator.pseudo_inverse)
