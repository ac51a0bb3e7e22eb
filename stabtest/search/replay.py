r"""A witness put into a network, which need not be the one that it was found for.

From the stored numbers alone (`stabtest.search.witness`),

    e = v  or  e = A v,     gain = ||f(y+e) - f(y)|| / ||e||,     relative change = ||f(y+e) - f(y)|| / ||f(y)||.

Feasibility is recomputed in float64 by the definition of the set and not by the code that searched,

    violation = ( (||v|| - R)^+ + ||v - P v|| + ||v outside the region|| + ||(floor - v)^+|| ) / R

in the norm of the set, and nothing is mended: a witness that is infeasible is put in as it is and said to be infeasible.

Perturbations that were found for one network and damage another: C. Szegedy et al., *Intriguing properties of neural networks*,
ICLR 2014.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import NetworkError, SearchError
from stabtest.operators.base import LinearOperator, Space
from stabtest.search.leader import damage
from stabtest.search.norms import Norm
from stabtest.search.objectives import Objective
from stabtest.search.probe import probe
from stabtest.search.problem import Reconstructor
from stabtest.search.verify import TOLERANCE
from stabtest.search.witness import Witness

SAME_OPERATOR = 1e-5
"""Largest relative difference of two operators' probes that counts as the same operator."""


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

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> from stabtest.search.witness import witness_of
    >>> from stabtest.search.worst_case import worst_case
    >>> A, y = Identity((8, 8)), torch.ones(1, 1, 8, 8)
    >>> found = worst_case(lambda y, A: 2 * y, A, y, radius=0.1, evaluations=2)
    >>> again = replay(witness_of(found, A, y), lambda y, A: 3 * y, A, y)
    >>> round(again.gain.item(), 4), again.feasible
    (3.0, [True])
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
