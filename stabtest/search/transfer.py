r"""Transfer: what the worst case of one reconstruction method does to the others.

For methods ``f_1, ..., f_n`` on the same measurements let ``e_i`` be the worst perturbation found for ``f_i``. The matrix

    T_ij = ||f_j(y + e_i) - f_j(y)|| / ||f_j(y)||       (found for i, applied to j)

says whether an instability is a network's own or one of the problem: perturbations that a scanner cannot tell apart hurt every
method that does not regularise them away, and then columns are nearly constant; what was learnt by one network alone damages
the others no more than noise of its norm does, which stands beside it. (C. Szegedy et al., *Intriguing properties of neural
networks*, ICLR 2014.)

The share ``T_ij / T_jj`` is at most 1 for a search that has found the worst case. **A share above 1 is evidence against the
search for j**, not for the network i: a feasible perturbation was found elsewhere that does more damage. With ``feedback``, the
best transferred witness starts one more search for ``j``; where it was ahead by more than the tolerance of
`stabtest.search.leader`, ``j`` is said to be "still rising", whatever its own search said of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.admissible import admissible_set
from stabtest.search.gaussian import gaussian_baseline
from stabtest.search.leader import TOLERANCE, Status, damage
from stabtest.search.memory import Memory
from stabtest.search.problem import Reconstructor, reconstruct_within
from stabtest.search.result import WorstCase, better_of
from stabtest.search.running import SearchOptions, divided
from stabtest.search.worst_case import EVALUATIONS, worst_case

if TYPE_CHECKING:
    import pandas as pd

View = Literal["relative change", "share", "over noise"]
TransferProgress = Callable[[str, int, int], None]
"""Called as ``progress(name, evaluations done, evaluations planned)`` within the search for a method."""


@dataclass(frozen=True, eq=False)
class TransferMatrix:
    """What the worst case found for each method does to every method, per image.

    Attributes
    ----------
    names
        The ``n`` methods.
    relative_change
        ``T``, found for (axis 0), applied to (axis 1), image (axis 2): ``(n, n, B)``; infinite where an image is not finite.
    noise
        Relative change of each method under Gaussian noise of the same norm, ``(draws, n, B)``.
    witnesses
        The worst case found for each.
    improved
        Where feeding a transferred witness back found more than the method's own search by more than the tolerance: that search
        had not converged. ``(n, B)``; all False without feedback.
    """

    names: tuple[str, ...]
    relative_change: Tensor
    noise: Tensor
    witnesses: Mapping[str, WorstCase]
    improved: Tensor

    @property
    def own(self) -> Tensor:
        """What each method's own witness does to it, ``(n, B)``."""
        return self.relative_change.diagonal().T

    @property
    def share(self) -> Tensor:
        """``T_ij / T_jj``, ``(n, n, B)``; 1 where both are infinite or zero."""
        return _ratio(self.relative_change, self.own.expand_as(self.relative_change))

    @property
    def over_noise(self) -> Tensor:
        """``T_ij`` over the median change of ``j`` under noise of the same norm, ``(n, n, B)``."""
        return _ratio(self.relative_change, self.noise.median(0).values.expand_as(self.relative_change))

    @property
    def beaten(self) -> Tensor:
        """Where some other method's witness does more to a method than its own by more than the tolerance, ``(n, B)``."""
        return (self.share > 1 + TOLERANCE).any(0)

    @property
    def status(self) -> dict[str, list[Status]]:
        """The word on each method's search, per image: still rising where it was beaten, else its own."""
        beaten = self.beaten.tolist()
        return {
            name: ["still rising" if lost else word for lost, word in zip(row, self.witnesses[name].status, strict=True)]
            for name, row in zip(self.names, beaten, strict=True)
        }

    @property
    def not_converged(self) -> tuple[str, ...]:
        """The methods whose own search is known to have missed more: improved by feedback, or beaten by another's witness."""
        missed = (self.improved | self.beaten).any(1).tolist()
        return tuple(name for name, lost in zip(self.names, missed, strict=True) if lost)

    def frame(self, view: View = "relative change") -> pd.DataFrame:
        """The matrix as a table, the median over images: rows are found for, columns applied to.

        Parameters
        ----------
        view
            ``"relative change"``, ``"share"`` of the method's own worst case, or ``"over noise"`` of the same norm.

        Raises
        ------
        SearchError
            If the view is another.
        """
        import pandas as pd  # not at the top: searching needs no tables

        views: dict[str, Tensor] = {"relative change": self.relative_change, "share": self.share, "over noise": self.over_noise}
        if view not in views:
            raise SearchError("view", expected=f"one of {', '.join(views)}", came=repr(view))
        # The lower median: a mean would make NaN between two infinities.
        table = views[view].median(-1).values.cpu().numpy()
        index = pd.Index(self.names, name="found for")
        return pd.DataFrame(table, index=index, columns=pd.Index(self.names, name="applied to"))

    def rows(self) -> pd.DataFrame:
        """Everything, one row for each pair of methods and image."""
        import pandas as pd

        share, over, own = self.share, self.over_noise, self.own
        noise = self.noise.median(0).values
        records: list[dict[str, Any]] = [
            {
                "found for": source,
                "applied to": target,
                "image": image,
                "relative change": float(self.relative_change[i, j, image]),
                "own worst case": float(own[j, image]),
                "share": float(share[i, j, image]),
                "noise": float(noise[j, image]),
                "over noise": float(over[i, j, image]),
            }
            for i, source in enumerate(self.names)
            for j, target in enumerate(self.names)
            for image in range(self.relative_change.shape[-1])
        ]
        return pd.DataFrame.from_records(records)


