"""What a network must show before its stability is measured.

An audit of something else than the network (its dropout, its detached gradient, a batch that mixes patients, an operator
whose adjoint is not one) gives numbers that look like results. Each gate names one such thing, the number that shows it,
its limit, the likely cause and the remedy. `check_network` measures; `require` ends the run where nothing that follows would
have a meaning.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stabtest.errors import NetworkError, StabtestError
from stabtest.findings.records import Gate
from stabtest.networks.advice import ADVICE
from stabtest.networks.gradient import LIMITS, check_gradient
from stabtest.networks.magnitude import comparable, returns_magnitude
from stabtest.networks.protocol import Reconstructor
from stabtest.operators import LinearOperator, dot_test
from stabtest.tensors import norm, scale

WANTED = {
    "runs": "a network that runs on the measurement",
    "shape": "images of the shape of the scan",
    "finite": "finite numbers",
    "kind": "complex or real images, as declared",
}
"""What the gates ask without which there is nothing to measure."""

FATAL = tuple(WANTED)
"""Gates without which there is nothing to measure."""

REPEAT = 1e-5
"""Largest relative difference of two runs on the same input (float32; atomics on a GPU stay below)."""

BATCH = 1e-4
"""Largest relative difference of an image alone and in a batch (float32)."""

REACTS = 0.1
"""Least change of the output, relative to that of the pseudo-inverse, when the input is another image."""

ADJOINT = {torch.float64: 1e-10, torch.float32: 1e-5}
"""Largest normalised error of the adjoint."""


def check_network(
    reconstructor: Reconstructor,
    operator: LinearOperator,
    measurement: Tensor,
    truth: Tensor | None = None,
    *,
    subject: str = "network",
    generator: torch.Generator,
) -> list[Gate]:
    """Run all gates on one measurement.

    Parameters
    ----------
    reconstructor
        The method, usually a `WrappedNetwork`.
    operator
        The forward model.
    measurement
        ``(B, *operator.range.shape)`` in the method's precision; ``B = 1`` will do.
    truth
        Images ``(B, 1, H, W)``; without it there is no gate of accuracy.
    subject
        Name in the rows.
    generator
        Draws directions and pairs.

    Returns
    -------
    list of Gate
        ``adjoint`` of the operator; ``runs``, ``shape``, ``finite``, ``kind`` (real or complex, as declared); and, if those
        hold, ``determinism``, ``batch``, ``gradient`` (is there one), ``differences`` (is it right: see
        `stabtest.networks.gradient`), ``reacts`` (to another image), ``accuracy`` (not worse than the pseudo-inverse).
        ``detail`` says what was done or, where a gate failed, cause and remedy.

    Raises
    ------
    OperatorError
        If the measurement does not fit the operator.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> A, y = Identity((8, 8)), torch.rand(1, 1, 8, 8)
    >>> gates = check_network(lambda y, A: 0.9 * y, A, y, generator=torch.Generator().manual_seed(0))
    >>> all(gate.passed for gate in gates)
    True
    """
    operator.range.check(measurement, "measurement")
    gates = [_adjoint(operator, generator)]
    output, first = _first_run(reconstructor, operator, measurement, subject)
    gates += first
    if output is None or not all(gate.passed for gate in first):
        return gates
    another = _another(operator, measurement)
    gates += [
        _determinism(reconstructor, operator, measurement, output, subject),
        _batch(reconstructor, operator, measurement[:1], another[:1], subject),
        *_gradient(reconstructor, operator, measurement, generator, subject),
        _reacts(reconstructor, operator, measurement, another, output, subject),
    ]
    if truth is not None:
        gates.append(_accuracy(operator, measurement, truth, output, subject))
    return gates


def require(gates: Sequence[Gate]) -> None:
    """Raise where nothing that follows would have a meaning.

    Raises
    ------
    NetworkError
        If a gate in `FATAL` failed, with its detail.
    """
    for gate in gates:
        if gate.name in FATAL and not gate.passed:
            raise _broken(gate)


def _broken(gate: Gate) -> NetworkError:
    """A gate that failed as an error: what an adapter says goes through as it is, else cause and remedy are told apart."""
    if "; came " in gate.detail:
        text = f"{gate.subject}: {gate.detail}"
        return NetworkError(text if "Remedy: " in text else f"{text} Remedy: {ADVICE['shape'].rstrip('.')}.")
    advice = ADVICE[gate.name]
    return NetworkError(
        gate.subject, expected=WANTED[gate.name], came=gate.detail.removesuffix(advice).rstrip(" ."), remedy=advice
    )


def _first_run(
    reconstructor: Reconstructor, operator: LinearOperator, y: Tensor, subject: str
) -> tuple[Tensor | None, list[Gate]]:
    """Whether it runs, and what comes out."""
    expected = (y.shape[0], *operator.domain.shape)
    try:
        with torch.no_grad():
            output = reconstructor(y, operator)
    except StabtestError as error:  # the adapters name the shape and the remedy
        return None, [_row("shape", subject, False, detail=str(error))]
    except Exception as error:
        text = f"the network fails on a measurement {tuple(y.shape)} ({y.dtype}): {type(error).__name__}: {error}."
        return None, [_row("runs", subject, False, detail=f"{text} {ADVICE['runs']}")]
    gates = [_row("runs", subject, True, detail=f"on a measurement {tuple(y.shape)} ({y.dtype})")]
    fits = tuple(output.shape) == expected
    text = f"images {expected}" if fits else f"the output is {tuple(output.shape)}, expected {expected}"
    broken = int((~torch.isfinite(output)).sum())
    gates += [
        _row("shape", subject, fits, detail=text),
        _judged("finite", subject, broken, 0, f"{broken} of {output.numel()} values are NaN or infinite."),
    ]
    return output, [*gates, _kind(reconstructor, operator, output, subject)]


def _kind(reconstructor: Reconstructor, operator: LinearOperator, output: Tensor, subject: str) -> Gate:
    """Real or complex, as declared."""
    kinds = ("real", "complex")
    magnitude = returns_magnitude(reconstructor)
    expected = operator.domain.is_complex and not magnitude
    text = f"{kinds[output.is_complex()]} images" + (", declared as magnitudes" if magnitude else "")
    if output.is_complex() == expected:
        return _row("kind", subject, True, detail=text)
    return _row("kind", subject, False, detail=f"{text}, expected {kinds[expected]} ones. {ADVICE['kind']}")


def _determinism(reconstructor: Reconstructor, operator: LinearOperator, y: Tensor, output: Tensor, subject: str) -> Gate:
    with torch.no_grad():
        difference = _relative(reconstructor(y, operator) - output, output)
    return _judged("determinism", subject, difference, REPEAT, "Two runs on the same input.")


def _batch(reconstructor: Reconstructor, operator: LinearOperator, y: Tensor, another: Tensor, subject: str) -> Gate:
    another = 3 * another  # brighter too, so that a maximum over the batch shows
    pair = torch.cat([y, another])
    try:
        with torch.no_grad():
            alone = torch.cat([reconstructor(y, operator), reconstructor(another, operator)])
            difference = _relative(reconstructor(pair, operator) - alone, alone)
    except Exception as error:  # a network of fixed shape, say
        text = f"the network fails on a batch of two: {type(error).__name__}: {error}. Let it take any number of images."
        return _row("batch", subject, False, detail=text)
    return _judged("batch", subject, difference, BATCH, "An image alone and in a batch of two.")


def _gradient(
    reconstructor: Reconstructor, operator: LinearOperator, y: Tensor, generator: torch.Generator, subject: str
) -> list[Gate]:
    """Whether there is a gradient, and whether it is the derivative."""
    try:
        check = check_gradient(reconstructor, operator, y, generator=generator)
    except Exception as error:
        text = f"the network fails under differentiation: {type(error).__name__}: {error}. {ADVICE['gradient']}"
        return [_row("gradient", subject, False, detail=text)]
    text = f"No usable gradient: {check.problem}. {ADVICE['gradient']}" if check.problem else "There is one."
    gates = [_row("gradient", subject, not check.problem, check.sensitivity, 0.0, text)]
    if check.error is not None:
        measured = f"Autograd against central differences in {str(check.precision).removeprefix('torch.')}."
        gates.append(_judged("differences", subject, check.error, LIMITS[check.precision], measured))
    return gates


def _reacts(
    reconstructor: Reconstructor, operator: LinearOperator, y: Tensor, another: Tensor, output: Tensor, subject: str
) -> Gate:
    with torch.no_grad():
        change = _relative(reconstructor(another, operator) - output, output)
        direct = operator.pseudo_inverse(y)
        direct_change = _relative(operator.pseudo_inverse(another) - direct, direct)
    if direct_change == 0:
        text = "Not checked: the image is constant, and moving it makes no other one."
        return _row("reacts", subject, True, None, REACTS, text)
    ratio = change / direct_change
    measured = "Change of the output over that of the pseudo-inverse, on another image."
    return _row("reacts", subject, ratio >= REACTS, ratio, REACTS, measured if ratio >= REACTS else ADVICE["reacts"])


def _accuracy(operator: LinearOperator, y: Tensor, truth: Tensor, output: Tensor, subject: str) -> Gate:
    operator.domain.check(truth, "truth")
    with torch.no_grad():
        direct = operator.pseudo_inverse(y)
    error = _nrmse(output, truth)
    other = _nrmse(direct if output.is_complex() == direct.is_complex() else direct.abs(), truth)
    ratio = error / other if other > 0 else (0.0 if error == 0 else float("inf"))
    return _judged("accuracy", subject, ratio, 1.0, f"NRMSE {error:.3g}, of the pseudo-inverse {other:.3g}.")


def _adjoint(operator: LinearOperator, generator: torch.Generator) -> Gate:
    subject = str(operator.describe().get("kind", type(operator).__name__))
    precision = operator.precision
    try:
        error = dot_test(operator, generator=generator, dtype=precision)
    except Exception:  # an operator of the user's may know float32 alone
        precision = torch.float32
        error = dot_test(operator, generator=generator, dtype=precision)
    measured = f"<A x, y> against <x, A* y> in {str(precision).removeprefix('torch.')}."
    return _judged("adjoint", subject, error, ADJOINT[precision], measured)


def _another(operator: LinearOperator, y: Tensor) -> Tensor:
    """A measurement of another image with the same statistics: the pseudo-inverse, moved by a quarter."""
    with torch.no_grad():
        image = operator.pseudo_inverse(y)
        moved = torch.roll(image, (image.shape[-2] // 4, image.shape[-1] // 4), (-2, -1))
        other = operator.restrict(operator.forward(moved))
        size = norm(other)
        return scale(other, torch.where(size > 0, norm(y) / torch.where(size > 0, size, 1.0), 1.0))


def _relative(difference: Tensor, reference: Tensor) -> float:
    """Largest ``||difference|| / ||reference||`` over the batch; 0/0 counts as 0."""
    change, size = norm(difference), norm(reference)
    return float(torch.where(change > 0, change / size, change).max())


def _nrmse(image: Tensor, truth: Tensor) -> float:
    expected = comparable(truth, image)
    return float((norm(image - expected) / norm(expected)).mean())


def _judged(name: str, subject: str, value: float, limit: float, measured: str) -> Gate:
    """A gate that holds where ``value <= limit`` (NaN does not)."""
    passed = value <= limit
    return _row(name, subject, passed, value, limit, measured if passed else f"{measured} {ADVICE[name]}")


def _row(
    name: str, subject: str, passed: bool, value: float | None = None, limit: float | None = None, detail: str = ""
) -> Gate:
    return Gate(name=name, subject=subject, passed=passed, value=value, limit=limit, detail=detail)
