r"""The leading singular triplets of the linearised reconstruction.

``J = f'(y)`` is the Jacobian at the measurement (`stabtest.search.jacobian`), ``P`` the projection onto what the scanner samples.
The perturbations that it amplifies most are the right singular vectors of ``J P`` (or of ``J A``, for perturbations of the
image), found as eigenvectors of ``P J* J P`` by band Lanczos (`stabtest.search.krylov`). How fast the values fall says
whether a network is fragile in one direction or in many: small perturbations in the span of all ``v_i`` with ``sigma_i``
near the largest do nearly the same damage.

Each triplet is examined with products of its own, whatever Lanczos believed: ``sigma_i = ||J P v_i||`` for a unit ``v_i``,
reached and hence a lower bound of the i-th singular value's rivals above it, and the residual ``||P J* J P v_i - sigma_i^2 v_i||
/ sigma_i^2``. By the theorem of Krylov and Weinstein (Parlett, *The Symmetric Eigenvalue Problem*, section 4.5) some eigenvalue of
``P J* J P`` is within ``sigma_i^2`` times the residual of ``sigma_i^2``. That no larger one was missed is likely for a random
start, and not proven.

**Multiplicity.** Complex vectors carry the real inner product, so ``v`` and ``i v`` are orthogonal. A reconstruction that is
complex-linear (zero-filling) has every singular value twice, one that acts on real and imaginary parts has near pairs. Two
starts are used in complex spaces, which finds both; more often repeated values need a larger ``block``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.constraints import Domain
from stabtest.search.jacobian import common_randn, disagreement, linearise
from stabtest.search.krylov import leading
from stabtest.search.problem import Reconstructor


@dataclass(frozen=True)
class JacobianSpectrum:
    """Leading singular triplets, per image, largest first.

    Attributes
    ----------
    sigmas
        ``||J P v_i||``, ``(B, k)``, in units of image over those of the domain.
    vectors
        Right singular vectors ``v_i``, unit norm, ``(B, k, *domain)``; zero where the space has fewer dimensions.
    images
        Left singular vectors ``J P v_i / sigma_i``: what each does to the image, ``(B, k, 1, H, W)``.
    residuals
        ``||P J* J P v_i - sigma_i^2 v_i|| / sigma_i^2``, ``(B, k)``; 0 at a singular vector.
    agreement
        ``|<J v_1, u> - <v_1, J* u>| / (||J v_1|| ||u||)`` for a random ``u``, ``(B,)``: whether the two products belong
        to one ``J``.
    """

    sigmas: Tensor
    vectors: Tensor
    images: Tensor
    residuals: Tensor
    agreement: Tensor


def jacobian_spectrum(
    reconstructor: Reconstructor,
    operator: LinearOperator,
    measurement: Tensor,
    *,
    k: int = 6,
    steps: int = 40,
    block: int | None = None,
    domain: Domain = "measurement",
    generator: torch.Generator | None = None,
) -> JacobianSpectrum:
    """The ``k`` largest singular values of the reconstruction's Jacobian at the measurement, with their vectors.

    Parameters
    ----------
    reconstructor
        ``f``, a callable ``(y, operator) -> image``.
    operator
        Forward model ``A``.
    measurement
        ``y``, shape ``(B, *range)``.
    k
        How many.
    steps
        Lanczos products, each one with ``J`` and one with ``J*``; ``k`` more examine the result. Memory: ``steps`` vectors.
    block
        Starts, and so the highest multiplicity seen; by default 2 in complex spaces and 1 in real ones.
    domain
        ``"measurement"``: ``J P``; ``"image"``: ``J A``.
    generator
        For the starts; seed 0 if not given.

    Raises
    ------
    SearchError
        If the reconstruction is disconnected from the measurement, ``k`` or ``block`` is not positive, or ``steps`` is
        smaller than either.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> gains = torch.tensor([[3.0, 2.0], [1.0, 0.5]])
    >>> spectrum = jacobian_spectrum(lambda y, A: gains * y, Identity((2, 2)), torch.ones(1, 1, 2, 2), k=2)
    >>> spectrum.sigmas.round(decimals=3), bool((spectrum.residuals < 1e-4).all())
    (tensor([[3., 2.]]), True)
    """
    J, sphere, zero = linearise(reconstructor, operator, measurement, domain=domain)
    block = (2 if zero.is_complex() else 1) if block is None else block
    if k < 1 or block < 1 or steps < max(k, block):
        raise SearchError(
            "Jacobian spectrum",
            expected="k and block at least 1, steps at least as many as either",
            came=f"k = {k}, block = {block}, steps = {steps}",
        )
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    starts = [sphere.admissible(common_randn(zero, generator=generator)) for _ in range(block)]
    vectors = leading(lambda v: J.vjp(J.jvp(v)), starts, count=k, products=steps)
    images, sigmas, residuals = [], [], []
    for v in vectors:
        image = J.jvp(v)
        sigma = tensors.norm(image)
        tiny = torch.finfo(sigma.dtype).tiny
        residuals.append(tensors.norm(J.vjp(image) - tensors.scale(v, sigma**2)) / (sigma**2).clamp_min(tiny))
        images.append(image)
        sigmas.append(sigma)
    agreement = disagreement(J, vectors[0], images[0], generator=generator)
    return JacobianSpectrum(
        sigmas=torch.stack(sigmas, 1),
        vectors=torch.stack(vectors, 1),
        images=torch.stack([tensors.normalise(image) for image in images], 1),
        residuals=torch.stack(residuals, 1),
        agreement=agreement,
    )
