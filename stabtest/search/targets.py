r"""Objectives with an aim: make a lesion vanish, make one appear, turn a region into something else.

Damage to a diagnosis need not be large in any norm. A false negative is a lesion that is in the data and not in the image, a
false positive one that is in the image and not in the data. Both are measured by the amplitude ``c`` of the lesion's template
``t`` in the reconstruction: the least-squares fit of

    f(y + e) - b  =  c t + g u  + rest     on the neighbourhood N of the lesion,       c real, g complex,

with a background image ``b`` (the reconstruction without the lesion, or none), the local phase ``u`` (1 for real images), and ``g
u`` a uniform shift of the surroundings, which is no lesion. In closed form, with ``t_0 = t - u <u, t>_N / |N|`` the template without
its mean along the phase, ``c = Re <t_0, f(y + e) - b>_N / Re <t_0, t>_N``: the matched filter in white noise with the local
background removed (H. Barrett, K. Myers, *Foundations of Image Science*, 2004, chapter 13). ``c = 1``: all of it is
there; 0: nothing; negative: inverted. With ``margin=0`` the fit is on the lesion's own region without ``g``: the recovery
coefficient of the test for small structures (`stabtest.stability.structure`).

The targeted attack on a classifier is older (N. Carlini, D. Wagner, *Towards evaluating the robustness of neural networks*, IEEE
S&P 2017); for reconstruction and lesions see C. Zhang et al., *Instabilities in conventional multi-coil MRI reconstruction with
small adversarial perturbations*, Asilomar 2021, and K. Cheng et al., *Addressing the false negative problem of deep learning
MRI reconstruction models by adversarial attacks and robust training*, MIDL 2020.

None of these vanishes at the clean reconstruction: they have a gradient there, and a sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.search.objectives import check_region


@dataclass(frozen=True, eq=False)
class Lesion:
    """What is looked for, and how its amplitude is measured.

    Parameters
    ----------
    template
        ``t``: what a perfect reconstruction shows of the lesion, ``(1 or B, 1, H, W)``; complex where the reconstruction is.
    region
        Where it is, boolean, ``(1 or B, 1, H, W)``.
    background
        ``b``, ``(B, 1, H, W)``: the reconstruction of the measurement without the lesion. Without one the amplitude
        contains what of the anatomy resembles the template, a constant as far as the search is concerned.
    phase
        ``u``, unit modulus, ``(1 or B, 1, H, W)``; the template's mean phase if not given.
    margin
        Pixels that the neighbourhood reaches beyond the region.

    Raises
    ------
    SearchError
        If shapes do not fit, the region is empty, or the template is zero there or does not stand out from its neighbourhood.

    Examples
    --------
    >>> template = torch.zeros(1, 1, 9, 9)
    >>> template[..., 3:6, 3:6] = 2.0
    >>> lesion = Lesion(template, template > 0)
    >>> lesion.amplitude(0.5 * template + 7.0)
    tensor([0.5000])
    """

    template: Tensor
    region: Tensor
    background: Tensor | None = None
    phase: Tensor | None = None
    margin: int = 3

    def __post_init__(self) -> None:
        check_region("lesion", self.region, self.template)
        if self.margin < 0:
            raise SearchError("lesion: margin", expected="0 or more pixels", came=str(self.margin))
        filtered = self._filter()
        if not bool((tensors.inner(filtered, self._near(self.template)) > 1e-6 * tensors.norm(self.template) ** 2).all()):
            raise SearchError(
                "lesion: template",
                expected="one that is not zero and stands out from its neighbourhood",
                came="none that does",
                remedy="check that the region covers it, and that it leaves room for a margin",
            )

    def amplitude(self, reconstruction: Tensor) -> Tensor:
        """``c`` of each image, ``(B,)``.

        Raises
        ------
        SearchError
            If template and reconstruction are not both real or both complex, or differ in shape.
        """
        kinds = ("real", "complex")
        if reconstruction.is_complex() != self.template.is_complex():
            raise SearchError(
                "lesion: template of the wrong kind",
                expected=f"a {kinds[reconstruction.is_complex()]} one, as the reconstruction",
                came=f"a {kinds[self.template.is_complex()]} one",
                remedy="for a method that returns magnitudes give |x + t| - |x|",
            )
        if reconstruction.shape[-2:] != self.template.shape[-2:]:
            raise SearchError(
                "lesion: template of the wrong size",
                expected=str(tuple(reconstruction.shape[-2:])),
                came=str(tuple(self.template.shape[-2:])),
            )
        change = reconstruction if self.background is None else reconstruction - self.background
        filtered = self._filter()
        weights = tensors.scale(filtered, 1 / tensors.inner(filtered, self._near(self.template)))
        return tensors.inner(weights.to(change.dtype).expand_as(change), change)

    def _near(self, image: Tensor) -> Tensor:
        """An image on the neighbourhood, zero elsewhere."""
        return image * self._neighbourhood()

    def _neighbourhood(self) -> Tensor:
        region = self.region.expand_as(self.template)
        side = 2 * self.margin + 1
        real = tensors.real_dtype(self.template.dtype)
        return functional.max_pool2d(region.to(real), side, stride=1, padding=self.margin)

    def _filter(self) -> Tensor:
        """``t_0`` on the neighbourhood."""
        template = self._near(self.template)
        if self.margin == 0:
            return template
        near = self._neighbourhood()
        mean = (self._phase().conj() * template).sum((-2, -1), keepdim=True) / near.sum((-2, -1), keepdim=True)
        return template - self._phase() * near * mean

    def _phase(self) -> Tensor:
        if self.phase is not None:
            return self.phase.to(self.template.dtype)
        if not self.template.is_complex():
            return torch.ones_like(self.template)
        total = self._near(self.template).sum((-2, -1), keepdim=True)
        return (total / total.abs().clamp_min(torch.finfo(total.real.dtype).tiny)).expand_as(self.template)


@dataclass(frozen=True, eq=False)
class LesionVanishes:
    """``-c``: a false negative. The measurement that is perturbed must contain the lesion.

    Parameters
    ----------
    lesion
        What is in the measurement. With the reconstruction without it as background, ``-1`` means all of it is seen, 0
        none; above 0 it has turned into its opposite.

    Examples
    --------
    >>> template = torch.zeros(1, 1, 9, 9)
    >>> template[..., 4, 4] = 1.0
    >>> LesionVanishes(Lesion(template, template > 0))(0.25 * template)
    tensor([-0.2500])
    """

    lesion: Lesion
    vanishes_at_clean: ClassVar[bool] = False

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """Minus the amplitude, shape ``(B,)``."""
        return -self.lesion.amplitude(reconstruction)


@dataclass(frozen=True, eq=False)
class LesionAppears:
    """``c``: a false positive. The measurement that is perturbed must not contain the lesion.

    Parameters
    ----------
    lesion
        What is to appear, at a site where nothing is. With the clean reconstruction as background 0 is where the search
        begins, and 1 a lesion in full.

    Examples
    --------
    >>> template = torch.zeros(1, 1, 9, 9)
    >>> template[..., 4, 4] = 1.0
    >>> LesionAppears(Lesion(template, template > 0))(0.25 * template)
    tensor([0.2500])
    """

    lesion: Lesion
    vanishes_at_clean: ClassVar[bool] = False

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """The amplitude, shape ``(B,)``."""
        return self.lesion.amplitude(reconstruction)


@dataclass(frozen=True, eq=False)
class Target:
    """``-||M (f(y+e) - z)||``: the reconstruction is to become ``z`` in a region.

    Parameters
    ----------
    image
        ``z``, ``(1 or B, 1, H, W)``.
    region
        ``M``, boolean, ``(1 or B, 1, H, W)``; everywhere if not given.

    Raises
    ------
    SearchError
        If the region does not fit the image or is empty.

    Examples
    --------
    >>> Target(torch.zeros(1, 1, 1, 2), torch.tensor([[[[True, False]]]]))(torch.tensor([[[[3.0, 4.0]]]]))
    tensor([-3.])
    """

    image: Tensor
    region: Tensor | None = None
    vanishes_at_clean: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.region is not None:
            check_region("target", self.region, self.image)

    def __call__(self, reconstruction: Tensor) -> Tensor:
        """Minus the distance in the region, shape ``(B,)``."""
        difference = reconstruction - self.image
        return -tensors.norm(difference if self.region is None else difference * self.region)
