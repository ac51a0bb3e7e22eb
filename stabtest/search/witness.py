r"""A witness that can travel: the perturbation with everything needed to judge it elsewhere, and its replay.

A worst case found at one place is a claim that others can check. For that they need the perturbation ``v`` in the domain of
the search, the set it was found in (norm, radius, support), the operator and the measurement it belongs to, and what it did
to which network. `replay` puts it into any network, from the stored numbers alone:

    e = v  or  e = A v,     gain = ||f(y+e) - f(y)|| / ||e||,     relative change = ||f(y+e) - f(y)|| / ||f(y)||.

Feasibility is recomputed in float64 by the definition of the set and not by the code that searched,

    violation = ( (||v|| - R)^+ + ||v - P v|| + ||v outside the region|| + ||(floor - v)^+|| ) / R

in the norm of the set, and nothing is mended: a witness that is infeasible is put in as it is and said to be infeasible.

Which operator and which measurement it belongs to is told by their fingerprints (`stabtest.search.probe`).

Perturbations that were found for one network and damage another: C. Szegedy et al., *Intriguing properties of neural networks*,
ICLR 2014.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from stabtest import __version__, tensors
from stabtest.errors import NetworkError, SearchError
from stabtest.operators.base import LinearOperator, Space
from stabtest.search.constraints import Domain
from stabtest.search.leader import damage
from stabtest.search.norms import Norm
from stabtest.search.objectives import Objective
from stabtest.search.probe import fingerprint, probe
from stabtest.search.problem import Reconstructor
from stabtest.search.result import WorstCase
from stabtest.search.verify import TOLERANCE

SAME_OPERATOR = 1e-5
"""Largest relative difference of two operators' probes that counts as the same operator."""


def _nothing() -> Mapping[str, str | int | float]:
    return {}


