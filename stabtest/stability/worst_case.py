"""How much can a small disturbance change the image? The worst admissible perturbation found, at each of several radii.

Antun et al., PNAS 117 (2020) 30088-30095, call it the first instability: a perturbation too small to be seen in the image or
in the samples gives severe artefacts. For each relative radius ``r`` the search of `stabtest.search` looks for

    max ||f(y + e) - f(y)||   subject to   ||e|| <= r ||y||,   e on measured samples only

(or ``e = A p`` with ``||p|| <= r ||x||`` in the image domain; in the largest norm; in a region; with ``r`` in multiples of the
noise or absolute; with another objective: `stabtest.search.admissible`, `stabtest.search.worst_case`). Reported are the
relative change, the error against the truth beside that of the clean image, the gain, and the local damage
(`stabtest.metrics.local_damage`), all recomputed from the stored witness.

What is found is a lower bound of the worst that exists. It means something only beside two others, which are therefore
measured too: Gaussian noise of the same norm, and the reference method under the same search with the same budget, along every
way in which it can be differentiated, and with a look at whether its solver was finished (`stabtest.stability.solver`). The
gates: the witness is admissible (its violation is recomputed in float64), and the gradient was usable. How far to trust the
search stands beside every row: whether the second half of its budget still paid, and how far its independent starts ended apart.

A perturbed image that is not finite (NaN, infinity) is the worst damage there is: its row holds infinities, and its witness
is kept like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabtest import metrics, statistics
from stabtest.errors import ConfigError, SearchError
from stabtest.findings.records import Picture, WorstCaseRow
from stabtest.findings.sizes import amount
from stabtest.networks.magnitude import comparable
from stabtest.search import SetOptions, WorstCase, curve_by_ways, gaussian_baseline
from stabtest.search.constraints import Domain
from stabtest.search.norms import Norm
from stabtest.search.paths import plan
from stabtest.search.radius import RadiusUnit
from stabtest.search.worst_case import EVALUATIONS, ObjectiveName
from stabtest.stability.cases import Case, Method, Outcome, Progress
from stabtest.stability.pictures import display_window, error_limit, perturbation_picture, picture, slug
from stabtest.stability.region import Region
from stabtest.stability.solver import Finishing


@dataclass(frozen=True)
class WorstCaseTest:
    """The worst-case search over a curve of radii.

    Parameters
    ----------
    radii
        Positive, in the ``unit``.
    domain, norm, nonnegative
        The set of admissible perturbations (`stabtest.search.admissible.SetOptions`).
    unit
        Of the radii; ``"relative"`` to ``||y||`` in the measurement domain, to ``||x||`` in the image domain. ``"noise"``: multiples of
        the noise of the case, which must be known.
    region
        Where the perturbation may live; None: everywhere.
    objective
        What is made large: ``"clean"``, ``"truth"``, ``"local"`` or ``"ssim"``.
    evaluations, restarts, stop_early
        The budget of each search (`stabtest.search.worst_case`).
    further_ways
        Share of the evaluations that goes, on top of them, to each further way of differentiating a method that has several
        (`stabtest.search.ways`); 0: none.
    noise_draws
        Realisations of Gaussian noise of the same norm.
    pictures
        True: at the largest and one middle radius; False: none; or the radii to draw.

    Raises
    ------
    ConfigError
        If there is no radius, one is not positive or comes twice, the budget is no path, there is no draw, the share is none, or region
        and domain do not belong together.
    """

    radii: tuple[float, ...] = (0.005, 0.01, 0.02, 0.05)
    domain: Domain = "measurement"
    objective: ObjectiveName = "clean"
    evaluations: int = EVALUATIONS
    restarts: int | None = None
    stop_early: bool = False
    unit: RadiusUnit = "relative"
    norm: Norm = "l2"
    region: Region | None = None
    nonnegative: bool = False
    further_ways: float = 1.0
    noise_draws: int = 8
    pictures: bool | tuple[float, ...] = True

    def __post_init__(self) -> None:
        if not self.radii or min(self.radii) <= 0 or len(set(self.radii)) < len(self.radii):
            raise ConfigError("worst_case: radii", expected="different positive numbers", came=str(self.radii))
        if self.noise_draws < 1:
            raise ConfigError("worst_case: noise_draws", expected="at least 1", came=str(self.noise_draws))
        if self.evaluations < 1 or (self.restarts is not None and self.restarts < 1):
            came = f"evaluations={self.evaluations}, restarts={self.restarts}"
            raise ConfigError("worst_case: budget", expected="evaluations >= 1 and restarts >= 1", came=came)
        if not 0 <= self.further_ways <= 1:
            raise ConfigError("worst_case: further_ways", expected="a share from 0 to 1", came=str(self.further_ways))
        if self.region is not None and self.region.domain != self.domain:
            raise ConfigError(
                f"worst_case: region {self.region.kind}", expected=f"domain {self.region.domain!r}", came=repr(self.domain)
            )

    @property
    def budget(self) -> str:
        """The stated budget, in words."""
        legs = plan(self.evaluations, fresh=self.restarts)
        fresh = sum(leg.kind == "fresh" for leg in legs)
        again = len(legs) - fresh
        paths = "one path from a fresh start, which cannot say that it has converged"
        if len(legs) > 1:
            paths = f"{len(legs)} paths of about {round(self.evaluations / len(legs))}, {fresh} from a fresh start"
            paths += f" and {again} again from the best point so far" if again else ""
        words = (
            f"for each radius {self.evaluations} evaluations of the network, each one forward and one backward pass, by the relaxed "
            f"power method: {paths}"
        )
        if len(self.radii) > 1:
            words += (
                "; above the smallest radius the first quarter of the evaluations goes on from the witness of the radius below and "
                f"the rest is divided in the same way; then {max(1, self.evaluations // 8)} more go on from that of the radius above"
            )
        words += "; beside them a look at the gradient, and where it cannot be used ten times as many queries without one"
        if self.stop_early:
            words += "; a search ends before that once a doubling of what it spent no longer pays"
        if self.further_ways:
            share = (
                "as many evaluations again"
                if self.further_ways == 1
                else f"{100 * self.further_ways:.3g} % of the evaluations more"
            )
            words += (
                "; a method that can be differentiated in several ways (total variation: through the steps of its solver, and at the "
                f"limit of these steps) gets {share} for each further way, and of each image the perturbation that does more is kept"
            )
        return f"{words}; {self.noise_draws} draws of Gaussian noise of the same norm"

    @property
    def drawn(self) -> frozenset[float]:
        """The radii at which pictures are drawn."""
        if isinstance(self.pictures, tuple):
            return frozenset(self.pictures)
        ordered = sorted(self.radii)
        return frozenset({ordered[-1], ordered[(len(ordered) - 1) // 2]}) if self.pictures else frozenset()

    def measure(self, method: Method, case: Case, *, seed: int = 0, progress: Progress | None = None) -> Outcome:
        """The search at every radius, with its baseline.

        Parameters
        ----------
        method, case
            What is attacked, on which measurement.
        seed
            Of the random starts and of the noise; with the same seed all methods get the same noise.
        progress
            Called after each evaluation of the network by the search.

        Returns
        -------
        Outcome
            One `WorstCaseRow` a radius, smallest first; the witnesses under the names in the rows, in the domain of the search.

        Raises
        ------
        SearchError
            If the objective is the truth and there is none, the radii are multiples of a noise that is not known, or the set does not
            fit the case's operator.
        NetworkError
            If the method does not return a finite image of the right shape.
        """
        clean = method(case.measurement, case.operator)
        truth = None if case.truth is None else comparable(case.truth, clean)
        options = self.options(case)
        found_by = curve_by_ways(
            method.reconstruct,
            case.operator,
            case.measurement,
            radii=sorted(self.radii),
            objective=self.objective,
            truth=truth,
            evaluations=self.evaluations,
            restarts=self.restarts,
            stop_early=self.stop_early,
            share=self.further_ways,
            seed=seed,
            progress=progress,
            **options,
        )
        solver = Finishing.of(method.reconstruct, case)
        rows: list[WorstCaseRow] = []
        witnesses: dict[str, NDArray[np.generic]] = {}
        shown: list[Picture] = []
        for k, (radius, found) in enumerate(zip(sorted(self.radii), found_by.best)):
            name = slug("worst_case", case.name, method.name, f"{self.domain}-r{radius:g}")
            witnesses[name] = found.variable[0].detach().cpu().numpy()
            noise = self._noise(method, case, truth, radius, seed, options)
            row = self._row(method, case, radius, found, noise, name)
            if solver is not None:
                others = [curve[k].perturbation for curve in found_by.by_way.values()]
                row = row.model_copy(update={"solver": solver.at(found.perturbation, others)})
            rows.append(row)
            if radius in self.drawn:
                shown += _pictures(method, case, radius, amount(radius, self.unit), found)
        if shown:
            words = f"{method.name}, clean measurement"
            shown.insert(
                0,
                picture(clean, case, section="worst_case", method=method.name, role="clean", kind="anatomy", caption=words),
            )
        # What was asked without a gradient is in the rows, and no gradient evaluation.
        spent = sum(found.evaluations - max(found.queries, default=0) for found in found_by.best)
        return Outcome(tuple(rows), tuple(shown), witnesses, spent)

    def options(self, case: Case) -> SetOptions:
        """The set of admissible perturbations of a case, but for its radius.

        Raises
        ------
        SearchError
            If the radii are multiples of the noise and its level is not known or 0, or the operator has no such region.
        """
        options = SetOptions(unit=self.unit, domain=self.domain, norm=self.norm, nonnegative=self.nonnegative)
        if self.unit == "noise":
            if not case.noise_std:
                raise SearchError(
                    f"case {case.name}: radii in multiples of the noise",
                    expected="a noise level that is known and above 0",
                    came="none" if case.noise_std is None else "0",
                    remedy='use the unit "relative"',
                )
            options["noise_std"] = case.noise_std
        if self.region is not None:
            options["region"] = self.region.of(case.operator)
        return options

    def _noise(self, method: Method, case: Case, truth: Tensor | None, radius: float, seed: int, options: SetOptions) -> Tensor:
        return gaussian_baseline(
            method.reconstruct,
            case.operator,
            case.measurement,
            radius=radius,
            truth=truth,
            draws=self.noise_draws,
            # Another stream than the random starts; the same for all methods and radii.
            generator=torch.Generator().manual_seed((seed + 0x9E3779B9) % 2**63),
            **options,
        )[:, 0]

    def _row(self, method: Method, case: Case, radius: float, found: WorstCase, noise: Tensor, witness: str) -> WorstCaseRow:
        return WorstCaseRow(
            case=case.name,
            method=method.name,
            domain=self.domain,
            objective=self.objective,
            radius=radius,
            radius_absolute=float(found.radius),
            unit=self.unit,
            norm=self.norm,
            region=None if self.region is None else self.region.words,
            nonnegative=self.nonnegative,
            relative_change=float(found.relative_change),
            relative_error=None if found.relative_error is None else float(found.relative_error),
            clean_error=None if found.clean_error is None else float(found.clean_error),
            gain=float(found.gain),
            local_damage=_infinite(float(metrics.local_damage(found.clean, found.perturbed))),
            # Not torch.quantile, which makes NaN between two infinities.
            noise_change_median=statistics.median(noise.tolist()),
            noise_change_max=float(noise.max()),
            noise_draws=len(noise),
            violation=float(found.violation),
            evaluations=found.evaluations,
            history=self._history(found),
            status=found.status[0],
            spread=found.spread[0] if math.isfinite(found.spread[0]) else None,
            witness=witness,
            gradient=found.gradient_names[0],
            queries=found.queries[0] if found.queries else 0,
            differentiation=found.ways[0] if found.ways else None,
        )

    def _history(self, found: WorstCase) -> list[tuple[int, float]]:
        """The record of the search; of an objective that is no distance in its own unit."""
        rows = found.history[0]
        if self.objective in ("clean", "truth"):
            return rows
        size = float(torch.linalg.vector_norm(found.clean))
        return [(count, value * size) for count, value in rows]


def monotone(rows: list[WorstCaseRow]) -> bool:
    """Whether what was found never falls with the radius, as the true worst case of the clean objective never does.

    Examples
    --------
    >>> monotone([])
    True
    """
    ordered = sorted(rows, key=lambda row: row.radius)
    return all(a.relative_change <= b.relative_change * (1 + 1e-6) for a, b in pairwise(ordered))


def replay(witness: NDArray[np.generic], method: Method, case: Case, *, domain: str = "measurement") -> Mapping[str, float]:
    """What a stored witness does, computed anew: for readers of a report who hold the method and the measurement.

    Parameters
    ----------
    witness
        As in `Outcome.witnesses`, without the batch axis.
    method, case
        Of the row that points to it.
    domain
        Of that row.

    Returns
    -------
    dict
        ``norm`` of the witness in its domain, ``gain`` and ``relative_change`` as in `WorstCaseRow`; infinite where the
        perturbed image is not finite.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> case = Case("a", "a", "other", Identity((8, 8)), torch.ones(1, 1, 8, 8))
    >>> replay(np.full((1, 8, 8), 0.5, dtype=np.float32), Method("twice", "baseline", lambda y, A: 2 * y), case)["gain"]
    2.0
    """
    variable = torch.from_numpy(witness)[None]
    e = case.operator.forward(variable) if domain == "image" else variable
    clean = method(case.measurement, case.operator)
    with torch.no_grad():
        # Not through the method's own check: an image that is not finite may be what the witness shows.
        perturbed = method.reconstruct(case.measurement + e, case.operator)
    change = _infinite(float(torch.linalg.vector_norm(perturbed - clean)))
    return {
        "norm": float(torch.linalg.vector_norm(variable)),
        "gain": change / float(torch.linalg.vector_norm(e)),
        "relative_change": change / float(torch.linalg.vector_norm(clean)),
    }


def _infinite(value: float) -> float:
    """A figure of an image that is not finite: infinite damage."""
    return math.inf if math.isnan(value) else value


def _pictures(method: Method, case: Case, radius: float, size: str, found: WorstCase) -> list[Picture]:
    name, label = method.name, f"r{radius:g}"
    broken = ~torch.isfinite(found.perturbed)
    words = (
        f"; {int(broken.sum())} of {broken.numel()} pixels are not finite, drawn at full scale" if bool(broken.any()) else ""
    )
    # Drawn as nothing, a pixel that is not finite would look like no damage.
    perturbed = torch.where(broken, torch.full_like(found.perturbed, display_window(case)[1]), found.perturbed)
    change = torch.where(broken, torch.full_like(found.perturbed, error_limit(case)), found.perturbed - found.clean)
    draw = partial(picture, case=case, section="worst_case", method=name, label=label, radius=radius)
    image = found.image_perturbation
    shown = case.operator.pseudo_inverse(found.perturbation) if image is None else image
    what = "The perturbation" if image is not None else "Direct reconstruction of the perturbation"
    return [
        draw(perturbed, role="perturbed", kind="anatomy", caption=f"{name}, perturbed by {size}{words}"),
        draw(change, role="difference", kind="error", caption=f"{name}: magnitude of the change{words}"),
        perturbation_picture(shown, case, method=name, label=label, radius=radius, caption=f"{what}, {size}"),
    ]
