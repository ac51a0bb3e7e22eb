"""The whole reconstructor: measurement -> direct image -> scaling -> network -> image.

The constants multiply: ``||P||`` of the direct reconstruction, 1 for the layout of complex numbers in channels (an
isometry), the network's own, and what the scaling does to it (`stabtest.bounds.scaling`). ``||P||`` is 1 for zero-filling
and for the identity (unitary transform times projection); for every other operator it comes from Lanczos iteration with a
probabilistic certificate (`stabtest.bounds.lanczos`).

To compare modalities the bracket also states the *relative* condition number ``upper ||y|| / ||f(y)||``: by how much a
relative change of the measurement can at most be multiplied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from stabtest.bounds.call import Status
from stabtest.bounds.lanczos import linear_map_norm
from stabtest.bounds.lipschitz import LipschitzBound, check_bracket
from stabtest.bounds.scaling import euclidean, maximum_at, maximum_everywhere, standardised
from stabtest.errors import BoundsError
from stabtest.findings.records import Bracket
from stabtest.operators import Fourier, Identity
from stabtest.operators.base import LinearOperator


class Reconstructs(Protocol):
    """Any ``(y, operator) -> image``; a wrapped network also has ``module``, ``takes``, ``channels`` and ``scale``."""

    def __call__(self, y: Tensor, operator: LinearOperator, /) -> Tensor:
        """Reconstruct."""
        ...


@dataclass(frozen=True)
class Factor:
    """Norm of one linear step.

    Parameters
    ----------
    value
        Upper bound.
    source
        How it was had.
    failure
        Probability that it is not a bound.
    """

    value: float
    source: str
    failure: float = 0.0


def pseudo_inverse_norm(operator: LinearOperator, *, generator: torch.Generator, steps: int = 60) -> Factor:
    """Norm of ``operator.pseudo_inverse``, from measurement to image.

    Parameters
    ----------
    operator
        The forward model.
    generator
        Draws the start of the Lanczos iteration.
    steps
        Its length.

    Examples
    --------
    >>> A = Fourier(torch.ones(4, 4, dtype=torch.bool))
    >>> pseudo_inverse_norm(A, generator=torch.Generator().manual_seed(0)).value
    1.0
    """
    if type(operator) in (Fourier, Identity):
        return Factor(1.0, "zero-filling: unitary transform and projection" if type(operator) is Fourier else "identity")
    estimate = linear_map_norm(
        operator.pseudo_inverse,
        (1, *operator.range.shape),
        is_complex=operator.range.is_complex,
        generator=generator,
        steps=steps,
    )
    return Factor(estimate.upper, f"Lanczos, {estimate.steps} steps", estimate.failure)


def end_to_end(
    reconstructor: Reconstructs,
    operator: LinearOperator,
    y: Tensor,
    network_bound: LipschitzBound,
    *,
    lower: float | None = None,
    lower_source: str = "none computed",
    case: str | None = None,
    direct: Factor | None = None,
    generator: torch.Generator | None = None,
) -> Bracket:
    """Bracket of the gain ``||f(y + e) - f(y)|| / ||e||`` of a whole reconstructor, measurement to image.

    Parameters
    ----------
    reconstructor
        A wrapped network; for any other callable the upper bound is unknown.
    operator
        The forward model.
    y
        Measurement ``(B, *operator.range.shape)``; the first of the batch is used.
    network_bound
        From `stabtest.bounds.lipschitz` of the wrapped module, at the input that it takes.
    lower, lower_source
        A gain that was reached (norm of the Jacobian, worst case found), and where it is from.
    case
        Name of the image.
    direct
        Norm of the pseudo-inverse, if it is known already (`pseudo_inverse_norm`; it is the same for all cases of one
        operator).
    generator
        Draws the start of the Lanczos iteration; seed 0 if not given.

    Returns
    -------
    Bracket
        ``upper`` is ``None`` where it is unknown; the assumptions say what it rests on, whether it holds for all pairs of
        measurements or from this one to any other, and the relative condition number.

    Raises
    ------
    BoundsError
        If ``lower`` exceeds the upper bound, or ``y`` has no batch axis.

    Examples
    --------
    >>> from stabtest import networks
    >>> from stabtest.bounds.lipschitz import lipschitz
    >>> A = Fourier(torch.ones(4, 4, dtype=torch.bool))
    >>> f = networks.wrap(torch.nn.ReLU(), channels="real-imag")
    >>> bracket = end_to_end(f, A, A.range.randn(generator=torch.Generator().manual_seed(0)), lipschitz(f.module, torch.zeros(1, 2, 4, 4)))
    >>> bracket.upper, bracket.upper_status
    (1.0, 'certified')
    """
    if y.ndim != len(operator.range.shape) + 1:
        raise BoundsError("measurement", expected=f"(B, {', '.join(map(str, operator.range.shape))})", came=str(tuple(y.shape)))
    y = y[:1]
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    upper, status, source, assumptions = _upper(reconstructor, operator, y, network_bound, direct, generator)
    if upper is not None and math.isfinite(upper):
        with torch.no_grad():
            size = euclidean(reconstructor(y, operator))
        if size > 0:
            assumptions.append(
                f"relative condition number at this measurement, upper ||y|| / ||f(y)||: {upper * euclidean(y) / size:.4g}"
            )
    if lower is not None:
        check_bracket(lower, upper, lower_source)
    return Bracket(
        name="measurement to image",
        case=case,
        lower=0.0 if lower is None else lower,
        lower_source=lower_source,
        upper=upper,
        upper_status=status,
        upper_source=source,
        assumptions=assumptions,
    )


def _upper(
    reconstructor: Reconstructs,
    operator: LinearOperator,
    y: Tensor,
    bound: LipschitzBound,
    direct: Factor | None,
    generator: torch.Generator,
) -> tuple[float | None, Status, str, list[str]]:
    """Bound, its status, its source and what it rests on."""
    takes = getattr(reconstructor, "takes", None)
    scale = getattr(reconstructor, "scale", None)
    assumptions = list(bound.assumptions)
    if takes not in ("pseudo_inverse", "measurements", "measurements+operator") or scale not in ("none", "max", "standardise"):
        reason = (
            "no bound is derived for this kind of reconstructor"
            if takes is None
            else f"no bound is derived for takes = {takes!r}"
        )
        return None, "unknown", reason, [*assumptions, reason]
    if bound.upper is None or math.isinf(bound.upper):
        return bound.upper, bound.status, "the network's own bound", assumptions
    _check_shape(reconstructor, operator, y, bound)
    failure = bound.failure
    image = Factor(1.0, "the measurement itself")
    start: Factor | None = None
    if takes == "pseudo_inverse" or scale == "max":
        start = direct if direct is not None else pseudo_inverse_norm(operator, generator=generator)
        failure += start.failure
        assumptions.append(f"norm of the direct reconstruction at most {start.value:.6g} ({start.source})")
        if start.failure:
            assumptions.append(f"that norm holds with probability at least 1 - {start.failure:.1e}")
        if takes == "pseudo_inverse":
            image = start
    status: Status = "probabilistic" if failure else "certified"
    if scale == "none":
        return bound.upper * image.value, status, "product of direct reconstruction and network", assumptions
    pixels = math.prod(operator.domain.shape)
    if scale == "standardise":
        if getattr(reconstructor, "channels", "native") == "real-imag" or operator.domain.shape[0] != 1:
            reason = "standardisation of several channels, each with its own deviation, is unbounded in their ratio"
            return None, "unknown", reason, [*assumptions, reason]
        if bound.output_at_zero is None:
            return None, "unknown", "||N(0)|| is not known", assumptions
        assumptions.append("for images that are not constant (there the scale is replaced by 1)")
        value = standardised(bound.upper, image_norm=image.value, pixels=pixels, output_at_zero=bound.output_at_zero)
        return value, status, "b sqrt(1 + (2 L + ||N(0)|| / sqrt(n - 1))^2), standardisation included", assumptions
    assert start is not None
    return _by_maximum(reconstructor, operator, y, bound, image, start, assumptions)


def _check_shape(reconstructor: Reconstructs, operator: LinearOperator, y: Tensor, bound: LipschitzBound) -> None:
    """The network's bound must be for the input that the network gets here."""
    attributes = cast(Any, reconstructor)
    shape = tuple(operator.domain.shape) if attributes.takes == "pseudo_inverse" else tuple(y.shape[1:])
    real_imag = attributes.channels == "real-imag" or (
        attributes.channels == "magnitude" and attributes.takes == "measurements"
    )
    expected = (1, 2 * shape[0], *shape[1:]) if real_imag else (1, *shape)
    if bound.input_shape and bound.input_shape != expected:
        raise BoundsError(
            "network_bound",
            expected=f"a bound for inputs of shape {expected}",
            came=str(bound.input_shape),
            remedy="give lipschitz() an example of the network's own input",
        )


