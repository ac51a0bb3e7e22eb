"""AUTOMAP: an image straight from the measured k-space samples, by dense layers that learn the inverse transform.

B. Zhu, J. Z. Liu, S. F. Cauley, B. R. Rosen, M. S. Rosen, *Image reconstruction by domain-transform manifold learning*, Nature 555,
2018. With ``m`` complex samples as ``2 m`` real numbers ``s`` and images of ``n x n``:

    h_1 = tanh(W_1 s + b_1)                   hidden
    h_2 = tanh(W_2 h_1 + b_2)                 two maps of n x n (real, imaginary)
    h_3 = ReLU(5 x 5 convolution of h_2)      h_4 = ReLU(5 x 5 convolution of h_3)
    x   = 7 x 7 transposed convolution of h_4

The paper has ``n^2`` hidden units, one map, 64 channels, and a network each for real and imaginary part; here one network gives
both. Nothing of the Fourier transform is built in: the dense layers know one set of samples, and no other size or mask can be
reconstructed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reconstructors.layout import join
from stabtest.errors import NetworkError
from stabtest.operators.base import LinearOperator
from stabtest.operators.fourier import Fourier
from stabtest.operators.masks import cartesian_gaussian, sampling_fraction


class Automap(nn.Module):
    """Dense layers, then convolutions, ``(y, operator) -> image``, for one scan.

    It expects measurements divided by the largest modulus of their zero-filled image (``scale = "max"`` of `stabtest.networks.wrap`).

    Parameters
    ----------
    size
        Side ``n`` of the images.
    acceleration, centre_fraction, seed
        The scan, of `stabtest.operators.masks.cartesian_gaussian`; the mask is kept with the weights.
    hidden
        Units of the first dense layer.
    width
        Channels of the convolutions.

    Examples
    --------
    >>> network = Automap(size=8, acceleration=2, centre_fraction=0.25, hidden=10, width=3)
    >>> network(torch.zeros(2, 1, 8, 8, dtype=torch.complex64), Fourier(network.mask)).shape
    torch.Size([2, 1, 8, 8])
    """

    mask: Tensor
    places: Tensor

    def __init__(
        self, *, size: int, acceleration: float, centre_fraction: float, seed: int = 0, hidden: int, width: int = 64
    ) -> None:
        super().__init__()
        mask = cartesian_gaussian((size, size), acceleration=acceleration, centre_fraction=centre_fraction, seed=seed)
        self.register_buffer("mask", mask)
        self.register_buffer("places", mask.flatten().nonzero()[:, 0], persistent=False)
        self.size = size
        self.first = nn.Linear(2 * int(mask.sum()), hidden)
        self.second = nn.Linear(hidden, 2 * size * size)
        self.convolutions = nn.Sequential(
            nn.Conv2d(2, width, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 5, padding=2),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 2, 7, padding=3),
        )

    def forward(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Complex images ``(B, 1, n, n)``.

        Parameters
        ----------
        y
            Complex k-space ``(B, 1, n, n)``; what lies beside the mask is not looked at.
        operator
            `Fourier` with the mask of the training.

        Raises
        ------
        NetworkError
            If the operator is not that of the training.
        OperatorError
            If the measurements do not fit the operator.
        """
        self._require_trained_scan(operator)
        samples = y[:, 0].flatten(1)[:, self.places]
        hidden = torch.tanh(self.first(torch.cat([samples.real, samples.imag], dim=1)))
        maps = torch.tanh(self.second(hidden)).reshape(-1, 2, self.size, self.size)
        return join(self.convolutions(maps), like=y)

    def _require_trained_scan(self, operator: LinearOperator) -> None:
        if (
            torch.compiler.is_compiling()
        ):  # values cannot be compared while a graph is made; the call that gave its input has done it
            return
        n = self.size
        remedy = (
            f"set size = {n} and the mask of the model card, and leave out tests that change the mask (sampling): dense layers know "
            "one set of samples only"
        )
        expected = f"single-coil k-space of {n} x {n}, {int(self.mask.sum())} samples at the places of the training"
        if not isinstance(operator, Fourier):
            raise NetworkError("automap: another scan", expected=expected, came=type(operator).__name__, remedy=remedy)
        if tuple(operator.mask.shape) != (n, n):
            height, width = operator.mask.shape
            raise NetworkError("automap: another size", expected=expected, came=f"{height} x {width}", remedy=remedy)
        if not torch.equal(operator.mask.to(self.mask.device), self.mask):
            fraction = sampling_fraction(operator.mask)
            came = f"other places, {100 * fraction:.1f} % of the grid"
            raise NetworkError("automap: another mask", expected=expected, came=came, remedy=remedy)
