"""A matrix as a pair of maps between images and vectors: ``y = M x`` with ``x`` the rows of the image one after another.

Sparse or dense, real or complex. The adjoint is the conjugated transpose. A real sparse matrix goes through
`stabtest.operators.sparse`; a complex one is a real part and an imaginary part, four real products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from stabtest.errors import OperatorError
from stabtest.operators.sparse import MatrixPair


class MatrixMap:
    """``x -> M x`` on batches, what `stabtest.operators.OwnOperator` takes.

    Parameters
    ----------
    matrix
        ``(m, H W)``: a NumPy array, or a sparse matrix or array of SciPy, of finite numbers.
    shape
        ``(H, W)``.

    Raises
    ------
    OperatorError
        If it has another number of columns than the image has pixels, or entries that are no finite numbers.

    Examples
    --------
    >>> M = MatrixMap(np.array([[1.0, 2.0, 3.0, 4.0]]), (2, 2))
    >>> M.forward(torch.ones(1, 1, 2, 2)), M.adjoint(torch.ones(1, 1)).shape
    (tensor([[10.]]), torch.Size([1, 1, 2, 2]))
    """

    def __init__(self, matrix: NDArray[np.generic] | Any, shape: tuple[int, int]) -> None:  # noqa: ANN401 - SciPy has many sparse types
        rows, columns = matrix.shape if len(matrix.shape) == 2 else (0, 0)
        if columns != shape[0] * shape[1] or rows < 1:
            raise OperatorError(
                "matrix",
                expected=f"a column for each of {shape[0]} x {shape[1]} pixels: (m, {shape[0] * shape[1]})",
                came=str(tuple(matrix.shape)),
                remedy="give the transposed matrix, or set [operator] size",
            )
        if matrix.dtype.kind not in "buifc":
            raise OperatorError(
                "matrix",
                expected="numbers",
                came=str(matrix.dtype),
                remedy="save the matrix as floating-point or complex numbers",
            )
        self.image, self.rows = shape, int(rows)
        self.is_sparse = bool(sparse.issparse(matrix))
        values = np.asarray(matrix.data if self.is_sparse else matrix)
        if not bool(np.isfinite(values).all()):
            raise OperatorError(
                "matrix",
                expected="finite entries",
                came="NaN or infinity",
                remedy="see where they come from; a ray that misses the image has a row of zeros",
            )
        self.entries = int(values.size)
        self.is_complex = matrix.dtype.kind == "c"
        parts = (matrix.real, matrix.imag) if self.is_complex else (matrix,)
        self._parts = tuple(_Sparse(part) if self.is_sparse else _Dense(np.asarray(part)) for part in parts)

    def forward(self, x: Tensor) -> Tensor:
        """``M x``: ``(B, 1, H, W)`` to ``(B, m)``."""
        return self._product(x.flatten(1), False)

    def adjoint(self, y: Tensor) -> Tensor:
        """``M* y``: ``(B, m)`` to ``(B, 1, H, W)``."""
        return self._product(y.flatten(1), True).unflatten(1, (1, *self.image))

    def _product(self, v: Tensor, adjoint: bool) -> Tensor:
        if v.is_complex():
            real, imaginary = self._product(v.real, adjoint), self._product(v.imag, adjoint)
            return real + 1j * imaginary
        first = self._parts[0].apply(v, adjoint)
        if not self.is_complex:
            return first
        second = self._parts[1].apply(v, adjoint)
        return torch.complex(first, -second if adjoint else second)


class _Sparse:
    def __init__(self, matrix: Any) -> None:  # noqa: ANN401
        compressed: Any = sparse.csr_array(matrix, dtype=np.float64)
        self.pair = MatrixPair(compressed)

    def apply(self, v: Tensor, transposed: bool) -> Tensor:
        return self.pair.apply(v, transposed=transposed)


class _Dense:
    def __init__(self, matrix: NDArray[np.generic]) -> None:
        self._as: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        self.matrix = torch.from_numpy(np.array(matrix, dtype=np.float64))

    def apply(self, v: Tensor, transposed: bool) -> Tensor:
        key = (v.dtype, v.device)
        if key not in self._as:
            self._as[key] = self.matrix.to(device=v.device, dtype=v.dtype)
        return v @ self._as[key] if transposed else v @ self._as[key].T
