"""Operators small enough for dense matrices, and methods built to pass or to fail."""

import math

import numpy as np
import torch

from stabtest import phantoms, tensors
from stabtest.operators import Fourier, MultiCoilFourier, cartesian_random
from stabtest.stability.cases import Case, Method
from stabtest.stability.null_space import split


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_image(operator, seed=0, dtype=torch.float64):
    return operator.domain.randn(generator=generator(seed), dtype=dtype)


def single_coil(n=24, seed=0):
    return Fourier(cartesian_random((n, n), acceleration=3, seed=seed))


def multi_coil(n=12, seed=0, coils=3):
    """Half of the columns measured: three coils can unfold a part of it and no more."""
    mask = torch.zeros(n, n, dtype=torch.bool)
    mask[:, ::4] = True
    return MultiCoilFourier(mask, phantoms.coil_maps(n, coils, seed=seed).to(torch.complex128))


def dense(operator):
    """The matrix of an operator, complex or real, from its columns."""
    kind = operator.domain.dtype(torch.float64)
    columns = torch.eye(math.prod(operator.domain.shape), dtype=kind).reshape(-1, *operator.domain.shape)
    return operator.forward(columns).flatten(1).T.numpy()


def projector(operator, cut=1e-10):
    """``P_R`` from a dense singular value decomposition."""
    _, sizes, right = np.linalg.svd(dense(operator), full_matrices=False)
    rows = right[sizes > cut * sizes[0]]
    return rows.conj().T @ rows


def head_case(seed=0, *, n=24, std=0.002, dtype=torch.float64, operator=None, noise_known=True):
    operator = operator or single_coil(n, seed)
    n = operator.domain.shape[-1]
    is_complex = operator.domain.is_complex
    drawn = phantoms.head(n, seed=seed) if is_complex else phantoms.ellipses(n, seed=seed).abs()
    truth = drawn[None].to(operator.domain.dtype(torch.float64))
    clean = operator.forward(truth)
    level = std * float(clean.abs().max())
    noise = level * operator.restrict(operator.range.randn(generator=generator(100 + seed), dtype=torch.float64))
    return Case(
        f"case {seed}",
        f"patient {seed}",
        "mri" if is_complex else "ct",
        operator,
        (clean + noise).to(operator.range.dtype(dtype)),
        truth=truth.to(operator.domain.dtype(dtype)),
        truth_source="phantom",
        noise_std=level if noise_known else None,
    )


def linear(name="linear"):
    """Zero-filling, filtered back-projection: nothing in the null space."""
    return Method(name, "baseline", lambda y, operator: operator.pseudo_inverse(y))


def hallucinator(case, kappa):
    """Right about the case, and adds ``kappa`` times a detail of the null space for each unit of a measured one.

    The change of its image is ``(I + kappa n r*) P_R h``: its Lipschitz constant is ``sqrt(1 + kappa^2)``, and it recovers
    the detail ``r + kappa n`` in full.
    """
    operator, truth = case.operator, case.truth
    away = split(operator, random_image(operator, 7)).null
    near = split(operator, random_image(operator, 8)).measured
    n, r = away / tensors.norm(away), near / tensors.norm(near)
    parts = split(operator, truth)
    n, r, seen, hidden = (a.to(truth.dtype) for a in (n, r, parts.measured, parts.null))

    def reconstruct(y, operator):
        image = operator.pseudo_inverse(y)
        return image + kappa * tensors.scale(n, tensors.inner(r.expand_as(image), image - seen)) + hidden

    return Method("hallucinator", "under test", reconstruct), n, r
