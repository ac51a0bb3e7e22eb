"""A head as in an axial brain slice: scalp, skull, folded cortex, ventricles, deep nuclei, with a smooth phase.

The folds are level sets. With the depth ``rho`` below the brain surface and the angle ``phi`` around its centre, sulci are
the zeros of

    f = sin(k phi + u(x)),

where ``u`` is a smooth random field of a few radians that makes them meander, end and branch. The distance to the nearest
sulcus is ``|f| / |grad f|`` to first order, continued around its deep end as ``hypot(|f| / |grad f|, rho - depth)``.
Everything closer to a sulcus, to a fissure or to the surface than the cortical thickness is grey matter, and everything
deeper is white, so that the grey ribbon follows every fold by construction. Ventricles and nuclei are capsules and ellipses
in warped coordinates.

One unit of length is about 105 mm (the field of view is ``[-1, 1]``, see `stabtest.phantoms.grid`). Intensities imitate
T1-weighted, T2-weighted or FLAIR spin-echo images of adults in their order, not in their physics. The complex image is
``magnitude * exp(i phase)`` with a smooth phase, as the receive coil and the field leave it.

Source: the geometry is of this project; the cortical thickness (2.5 mm on average, 1 to 4.5 mm) is from B. Fischl, A. M.
Dale, *Measuring the thickness of the human cerebral cortex from magnetic resonance images*, PNAS 97 (2000); an oblique cut
is thicker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from stabtest.errors import ConfigError
from stabtest.phantoms import grid
from stabtest.phantoms.grid import Array
from stabtest.phantoms.shapes import ellipse, segment, taper

Contrast = Literal["t1", "t2", "flair"]


@dataclass(frozen=True)
class Tissues:
    """Intensities of one contrast, relative to the brightest possible pixel, 1."""

    skin: float
    fat: float
    bone: float
    marrow: float
    csf: float
    grey: float
    white: float
    nucleus: float


CONTRASTS: dict[Contrast, Tissues] = {
    "t1": Tissues(skin=0.42, fat=0.9, bone=0.04, marrow=0.4, csf=0.14, grey=0.48, white=0.72, nucleus=0.55),
    "t2": Tissues(skin=0.32, fat=0.7, bone=0.04, marrow=0.3, csf=0.92, grey=0.55, white=0.38, nucleus=0.44),
    "flair": Tissues(skin=0.32, fat=0.75, bone=0.04, marrow=0.3, csf=0.1, grey=0.6, white=0.46, nucleus=0.52),
}


def head(size: int, *, seed: int, contrast: Contrast | None = None, phase: bool = True) -> torch.Tensor:
    """Draw one axial head slice, nose up.

    Parameters
    ----------
    size
        Pixels along each side, at least 8.
    seed
        Non-negative integer; the same seed is the same object at every size.
    contrast
        ``"t1"``, ``"t2"`` or ``"flair"``; drawn from the seed if None (half of them T1-weighted).
    phase
        Whether the image carries a smooth phase. Without it the image is real.

    Returns
    -------
    Tensor
        Shape ``(1, size, size)``, magnitude in ``[0, 1]``, exactly 0 in the air; complex64 with phase, float32 without.

    Raises
    ------
    ConfigError
        If ``size`` is below 8, ``seed`` is negative or ``contrast`` is unknown.

    Examples
    --------
    >>> image = head(32, seed=0)
    >>> image.shape, image.dtype
    (torch.Size([1, 32, 32]), torch.complex64)
    """
    size = grid.check_size(size)
    if contrast is not None and contrast not in CONTRASTS:
        raise ConfigError("contrast", expected=f"one of {', '.join(CONTRASTS)}", came=str(contrast))
    factor = grid.oversampling(size, 256)
    fine = size * factor
    drawn: Contrast = ("t1", "t1", "t2", "flair")[int(grid.rng(seed, 1).integers(4))]
    image = _magnitude(grid.rng(seed), fine, _jitter(CONTRASTS[contrast or drawn], grid.rng(seed, 2)))
    if phase:
        angle = _phase(grid.rng(seed, 3), fine)
        image = np.stack([image * np.cos(angle), image * np.sin(angle)])
    image = grid.block_mean(image, factor)
    return torch.complex(*torch.from_numpy(image)[:, None]) if phase else grid.to_tensor(image)


def _jitter(tissues: Tissues, generator: np.random.Generator) -> Tissues:
    """Each intensity changed by up to 6 %."""
    return Tissues(**{name: value * generator.uniform(0.94, 1.06) for name, value in vars(tissues).items()})


def _phase(generator: np.random.Generator, size: int) -> Array:
    """A constant, a ramp of at most 1.5 rad across the field of view and a smooth part of about 0.4 rad."""
    points = grid.axis(size)
    constant, across, down = generator.uniform(-np.pi, np.pi), *generator.uniform(-0.75, 0.75, size=2)
    smooth = grid.smooth_field(generator, size, 3)
    ramp = np.float32(across) * points + np.float32(constant)
    return np.float32(0.4) * smooth + ramp + np.float32(down) * points[:, None]


def _magnitude(generator: np.random.Generator, size: int, tissues: Tissues) -> Array:
    """The magnitude on a grid that resolves the folds."""
    pixel = 2.0 / size
    points = grid.axis(size)
    angle, x0, y0 = generator.normal(0.0, 0.06), generator.normal(0.0, 0.015), generator.normal(0.0, 0.015)
    wide, long = generator.uniform(0.7, 0.77), generator.uniform(0.87, 0.93)
    ventricles_seen = generator.random() < 0.75
    fields = [grid.smooth_field(generator, size, knots) for knots in (3, 3, 5, 5, 4)]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x, y = points - np.float32(x0), points[:, None] - np.float32(y0)
    x, y = cos * x + sin * y + 0.012 * fields[0], cos * y - sin * x + 0.012 * fields[1]
    outside = _egg_distance(x, y, wide, long)

    # From the skin inwards; thicknesses vary along the head.
    scalp = 0.055 + 0.008 * fields[2]
    skull = 0.055 + 0.006 * fields[3]
    image = tissues.skin * grid.coverage(outside, pixel)
    image += (tissues.fat - tissues.skin) * grid.coverage(outside + 0.014, pixel)
    image += (tissues.bone - tissues.fat) * grid.coverage(outside + scalp, pixel)
    middle = outside + scalp + 0.5 * skull
    image += (tissues.marrow - tissues.bone) * grid.line_coverage(middle, 0.17 * skull, pixel)
    inner = outside + scalp + skull
    image += (tissues.csf - tissues.bone) * grid.coverage(inner, pixel)

    depth = -(inner + 0.012 + 0.004 * fields[4])
    wx, wy = x + 0.012 * fields[2], y + 0.012 * fields[3]
    image = _brain(generator, image, depth, (x, y), (wx, wy), (wide, long), ventricles_seen, tissues, pixel)
    texture = grid.smooth_field(generator, size, 70)
    bias = grid.smooth_field(generator, size, 1)
    image = image * (1.0 + 0.018 * texture) * (1.0 + 0.07 * np.clip(bias, -2.0, 2.0))
    return np.clip(image, 0.0, 1.0, dtype=np.float32)


def _egg_distance(x: Array, y: Array, wide: float, long: float) -> Array:
    """Signed distance, to first order, to an ellipse that is broader at the back (``y > 0``)."""
    width = np.float32(wide) * (1.0 + 0.09 * y - 0.06 * y * y)
    u, v = x / width, y / np.float32(long)
    q = np.sqrt(u * u + v * v)
    slope = np.sqrt((u / width) ** 2 + (v / np.float32(long)) ** 2)
    return (q - 1.0) * q / np.maximum(slope, np.float32(1e-3))


def _brain(
    generator: np.random.Generator,
    image: Array,
    depth: Array,
    position: tuple[Array, Array],
    warped: tuple[Array, Array],
    axes: tuple[float, float],
    ventricles_seen: bool,
    tissues: Tissues,
    pixel: float,
) -> Array:
    """Paint cortex, white matter, nuclei and ventricles over the skull's inside."""
    wx, wy = warped
    ripple = grid.smooth_field(generator, depth.shape[0], 9)
    side = np.abs(wx)
    medial = np.abs(wx + 0.01 * ripple)
    sulcus, open_width = _sulci(generator, depth, position, axes)
    # Interhemispheric fissure: from both poles inwards, or all the way above the ventricles.
    reach = generator.uniform(0.3, 0.36) if ventricles_seen else 0.0
    fissure = np.hypot(medial, np.maximum(reach - np.abs(wy + 0.02), 0.0))
    if ventricles_seen:
        shift = generator.normal(0.0, 0.02)
        sylvian = np.minimum(
            segment(side, wy + 0.03 * ripple, (0.66, -0.14 + shift), (0.47, -0.03 + shift)),
            segment(side + 0.012 * ripple, wy, (0.42, -0.12 + shift), (0.45, 0.14 + shift)),
        )
        fissure = np.minimum(fissure, sylvian)
    fold = np.minimum(sulcus - open_width, fissure - 0.004 - 0.008 * np.clip(1.0 - depth / 0.3, 0.0, 1.0))
    surface = np.minimum(fold, depth)
    thickness = 0.036 + 0.004 * np.float32(generator.standard_normal())
    # The slice is 4 mm thick and cuts the folds obliquely: tissue borders are wider than a pixel.
    oblique = float(np.hypot(pixel, 0.011))
    grey = grid.coverage(-surface, oblique)
    white = grid.coverage(thickness - surface, 1.3 * oblique)
    brain = tissues.grey + (tissues.white - tissues.grey) * white
    if ventricles_seen:
        brain = _deep(generator, brain, side, wy, wx, tissues, oblique)
    return image + (brain - tissues.csf) * grey * grid.coverage(-depth, pixel)


