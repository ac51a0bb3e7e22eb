"""How much can the method amplify at all? The Lipschitz constant, between a gain that is reached and a bound that cannot be passed.

For the network alone and for the whole way from measurement to image, ``L = sup ||f(y) - f(y')|| / ||y - y'||`` is put into
a bracket:

- **below**, the norm of the Jacobian at the case's measurement by Lanczos steps (`stabtest.search.jacobian_norm`), or the
  largest gain that a worst-case search found, if it is given: gains that are reached, so lower bounds whatever the iteration
  did;
- **above**, the layer-by-layer bound of `stabtest.bounds`, with what it rests on; *unknown* where an operation has no rule.

A lower end above the upper end is a contradiction, hence a defect of the tool, and raises. The upper end is often far above
the truth: it says what is excluded, not what is likely (Unser, lecture notes on Lipschitz constants of CNN modules; Szegedy
et al. 2014, section 4.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from stabtest import tensors
from stabtest.errors import ConfigError
from stabtest.findings.records import BoundRow, Bracket, LayerRow, NormalisedRow
from stabtest.search import jacobian_norm
from stabtest.stability.cases import Case, Method, Outcome, Progress

if TYPE_CHECKING:
    from stabtest.bounds.lattice.forms import Multipliers

NORMALISATIONS = frozenset({"instance_norm", "layer_norm", "group_norm", "rms_norm"})
"""Operations whose constant everywhere is that of constant images."""

BoundProgress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LipschitzTest:
    """The layer table and the brackets.

    Parameters
    ----------
    jacobian_steps
        Lanczos steps for each lower end, at least 1.
    seconds
        Processor time for smaller upper ends than the product of the layers; with 0 there are none (`stabtest.bounds.several`).
    radii
        Where no bound holds everywhere, or the network normalises by its image's own statistics: Euclidean sizes of perturbations, relative
        to the measurement, up to which one is derived (`stabtest.bounds.local`).

    Raises
    ------
    ConfigError
        If there is no step, or the time or a radius is negative.
    """

    jacobian_steps: int = 10
    seconds: float = 0.0
    radii: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.jacobian_steps < 1:
            raise ConfigError("lipschitz: jacobian_steps", expected="at least 1", came=str(self.jacobian_steps))
        if not 0 <= self.seconds < float("inf"):
            raise ConfigError("lipschitz: seconds", expected="a number of at least 0", came=str(self.seconds))
        if not all(0 < radius < float("inf") for radius in self.radii):
            raise ConfigError("lipschitz: radii", expected="positive numbers", came=str(self.radii))

    def measure(
        self,
        method: Method,
        case: Case,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        found_gain: float | None = None,
        tell_bound: BoundProgress | None = None,
        start: Multipliers | None = None,
        keep: Callable[[Multipliers], object] | None = None,
    ) -> Outcome:
        """Layer table, bracket of the network alone, and bracket from measurement to image.

        Parameters
        ----------
        method, case
            A wrapped network (`stabtest.networks.wrap`) is bounded layer by layer; of any other callable the upper end is
            unknown and there is no table.
        seed
            Of the Lanczos iterations and of certificates that hold with a probability.
        progress
            Called after each of the three parts.
        tell_bound
            Called as ``tell_bound(what, done, planned)`` by the slowest of the upper bounds.
        start, keep
            Multipliers of an earlier run of the slowest bound, where it goes on; and what is told those of this run.
        found_gain
            Largest gain that a worst-case search found for this case, in the measurement domain; it counts if it beats the
            Jacobian.

        Returns
        -------
        Outcome
            `LayerRow` for each operation (the same for every case of one image size), one or two `Bracket`, a `BoundRow` for each upper
            bound of the network and a `NormalisedRow` for each of its costliest layers.

        Raises
        ------
        BoundsError
            If a gain that was reached exceeds an upper bound.
        SearchError
            If the reconstruction is disconnected from the measurement.
        """
        # Here, since torch.export behind it takes a while to import.
        from stabtest.bounds import lipschitz
        from stabtest.bounds.end_to_end import end_to_end
        from stabtest.bounds.several import smallest

        tell = progress if progress is not None else _silent
        steps, y = self.jacobian_steps, case.measurement
        jacobian = jacobian_norm(
            method.reconstruct, case.operator, y, steps=steps, generator=torch.Generator().manual_seed(seed)
        )
        lower = float(jacobian.sigma)
        source = f"Jacobian at this measurement, {steps} Lanczos steps, residual {float(jacobian.residual):.2g}"
        if found_gain is not None and found_gain > lower:
            lower, source = found_gain, "largest gain found by the worst-case search"
        tell(1, 3)
        module = getattr(method.reconstruct, "module", None)
        given = network_input(method, case, module) if isinstance(module, nn.Module) else None
        if not isinstance(module, nn.Module) or given is None:
            tell(3, 3)
            return Outcome((_unknown(case, lower, source),), evaluations=2 * steps)
        image, constants = given
        bound = lipschitz(
            module,
            image,
            constants=constants,
            jacobian_steps=steps,
            seconds=self.seconds,
            start=start,
            progress=tell_bound,
            generator=torch.Generator().manual_seed(seed),
        )
        tell(2, 3)
        if keep is not None and bound.multipliers is not None:
            keep(bound.multipliers)
        alone = Bracket(
            name="network alone",
            case=case.name,
            lower=bound.lower or 0.0,
            lower_source=bound.lower_source,
            upper=bound.upper,
            upper_status=bound.status,
            upper_source=smallest(bound.bounds).name if bound.bounds else "no graph of the network",
            assumptions=list(bound.assumptions),
            floor=bound.floor,
        )
        whole = end_to_end(
            method.reconstruct,
            case.operator,
            y,
            bound,
            lower=lower,
            lower_source=source,
            case=case.name,
            generator=torch.Generator().manual_seed(seed),
        )
        tell(3, 3)
        others = (
            BoundRow(name=each.name, upper=each.upper, status=each.status, note=each.note, seconds=each.seconds)
            for each in bound.bounds
        )
        costly = (NormalisedRow(layer=name, product=product) for name, product in bound.normalised)
        rows = (
            *bound.rows,
            alone,
            whole,
            *self._on_balls(method, case, bound.rows, whole, float(jacobian.sigma), seed),
            *others,
            *costly,
        )
        return Outcome(rows, evaluations=4 * steps)

    def _on_balls(
        self, method: Method, case: Case, layers: Sequence[LayerRow], whole: Bracket, slope: float, seed: int
    ) -> list[Bracket]:
        """A bracket for each radius where one says more than that which holds everywhere."""
        useful = whole.upper is not None and math.isfinite(whole.upper)
        if not self.radii or (useful and not any(row.operation in NORMALISATIONS for row in layers)):
            return []
        from stabtest.bounds.lipschitz import check_bracket
        from stabtest.bounds.local.reconstructor import reconstructor_on_ball

        y = case.measurement[:1]
        size = float(tensors.norm(case.operator.restrict(y)))
        generator = torch.Generator().manual_seed(seed)
        radii = [radius * size for radius in self.radii]
        found = reconstructor_on_ball(method.reconstruct, case.operator, y, radius=radii, generator=generator)
        source = f"Jacobian at this measurement, {self.jacobian_steps} Lanczos steps"
        for bound in found:
            check_bracket(slope, bound.upper, source)
        return [
            whole.model_copy(
                update={
                    "lower": slope,
                    "lower_source": source,
                    "upper": bound.upper,
                    "upper_status": bound.status,
                    "upper_source": bound.reason or "constants of the operations on the ball, multiplied",
                    "assumptions": [
                        f"perturbations of at most {radius:.3g} of the measurement's norm",
                        "exact arithmetic: rounding of the network's own float arithmetic is left out of account",
                    ],
                    "radius": radius,
                }
            )
            for radius, bound in zip(self.radii, found, strict=True)
            if not useful or (bound.upper is not None and bound.upper < (whole.upper or 0.0))
        ]


def network_input(method: Method, case: Case, module: nn.Module) -> tuple[Tensor, tuple[Any, ...]] | None:
    """What the module is called with when the method reconstructs the case: its first tensor, and its further arguments.

    Returns
    -------
    (Tensor, tuple) or None
        None if the module is not called, or not with a tensor first.

    Examples
    --------
    >>> from stabtest import networks
    >>> from stabtest.operators import Identity
    >>> f = networks.wrap(nn.ReLU())
    >>> case = Case("a", "a", "other", Identity((8, 8)), torch.ones(1, 1, 8, 8))
    >>> network_input(Method("relu", "under test", f), case, f.module)[0].shape
    torch.Size([1, 1, 8, 8])
    """
    seen: list[tuple[Any, ...]] = []
    hook = module.register_forward_pre_hook(lambda _, arguments: seen.append(arguments))
    try:
        method(case.measurement, case.operator)
    finally:
        hook.remove()
    if not seen or not seen[0] or not isinstance(seen[0][0], Tensor):
        return None
    return seen[0][0].detach(), seen[0][1:]


def _unknown(case: Case, lower: float, source: str) -> Bracket:
    reason = "not a network that was loaded as a module: no bound is derived"
    return Bracket(
        name="measurement to image",
        case=case.name,
        lower=lower,
        lower_source=source,
        upper=None,
        upper_status="unknown",
        upper_source=reason,
        assumptions=[],
    )


def _silent(done: int, total: int) -> None:
    pass
