"""The object is another one: brighter, turned, moved, magnified, inverted in contrast, of another anatomy.

Each is a map ``T`` of the image, applied to the *object* before the scan, with the case's noise
(`stabtest.stability.shift.scene`); ``T`` is the identity exactly at size 0. Pixels are those of the reconstruction.

| Kind | ``T x`` | Size, unit |
|---|---|---|
| ``intensity`` | ``(1 + s) x`` | relative |
| ``rotation`` | turned anticlockwise about the middle | degrees |
| ``translation_rows``, ``translation_columns`` | moved down, to the right | pixels |
| ``zoom`` | magnified by ``1 + s`` about the middle: above 0 the border is cropped | relative |
| ``inversion`` | ``(1 - s) x + s u (m + M - |x|)`` on the body | share |
| ``anatomy`` | ``(1 - s) x + s z``, ``z`` another phantom as bright as ``x`` | share |

In the inversion ``u = x / |x|`` is the phase (the sign is kept in real images: ``m + M - x``), ``m`` and ``M`` the smallest and
largest value on the body, and the body where ``|x|`` exceeds a tenth of its largest value, holes filled. It swaps dark and bright
as T1 and T2 weighting do, crudely, and undoes itself.

Distribution shifts of this kind in MRI: Darestani, Chaudhari, Heckel, *Measuring robustness in deep learning based compressive
sensing*, ICML 2021 (anatomy, data set); Johnson et al., *Evaluation of the robustness of learned MR image reconstruction to
systematic deviations between training and test data for the models from the fastMRI challenge*, MLMIR 2021, LNCS 12964.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from scipy import ndimage
from torch import Tensor

from stabtest import phantoms, tensors
from stabtest.errors import ConfigError
from stabtest.stability.cases import Case
from stabtest.stability.insertion import FACTOR, coarse_image
from stabtest.stability.shift.resampling import Amount, Kernel, rotate, translate, zoom
from stabtest.stability.shift.scene import Scene
from stabtest.stability.shift.shifted import Family, Shifted

ObjectKind = Literal["intensity", "rotation", "translation_rows", "translation_columns", "zoom", "inversion", "anatomy"]
Anatomy = Literal["ellipses", "head", "chest"]

OBJECT_UNITS: Mapping[ObjectKind, str] = {
    "intensity": "relative",
    "rotation": "degrees",
    "translation_rows": "pixels",
    "translation_columns": "pixels",
    "zoom": "relative",
    "inversion": "share",
    "anatomy": "share",
}
"""What the size of each kind is counted in."""

BODY_THRESHOLD = 0.1
"""The body is where the modulus exceeds this share of its largest value, holes filled."""


@dataclass(frozen=True)
class ObjectShift:
    """One change of the object.

    Parameters
    ----------
    kind
        See the table of this module.
    size
        How much; 0 changes nothing.
    kernel
        Of the resampling; None is ``"fourier"`` for complex images and ``"bicubic"`` for real ones.
    anatomy
        Which phantom another anatomy is.

    Raises
    ------
    ConfigError
        If the kind or the anatomy is unknown or the size out of range.

    Examples
    --------
    >>> ObjectShift("intensity", 0.5).transform(torch.ones(1, 1, 2, 2)).unique()
    tensor([1.5000])
    """

    kind: ObjectKind
    size: float
    kernel: Kernel | None = None
    anatomy: Anatomy = "ellipses"

    def __post_init__(self) -> None:
        if self.kind not in OBJECT_UNITS:
            raise ConfigError("object shift: kind", expected=f"one of {', '.join(OBJECT_UNITS)}", came=repr(self.kind))
        if self.anatomy not in get_args(Anatomy):
            raise ConfigError(
                "object shift: anatomy", expected=f"one of {', '.join(get_args(Anatomy))}", came=repr(self.anatomy)
            )
        fits = {"share": 0 <= self.size <= 1, "relative": self.size > -1}.get(self.unit, True)
        if not (math.isfinite(self.size) and fits):
            expected = {"share": "between 0 and 1", "relative": "above -1"}.get(self.unit, "a finite number")
            raise ConfigError(f"{self.kind}: size", expected=expected, came=str(self.size))

    @property
    def family(self) -> Family:
        """``"object"``."""
        return "object"

    @property
    def label(self) -> str:
        """The kind, with the anatomy or a kernel that is not the default.

        Examples
        --------
        >>> ObjectShift("anatomy", 1.0).label, ObjectShift("rotation", 5, kernel="bicubic").label, ObjectShift("zoom", 0.1).label
        ('anatomy (ellipses)', 'rotation (bicubic)', 'zoom')
        """
        more = self.anatomy if self.kind == "anatomy" else self.kernel
        return f"{self.kind} ({more})" if more else self.kind

    @property
    def unit(self) -> str:
        """Of the size."""
        return OBJECT_UNITS[self.kind]

    @property
    def needs_truth(self) -> bool:
        """True: what is moved is the object itself."""
        return True

    def unfit(self, case: Case) -> str | None:
        """None: every scan can be of another object."""
        del case
        return None

    def transform(self, image: Tensor, *, factor: int = 1) -> Tensor:
        """``T x``, differentiable.

        Parameters
        ----------
        image
            ``(B, 1, H, W)``, real or complex.
        factor
            How much finer its pixels are than those that the size is counted in.

        Raises
        ------
        ConfigError
            For another anatomy, which is no map of images.
        """
        match self.kind:
            case "intensity":
                return brighten(image, self.size)
            case "rotation":
                return rotate(image, self.size, kernel=self.kernel)
            case "translation_rows":
                return translate(image, rows=factor * self.size, kernel=self.kernel)
            case "translation_columns":
                return translate(image, columns=factor * self.size, kernel=self.kernel)
            case "zoom":
                return zoom(image, self.size, kernel=self.kernel)
            case "inversion":
                return image + self.size * (invert_contrast(image, body(image)) - image)
            case "anatomy":
                raise ConfigError("anatomy", expected="a case, through 'apply'", came="an image alone")

    def apply(self, case: Case | Scene, *, seed: int = 0) -> Shifted:
        """The measurement of the changed object, with the case's noise.

        Parameters
        ----------
        case
            With its truth, or a scene with the finer object.
        seed
            Of another anatomy.

        Raises
        ------
        DataError
            If the case has no truth.
        """
        scene = Scene.of(case)
        before = scene.object(self.kind)
        told = scene.case.operator
        if self.kind == "anatomy":
            measured, truth = _another(scene, self.anatomy, self.size, seed)
            return Shifted(measured, told, truth, None)
        changed = self.transform(before, factor=scene.factor)
        gain = 1 + self.size if self.kind == "intensity" else 1.0
        # The body of an image that artefacts cross is not that of the object, so an inversion of it means nothing.
        expected = None if self.kind == "inversion" else self.transform
        back = self._undo(changed, scene.factor)
        resampled = None if back is None else (scene.measure(back), scene.image(back))
        return Shifted(scene.measure(changed, gain=gain), told, scene.image(changed), expected, resampled)

    def _undo(self, changed: Tensor, factor: int) -> Tensor | None:
        match self.kind:
            case "rotation" | "translation_rows" | "translation_columns":
                return ObjectShift(self.kind, -self.size, self.kernel).transform(changed, factor=factor)
            case "zoom":
                return ObjectShift("zoom", 1 / (1 + self.size) - 1, self.kernel).transform(changed) if self.size < 0 else None
            case _:
                return None


def brighten(image: Tensor, change: Amount) -> Tensor:
    """``(1 + change) x``; ``change`` a number or a tensor of shape ``()`` or ``(B,)``.

    Examples
    --------
    >>> brighten(torch.ones(1, 1, 1, 1), torch.tensor([0.25, -0.25])).flatten()
    tensor([1.2500, 0.7500])
    """
    if isinstance(change, Tensor):
        change = change.reshape(-1, 1, 1, 1).to(device=image.device, dtype=tensors.real_dtype(image.dtype))
    return image + change * image


def body(image: Tensor) -> Tensor:
    """Where the object is: boolean ``(B, 1, H, W)``, holes filled.

    Examples
    --------
    >>> ring = torch.ones(1, 1, 3, 3)
    >>> ring[0, 0, 1, 1] = 0
    >>> bool(body(ring).all())
    True
    """
    size = image.detach().abs()
    inside = (size > BODY_THRESHOLD * size.amax((1, 2, 3), keepdim=True)).cpu().numpy()
    filled = [torch.from_numpy(ndimage.binary_fill_holes(one[0])) for one in inside]
    return torch.stack(filled)[:, None].to(image.device)


def invert_contrast(image: Tensor, inside: Tensor) -> Tensor:
    """Dark for bright on a body: ``u (m + M - |x|)``, or ``m + M - x`` for real images.

    Parameters
    ----------
    image
        ``(B, 1, H, W)``, real or complex.
    inside
        The body, boolean of the same shape.

    Examples
    --------
    >>> image = torch.tensor([[[[0.0, 1.0, 3.0]]]])
    >>> invert_contrast(image, image > 0)
    tensor([[[[0., 3., 1.]]]])
    """
    size = image.abs() if image.is_complex() else image
    low = torch.where(inside, size, torch.inf).amin((1, 2, 3), keepdim=True)
    high = torch.where(inside, size, -torch.inf).amax((1, 2, 3), keepdim=True)
    inverted = (low + high - size).to(image.dtype)
    if image.is_complex():
        inverted = inverted * torch.where(size > 0, image / torch.where(size > 0, size, 1), torch.ones_like(image))
    return torch.where(inside, inverted, image)


def _another(scene: Scene, anatomy: Anatomy, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Measurement and truth of another phantom, drawn and measured on the finer grid, as bright as the truth."""
    case, truth = scene.case, scene.truth("anatomy")
    height, width = truth.shape[-2:]
    fine = phantoms.make(anatomy, FACTOR * max(height, width), seed=seed)[None, :, : FACTOR * height, : FACTOR * width]
    fine = (fine if truth.is_complex() else fine.abs()).to(truth)
    coarse = coarse_image(fine, band_limited=case.modality == "mri")
    gain = truth.abs().max() / coarse.abs().max()
    other = scene.operator if scene.factor == FACTOR else case.operator.refine(FACTOR)
    change = other.forward(gain * fine) - scene.operator.forward(scene.object("anatomy"))
    if (
        scene.factor == 1 and scene.mixed and scene.misfit
    ):  # what the pixels of the old object could not represent leaves with it
        change = change - (1 - 1 / scene.misfit) * scene.residual
    return case.measurement + share * change, truth + share * (gain * coarse - truth)