def transfer_matrix(
    reconstructors: Mapping[str, Reconstructor],
    operator: LinearOperator,
    measurement: Tensor,
    *,
    radius: float | Tensor,
    truth: Tensor | None = None,
    evaluations: int = EVALUATIONS,
    restarts: int | None = None,
    feedback: bool = False,
    draws: int = 8,
    seed: int = 0,
    progress: TransferProgress | None = None,
    **options: Unpack[SearchOptions],
) -> TransferMatrix:
    """The worst case of every method, applied to every method.

    All methods are searched with the same budget and the same random starts; the objective is the distance to the clean image.

    Parameters
    ----------
    reconstructors
        Name to ``f``, at least one.
    operator, measurement, radius, truth, evaluations, restarts, **options
        As in `stabtest.search.worst_case`. The radius may not depend on the method, and does not. In whatever precision was searched,
        witnesses and noise are applied in float32.
    feedback
        Start one more search for each method from the best witness of the others, with an eighth of the budget.
    draws
        Realisations of Gaussian noise, the same for all methods.
    seed
        Of the random starts and of the noise.
    progress
        Told of every search.

    Raises
    ------
    SearchError
        If there is no method, and as in `stabtest.search.worst_case`.
    NetworkError
        If a clean reconstruction is not finite.

    Examples
    --------
    The worst case of one method is a harmless direction of the other:

    >>> from stabtest.operators import Identity
    >>> gains = {"left": torch.tensor([3.0, 1.0]), "right": torch.tensor([1.0, 3.0])}
    >>> methods = {name: (lambda y, A, g=g: g * y) for name, g in gains.items()}
    >>> transfer_matrix(methods, Identity((1, 2)), torch.ones(1, 1, 1, 2), radius=0.1).frame("share").round(2).loc["left"]
    applied to
    left     1.00
    right    0.33
    Name: left, dtype: float32
    """
    if not reconstructors:
        raise SearchError("transfer: reconstructors", expected="at least one", came="none")
    y = operator.range.check(measurement, "measurement").detach()
    about, run = divided(options)
    admissible_set(operator, y, radius=radius, truth=truth, **about)  # refuses what does not fit before the first search

    def find(name: str, *, evaluations: int, restarts: int | None, start: Tensor | None = None) -> WorstCase:
        return worst_case(
            reconstructors[name],
            operator,
            y,
            radius=radius,
            truth=truth,
            evaluations=evaluations,
            restarts=restarts,
            start=start,
            # Its own generator: neither the order of the methods nor what the others do changes a search.
            generator=torch.Generator().manual_seed(seed),
            progress=None if progress is None else partial(progress, name),
            **options,
        )

    names = tuple(reconstructors)
    found = {name: find(name, evaluations=evaluations, restarts=restarts) for name in names}
    memory = Memory(run.get("chunk"))
    changes = _apply(reconstructors, operator, y, found, memory)
    improved = torch.zeros(changes.shape[1:], dtype=torch.bool, device=changes.device)
    if feedback and len(names) > 1:
        for j, name in enumerate(names):
            others = changes[:, j].clone()
            others[j] = -torch.inf
            start = _pick([found[source].variable for source in names], others.argmax(0))
            again = find(name, evaluations=max(1, evaluations // 8), restarts=0, start=start)
            before = found[name].relative_change
            improved[j] = again.relative_change > before * (1 + TOLERANCE)
            found[name] = better_of(found[name], again)
        changes = _apply(reconstructors, operator, y, found, memory)
    noise = [
        gaussian_baseline(f, operator, y, draws=draws, truth=truth, generator=_apart(seed), radius=radius, **options)
        for f in reconstructors.values()
    ]
    return TransferMatrix(names, changes, torch.stack(noise, 1), found, improved)


def _apply(
    reconstructors: Mapping[str, Reconstructor],
    operator: LinearOperator,
    y: Tensor,
    found: Mapping[str, WorstCase],
    memory: Memory,
) -> Tensor:
    """Every witness through every method, forward only: ``(n, n, B)``. The diagonal is what its own search reported."""
    columns: list[Tensor] = []
    with torch.no_grad():
        for target, f in reconstructors.items():
            clean = found[target].clean
            size = tensors.norm(clean).clamp_min(torch.finfo(tensors.real_dtype(clean.dtype)).tiny)
            columns.append(
                torch.stack(
                    [
                        worst.relative_change
                        if source == target
                        else damage(tensors.norm(reconstruct_within(memory, f, operator, y + worst.perturbation) - clean))
                        / size
                        for source, worst in found.items()
                    ]
                )
            )
    return torch.stack(columns, 1)


def _pick(variables: list[Tensor], which: Tensor) -> Tensor:
    """For each image the variable of the method with its number, ``(B, ...)``."""
    return torch.stack(variables)[which, torch.arange(len(which), device=which.device)]


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """``a / b``, 1 where both are infinite or both zero."""
    return torch.where(a == b, torch.ones_like(a), a / b)


def _apart(seed: int) -> torch.Generator:
    """Another stream than that of the random starts; the same for all methods."""
    return torch.Generator().manual_seed((seed + 0x9E3779B9) % 2**63)
