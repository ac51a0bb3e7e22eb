r"""What the search makes large: a number per image, from the perturbed reconstruction.

An objective is any callable ``reconstruction (B, 1, H, W) -> (B,)`` that PyTorch can differentiate, image by image. With a
fixed image ``c``, the clean reconstruction ``f(y)`` or the truth ``x``, those of this module are

- the distance ``||f(y+e) - c||``: how much does the network move, how wrong does it become? The first is the objective of V.
  Antun et al., PNAS 117 (2020), the second that of M. Genzel, J. Macdonald, M. März, *Solving inverse problems with deep neural
  networks: robustness included?*, IEEE TPAMI 45 (2023);
- the distance in a region, ``||M (f(y+e) - f(y))||``;
- the largest local damage, ``max (G * |f(y+e) - f(y)|) / max |f(y)|`` with a Gaussian ``G`` (`stabtest.metrics.local_damage`).

Beside them: `stabtest.search.targets` (a lesion vanishes or appears) and `stabtest.search.similarity` (SSIM).

Distances, not their squares: the direction of ascent is the same and single precision loses less. All of this module are
convex functions of the reconstruction, so that the power ascent of `stabtest.search.ascent` fits.

An objective may say by an attribute ``vanishes_at_clean`` that value and gradient are zero at the clean reconstruction: an
ascent must then start elsewhere (`stabtest.search.starts`). One that does not say so is taken not to vanish.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from stabtest import metrics, tensors
from stabtest.errors import SearchError

Objective = Callable[[Tensor], Tensor]
"""Reconstruction ``(B, 1, H, W)`` to one real number per image, ``(B,)``, of which larger is worse."""


def vanishes_at_clean(objective: Objective) -> bool:
    """Whether value and gradient of an objective are zero at the clean reconstruction, by its own word.

    Examples
    --------
    >>> vanishes_at_clean(DistanceToClean(torch.zeros(1, 1, 2, 2))), vanishes_at_clean(lambda image: image.sum((1, 2, 3)))
    (True, False)
    """
    return bool(getattr(objective, "vanishes_at_clean", False))


@dataclass(frozen=True, eq=False)
class DistanceToClean:
    """``||f(y+e) - f(y)||`` for each image.

    Parameters
    ----------
    clean
        ``f(y)``, shape ``(B, 1, H, W)``.

    Examples
    --------
    >>> DistanceToClean(torch.zeros(1, 1, 1, 2))(torch.tensor([[[[3.0, 4.0]]]]))
    tensor([5.])
    """

    clean: Tensor
    vanishes_at_clean: ClassVar[bool] = True

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """The distance, shape ``(B,)``."""
        return tensors.norm(reconstruction - self.clean)


@dataclass(frozen=True, eq=False)
class DistanceToTruth:
    """``||f(y+e) - x||`` for each image.

    Parameters
    ----------
    truth
        ``x``, shape ``(B, 1, H, W)``.
    """

    truth: Tensor
    vanishes_at_clean: ClassVar[bool] = False

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """The distance, shape ``(B,)``."""
        return tensors.norm(reconstruction - self.truth)


@dataclass(frozen=True, eq=False)
class RegionDamage:
    """``||M (f(y+e) - f(y))||`` for each image: the change inside a region, whatever happens outside.

    Parameters
    ----------
    clean
        ``f(y)``, shape ``(B, 1, H, W)``.
    region
        ``M``, boolean, ``(1 or B, 1, H, W)``.

    Raises
    ------
    SearchError
        If the region does not fit the image or is empty.

    Examples
    --------
    >>> region = torch.tensor([[[[True, False]]]])
    >>> RegionDamage(torch.zeros(1, 1, 1, 2), region)(torch.tensor([[[[3.0, 4.0]]]]))
    tensor([3.])
    """

    clean: Tensor
    region: Tensor
    vanishes_at_clean: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_region("region damage", self.region, self.clean)

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """The distance in the region, shape ``(B,)``."""
        return tensors.norm((reconstruction - self.clean) * self.region)


@dataclass(frozen=True, eq=False)
class LocalDamage:
    """``max (G * |f(y+e) - f(y)|) / max |f(y)|`` for each image: the largest change anywhere, smoothed by a Gaussian.

    The gradient is that of the maximum, at the pixel where it is.

    Parameters
    ----------
    clean
        ``f(y)``, shape ``(B, 1, H, W)``, not zero everywhere.
    width
        Standard deviation of the Gaussian in pixels.

    Raises
    ------
    SearchError
        If a clean image is zero, or the width is negative.

    Examples
    --------
    >>> clean = torch.ones(1, 1, 32, 32)
    >>> LocalDamage(clean)(clean + 0.25)
    tensor([0.2500])
    """

    clean: Tensor
    width: float = 2.0
    vanishes_at_clean: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not bool((metrics.peak(self.clean) > 0).all()):
            raise SearchError(
                "local damage: relative to an image of zeros",
                expected="a clean reconstruction that is not zero",
                came="one that is",
                remedy="leave the image out",
            )
        if not self.width >= 0:
            raise SearchError("local damage: width", expected="0 or more pixels", came=str(self.width))

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """The largest local damage, shape ``(B,)``."""
        return metrics.local_damage(self.clean, reconstruction, sigma=self.width)


def check_region(name: str, region: Tensor, image: Tensor) -> None:
    """Raise `SearchError` unless a region is boolean, has the shape of the image (or of one of a batch) and is not empty.

    Parameters
    ----------
    name
        Whose region it is, for the message.
    region, image
        ``(1 or B, 1, H, W)`` and ``(B, 1, H, W)``.
    """
    fits = region.ndim == 4 and image.ndim == 4 and region.shape[1:] == image.shape[1:] and len(region) in (1, len(image))
    if region.dtype != torch.bool or not fits:
        raise SearchError(
            f"{name}: region",
            expected=f"boolean, shape (1 or {len(image)}, {', '.join(str(n) for n in image.shape[1:])})",
            came=f"{region.dtype}, shape {tuple(region.shape)}",
        )
    if not bool(region.flatten(1).any(1).all()):
        raise SearchError(f"{name}: region", expected="at least one pixel in every image", came="an empty one")