def _sulci(
    generator: np.random.Generator, depth: Array, position: tuple[Array, Array], axes: tuple[float, float]
) -> tuple[Array, Array]:
    """Distance to the nearest sulcus and the half width of its opening."""
    size, pixel = depth.shape[0], 2.0 / depth.shape[0]
    x, y = position
    waves = int(generator.integers(12, 16))
    phi = np.arctan2(y / np.float32(axes[1]), x / np.float32(axes[0]))
    bend = 2.0 * grid.smooth_field(generator, size, 8) + 0.9 * grid.smooth_field(generator, size, 17)
    f = np.sin(np.float32(waves) * phi + bend)
    down, across = np.gradient(f, np.float32(pixel))
    distance = np.abs(f) / np.sqrt(down * down + across * across + 4.0)
    end = np.clip(0.235 + 0.07 * grid.smooth_field(generator, size, 6), 0.09, 0.38)
    below = np.maximum(depth - end, 0.0)
    width = 0.003 + 0.009 * np.clip(1.0 - depth / end, 0.0, 1.0)
    return np.hypot(distance, below), width


def _deep(
    generator: np.random.Generator, brain: Array, side: Array, y: Array, x: Array, tissues: Tissues, pixel: float
) -> Array:
    """Deep nuclei and ventricles, mirrored left to right in warped coordinates."""
    fat = generator.uniform(0.75, 1.35)
    shift = generator.normal(0.0, 0.02)
    y = y - np.float32(shift)
    nuclei = np.minimum(
        ellipse(side, y, (0.1, -0.17), (0.045, 0.075), -0.25),
        np.minimum(
            ellipse(side, y, (0.27, -0.02), (0.055, 0.15), -0.3),
            ellipse(side, y, (0.1, 0.07), (0.075, 0.11), -0.5),
        ),
    )
    brain = brain + (tissues.nucleus - brain) * grid.coverage(nuclei, 2.0 * pixel)
    horns = np.minimum(
        taper(side, y, (0.032, -0.1, 0.024 * fat), (0.085, -0.27, 0.016 * fat)),
        taper(side, y, (0.165, 0.19, 0.042 * fat), (0.2, 0.37, 0.008)),
    )
    third = np.hypot(x, np.maximum(np.abs(y - 0.06) - 0.07, 0.0)) - 0.012 * np.float32(fat)
    return brain + (tissues.csf - brain) * grid.coverage(np.minimum(horns, third), pixel)
