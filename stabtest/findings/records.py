"""Measured rows: one class for each table of the report.

Every number is a plain float, count or string, so that a row survives a trip through JSON unchanged. A number that could
not be had is ``None`` and is shown as such; it is never replaced by a default.

Ratios: ``relative_change = ||f(y+e) - f(y)|| / ||f(y)||``, ``relative_error = ||f(y+e) - x|| / ||x||`` with the truth ``x``,
``gain = ||f(y+e) - f(y)|| / ||e||`` with ``e`` in the measurement domain.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of all rows: frozen, unknown keys refused, infinities and NaN kept through JSON as strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Interval(Record):
    """A confidence or tolerance interval; an open side is ``None``."""

    lower: float | None
    upper: float | None
    level: float
    method: str


class QualityRow(Record):
    """Accuracy of one method on the clean measurement of one case; ``None`` where there is no truth."""

    case: str
    method: str
    nrmse: float | None
    psnr: float | None
    ssim: float | None


class SolverRow(Record):
    """How far an iterative method was from finished, at the clean measurement and at the witness of a row.

    A solver that stops early is another method than its limit and can look more stable. ``x_N`` is its image after the steps that it
    takes, ``x_L`` that of a run ``longer`` times as long (or to a tolerance so many times smaller).
    """

    iterations: int
    """``N``: steps taken at the witness."""
    longer: int
    """How many times longer the run that it is compared with was."""
    clean_distance: float
    """``||x_N - x_L|| / ||x_L||`` at the clean measurement."""
    distance: float
    """The same at the witness."""
    clean_gap: float
    """Certified bound of the relative excess of the objective over its minimum, at the clean measurement."""
    gap: float
    """The same at the witness."""
    clean_residual: float
    """Relative length of one more step, at the clean measurement."""
    residual: float
    """The same at the witness."""
    longer_change: float
    """Relative change of the longer run, the largest under any of the perturbations that were found at this radius, of all ways of
    differentiating the method."""

    def finished(self, change: float) -> bool:
        """Whether stopping early has no say in a relative change: distances and difference of the changes within `UNFINISHED` of it.

        By the triangle inequality the relative change of the longer run is off by no more than the sum of the distances, about.
        """
        if math.isinf(change):
            return True  # nothing exceeds infinite damage
        near = self.clean_distance + self.distance <= UNFINISHED * change
        return near and abs(self.longer_change - change) <= UNFINISHED * change


UNFINISHED = 0.1
"""Share of a relative change that may be due to a solver that stopped early."""


class WorstCaseRow(Record):
    """The most damaging admissible perturbation found at one radius, beside Gaussian noise of the same norm."""

    case: str
    method: str
    domain: Literal["measurement", "image"]
    objective: str
    radius: float
    """In its ``unit``; relative to the measurement in the measurement domain, to the image in the image domain."""
    radius_absolute: float
    unit: Literal["relative", "noise", "absolute"] = "relative"
    """What the radius is a multiple of: ||y|| or ||x||, the norm of the noise, or nothing."""
    norm: Literal["l2", "linf"] = "l2"
    """In which the perturbation is no larger than the radius: Euclidean, or the largest modulus of a sample."""
    region: str | None = None
    """Where the perturbation was allowed to differ from zero, in words; ``None`` = everywhere that is measured."""
    nonnegative: bool = False
    """Whether ``y + e`` had to stay non-negative."""
    relative_change: float
    relative_error: float | None
    clean_error: float | None
    """``||f(y) - x|| / ||x||``: the error without perturbation."""
    gain: float
    local_damage: float
    """Largest value of a smoothed ``|f(y+e) - f(y)|``, relative to the largest value of ``|f(y)|``."""
    noise_change_median: float
    """Median relative change under Gaussian noise of the same norm."""
    noise_change_max: float
    noise_draws: int
    violation: float
    """How far the stored witness is outside of its set, relative to the radius, recomputed in float64."""
    evaluations: int
    """Evaluations of the method spent on this radius, ``queries`` among them."""
    history: list[tuple[int, float]]
    """(gradient evaluations, best so far) of what was maximised: the relative change, or ``||f(y+e) - x|| / ||f(y)||`` for
    the distance to the truth, or the objective itself."""
    status: Literal["converged", "still rising", "no usable gradient"]
    """Whether the second half of the budget still paid; a search of one path is never called converged."""
    spread: float | None = None
    """How far the paths from starts of their own ended apart, relative to the best of them; ``None`` with fewer than two."""
    witness: str | None = None
    """Name of the stored perturbation."""
    gradient: Literal["healthy", "zero", "masked", "not finite", "stochastic", "disconnected", "rough", "wrong"] | None = None
    """What the gradient was found to be (`stabtest.search.health`); ``None`` = not examined, or written by an older version."""
    queries: int | None = None
    """How many of the evaluations were queries of a search without gradients; ``None`` = written by an older version."""
    differentiation: str | None = None
    """Of a method that can be differentiated in several ways, along which the witness was found; ``None`` = there is one way."""
    solver: SolverRow | None = None
    """Of an iterative method, whether it was finished; ``None`` = it is none, or was not asked."""


class StructureRow(Record):
    """One detail put into the object, and what came back of it."""

    case: str
    method: str
    detail: str
    """The shape."""
    site: str
    diameter_px: float
    """The size of the shape: of a lesion its diameter."""
    contrast: float
    """Height of the detail relative to the largest value of ``|x|``; negative for a dark detail."""
    recovery: float
    """Contrast recovery coefficient, 1 = all of the detail came back, 0 = nothing, from paired noise."""
    region_nrmse: float
    outside_energy: float
    """Energy of the change outside the detail's region over the energy of the detail: what was hallucinated."""
    sham_recovery: float | None
    """The same statistic where nothing was put in and only the noise differs."""
    data_detectability: float | None
    """``d' = ||A h|| / sigma``: how visible the detail is to an ideal observer of the measurement."""
    null_space_share: float | None
    """``||P_N h|| / ||h||``: the part of the detail that the scanner cannot see."""
    identifiable: bool
    """The gate: whether the data carry the detail at all."""
    diameter_mm: float | None = None
    """The size in mm, where the side of a pixel was given."""
    local_recovery: float | None = None
    """Contrast against the immediate surroundings, relative to that of the detail."""
    modulation: float | None = None
    """Of line pairs: how far the bars stand out from the gaps, relative to the detail; ``None`` where pixels cannot hold them."""


