"""A sparse real matrix and its transpose as differentiable maps of batches.

The derivative of ``x -> M x`` is ``M`` itself and the gradient is ``M^T``, so the backward pass of a product
is a product with the explicitly stored transpose, itself differentiable: derivatives of any order, forward
and reverse mode, and batching by `torch.vmap`. PyTorch's own derivative of sparse products is not used; it is
over thirty times slower.

On the CPU the product is SciPy's CSR kernel on the tensor's own memory, on a GPU `torch.sparse` (forward
only).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor


class MatrixPair:
    """A matrix and its explicit transpose in the precisions and on the devices that are asked for.

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
        self._host: dict[tuple[bool, torch.dtype], sparse.csr_array] = {
            (False, torch.float64): matrix,
            (True, torch.float64): sparse.csr_array(matrix.T.tocsr()),
        }
        self._device: dict[tuple[bool, torch.dtype, torch.device], Tensor] = {}

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
        if x.device.type != "cpu":
            return (self._on_device(transposed, x.dtype, x.device) @ x.T).T
        matrix = self._on_host(transposed, x.dtype)
        source = x.detach().contiguous().numpy()
        result = np.empty((x.shape[0], matrix.shape[0]), dtype=source.dtype)
        for row, out in zip(source, result):  # one vector at a time keeps it in the processor's cache
            out[:] = matrix @ row
        return torch.from_numpy(result)

    def _on_host(self, transposed: bool, dtype: torch.dtype) -> sparse.csr_array:
        key = (transposed, dtype)
        if key not in self._host:
            full = self._host[transposed, torch.float64]
            data = full.data.astype(np.float32)
            self._host[key] = sparse.csr_array((data, full.indices, full.indptr), shape=full.shape)
        return self._host[key]

    def _on_device(self, transposed: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
        key = (transposed, dtype, device)
        if key not in self._device:
            host = self._on_host(transposed, dtype)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
                self._device[key] = torch.sparse_csr_tensor(
                    torch.from_numpy(host.indptr),
                    torch.from_numpy(host.indices),
                    torch.from_numpy(host.data),
                    size=host.shape,
                    device=device,
                )
        return self._device[key]


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
    def vmap(
        info: Any,  # noqa: ANN401
        in_dims: tuple[int | None, None, None],
        x: Tensor,
        pair: MatrixPair,
        transposed: bool,
    ) -> tuple[Tensor, int]:
        moved = x.movedim(in_dims[0] or 0, 0)
        result = pair.apply(moved.flatten(0, 1), transposed=transposed)
        return result.unflatten(0, moved.shape[:2]), 0
