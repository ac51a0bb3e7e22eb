"""What goes wrong in an MRI scan: the mask, the coil maps, the patient who moves.

**Mask.** The method is told a mask ``M'`` of as many samples as ``M``: some that were measured are left out, and others, which
hold zeros, count as measured. The fully measured centre stays.

**Coil maps.** The method is told ``s'_c`` instead of ``s_c``: with gains ``1 + a_c`` or phases ``exp(i b_c)`` of their own (of mean
zero over the coils, since a common one is a receiver gain or phase), moved by some pixels, or blended with the maps of another
array of as many coils.

**Motion.** The columns of k-space are phase-encoding lines, acquired from left to right in ``G`` groups, and between two of
them the patient moves. With the pose ``T_g`` of group ``g`` and its lines ``M_g``, and the pose at DC as the truth,

    y' = y + sum_g M_g (A T_g x - A x).

Of one coil and a translation this is a phase ramp on the lines of the group (Atkinson, Hill, Stoyle, Summers, Keevil, *Automatic
correction of motion artifacts in magnetic resonance images using an entropy focus criterion*, IEEE TMI 16 (1997) 903-910); of
several coils it is not, since the coils stay where they are. Within a line nothing moves.

Coil maps: Pruessmann, Weiger, Scheidegger, Boesiger, *SENSE: sensitivity encoding for fast MRI*, MRM 42 (1999) 952-962.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest import phantoms
from stabtest.operators import LinearOperator
from stabtest.stability.shift.resampling import rotate, translate


def told_mask(mask: Tensor, share: float, *, generator: torch.Generator) -> Tensor:
    """A mask of as many samples, a share of those outside of its centre being elsewhere.

    Parameters
    ----------
    mask
        Boolean ``(H, W)``; where it is made of whole columns, columns change places, otherwise points.
    share
        Between 0 and 1, of the samples outside of the fully measured centre; above 0 at least one column or point.
    generator
        Chooses them.

    Examples
    --------
    >>> mask = torch.tensor([1, 0, 0, 1, 1, 1, 0, 1], dtype=torch.bool).expand(4, 8)
    >>> told = told_mask(mask, 0.5, generator=torch.Generator().manual_seed(0))
    >>> told[0].sum() == mask[0].sum(), (told[0] != mask[0]).sum()
    (tensor(True), tensor(2))
    """
    columns = bool((mask == mask[:1]).all())
    flat = (mask[0] if columns else mask.flatten()).clone()
    movable = torch.nonzero(flat & ~_centre(mask, columns)).flatten()
    free = torch.nonzero(~flat).flatten()
    count = min(max(round(share * len(movable)), int(share > 0)), len(movable), len(free))
    dropped = movable[torch.randperm(len(movable), generator=generator)[:count]]
    added = free[torch.randperm(len(free), generator=generator)[:count]]
    flat[dropped], flat[added] = False, True
    return flat.expand(mask.shape).contiguous() if columns else flat.reshape(mask.shape)


def balanced(maps: Tensor, *, gain: float = 0.0, degrees: float = 0.0, generator: torch.Generator) -> Tensor:
    """Coil maps with gain and phase errors of mean zero over the coils.

    Parameters
    ----------
    maps
        Complex ``(C, H, W)``.
    gain
        Standard deviation of the relative error of the gain.
    degrees
        Standard deviation of the phase error.
    generator
        Draws both, one number a coil.

    Examples
    --------
    >>> maps = torch.ones(4, 2, 2, dtype=torch.complex128)
    >>> off = balanced(maps, gain=0.1, generator=torch.Generator().manual_seed(0))
    >>> bool((off.mean(0) - 1).abs().max() < 1e-12), torch.equal(balanced(maps, generator=torch.Generator()), maps)
    (True, True)
    """
    drawn = torch.randn(2, len(maps), generator=generator, dtype=torch.float64)
    gains, phases = drawn - drawn.mean(1, keepdim=True)
    error = torch.polar(1 + gain * gains, torch.deg2rad(degrees * phases))
    return maps * error.to(maps)[:, None, None]


def moved_maps(maps: Tensor, pixels: float) -> Tensor:
    """Coil maps moved to the right, linear between pixels (they are smooth), the border repeated outwards.

    Examples
    --------
    >>> moved_maps(torch.tensor([[[0.0, 1.0, 2.0, 3.0]]]), 0.5)
    tensor([[[0.0000, 0.5000, 1.5000, 2.5000]]])
    """
    place = torch.arange(maps.shape[-1], dtype=torch.float64, device=maps.device) - pixels
    left = place.floor()
    weight = (place - left).to(maps.dtype)
    last = maps.shape[-1] - 1
    first, second = (index.clamp(0, last).long() for index in (left, left + 1))
    return maps[..., first] * (1 - weight) + maps[..., second] * weight


def other_maps(maps: Tensor, share: float, *, seed: int) -> Tensor:
    """Coil maps blended with those of another simulated array, as strong and on the same pixels.

    Examples
    --------
    >>> maps = phantoms.coil_maps(8, 3, seed=0)
    >>> torch.equal(other_maps(maps, 0.0, seed=1), maps), torch.equal(other_maps(maps, 1.0, seed=1), maps)
    (True, False)
    """
    coils, height, width = maps.shape
    other = phantoms.coil_maps(max(8, height, width), coils, seed=seed)[:, :height, :width].to(maps)
    other = other * maps.abs().square().sum(0).sqrt()
    return maps + share * (other - maps)


def motion(
    operator: LinearOperator,
    image: Tensor,
    *,
    pixels: float = 0.0,
    degrees: float = 0.0,
    groups: int = 4,
    generator: torch.Generator,
) -> Tensor:
    """What motion between groups of phase-encoding lines adds to the measurement: ``sum_g M_g (A T_g x - A x)``.

    Parameters
    ----------
    operator, image
        A Cartesian scan and the object on its grid, in the pose that it has while the centre of k-space is acquired.
    pixels, degrees
        The poses of the other groups are uniform between minus and plus this, the translation along rows and columns alike;
        pixels are those of ``image``.
    groups
        Of neighbouring columns, as many columns each as possible; at most one a column.
    generator
        Draws the poses.

    Returns
    -------
    Tensor
        ``(1, *range)``.
    """
    width = operator.range.shape[-1]
    poses = 2 * torch.rand(groups, 3, generator=generator, dtype=torch.float64) - 1
    member = torch.arange(width) * groups // width
    poses[member[width // 2]] = 0
    still = operator.forward(image)
    change = torch.zeros_like(still)
    for group, (down, right, turn) in enumerate(poses.tolist()):
        lines = (member == group).to(image.device)
        if not bool(lines.any()) or (down, right, turn) == (0, 0, 0):
            continue
        moved = rotate(image, degrees * turn) if degrees else image
        moved = translate(moved, pixels * down, pixels * right) if pixels else moved
        change = change + lines * (operator.forward(moved) - still)
    return change


def _centre(mask: Tensor, columns: bool) -> Tensor:
    """The fully measured centre: the unbroken run of columns about DC, or the points nearer to it than any gap."""
    height, width = mask.shape
    down, across = torch.meshgrid(torch.arange(height) - height // 2, torch.arange(width) - width // 2, indexing="ij")
    distance = across[0].abs().double() if columns else torch.hypot(down.double(), across.double()).flatten()
    flat = mask[0] if columns else mask.flatten()
    gaps = distance[~flat.cpu()]
    return (distance < (gaps.min() if len(gaps) else torch.inf)).to(mask.device)