class SamplingRow(Record):
    """Error of one method at one sampling fraction or view count, the network unchanged."""

    case: str
    method: str
    count: int
    """Measured k-space samples or views."""
    fraction: float
    """Realised sampling fraction, or views relative to the trained number."""
    trained: bool
    """Whether this is the sampling the network was trained for."""
    nrmse: float
    psnr: float


class PatternRow(Record):
    """Error of one method under another pattern of samples, about as many as it was trained for."""

    case: str
    method: str
    pattern: str
    """Kind of mask or of set of views; ``trained`` for the one of the audit."""
    count: int
    fraction: float
    """Realised sampling fraction, or views relative to the trained number."""
    nrmse: float
    change: float
    """Of the NRMSE, from the trained pattern; paired: the same object and level of noise."""
    psnr: float


class SamplingStatement(Record):
    """Whether more samples gave a poorer image, from paired differences over cases."""

    method: str
    from_fraction: float
    to_fraction: float
    change: float
    """Mean paired change of NRMSE; positive = poorer with more samples."""
    interval: Interval | None
    """``None`` with fewer than two cases: no interval can be had."""
    statement: str


class LayerRow(Record):
    """One operation of the network in the layer table."""

    name: str
    operation: str
    input_shape: list[int]
    output_shape: list[int]
    constant: float | None
    """Lipschitz constant in l2; ``None`` = unknown, ``inf`` = not Lipschitz."""
    status: Literal["certified", "probabilistic", "on a ball", "infinite", "unknown"]
    method: str
    cumulative: float | None
    log_share: float | None
    """Share of the total in log scale."""


