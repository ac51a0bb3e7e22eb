r"""FIRENET: an unrolled primal-dual method with restarts, a network whose weights are computed and not trained.

M. J. Colbrook, V. Antun, A. C. Hansen, *The difficulty of computing stable and accurate neural networks: on the barriers of deep learning
and Smale's 18th problem*, PNAS 119(12), 2022. "Fast iterative restarted networks" approximate minimisers of the square-root LASSO in an
orthogonal wavelet basis ``W`` (`reconstructors.wavelets`), for every image of a batch, the image being ``W* c``:

    min_c  F(c) = weight || c ||_1 + || A W* c / a - y / a ||_2,          a >= ||A||.

The norm of the misfit is not squared, so that the best ``weight`` does not depend on the noise level. With ``B = A W* / a``, ``b = y / a``,
inner iterations from ``c_0`` and ``d_0 = 0`` (Chambolle and Pock 2011), whose result is their *mean* over ``k = 1 ... p``:

    c_k+1 = soft(c_k - t B* d_k, t weight),     d_k+1 = project_{||d|| <= 1} (d_k + s (B (2 c_k+1 - c_k) - b)),     s t <= 1.

Restarts take the mean as the next ``c_0``. With ``e_0 = ||b||`` the error is taken to fall by ``u = exp(-1)`` (which the paper shows to need the
fewest iterations) at each, down to a floor ``delta ||b||``, and the steps follow the scale that is left:

    e_k = u (delta ||b|| + e_k-1),         t = e_k p / 2,         s = 2 / (e_k p)

(the paper divides ``b`` and ``c_0`` by ``e_k p / 2`` instead, with steps of 1, which is the same). Theorem of the paper: if ``A W*`` has the robust
null space property (in levels, with weights), ``weight`` fits the sparsity and ``p`` is a constant that depends on these, then after ``n``
restarts

    || W* c - x || <= C (exp(-n) + delta + distance of x from sparse + noise),

for all ``x`` and all noise of the same ball: the map is accurate *and* stable where the property holds. That it does is not checked here, and
for a given mask it cannot be; what an audit finds is about this mask. The paper has a weight for each level; here it is one.

Where the image is not sparse the scale falls faster than the error and the iteration ends early: the gap tells how far from the minimum,
and fewer restarts with more inner iterations come nearer to it. The gap is a certificate without condition: any ``d`` with
``||d|| <= 1`` and ``|B* d| <= weight`` bounds the minimum from below by ``-<d, b>``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from reconstructors.convergence import Convergence, convergence
from reconstructors.implicit import FixedPoint
from reconstructors.wavelet import soft
from reconstructors.wavelets import Wavelet, analyse, check, synthesise
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators.base import LinearOperator

DECREASE = math.exp(-1)
"""``u``."""


@dataclass(frozen=True)
class Firenet:
    """Restarted primal-dual reconstruction, a callable ``(y, operator) -> image`` with ``f(s y) = s f(y)`` for ``s > 0``.

    Parameters
    ----------
    weight
        Of the 1-norm, without unit.
    restarts
        ``n``.
    inner
        Iterations ``p`` between them.
    floor
        ``delta``, relative to the measurement.
    wavelet, levels
        Basis; the sides of the image must be divisible by ``2^levels``.

    Raises
    ------
    ConfigError
        If a setting is not one, or the image does not fit the levels.

    Examples
    --------
    All of a sparse image measured without noise: it comes back to about ``exp(-12)``.

    >>> from stabtest.operators import Identity
    >>> image = synthesise(torch.eye(4)[None, None], levels=1, wavelet="haar")
    >>> found = Firenet(weight=0.1, restarts=12, levels=1, wavelet="haar")(image, Identity((4, 4)))
    >>> bool((found - image).norm() < 1e-4 * image.norm())
    True
    """

    weight: float = 1e-2
    restarts: int = 10
    inner: int = 15
    floor: float = 1e-6
    wavelet: Wavelet = "db4"
    levels: int = 3

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ConfigError("firenet: weight", expected="a positive number", came=str(self.weight))
        if self.restarts < 1 or self.inner < 1:
            came = f"restarts = {self.restarts}, inner = {self.inner}"
            raise ConfigError("firenet: iterations", expected="restarts and inner at least 1", came=came)
        if not self.floor >= 0:
            raise ConfigError("firenet: floor", expected="a number >= 0", came=str(self.floor))

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct ``(B, *range) -> (B, 1, H, W)``."""
        return self._image(self._run(y, operator)[0])

    def state(self, y: Tensor, operator: LinearOperator) -> FixedPoint:
        """Image and dual variable ``(x, d)``, the relative change of one more restart, and the inner iterations."""
        with torch.no_grad():
            c, d = self._run(y, operator)
            further = replace(self, restarts=self.restarts + 1)._run(y, operator)[0]
            size = tensors.norm(further).clamp_min(torch.finfo(tensors.real_dtype(c.dtype)).tiny)
            steps = torch.full_like(size, self.restarts * self.inner, dtype=torch.int64)
            return FixedPoint((self._image(c), d), tensors.norm(further - c) / size, steps)

    def longer(self, factor: int) -> Firenet:
        """The same method with ``factor`` times as many iterations between restarts."""
        return replace(self, inner=factor * self.inner)

    def convergence(self, y: Tensor, operator: LinearOperator, *, factor: int = 10) -> Convergence:
        """How far from finished it is at a measurement (`reconstructors.convergence`)."""
        return convergence(self, y, operator, factor=factor)

    def objective(self, x: Tensor, y: Tensor, operator: LinearOperator) -> Tensor:
        """The functional that is minimised, ``(B,)``."""
        c = analyse(x, levels=self.levels, wavelet=self.wavelet)
        misfit = tensors.norm((operator.forward(x) - y) / operator.norm_bound())
        return self.weight * c.abs().flatten(1).sum(1) + misfit

    def gap(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Certificate of how far the objective is above its minimum at most, relative to it, ``(B,)``: see the module."""
        with torch.no_grad():
            x, d = self.state(y, operator).state
            scale, value = operator.norm_bound(), self.objective(x, y, operator)
            slopes = analyse(operator.adjoint(d) / scale, levels=self.levels, wavelet=self.wavelet).abs().flatten(1).amax(1)
            feasible = tensors.scale(d, self.weight / slopes.clamp_min(self.weight))
            return (value + tensors.inner(feasible, y) / scale) / value.clamp_min(torch.finfo(value.dtype).tiny)

    def _image(self, c: Tensor) -> Tensor:
        return synthesise(c, levels=self.levels, wavelet=self.wavelet)

    def _run(self, y: Tensor, operator: LinearOperator) -> tuple[Tensor, Tensor]:
        """Coefficients, and the mean of the last dual variables."""
        shape = operator.domain.shape
        check((shape[-2], shape[-1]), self.levels, self.wavelet)
        b = y / operator.norm_bound()
        size = tensors.norm(b)
        size = torch.where(size > 0, size, 1.0)  # an image of zeros stays zero, whatever the steps
        c, d, left = torch.zeros_like(operator.adjoint(y)), torch.zeros_like(y), torch.ones_like(size)
        for _ in range(self.restarts):
            left = DECREASE * (self.floor + left)
            if torch.is_grad_enabled() and y.requires_grad:
                c, d = checkpoint(self._inner, c, b, size * left, operator, use_reentrant=False)
            else:
                c, d = self._inner(c, b, size * left, operator)
        return c, d

    def _inner(self, c: Tensor, b: Tensor, error: Tensor, operator: LinearOperator) -> tuple[Tensor, Tensor]:
        scale = operator.norm_bound()
        t = (error * self.inner / 2).reshape(-1, 1, 1, 1)
        d, total, dual = torch.zeros_like(b), torch.zeros_like(c), torch.zeros_like(b)
        for _ in range(self.inner):
            back = analyse(operator.adjoint(d) / scale, levels=self.levels, wavelet=self.wavelet)
            new = soft(c - t * back, t * self.weight)
            d = d + (operator.forward(self._image(2 * new - c)) / scale - b) / t
            d = tensors.scale(d, 1 / tensors.norm(d).clamp_min(1.0))
            c, total, dual = new, total + new, dual + d
        return total / self.inner, dual / self.inner