@dataclass(frozen=True)
class Witness:
    """A perturbation for each of ``B`` images, and what is known of it; ``None`` or empty where nothing is.

    Attributes
    ----------
    perturbation
        ``v`` in the domain of the search, ``(B, *range)`` or ``(B, *domain)``.
    domain
        ``"measurement"`` or ``"image"``.
    norm
        Of the set: ``"l2"``, or ``"linf"`` (largest modulus).
    radius, relative_radius
        Absolute, in that norm and the units of ``v``, and as a fraction of the measurement or image; ``(B,)``.
    region, floor
        Support of ``v`` (boolean) and lower limit of its entries, broadcastable to ``v``.
    objective
        What was maximised, in words: ``"clean"``, ``"truth"`` or a name.
    seed, budget
        Of the search.
    operator, operator_probe
        The operator's description, and its fingerprint (`probe`).
    measurement_sha256, measurement
        Fingerprint of each image's ``y`` (`fingerprint`), and ``y`` itself, ``(B, *range)``, where it was kept.
    cases
        Name of each image.
    network, network_sha256
        The network it was found for.
    relative_change, gain, violation
        What it did there, ``(B,)``.
    version
        Of stabtest that made it.
    """

    perturbation: Tensor
    domain: Domain | None = None
    norm: Norm = "l2"
    radius: Tensor | None = None
    relative_radius: Tensor | None = None
    region: Tensor | None = None
    floor: Tensor | None = None
    objective: str = ""
    seed: int | None = None
    budget: Mapping[str, str | int | float] = field(default_factory=_nothing)
    operator: Mapping[str, str | int | float] = field(default_factory=_nothing)
    operator_probe: tuple[float, ...] = ()
    measurement_sha256: tuple[str, ...] = ()
    measurement: Tensor | None = None
    cases: tuple[str, ...] = ()
    network: str = ""
    network_sha256: str | None = None
    relative_change: Tensor | None = None
    gain: Tensor | None = None
    violation: Tensor | None = None
    version: str = ""

    def __len__(self) -> int:
        """Number of images."""
        return len(self.perturbation)

    def image(self, index: int) -> Witness:
        """The witness of one image, with a batch axis of 1."""

        def one(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[index : index + 1]

        def limit(values: Tensor | None) -> Tensor | None:
            own = values is not None and values.ndim == self.perturbation.ndim and len(values) == len(self)
            return one(values) if own else values

        return replace(
            self,
            perturbation=self.perturbation[index : index + 1],
            radius=one(self.radius),
            relative_radius=one(self.relative_radius),
            region=limit(self.region),
            floor=limit(self.floor),
            measurement=one(self.measurement),
            measurement_sha256=self.measurement_sha256[index : index + 1],
            cases=self.cases[index : index + 1],
            relative_change=one(self.relative_change),
            gain=one(self.gain),
            violation=one(self.violation),
        )


def witness_of(
    worst: WorstCase,
    operator: LinearOperator,
    measurement: Tensor,
    *,
    norm: Norm = "l2",
    relative_radius: float | Tensor | None = None,
    region: Tensor | None = None,
    floor: Tensor | None = None,
    objective: str = "clean",
    seed: int | None = None,
    budget: Mapping[str, str | int | float] | None = None,
    cases: Sequence[str] = (),
    network: str = "",
    network_sha256: str | None = None,
    keep_measurement: bool = False,
) -> Witness:
    """What a search found, as a witness that can be saved (`stabtest.search.witness_file`).

    Parameters
    ----------
    worst
        From `stabtest.search.worst_case`.
    operator, measurement
        Of that search.
    norm, relative_radius, region, floor, objective, seed, budget
        As the search was asked; stored for the reader and, as far as they define the set, checked by `replay`.
    cases
        A name for each image.
    network, network_sha256
        Name of the network, and the SHA-256 of its weights or of whatever determines it.
    keep_measurement
        Store ``y`` as well, so that another site needs nothing but its own network. ``y`` may be a patient's data.

    Raises
    ------
    SearchError
        If the number of names is not that of the images.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search.worst_case import worst_case
    >>> A, y = Identity((8, 8)), torch.ones(1, 1, 8, 8)
    >>> found = worst_case(lambda y, A: 2 * y, A, y, radius=0.1, evaluations=2)
    >>> witness = witness_of(found, A, y, relative_radius=0.1, network="twice")
    >>> again = replay(witness, lambda y, A: 3 * y, A, y)
    >>> round(again.gain.item(), 4), again.feasible
    (3.0, [True])
    """
    y = operator.range.check(measurement, "measurement").detach().cpu()
    if cases and len(cases) != len(y):
        raise SearchError("cases", expected=f"{len(y)} names", came=f"{len(cases)}")
    relative = None if relative_radius is None else torch.as_tensor(relative_radius).cpu().expand_as(worst.radius.cpu())
    return Witness(
        perturbation=worst.variable.detach().cpu(),
        domain="measurement" if worst.image_perturbation is None else "image",
        norm=norm,
        radius=worst.radius.detach().cpu(),
        relative_radius=relative,
        region=None if region is None else region.detach().cpu(),
        floor=None if floor is None else floor.detach().cpu(),
        objective=objective,
        seed=seed,
        budget={} if budget is None else dict(budget),
        operator=operator.describe(),
        operator_probe=probe(operator),
        measurement_sha256=tuple(fingerprint(one) for one in y),
        measurement=y if keep_measurement else None,
        cases=tuple(cases),
        network=network,
        network_sha256=network_sha256,
        relative_change=worst.relative_change.detach().cpu(),
        gain=worst.gain.detach().cpu(),
        violation=worst.violation.detach().cpu(),
        version=__version__,
    )


@dataclass(frozen=True)
class Replayed:
    """What a witness does to a network, per image.

    Attributes
    ----------
    relative_change, gain, distance
        See the module's docstring, ``(B,)``; infinite where the perturbed image is not finite.
    norm, size
        ``||v||`` in the norm of the set, and in l2, ``(B,)``, float64.
    violation
        Relative violation of the set in float64, ``(B,)``; of its support only, relative to ``||v||``, where no radius is known.
    objective
        The objective's value ``(B,)``, or ``None`` where it cannot be computed (no truth, a callable that was not given).
    clean, perturbed
        ``f(y)`` and ``f(y + e)``, ``(B, 1, H, W)``.
    """

    relative_change: Tensor
    gain: Tensor
    distance: Tensor
    norm: Tensor
    size: Tensor
    violation: Tensor
    objective: Tensor | None
    clean: Tensor
    perturbed: Tensor

    @property
    def feasible(self) -> list[bool]:
        """Whether each image's violation is at most `stabtest.search.verify.TOLERANCE`."""
        return [value <= TOLERANCE for value in self.violation.tolist()]


def replay(
    witness: Witness,
    reconstructor: Reconstructor,
    operator: LinearOperator,
    measurement: Tensor | None = None,
    *,
    truth: Tensor | None = None,
    objective: Objective | None = None,
) -> Replayed:
    """Put a witness into a network, which need not be the one it was found for.

    Parameters
    ----------
    witness
        From `stabtest.search.witness_file.load_witness` or `witness_of`.
    reconstructor
        ``f``, a callable ``(y, operator) -> image``.
    operator
        ``A``; that it is the witness's is not checked here (`same_operator`).
    measurement
        ``y``, ``(B, *range)``; that stored in the witness if not given.
    truth
        ``x``, for the objective ``"truth"``.
    objective
        The callable that was maximised, where it was one.

    Raises
    ------
    SearchError
        If there is no measurement, or it or the witness does not fit the operator, or the witness does not know its domain.
    NetworkError
        If the clean reconstruction is not finite.
    """
    y = witness.measurement if measurement is None else measurement
    if y is None:
        raise SearchError(
            "replay: measurement", expected="one, given or stored in the witness", came="none", remedy="pass measurement"
        )
    space = space_of(witness, operator)
    y = operator.range.check(y, "measurement").detach()
    if len(y) != len(witness):
        raise SearchError("replay: measurement", expected=f"{len(witness)} image(s)", came=str(len(y)))
    precision = tensors.real_dtype(y.dtype)
    v = witness.perturbation.to(device=y.device, dtype=space.dtype(precision))
    with torch.no_grad():
        e = operator.forward(v) if witness.domain == "image" else v
        clean = reconstructor(y, operator)
        if not bool(torch.isfinite(clean).all()):
            raise NetworkError("replay: clean reconstruction", expected="finite numbers", came="NaN or infinity")
        perturbed = reconstructor(y + e, operator)
        distance = damage(tensors.norm(perturbed - clean))
        tiny = torch.finfo(distance.dtype).tiny
        return Replayed(
            relative_change=distance / tensors.norm(clean).clamp_min(tiny),
            gain=distance / tensors.norm(e).clamp_min(tiny),
            distance=distance,
            norm=_size(_double(v), witness.norm),
            size=tensors.norm(_double(v)),
            violation=violation(witness, operator),
            objective=_value(witness, perturbed, distance, truth, objective),
            clean=clean,
            perturbed=perturbed,
        )


def violation(witness: Witness, operator: LinearOperator) -> Tensor:
    """Relative violation of the set by the stored perturbation, from the definition, in float64, ``(B,)``."""
    space_of(witness, operator)
    v = _double(witness.perturbation)
    size = _size(v, witness.norm)
    radius = size.clamp_min(torch.finfo(torch.float64).tiny) if witness.radius is None else witness.radius.to(torch.float64)
    outside = (size - radius).clamp_min(0)
    if witness.domain == "measurement":
        outside = outside + _size(v - operator.restrict(v), witness.norm)
    if witness.region is not None:
        outside = outside + _size(torch.where(witness.region, torch.zeros_like(v), v), witness.norm)
    if witness.floor is not None:
        outside = outside + _size((witness.floor.to(torch.float64) - v).clamp_min(0).expand_as(v), witness.norm)
    # What is not a number is not inside.
    return torch.nan_to_num(outside / radius, nan=math.inf, posinf=math.inf)


def space_of(witness: Witness, operator: LinearOperator) -> Space:
    """The operator's space that the perturbation lives in.

    Raises
    ------
    SearchError
        If the witness does not know its domain, or has another shape or kind.
    """
    if witness.domain is None:
        raise SearchError(
            "witness: domain",
            expected="'measurement' or 'image'",
            came="a file that does not say",
            remedy="dataclasses.replace(witness, domain=...)",
        )
    space = operator.range if witness.domain == "measurement" else operator.domain
    v = witness.perturbation
    if tuple(v.shape[1:]) != space.shape or v.is_complex() != space.is_complex:
        kinds = ("real", "complex")
        raise SearchError(
            f"witness: perturbation in the {witness.domain} domain",
            expected=f"{kinds[space.is_complex]} {space.shape}",
            came=f"{kinds[v.is_complex()]} {tuple(v.shape[1:])}",
            remedy="use the operator that it was found with",
        )
    return space


def same_operator(witness: Witness, operator: LinearOperator) -> bool:
    """Whether an operator acts as the one that the witness was found with; True where the witness does not know."""
    if not witness.operator_probe:
        return True
    came = probe(operator, number=len(witness.operator_probe))
    scale = max(map(abs, witness.operator_probe))
    return max(abs(a - b) for a, b in zip(witness.operator_probe, came, strict=True)) <= SAME_OPERATOR * scale


def _size(v: Tensor, norm: Norm) -> Tensor:
    return tensors.norm(v) if norm == "l2" else v.abs().flatten(1).amax(1)


def _double(v: Tensor) -> Tensor:
    return v.to(torch.complex128 if v.is_complex() else torch.float64)


def _value(
    witness: Witness, perturbed: Tensor, distance: Tensor, truth: Tensor | None, objective: Objective | None
) -> Tensor | None:
    if objective is not None:
        return damage(objective(perturbed))
    if witness.objective == "clean":
        return distance
    if witness.objective == "truth" and truth is not None:
        if truth.is_complex() and not perturbed.is_complex():
            truth = truth.abs()  # a method that returns magnitudes is held against magnitudes
        return damage(tensors.norm(perturbed - truth))
    return None
