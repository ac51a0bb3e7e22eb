r"""Fingerprints: whether an operator, or a measurement, is the one that a stored perturbation belongs to.

An operator is told by its action. The numbers ``p_k = <w_k, A x_k>`` for a few fixed ``x_k, w_k`` are equal for equal operators
up to rounding, however they are implemented; two operators that differ agree in them only if ``A - B`` happens to be orthogonal
to every ``w_k x_k*``. The entries of ``x_k`` and ``w_k`` come from an integer hash of their place (the finaliser of MurmurHash3,
A. Appleby, public domain) and not from a random number generator, so that they are the same on every machine and with every
version of every library.

A tensor is told by the SHA-256 (FIPS 180-4) of its type, shape and bytes.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest import tensors
from stabtest.operators.base import LinearOperator, Space


def probe(operator: LinearOperator, *, number: int = 4) -> tuple[float, ...]:
    """Numbers ``<w_k, A x_k> sqrt(n) / (||w_k|| ||x_k||)`` that tell one operator from another, in float64.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> class Twice(Identity):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> once, twice = probe(Identity((4, 4))), probe(Twice((4, 4)))
    >>> all(abs(b - 2 * a) < 1e-12 for a, b in zip(once, twice))
    True
    """
    numbers: list[float] = []
    with torch.no_grad():
        for k in range(number):
            x, w = _hashed(operator.domain, 2 * k), _hashed(operator.range, 2 * k + 1)
            unit = tensors.norm(x) * tensors.norm(w) / math.sqrt(w.numel())
            numbers.append(float(tensors.inner(w, operator.forward(x)) / unit))
    return tuple(numbers)


def fingerprint(values: Tensor) -> str:
    """SHA-256 of a tensor's type, shape and bytes.

    Examples
    --------
    >>> fingerprint(torch.zeros(2))[:8] == fingerprint(torch.zeros(2))[:8] != fingerprint(torch.zeros(2, 1))[:8]
    True
    """
    plain = values.detach().cpu().contiguous()
    total = hashlib.sha256(f"{plain.dtype} {tuple(plain.shape)} ".encode())
    total.update(plain.resolve_conj().numpy().tobytes())
    return total.hexdigest()


def _hashed(space: Space, key: int) -> Tensor:
    """Numbers in [-1, 1) from an integer hash of their place (the finaliser of MurmurHash3): an element, with batch axis."""
    entries = math.prod(space.shape)
    counter = np.arange((2 if space.is_complex else 1) * entries, dtype=np.uint32) + np.uint32(0x9E3779B9 * (key + 1) % 2**32)
    h: NDArray[np.uint32] = counter * np.uint32(0x9E3779B1)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
    h = h ^ (h >> np.uint32(16))
    values = torch.from_numpy(h.astype(np.float64) / 2.0**31 - 1.0)
    values = torch.view_as_complex(values.reshape(-1, 2)) if space.is_complex else values
    return values.reshape(1, *space.shape)
