r"""Learned primal-dual: the primal-dual hybrid gradient method with both proximal steps replaced by small networks.

J. Adler, O. Oktem, *Learned primal-dual reconstruction*, IEEE TMI 37(6), 2018. With the operator divided by its norm,
``K = A / s``, ``g = y / s``, a memory of ``P`` images ``f = (f1, f2, ...)`` and one of ``D`` measurements ``h = (h1, ...)``,
iteration ``k`` is

    h <- h + Gamma_k([h, K f2, g])        dual step, convolutions on the measurement's grid
    f <- f + Lambda_k([f, K* h1])          primal step, convolutions on the image's grid

and the reconstruction is ``f1`` after the last one. ``Gamma_k`` and ``Lambda_k`` have weights of their own: three 3 x 3 convolutions
with bias, a PReLU after the first two. Landweber's iteration and PDHG are members of this class (other weights, same graph).

The paper has 10 iterations, memories of 5, 32 channels between convolutions, and starts from ``f = h = 0`` (and says that another start
is possible). Here ``f`` starts as ``P`` copies of the direct reconstruction, because the ramp filter of filtered back-projection reaches
over the whole detector and would otherwise have to be learned by 3 x 3 convolutions first, which a short training cannot; and ``s`` is
`norm_bound`, an upper bound that needs no iteration (8 % above ``||A||`` for 50 views of 128 x 128), where the paper has a power iteration.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from reconstructors.layout import require_real_images
from stabtest.operators.base import LinearOperator

LAYERS = 3
"""Convolutions in a step."""


def _step(channels_in: int, channels_out: int, width: int) -> nn.Sequential:
    """``LAYERS`` convolutions with PReLU between them; Xavier's weights as in the paper, the last ones small: training starts near ``f + 0``."""
    modules: list[nn.Module] = []
    for source, target in pairwise((channels_in, *[width] * (LAYERS - 1), channels_out)):
        convolution = nn.Conv2d(source, target, 3, padding=1)
        nn.init.xavier_uniform_(convolution.weight)
        nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType]
        modules += [convolution, nn.PReLU(init=0.0)]
    with torch.no_grad():
        modules[-2].weight.mul_(0.1)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    return nn.Sequential(*modules[:-1])


class LearnedPrimalDual(nn.Module):
    """Alternating learned steps on measurements and image, ``(y, operator) -> image``, any size and number of views.

    Parameters
    ----------
    iterations
        Pairs of a dual and a primal step, each with weights of its own.
    primal, dual
        Images and measurements in the memory; at least two and one.
    width
        Channels between the convolutions of a step.

    Raises
    ------
    ValueError
        If a number is too small.

    Examples
    --------
    >>> from stabtest.operators import Radon
    >>> A = Radon((12, 17), 9)
    >>> LearnedPrimalDual(iterations=2, primal=2, dual=1, width=4)(A.range.zeros(2), A).shape
    torch.Size([2, 1, 12, 17])
    """

    def __init__(self, *, iterations: int = 10, primal: int = 5, dual: int = 5, width: int = 32) -> None:
        super().__init__()
        least = {"iterations": (iterations, 1), "primal": (primal, 2), "dual": (dual, 1), "width": (width, 1)}
        for name, (value, smallest) in least.items():
            if value < smallest:
                raise ValueError(f"{name}: expected at least {smallest}, came {value}")
        self.primal, self.dual = primal, dual
        self.dual_steps = nn.ModuleList(_step(dual + 2, dual, width) for _ in range(iterations))
        self.primal_steps = nn.ModuleList(_step(primal + 1, primal, width) for _ in range(iterations))

    def forward(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Real images ``(B, 1, H, W)``.

        Parameters
        ----------
        y
            Real measurements ``(B, *operator.range.shape)``, one channel.
        operator
            The forward model, on real images.

        Raises
        ------
        NetworkError
            If the operator is one on complex images.
        OperatorError
            If the measurements do not fit the operator.
        """
        require_real_images(operator, "learned primal-dual")
        norm = operator.norm_bound()
        f = operator.pseudo_inverse(y).repeat(1, self.primal, 1, 1)
        g = y / norm
        h = torch.zeros_like(g).repeat(1, self.dual, 1, 1)
        for dual_step, primal_step in zip(self.dual_steps, self.primal_steps, strict=True):
            # The operator stays in the precision of the measurement where autocast lowers that of the convolutions.
            projected = operator.forward(f[:, 1:2]) / norm
            h = h + dual_step(torch.cat([h, projected, g], dim=1)).to(h.dtype)
            projected_back = operator.adjoint(h[:, :1]) / norm
            f = f + primal_step(torch.cat([f, projected_back], dim=1)).to(f.dtype)
        return f[:, :1]
