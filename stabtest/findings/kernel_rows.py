"""Rows of `stabtest.stability.kernel`: what a method does where the scanner sees nothing.

Norms of images are relative to ``||x||`` and norms of data to ``||y||``, unless said otherwise. ``None`` = could not be had.
"""

from __future__ import annotations

from typing import Literal

from stabtest.findings.records import Record


class KernelErrorRow(Record):
    """The error ``r = f(y) - x`` of one method on one case, in the measured part and in the null space."""

    case: str
    method: str
    error: float
    """``||r||``."""
    measured_error: float
    """``||P_R r||``: what contradicts the data, or is their noise."""
    null_error: float
    """``||P_N r||``: what no data contradict."""
    null_share: float
    """``||P_N r||^2 / ||r||^2``."""
    truth_null: float
    """``||P_N x||``: how much of the object is invisible."""
    null_recovery: float | None
    """``c = Re <P_N x, P_N f(y)> / ||P_N x||^2``: 1 = guessed right, 0 = left blank; ``None`` where there is nothing to guess."""
    null_invented: float
    """``||P_N f(y) - c P_N x||``: shown, and neither in the data nor in the object."""
    data_consistency: float
    """``||A f(y) - y||``."""
    noise_level: float | None
    """Expected norm of the noise, the level to hold the data consistency against."""
    hallucinated_measured: float
    """Norm of the measurement-space hallucination map."""
    hallucinated_null: float
    """Norm of the null-space hallucination map."""
    missing_null: float
    """Norm of the null-space error where the method shows nothing, which the map leaves out."""
    hallucination_floor: float
    """``|P_N f(y)|`` above which the method shows something, relative to the largest ``|x|``."""
    hallucination_cut: float
    """Singular value, relative to the operator norm, at which the inverse in the maps is cut; nothing is cut for a single coil."""
    hallucination_residual: float
    """Relative residual of the maps' inverse; 0 = exact."""
    projection_residual: float
    """Relative residual at which the projections stopped; 0 = exact."""
    projection_iterations: int
    maps: str
    """Prefix of the stored maps: ``.measured``, ``.null`` and ``.missing``."""


class KernelTransferRow(Record):
    """The largest lower bound of the local Lipschitz constant that was found from a detail close in the data, far in the image.

    A lower bound that was *found*: a longer search may find a larger one, and there is no upper side.
    """

    case: str
    method: str
    family: Literal["free", "bump"]
    base: Literal["truth", "reconstruction"]
    """The image ``x`` that details are added to: the truth, or what the method shows (the errors are then those to that image)."""
    objective: Literal["bound", "excess"]
    """What the search maximised: the bound, or what of it exceeds the ceiling."""
    size_limit: float
    """``rho``, relative to ``||x||``: no detail is larger."""
    data_limit: float
    """``eps``: no detail is further in the data; in standard deviations of a real sample (``d'``), or relative to ``||y||``."""
    data_unit: Literal["sigma", "measurement"]
    bound: float
    """``(||h|| - ||f(y) - x|| - ||f(y + A h) - x - h||) / ||A h||``; not positive = says nothing."""
    ceiling: float
    """What the bound can be at most for a method whose image in the null space does not depend on the data."""
    ceiling_residual: float
    rounding: float
    """What the rounding of the method's images can add to the bound."""
    kernel_aware: bool | None
    """Bound within ceiling. False proves that the null space is filled as a function of the data, not that it is filled wrongly; ``None`` =
    above a ceiling that is only an estimate from below, not decided."""
    gain: float
    """``||f(y + A h) - f(y)|| / ||A h||`` at the witness."""
    image_distance: float
    """``||h||``."""
    data_distance: float
    """``||A h||``."""
    error: float
    """``||f(y) - x||``."""
    error_with: float
    """``||f(y + A h) - x - h||``, relative to ``||x||``."""
    data_detectability: float | None
    """``d' = ||A h|| / sigma`` of the witness."""
    null_space_share: float
    """``||P_N h|| / ||h||`` of the witness."""
    determined: bool
    """Whether the data determine the witness."""
    absent: float
    """What the method shows of the witness where it is not in the base image, 0 = nothing; 0 by definition about its own image."""
    present: float
    """What it shows where it is, 1 = all."""
    evaluations: int
    starts: int
    history: list[tuple[int, float]]
    """(evaluations, best so far) of what was maximised, after each start."""
    status: Literal["ended", "still rising", "no usable gradient"]
    witness: str
    """Name of the stored detail."""


class SfrcRow(Record):
    """Scanning Fourier ring correlation of one image with its reference; the curves are stored."""

    case: str
    method: str
    threshold: float
    """Of the correlation, as the user gave it."""
    least_cutoff: float
    """Share of Nyquist up to which a patch has to agree, as the user gave it."""
    side: int
    patches: int
    flagged: int
    """Patches that stop to agree before that frequency."""
    lowest_cutoff: float
    lowest_recovery: float | None
    """Smallest contrast recovery of a patch: FRC alone is blind to fading."""
    highest_recovery: float | None
    constant_patches: int
    """Patches of the reference without any contrast, which have no recovery."""
    scan: str
    """Prefix of the stored arrays: ``.curves``, ``.cutoff``, ``.recovery``."""
