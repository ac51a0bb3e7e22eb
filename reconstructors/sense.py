r"""CG-SENSE: several coils, any sampling, by conjugate gradients on the regularised normal equations.

K. P. Pruessmann, M. Weiger, P. Börnert, P. Boesiger, *Advances in sensitivity encoding with arbitrary k-space trajectories*, MRM 46,
2001. With the encoding ``E = M F s`` of all coils and the intensity correction ``I = 1 / sqrt(sum_c |s_c|^2)`` (0 where no coil
sees anything), the image is ``x = I z``, where ``z`` is the minimiser of

    1/2 ||E I z - y||^2 + w/2 ||z||^2,       that is       (I E* E I + w) z = I E* y.

The correction preconditions: ``||E I|| <= 1``, so that ``w`` has no unit and the condition number is at most ``1 + 1 / w``. It is made
by dividing the maps themselves. On a Cartesian grid the paper's density correction is 1. The paper stops after a few iterations, which
regularises by an amount that depends on the data; here ``w`` regularises (the Tikhonov term of the paper's section on noise
that iterations amplify) and the equations are solved to a stated residual, which makes the reconstruction a linear map of
``y``. For an operator that is not `MultiCoilFourier`, ``I = 1 / a`` with ``a >= ||A||``.

A linear map with a self-adjoint inverse is differentiated by solving once more (`reconstructors.inverse`), in constant memory. With the
residual ``r`` of the equations, the objective is above its minimum by ``1/2 <r, (I E* E I + w)^-1 r> <= ||r||^2 / (2 w)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from reconstructors.convergence import Convergence, convergence
from reconstructors.implicit import FixedPoint, warn_unsolved
from reconstructors.inverse import inverse
from reconstructors.layout import require_complex_images
from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.operators.base import LinearOperator
from stabtest.operators.multicoil import MultiCoilFourier
from stabtest.operators.solvers import conjugate_gradient


@dataclass(frozen=True)
class Sense:
    """CG-SENSE, a callable ``(y, operator) -> image``, linear up to the tolerance.

    Parameters
    ----------
    weight
        ``w > 0``, relative to the squared norm 1 of the corrected encoding.
    tolerance
        Relative residual of the normal equations to which each image is solved; single precision does not reach much less.
    iterations
        At most so many; an image that is not solved then is named in a `RuntimeWarning`.

    Raises
    ------
    ConfigError
        If a setting is not one.

    Examples
    --------
    Two coils that see the same, with everything measured: the image comes back, smaller by ``1 / (1 + w)``.

    >>> A = MultiCoilFourier(torch.ones(4, 6, dtype=torch.bool), torch.ones(2, 4, 6, dtype=torch.complex64))
    >>> x = torch.full((1, 1, 4, 6), 2 + 1j, dtype=torch.complex64)
    >>> torch.allclose(Sense(weight=0.25)(A(x), A), x / 1.25)
    True
    """

    weight: float = 1e-2
    tolerance: float = 1e-5
    iterations: int = 300

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ConfigError("cg-sense: weight", expected="a positive number", came=str(self.weight))
        if not self.tolerance > 0:
            raise ConfigError("cg-sense: tolerance", expected="a positive number", came=str(self.tolerance))
        if self.iterations < 1:
            raise ConfigError("cg-sense: iterations", expected="at least 1", came=str(self.iterations))

    def __call__(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct ``(B, *range) -> (B, 1, H, W)``, complex.

        Raises
        ------
        NetworkError
            If the operator is one on real images.
        OperatorError
            If the measurements do not fit the operator.
        """
        problem = _Problem.of(operator, self.weight)
        right = problem.encoding.adjoint(y)
        weight = right.real.new_tensor(problem.weight)
        return inverse(right, weight, lambda b, _: self._solved(problem, b).state[0]) * problem.correction.to(y.real)

    def state(self, y: Tensor, operator: LinearOperator) -> FixedPoint:
        """The image, ``(x,)``, the relative residual of the normal equations and the iterations of the batch."""
        problem = _Problem.of(operator, self.weight)
        with torch.no_grad():
            found = self._solved(problem, problem.encoding.adjoint(y))
        return replace(found, state=(found.state[0] * problem.correction.to(y.real),))

    def longer(self, factor: int) -> Sense:
        """The same method with a tolerance ``factor`` times smaller."""
        return replace(self, tolerance=self.tolerance / factor, iterations=factor * self.iterations)

    def convergence(self, y: Tensor, operator: LinearOperator, *, factor: int = 10) -> Convergence:
        """How far from finished it is at a measurement (`reconstructors.convergence`)."""
        return convergence(self, y, operator, factor=factor)

    def objective(self, x: Tensor, y: Tensor, operator: LinearOperator) -> Tensor:
        """The functional that is minimised, ``(B,)``; ``x`` is taken to be 0 where no coil sees anything."""
        problem = _Problem.of(operator, self.weight)
        z = problem.uncorrected(x)
        misfit = problem.encoding.forward(z) - y
        return (tensors.norm(misfit).square() + problem.weight * tensors.norm(z).square()) / 2

    def gap(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Certificate of how far the objective is above its minimum at most, relative to it, ``(B,)``; see the module."""
        problem = _Problem.of(operator, self.weight)
        with torch.no_grad():
            x = self.state(y, operator).state[0]
            z = problem.uncorrected(x)
            r = problem.encoding.adjoint(y - problem.encoding.forward(z)) - problem.weight * z
            value = self.objective(x, y, operator)
            return tensors.norm(r).square() / (2 * problem.weight) / value.clamp_min(torch.finfo(value.dtype).tiny)

    def _solved(self, problem: _Problem, b: Tensor) -> FixedPoint:
        # Half the tolerance: conjugate gradients stop by an updated residual, from which the true one differs by rounding.
        solution = conjugate_gradient(
            problem.encoding, b, weight=problem.weight, iterations=self.iterations, tol=self.tolerance / 2
        )
        steps = torch.full_like(solution.residual, solution.iterations, dtype=torch.int64)
        found = FixedPoint((solution.x,), solution.residual, steps)
        warn_unsolved("cg-sense", found, self.tolerance)
        return found


@dataclass(frozen=True)
class _Problem:
    """``E I`` (or ``A``), ``I`` on the image and the weight beside it."""

    encoding: LinearOperator
    correction: Tensor
    weight: float

    @classmethod
    def of(cls, operator: LinearOperator, weight: float) -> _Problem:
        require_complex_images(operator, "cg-sense")
        if not isinstance(operator, MultiCoilFourier):
            return cls(operator, torch.ones(()), weight * operator.norm_bound() ** 2)
        power = operator.sensitivities.abs().square().sum(0)
        seen = power > torch.finfo(power.dtype).tiny
        correction = torch.where(seen, power.rsqrt(), 0)
        return cls(MultiCoilFourier(operator.mask, operator.sensitivities * correction), correction, weight)

    def uncorrected(self, x: Tensor) -> Tensor:
        """``z`` of ``x = I z``."""
        correction = self.correction.to(x.real)
        return x * torch.where(correction > 0, 1 / correction, 0)
