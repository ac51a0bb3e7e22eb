"""A sparse real matrix and its transpose as differentiable maps of batches.

The derivative of ``x -> M x`` is ``M`` itself and the gradient is ``M^T``, so the backward pass of a product is a
product with the explicitly stored transpose, itself differentiable: derivatives of any order, forward and reverse mode,
and batching by `torch.vmap`. PyTorch's own derivative of sparse products is not used; it is over thirty times slower.

The bare product is PyTorch's CSR kernel for batches and on GPUs, SciPy's for a single vector (faster there) and where
PyTorch was built without MKL (it has no such kernel then).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor


class MatrixPair:
    """A matrix and its explicit transpose, in the precisions and on the devices that are asked for.

    Parameters
    ----------
    matrix
        CSR, float64, shape ``(m, n)``.

    Examples
    --------
    >>> pair = MatrixPair(sparse.csr_array(np.array([[1.0, 2.0]])))
    >>> pair.apply(torch.tensor([[3.0, 4.0]])), pair.apply(torch.tensor([[1.0]]), transposed=True)
    (tensor([[11.]]), tensor([[1., 2.]]))
    """

    def __init__(self, matrix: sparse.csr_array) -> None:
        self.shape: tuple[int, int] = (int(matrix.shape[0]), int(matrix.shape[1]))
        self._scipy: dict[tuple[bool, torch.dtype], sparse.csr_array] = {(False, torch.float64): matrix}
        self._torch: dict[tuple[bool, torch.dtype, torch.device], Tensor] = {}

    def apply(self, x: Tensor, *, transposed: bool = False) -> Tensor:
        """``M x`` (or ``M^T x``) for each row of a batch.

        Parameters
        ----------
        x
            Real ``(B, n)`` (``(B, m)`` if transposed). Precisions below float32 are computed in float32.
        transposed
            Which of the two.

        Returns
        -------
        Tensor
            ``(B, m)`` (``(B, n)``), type and device of ``x``.
        """
        if x.dtype not in (torch.float32, torch.float64):
            return self.apply(x.float(), transposed=transposed).to(x.dtype)
        return _Product.apply(x, self, transposed)  # pyright: ignore[reportReturnType]

    def product(self, x: Tensor, transposed: bool) -> Tensor:
        """The bare product of `apply`, without derivatives; float32 or float64."""
        x = x.detach()
        if x.device.type != "cpu" or (x.shape[0] > 1 and torch.backends.mkl.is_available()):
            with torch.autocast(x.device.type, enabled=False):  # which would lower `x` to a precision without such a product
                return (self.torch_matrix(transposed, x.dtype, x.device) @ x.T).T.contiguous()
        matrix, source = self.scipy_matrix(transposed, x.dtype), x.contiguous().numpy()
        if x.shape[0] == 1:
            return torch.from_numpy((matrix @ source[0])[None])
        return torch.from_numpy(np.ascontiguousarray((matrix @ np.ascontiguousarray(source.T)).T))

    def scipy_matrix(self, transposed: bool = False, dtype: torch.dtype = torch.float64) -> sparse.csr_array:
        """The matrix (or its transpose) as CSR in host memory, made at the first call."""
        key = (transposed, dtype)
        if key not in self._scipy:
            if dtype != torch.float64:
                full = self.scipy_matrix(transposed)
                part = (full.data.astype(np.float32), full.indices, full.indptr)
                self._scipy[key] = sparse.csr_array(part, shape=full.shape)
            else:
                self._scipy[key] = sparse.csr_array(self._scipy[False, dtype].T.tocsr())
        return self._scipy[key]

    def torch_matrix(self, transposed: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The same as a PyTorch CSR tensor on a device; on the CPU it shares the memory of `scipy_matrix`."""
        key = (transposed, dtype, device)
        if key not in self._torch:
            host = self.scipy_matrix(transposed, dtype)
            parts = (torch.from_numpy(part) for part in (host.indptr, host.indices, host.data))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
                self._torch[key] = torch.sparse_csr_tensor(*parts, size=host.shape, device=device, check_invariants=True)
        return self._torch[key]


class _Product(torch.autograd.Function):
    """``(x, pair, transposed) -> M x``; its derivatives are products again."""

    @staticmethod
    def forward(x: Tensor, pair: MatrixPair, transposed: bool) -> Tensor:
        return pair.product(x, transposed)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, MatrixPair, bool], output: Tensor) -> None:  # noqa: ANN401
        _, ctx.pair, ctx.transposed = inputs

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return ctx.pair.apply(grad_outputs[0], transposed=not ctx.transposed), None, None

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Tensor) -> Tensor:  # noqa: ANN401
        return ctx.pair.apply(grad_inputs[0], transposed=ctx.transposed)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:  # noqa: ANN401
        x, pair, transposed = args
        moved: Tensor = x.movedim(in_dims[0], 0)
        result: Tensor = pair.apply(moved.flatten(0, 1), transposed=transposed)
        return result.unflatten(0, moved.shape[:2]), 0
