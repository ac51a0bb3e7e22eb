"""The identity: denoising as reconstruction, and the plainest operator to test everything else with."""

from __future__ import annotations

from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.base import LinearOperator, Space
from stabtest.operators.fourier import check_factor


class Identity(LinearOperator):
    """``A x = x``.

    Parameters
    ----------
    shape
        ``(H, W)`` of the image.
    is_complex
        Whether images are complex.

    Raises
    ------
    OperatorError
        If the shape is not two positive numbers.

    Examples
    --------
    >>> import torch
    >>> A = Identity((2, 3))
    >>> A(torch.ones(1, 1, 2, 3)).sum()
    tensor(6.)
    """

    def __init__(self, shape: tuple[int, int], *, is_complex: bool = False) -> None:
        if len(shape) != 2 or min(shape) < 1:
            raise OperatorError("Identity: shape", expected="(H, W), both positive", came=str(tuple(shape)))
        self.domain = self.range = Space((1, *shape), is_complex=is_complex)

    def forward(self, x: Tensor) -> Tensor:
        """The image itself, ``(B, 1, H, W)``."""
        return self.domain.check(x, "image")

    def adjoint(self, y: Tensor) -> Tensor:
        """The measurement itself."""
        return self.range.check(y, "measurement")

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """The measurement itself."""
        return self.range.check(y, "measurement")

    def refine(self, factor: int) -> BlockMean:
        """Each measured pixel is the mean of the ``factor x factor`` fine pixels under it (`BlockMean`)."""
        _, height, width = self.domain.shape
        return BlockMean((height, width), factor, is_complex=self.domain.is_complex)

    def norm_bound(self) -> float:
        """1."""
        return 1.0

    def describe(self) -> dict[str, str | int | float]:
        """Kind and size."""
        _, height, width = self.domain.shape
        return {"kind": "Identity", "height": height, "width": width}


class BlockMean(LinearOperator):
    """Means over blocks: what a pixel of the coarse grid sees of a finer object.

    Parameters
    ----------
    shape
        ``(H, W)`` of the coarse image.
    factor
        Side of a block in fine pixels; the domain is ``(1, factor H, factor W)``.
    is_complex
        Whether images are complex.

    Examples
    --------
    >>> import torch
    >>> BlockMean((1, 2), 2)(torch.arange(8.0).reshape(1, 1, 2, 4))
    tensor([[[[2.5000, 4.5000]]]])
    """

    def __init__(self, shape: tuple[int, int], factor: int, *, is_complex: bool = False) -> None:
        self.range = Identity(shape, is_complex=is_complex).range
        self.factor = check_factor(factor)
        self.domain = Space((1, self.factor * shape[0], self.factor * shape[1]), is_complex=is_complex)

    def forward(self, x: Tensor) -> Tensor:
        """Block means, ``(B, 1, factor H, factor W)`` to ``(B, 1, H, W)``."""
        x = self.domain.check(x, "image")
        return x.unflatten(-1, (-1, self.factor)).unflatten(-3, (-1, self.factor)).mean((-3, -1))

    def adjoint(self, y: Tensor) -> Tensor:
        """Every fine pixel gets its share ``1 / factor^2`` of its block."""
        return self.pseudo_inverse(y) / self.factor**2

    def pseudo_inverse(self, y: Tensor) -> Tensor:
        """Constant blocks (the Moore-Penrose inverse)."""
        y = self.range.check(y, "measurement")
        return y.repeat_interleave(self.factor, -2).repeat_interleave(self.factor, -1)

    def refine(self, factor: int) -> BlockMean:
        """Finer still: the factors multiply."""
        _, height, width = self.range.shape
        return BlockMean((height, width), self.factor * check_factor(factor), is_complex=self.range.is_complex)

    def norm_bound(self) -> float:
        """``1 / factor``: ``A A* = I / factor^2``."""
        return 1.0 / self.factor

    def describe(self) -> dict[str, str | int | float]:
        """Kind, size and factor."""
        _, height, width = self.range.shape
        return {"kind": "Block means", "height": height, "width": width, "factor": self.factor}