def _by_maximum(
    reconstructor: Reconstructs,
    operator: LinearOperator,
    y: Tensor,
    bound: LipschitzBound,
    image: Factor,
    start: Factor,
    assumptions: list[str],
) -> tuple[float | None, Status, str, list[str]]:
    """``scale = "max"``: from this measurement to any other."""
    network = cast(float, bound.upper)
    with torch.no_grad():
        direct_image = operator.pseudo_inverse(y)
        size = float(direct_image.abs().max())
        if not size > 0:
            reason = "the direct image is zero, where the scale jumps"
            return None, "unknown", reason, [*assumptions, reason]
        takes_image = cast(Any, reconstructor).takes == "pseudo_inverse"
        scaled_input = euclidean(direct_image if takes_image else y) / size
        # g = c N(u) and the layout is an isometry: ||N(u)|| = ||g(y)|| / c
        scaled_output = euclidean(reconstructor(y, operator)) / size
    value = maximum_at(
        network, image_norm=image.value, scale_norm=start.value, scaled_input=scaled_input, scaled_output=scaled_output
    )
    assumptions = [
        *assumptions,
        "from this measurement to any other whose direct image is not zero, however far (division by the maximum included)",
    ]
    if takes_image and bound.output_at_zero is not None:
        pixels = math.prod(operator.domain.shape)
        everywhere = maximum_everywhere(network, image_norm=start.value, pixels=pixels, output_at_zero=bound.output_at_zero)
        assumptions.append(f"between any two measurements: at most {everywhere:.6g}")
        value = min(value, everywhere)
    return value, "on a ball", "L (b + p ||u||) + p ||N(u)||, at this measurement", assumptions
