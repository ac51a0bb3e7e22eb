r"""MoDL: a denoising network inside of the regularised least-squares problem of the scan.

H. K. Aggarwal, M. P. Mani, M. Jacob, *MoDL: model-based deep learning architecture for inverse problems*, IEEE TMI 38(2), 2019. Of

    argmin_x ||A x - y||^2 + w ||x - D(x)||^2

the denoiser and the image are taken in turn, ``K`` times from the zero-filled image ``x_0``, with the same weights each time:

    z_k     = D(x_k) = x_k - N(x_k)
    x_k+1   = (A* A + w)^-1 (A* y + w z_k) = z_k + (A* A + w)^-1 A* (y - A z_k)

``N`` is a chain of 3 x 3 convolutions with ReLU between them on real and imaginary part, ``w > 0`` is learned. The equations are
solved in the second form, by conjugate gradients to a stated residual relative to the right-hand side, and differentiated by
solving once more (`reconstructors.inverse`), not through the iterations.

The paper has ``K = 10`` and five layers of 64 channels with batch normalisation, first trains with ``K = 1``, and its authors' code takes at
most 10 iterations of conjugate gradients. Here ``K`` and the width are smaller, for training on a CPU; there is no normalisation (the
chain is short and its Lipschitz constant stays readable); and the equations are solved to a tolerance, for which the derivative above is
right. ``w`` has the unit of ``||A||^2``, which is at most 1 for maps with root sum of squares 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reconstructors.inverse import inverse
from reconstructors.layout import join, require_complex_images, split
from reconstructors.lecture.dncnn import DnCNN
from stabtest.operators.base import LinearOperator
from stabtest.operators.solvers import conjugate_gradient


class Modl(nn.Module):
    """A shared denoiser and conjugate gradients in turn, ``(y, operator) -> image``, any size, any number of coils.

    It expects measurements divided by the largest modulus of their zero-filled image (``scale = "max"`` of `stabtest.networks.wrap`).

    Parameters
    ----------
    repetitions
        ``K``.
    layers
        Convolutions of ``N``, at least 2.
    width
        Channels between them.
    tolerance
        Relative residual of the equations at which an image is solved. The derivative is that of the solution, so this is also about how far
        it is from the derivative of what is computed.
    training_tolerance
        The same while training (``.train()``), where a step needs a direction, not digits.
    iterations
        Of conjugate gradients, at most, in each repetition.

    Examples
    --------
    >>> from stabtest.operators import MultiCoilFourier, masks
    >>> A = MultiCoilFourier(masks.cartesian_gaussian((12, 17), acceleration=2, seed=0), torch.ones(3, 12, 17) / (3**0.5 + 0j))
    >>> Modl(repetitions=2, layers=3, width=4)(torch.zeros(2, 3, 12, 17, dtype=torch.complex64), A).shape
    torch.Size([2, 1, 12, 17])
    """

    def __init__(
        self,
        *,
        repetitions: int = 5,
        layers: int = 5,
        width: int = 32,
        tolerance: float = 1e-5,
        training_tolerance: float = 1e-4,
        iterations: int = 100,
    ) -> None:
        super().__init__()
        self.repetitions, self.iterations = repetitions, iterations
        self.tolerance, self.training_tolerance = tolerance, training_tolerance
        self.denoiser = DnCNN(channels=2, width=width, layers=layers)
        with torch.no_grad():  # training starts near D(x) = x, which makes the start a least-squares image
            self.denoiser.noise[-1].weight.mul_(0.1)  # pyright: ignore[reportCallIssue, reportArgumentType]
        self.log_weight = nn.Parameter(torch.tensor(0.05).log())
        """``log w``; ``w = 0.05`` at first, as in the authors' code."""

    def forward(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Complex images ``(B, 1, H, W)``.

        Parameters
        ----------
        y
            Complex measurements ``(B, *operator.range.shape)``.
        operator
            The forward model, on complex images.

        Raises
        ------
        NetworkError
            If the operator is one on real images.
        OperatorError
            If the measurements do not fit the operator.
        """
        require_complex_images(operator, "modl")
        weight, x = self.log_weight.exp(), operator.pseudo_inverse(y)
        for _ in range(self.repetitions):
            z = join(self.denoiser(split(x)), like=x)
            x = z + self.solve(operator.adjoint(y - operator.forward(z)), weight, operator)
        return x

    def solve(self, b: Tensor, weight: Tensor, operator: LinearOperator) -> Tensor:
        """``(A* A + weight)^-1 b`` to the tolerance, differentiable in ``b`` and ``weight``.

        Parameters
        ----------
        b
            Complex ``(B, 1, H, W)``.
        weight
            Positive, shape ``()``.
        operator
            ``A``.
        """
        tolerance = self.training_tolerance if self.training else self.tolerance

        def solved(right: Tensor, w: Tensor) -> Tensor:
            return conjugate_gradient(operator, right, weight=float(w.detach()), iterations=self.iterations, tol=tolerance).x

        return inverse(b, weight, solved)
