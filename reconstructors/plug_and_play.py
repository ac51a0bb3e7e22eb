r"""Plug-and-play with a trained denoiser that is 1-Lipschitz, as a theorem: a learned convex ridge.

**The denoiser.** With filters ``W`` (one image to ``C`` channels, ``||W|| <= 1``), thresholds ``t_c > 0`` and ``0 < a < 1``

    S(x) = x - W* clip(W x, t),        D_0(z) = z,    D_k+1(z) = a z + (1 - a) S(D_k(z)),        D = D_K.

``clip(u, t) = u min(1, t / |u|)`` is the gradient of Huber's function, so that ``S = 1 - grad R`` with the convex, smooth
``R(x) = sum_c sum_pixels huber_t_c((W x)_c)`` and ``||grad R(x) - grad R(x')|| <= ||x - x'||``; hence ``S`` is firmly nonexpansive (J.-B. Baillon,
G. Haddad, 1977; H. Bauschke, P. Combettes, *Convex analysis and monotone operator theory in Hilbert spaces*, 2nd ed. 2017, corollary
18.17). If ``D_k`` is 1-Lipschitz, so is ``a z + (1 - a) S(D_k(z))``: by induction ``D`` is, for every ``K``, on images of every size. ``D_K`` tends
to the proximal map of ``b R``, ``b = (1 - a) / a``. This is a denoiser of A. Goujon, S. Neumayer, P. Bohra, S. Ducotterd, M. Unser, *A
neural-network-based convex regularizer for inverse problems*, IEEE TCI 9, 2023 (the "t-step denoiser"), with clipping in the place of their
learned increasing splines. The modulus of complex numbers is clipped, which has the same properties.

**The reconstruction.** Plug-and-play forward-backward splitting, ``x <- prox_{h b R}(x - h A* (A x - y) / |A|^2)`` with the limit of the
denoiser, is a composition of averaged maps and converges to a fixed point where there is one (M. A. Krasnosel'skii 1955, W. R. Mann
1953; Bauschke and Combettes, chapter 26; E. Ryu et al., *Plug-and-play methods provably converge with properly trained denoisers*, ICML 2019); its
fixed points are the minimisers of

    1/2 || (A x - y) / |A| ||^2 + b s^2 R(x / s),

where ``D`` is used at another noise as ``s D(x / s)`` (only the thresholds change: ``s t_c``). Both terms are smooth, so that the same
minimisers are had without an inner iteration by gradient steps of length ``1 / (1 + b)`` with Nesterov's extrapolation (Y. Nesterov
1983; A. Beck, M. Teboulle 2009), a fixed number of them. One costs ``W`` and ``W*`` once. As the objective is convex, for
minimisers ``x, x'`` at ``y, y'``

    || A (x - x') || <= || y - y' ||

(the proximal map of a convex function on the range of ``A`` is firmly nonexpansive): what was measured of the image moves no further than the
measurement. Of what was not measured, the null space of ``A``, this says nothing.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from reconstructors.layout import join, split
from stabtest import tensors
from stabtest.operators.base import LinearOperator

SEGMENT = 10
"""Steps between checkpoints of the gradient."""


class RidgeDenoiser(nn.Module):
    """``D``: real images ``(B, 1, H, W)``, or complex ones, to the same shape.

    At first differences over one, two and three pixels (the wavelets of Haar, not decimated), which a training goes on from. It is
    1-Lipschitz if its filters have norm 1 at most, as trained ones have (`experiments.training.ridge`).

    Parameters
    ----------
    filters
        ``C``.
    size
        Side of a filter, odd, at least 5.
    steps
        ``K``.

    Raises
    ------
    ValueError
        If the side of the filters is even or below 5.

    Examples
    --------
    >>> denoiser = RidgeDenoiser(filters=4, size=5)
    >>> flat = torch.full((1, 1, 32, 32), 0.7)
    >>> round(denoiser(flat)[0, 0, 16, 16].item(), 2)
    0.7
    """

    def __init__(self, *, filters: int = 16, size: int = 5, steps: int = 10) -> None:
        super().__init__()
        if size < 5 or size % 2 == 0:
            raise ValueError(f"size: expected an odd number from 5 on, came {size}")
        self.steps = steps
        self.weight = nn.Parameter(_differences(filters, size))
        self.log_threshold = nn.Parameter(torch.full((filters, 1, 1, 1), math.log(0.0015)))
        self.anchor = nn.Parameter(torch.tensor(-1.4))
        """``a`` is its logistic function, ``b = exp(-anchor)``."""

    def forward(self, z: Tensor) -> Tensor:
        """The denoised image."""
        weight, a = self.weight, torch.sigmoid(self.anchor)
        x = z
        for _ in range(self.steps):
            x = a * z + (1 - a) * (x - self.gradient(x, weight))
        return x

    def strength(self) -> Tensor:
        """``b``."""
        return torch.exp(-self.anchor)

    def gradient(self, x: Tensor, weight: Tensor, *, scale: float | Tensor = 1.0) -> Tensor:
        """Gradient of ``s^2 R(x / s)``, ``W* clip(W x, s t)``; ``weight`` is ``self.weight``, taken once for many steps."""
        size = scale * self.log_threshold.exp()
        margin = weight.shape[-1] // 2
        channels = split(x).reshape(-1, 1, *x.shape[-2:]) if x.is_complex() else x
        response = F.conv2d(channels, weight / size, padding=margin)
        if x.is_complex():
            pairs = response.reshape(-1, 2, *response.shape[1:])
            clipped = (pairs * pairs.square().sum(1, keepdim=True).clamp_min(1).rsqrt()).reshape(response.shape)
        else:
            clipped = F.hardtanh(response)  # clip(u, t) = t clip(u / t, 1)
        found = F.conv_transpose2d(clipped, weight * size, padding=margin)
        return join(found.reshape(len(x), 2, *x.shape[-2:]), like=x) if x.is_complex() else found

    def penalty(self, x: Tensor, *, scale: float | Tensor = 1.0) -> Tensor:
        """``s^2 R(x / s)``, ``(B,)``."""
        size = (scale * self.log_threshold.exp()).reshape(1, -1, 1, 1)
        channels = split(x).reshape(-1, 1, *x.shape[-2:]) if x.is_complex() else x
        response = F.conv2d(channels, self.weight, padding=self.weight.shape[-1] // 2)
        square = response.reshape(len(x), -1, *response.shape[1:]).square().sum(1)
        beyond = size * (torch.maximum(square, size**2).sqrt() - size)  # a root away from zero has a gradient
        return (torch.minimum(square, size**2) / 2 + beyond).flatten(1).sum(1)


class PlugAndPlay(nn.Module):
    """The reconstruction, ``(y, operator) -> image``, complex or real, of any size, with one coil or several.

    Parameters
    ----------
    filters, size, steps
        Of the denoiser.
    iterations
        Gradient steps.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> PlugAndPlay(filters=4, size=5, iterations=3)(torch.zeros(2, 1, 12, 9), Identity((12, 9))).shape
    torch.Size([2, 1, 12, 9])
    """

    scale: Tensor

    def __init__(self, *, filters: int = 16, size: int = 5, steps: int = 10, iterations: int = 100) -> None:
        super().__init__()
        self.iterations = iterations
        self.denoiser = RidgeDenoiser(filters=filters, size=size, steps=steps)
        self.register_buffer("scale", torch.ones(()))
        """``s``, chosen after the training on phantoms of its own."""

    def forward(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Images ``(B, 1, H, W)``.

        Parameters
        ----------
        y
            Measurements ``(B, *operator.range.shape)``.
        operator
            The forward model.

        Raises
        ------
        OperatorError
            If the measurements do not fit the operator.
        """
        x = ahead = operator.pseudo_inverse(y)
        for start in range(0, self.iterations, SEGMENT):
            stop = min(start + SEGMENT, self.iterations)
            if torch.is_grad_enabled() and y.requires_grad:
                x, ahead = checkpoint(self._advance, x, ahead, y, operator, start, stop, use_reentrant=False)
            else:
                x, ahead = self._advance(x, ahead, y, operator, start, stop)
        return x

    def slope(self, x: Tensor, y: Tensor, operator: LinearOperator) -> Tensor:
        """Gradient of the objective; it vanishes at the minimiser."""
        penalty = self.denoiser.gradient(x, self.denoiser.weight, scale=self.scale)
        return operator.adjoint(operator.forward(x) - y) / operator.norm_bound() ** 2 + self.denoiser.strength() * penalty

    def objective(self, x: Tensor, y: Tensor, operator: LinearOperator) -> Tensor:
        """What is minimised, ``(B,)``."""
        residual = tensors.norm(operator.forward(x) - y) / operator.norm_bound()
        return residual.square() / 2 + self.denoiser.strength() * self.denoiser.penalty(x, scale=self.scale)

    def _advance(
        self, x: Tensor, ahead: Tensor, y: Tensor, operator: LinearOperator, start: int, stop: int
    ) -> tuple[Tensor, Tensor]:
        length = 1 / (1 + self.denoiser.strength())
        for k in range(start, stop):
            new = ahead - length * self.slope(ahead, y, operator)
            ahead, x = new + (k / (k + 3)) * (new - x), new
        return x, ahead


def _differences(filters: int, size: int) -> Tensor:
    """Filters ``(C, 1, n, n)``: horizontal, vertical, diagonal differences over 1, 2, 3 pixels, then random ones, all with mean zero."""
    weight = 0.02 * torch.randn(filters, 1, size, size)
    signs = ((1, -1, 1, -1), (1, 1, -1, -1), (1, -1, -1, 1))
    for place in range(min(filters, 9)):
        distance = 1 + place // 3
        first = size // 2 - distance // 2
        for sign, (row, column) in zip(signs[place % 3], ((0, 0), (0, 1), (1, 0), (1, 1))):
            weight[place, 0, first + row * distance, first + column * distance] += sign / 4
    return weight - weight.mean((2, 3), keepdim=True)
