r"""Where a search without gradients looks: random directions that are better than white noise.

A worst case is no white noise: a gradient estimate from ``k`` random directions of an ``n``-dimensional space catches a share of about
``sqrt(k / n)`` of its norm, so directions must come from a space that is smaller and holds more of it. A basis here is a
function ``(Sight, generator) -> direction`` that draws one for every image of a batch:

`pixel`
    white noise in the samples of the variable (N. Flammarion's and everybody's default; the comparison);
`low_frequency`
    a random image of few cells, smoothly enlarged, and what the scanner sees of it (C. Guo, J. Frank, K. Weinberger,
    *Low frequency adversarial perturbation*, UAI 2019);
`pulled`
    adapted to the data: the damage that has been done, cut into random smooth parts and pulled back,
    ``S* (w u)`` with ``u`` the gradient of the objective in the image, ``w`` a random smooth field and ``S`` the
    derivative of a reconstruction that can be differentiated, by default the operator's pseudo-inverse. A network follows
    the pseudo-inverse roughly, so these are directions to which the damaged places respond, of about the right frequency
    (a prior for gradient estimates: A. Ilyas, L. Engstrom, A. Madry, *Prior convictions*, ICLR 2019).

Random numbers are the same for all images of a batch, so that none depends on the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.search.constraints import ImageBall
from stabtest.search.jacobian import common_randn
from stabtest.search.problem import Problem, Reconstructor


@dataclass(frozen=True)
class Sight:
    """What a search without gradients knows where it stands.

    Attributes
    ----------
    problem
        The search problem.
    variable
        Best variable so far, ``(B, ...)``.
    pull
        Gradient of the objective with respect to the reconstruction there, ``(B, 1, H, W)``; None where the objective has none.
    surrogate
        A reconstruction that PyTorch can differentiate, ``S`` its derivative; None to do without.
    """

    problem: Problem
    variable: Tensor
    pull: Tensor | None
    surrogate: Reconstructor | None


Basis = Callable[[Sight, torch.Generator], Tensor]
"""Draws a direction of the variable's space for each image, ``(B, ...)``, of any length."""


def pixel(sight: Sight, generator: torch.Generator) -> Tensor:
    """White noise on the support.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search import DistanceToClean, MeasurementBall
    >>> y = torch.zeros(2, 1, 8, 8)
    >>> problem = Problem(lambda y, A: y, y, MeasurementBall(Identity((8, 8)), torch.ones(2)), DistanceToClean(y))
    >>> pixel(Sight(problem, y, None, None), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 8, 8])
    """
    return sight.problem.constraint.admissible(common_randn(sight.variable, generator=generator))


def low_frequency(cells: int = 8) -> Basis:
    """Random images of ``cells x cells`` numbers, enlarged by cubic interpolation, as the scanner sees them.

    Parameters
    ----------
    cells
        Cells along each side; at most those of the image are used.
    """

    def draw(sight: Sight, generator: torch.Generator) -> Tensor:
        constraint = sight.problem.constraint
        shape, like = constraint.operator.domain.shape, sight.variable
        real = tensors.real_dtype(like.dtype)
        image = _smooth(shape, cells, real, generator, like.device)
        if constraint.operator.domain.is_complex:
            image = torch.complex(image, _smooth(shape, cells, real, generator, like.device))
        image = image.expand(len(like), *shape)
        if not isinstance(constraint, ImageBall):
            image = constraint.operator.forward(image)
        return constraint.admissible(image)

    return draw


def pulled(cells: int = 8) -> Basis:
    """The present damage in random smooth parts, pulled back by the surrogate; low frequencies where that is not to be had.

    Parameters
    ----------
    cells
        Cells along each side of the random field.
    """
    otherwise = low_frequency(2 * cells)

    def draw(sight: Sight, generator: torch.Generator) -> Tensor:
        if sight.pull is None:
            return otherwise(sight, generator)
        field = _smooth(sight.pull.shape[1:], cells, tensors.real_dtype(sight.pull.dtype), generator, sight.pull.device)
        direction = pull_back(sight, sight.pull * field)
        return otherwise(sight, generator) if direction is None else direction

    return draw


def damaged_places(width: int = 5) -> Basis:
    """White noise where the damage is, pulled back by the surrogate; white noise where that is not to be had.

    The noise has the local mean square of ``u`` as its envelope: a worst case is often concentrated on a few places, and there
    are fewer directions at a few places than in the whole image.

    Parameters
    ----------
    width
        Side of the square, in pixels, over which the mean square is taken.
    """

    def draw(sight: Sight, generator: torch.Generator) -> Tensor:
        if sight.pull is None:
            return pixel(sight, generator)
        energy = sight.pull.abs().square()
        energy = energy.reshape(len(energy), -1, *energy.shape[-2:])
        local = torch.nn.functional.avg_pool2d(energy, width, stride=1, padding=width // 2).reshape(sight.pull.shape)
        direction = pull_back(sight, common_randn(sight.pull, generator=generator) * local)
        return pixel(sight, generator) if direction is None else direction

    return draw


def mixture(*bases: Basis) -> Basis:
    """One of several bases at random, each time anew.

    Examples
    --------
    >>> usual = mixture(pulled(8), pixel)
    """

    def draw(sight: Sight, generator: torch.Generator) -> Tensor:
        which = int(torch.randint(len(bases), (1,), generator=generator, device=generator.device))
        return bases[which](sight, generator)

    return draw


def pull_back(sight: Sight, u: Tensor) -> Tensor | None:
    """``S* u`` at the variable where the search stands, restricted to the support, ``(B, ...)``.

    None where there is no surrogate, where its images have another shape than the reconstruction's, and where it cannot be
    differentiated.
    """
    if sight.surrogate is None:
        return None
    problem = sight.problem
    v = sight.variable.detach().requires_grad_(True)
    with torch.enable_grad():
        image = sight.surrogate(problem.measurement + problem.constraint.perturbation(v), problem.constraint.operator)
        if image.is_complex() and not u.is_complex():
            image = image.abs()  # the reconstruction gives magnitudes
        if image.shape != u.shape or not image.requires_grad:
            return None
        (gradient,) = torch.autograd.grad(image, v, u.to(image.dtype))
    return problem.constraint.admissible(gradient)


def _smooth(shape: tuple[int, ...], cells: int, dtype: torch.dtype, generator: torch.Generator, device: torch.device) -> Tensor:
    """A random field of unit variance in its cells, the same for all images, ``(1, *shape)``."""
    height, width = shape[-2:]
    coarse = (1, *shape[:-2], min(cells, height), min(cells, width))
    field = tensors.randn(coarse, dtype=dtype, generator=generator, device=device).reshape(1, -1, *coarse[-2:])
    fine = torch.nn.functional.interpolate(field, size=(height, width), mode="bicubic", align_corners=False)
    return fine.reshape(1, *shape)