class BoundRow(Record):
    """One of several upper bounds of the network's Lipschitz constant, or why there is none."""

    name: str
    upper: float | None
    """``None`` where it does not apply or was not computed."""
    status: Literal["certified", "probabilistic", "on a ball", "infinite", "unknown"]
    note: str
    seconds: float


class NormalisedRow(Record):
    """What the product of the layers would be if one of the costliest had constant 1 (spectral normalisation)."""

    layer: str
    product: float


class Bracket(Record):
    """A Lipschitz constant between what was found and what is guaranteed."""

    name: str
    """What the constant is of (network alone; measurement to image)."""
    case: str | None
    lower: float
    lower_source: str
    upper: float | None
    """``None`` = unknown."""
    upper_status: Literal["certified", "probabilistic", "on a ball", "infinite", "unknown"]
    upper_source: str
    assumptions: list[str] = []
    floor: float | None = None
    """No bound that allows every activation pattern can go below this; ``None`` where it was not sought."""
    radius: float | None = None
    """Largest perturbation, relative to the measurement, that a bound on a ball holds for; ``None`` = of every size."""


GATE_RULES: Mapping[str, Literal["at least", "more than"]] = {"gradient": "more than", "reacts": "at least"}
"""Gates whose value must not be too small; for all others the limit is a largest value."""


class Gate(Record):
    """A validity check that had to hold before anything was measured."""

    name: str
    subject: str
    passed: bool
    value: float | None
    limit: float | None
    detail: str

    @property
    def rule(self) -> Literal["at most", "at least", "more than"]:
        """On which side of the limit the value has to be.

        Examples
        --------
        >>> Gate(name="reacts", subject="net", passed=True, value=0.9, limit=0.1, detail="").rule
        'at least'
        """
        return GATE_RULES.get(self.name, "at most")


class Failure(Record):
    """A unit of the audit that ended in an error."""

    unit: str
    error: str


class Picture(Record):
    """An image in the report, quantised to 16 bit between ``low`` and ``high`` and compressed.

    The display window (``window_low``, ``window_high``) is the same for all methods of one case; difference maps have one
    fixed scale.
    """

    id: str
    section: Literal["quality", "worst_case", "structure", "missed_lesion", "sampling", "kernel", "data"]
    case: str
    method: str
    role: Literal[
        "truth",
        "clean",
        "perturbed",
        "difference",
        "perturbation",
        "measurement",
        "detail",
        "with_detail",
        "recovered",
        "hallucination",
        "missing",
    ]
    kind: Literal["anatomy", "error", "signed"]
    """``anatomy`` is drawn in gray, ``error`` with a perceptual map from zero, ``signed`` with a diverging map about zero."""
    caption: str
    radius: float | None = None
    count: int | None = None
    shape: tuple[int, int]
    low: float
    high: float
    window_low: float
    window_high: float
    data: str

    @staticmethod
    def encode(values: NDArray[np.floating]) -> tuple[str, float, float]:
        """Quantise a real image ``(H, W)``: base64 of zlib of little-endian uint16, and the range it spans."""
        finite = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(finite.min()), float(finite.max())
        span = high - low if high > low else 1.0
        levels = np.round((finite - low) / span * 65535).astype("<u2")
        return base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode("ascii"), low, low + span

    def decode(self) -> NDArray[np.float64]:
        """The image ``(H, W)``, accurate to ``(high - low) / 131070``."""
        levels = np.frombuffer(zlib.decompress(base64.b64decode(self.data)), dtype="<u2").reshape(self.shape)
        return self.low + levels.astype(np.float64) / 65535 * (self.high - self.low)
