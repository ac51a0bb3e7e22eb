r"""A witness that can travel: the perturbation with everything needed to judge it elsewhere.

A worst case found at one place is a claim that others can check. For that they need the perturbation ``v`` in the domain of
the search, the set it was found in (norm, radius, support), the operator and the measurement it belongs to, and what it did
to which network. `stabtest.search.replay` puts it into any network, from the stored numbers alone, and
`stabtest.search.witness_file` makes a file of it.

Which operator and which measurement it belongs to is told by their fingerprints (`stabtest.search.probe`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from stabtest import __version__
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.constraints import Domain
from stabtest.search.norms import Norm
from stabtest.search.probe import fingerprint, probe
from stabtest.search.result import WorstCase


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
    >>> len(witness), witness.domain, round(witness.gain.item(), 4)
    (1, 'measurement', 2.0)
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
