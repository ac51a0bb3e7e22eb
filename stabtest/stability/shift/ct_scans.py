"""What goes wrong in a CT scan: the geometry is not what it is thought to be, and detectors are not alike.

**Geometry.** ``y' = y + (R' - R) x``: measured with the projection ``R'`` of other angles or another centre of rotation, while
the method is told ``R``. Angles are off by a normal error each (jitter), or the gantry turned ``1 + s`` times as far as it
should; an error common to all angles only turns the image and is left out. A centre-of-rotation error of ``s`` bins bends
points into arcs over half a turn (Azevedo, Schneberk, Fitch, Martz, *Calculation of the rotational centers in computed
tomography sinograms*, IEEE Trans. Nucl. Sci. 37 (1990) 1525-1540).

**Detectors.** An error that belongs to a bin draws a ring around the centre of rotation, over half a turn one half of it (Sijbers,
Postnov, *Reduction of ring artefacts in high resolution micro-CT reconstructions*, Phys. Med. Biol. 49 (2004) N247-N253). Two
kinds, constant over the views, with ``g`` standard normal:

    gain      y'_(v,d) = (1 + s g_d) y_(v,d)         a scale of its own (not a linear detector)
    offset    y'_(v,d) = y_(v,d) + s g_d max|y|      a gain of the *intensities*: the logarithm makes it an offset
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest.operators import FanBeam, Radon


def other_angles(
    operator: Radon | FanBeam, *, jitter: float = 0.0, stretch: float = 0.0, generator: torch.Generator
) -> Radon | FanBeam:
    """The same scan with other view angles.

    Parameters
    ----------
    operator
        The scan as it is thought to be.
    jitter
        Standard deviation in degrees of the error of each angle.
    stretch
        The gantry turned ``1 + stretch`` times as far from its first angle.
    generator
        Draws the jitter.

    Examples
    --------
    >>> A = Radon(8, (0.0, 45.0, 90.0))
    >>> other_angles(A, stretch=0.1, generator=torch.Generator()).angles
    (0.0, 49.5, 99.0)
    """
    first = operator.angles[0]
    errors = jitter * torch.randn(len(operator.angles), generator=generator, dtype=torch.float64)
    angles = [angle + stretch * (angle - first) + error for angle, error in zip(operator.angles, errors.tolist())]
    return operator.with_angles(angles)


def other_centre(operator: Radon | FanBeam, bins: float) -> Radon | FanBeam:
    """The same scan with the rotation axis ``bins`` further to the right on the detector.

    Examples
    --------
    >>> other_centre(Radon(8, 4), 0.5).geometry.centre_offset
    0.5
    """
    return operator.with_angles(operator.angles, centre_offset=operator.geometry.centre_offset + bins)


def unlike_detectors(sinogram: Tensor, *, gain: float = 0.0, offset: float = 0.0, generator: torch.Generator) -> Tensor:
    """What detector errors add to a sinogram.

    Parameters
    ----------
    sinogram
        ``(1, 1, views, detectors)``.
    gain
        Standard deviation of the relative gain error of a bin.
    offset
        Standard deviation of the offset of a bin, relative to the largest reading.
    generator
        Draws one number a bin.

    Examples
    --------
    >>> added = unlike_detectors(torch.ones(1, 1, 3, 2), offset=0.1, generator=torch.Generator().manual_seed(0))
    >>> bool((added == added[:, :, :1]).all()), bool((added != 0).all())
    (True, True)
    """
    drawn = torch.randn(sinogram.shape[-1], generator=generator, dtype=torch.float64).to(sinogram)
    return drawn * (gain * sinogram + offset * sinogram.abs().max())
