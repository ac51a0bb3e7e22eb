"""The small realistic shifts of an object: how the patient lay, and how bright the image is, within a box.

T_p = intensity after translation after rotation,        p = (degrees, rows, columns, intensity),  |p_i| <= side_i
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from stabtest.errors import ConfigError
from stabtest.stability.shift.object_shifts import brighten
from stabtest.stability.shift.resampling import Amount, Kernel, rotate, translate


@dataclass(frozen=True)
class Box:
    """What counts as a small realistic shift: each parameter between minus and plus its entry; 0 leaves it out.

    Parameters
    ----------
    degrees
        Rotation.
    rows, columns
        Translation in pixels.
    intensity
        Relative change of the brightness, below 1.

    Raises
    ------
    ConfigError
        If an entry is negative or not finite, the intensity reaches 1, or nothing may vary.

    Examples
    --------
    >>> Box(degrees=5, rows=0, columns=2, intensity=0.1).names
    ('degrees', 'columns', 'intensity')
    """

    degrees: float = 5.0
    rows: float = 2.0
    columns: float = 2.0
    intensity: float = 0.1

    def __post_init__(self) -> None:
        sides = {name: getattr(self, name) for name in (f.name for f in fields(self))}
        if not all(math.isfinite(side) and side >= 0 for side in sides.values()) or not any(sides.values()):
            raise ConfigError("box of shifts", expected="non-negative numbers, one of them above 0", came=str(sides))
        if self.intensity >= 1:
            raise ConfigError("box of shifts: intensity", expected="below 1", came=str(self.intensity))

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that vary."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) > 0)

    @property
    def words(self) -> str:
        """The box as a report names it.

        Examples
        --------
        >>> Box(degrees=5, rows=0, columns=2, intensity=0.1).words
        'rotation up to 5 degrees, columns up to 2 pixels, intensity up to 10 %'
        """
        parts = {
            "degrees": f"rotation up to {self.degrees:g} degrees",
            "rows": f"rows up to {self.rows:g} pixels",
            "columns": f"columns up to {self.columns:g} pixels",
            "intensity": f"intensity up to {100 * self.intensity:g} %",
        }
        return ", ".join(parts[name] for name in self.names)

    @property
    def sides(self) -> Tensor:
        """Their largest values, float64 ``(P,)``."""
        return torch.tensor([getattr(self, name) for name in self.names], dtype=torch.float64)


def transform(
    image: Tensor,
    *,
    degrees: Amount = 0.0,
    rows: Amount = 0.0,
    columns: Amount = 0.0,
    intensity: Amount = 0.0,
    kernel: Kernel | None = None,
) -> Tensor:
    """``T_p x``: turned, then moved, then brightened; the identity exactly at zero.

    Parameters
    ----------
    image
        ``(B, 1, H, W)``, real or complex.
    degrees, rows, columns, intensity
        Numbers, or tensors that gradients pass through.
    kernel
        See `stabtest.stability.shift.resampling`.
    """
    moved = rotate(image, degrees, kernel=kernel) if _varies(degrees) else image
    if _varies(rows) or _varies(columns):
        moved = translate(moved, rows, columns, kernel=kernel)
    return brighten(moved, intensity)


def _varies(amount: Amount) -> bool:
    return isinstance(amount, Tensor) or amount != 0.0
