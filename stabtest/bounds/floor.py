r"""The floor: the largest ``||J_D||`` over *any* activation pattern, reached by inputs or not.

With the gates ``D`` of `stabtest.bounds.linear` every difference of outputs is ``J_D dx``. A bound that knows of an activation only
the interval of its slopes and of a maximum only that it averages (products, loop transformation, absolute values, semidefinite
bounds with multipliers per channel) holds for *every* ``J_D``: none of them can go below

    max_D ||J_D|| = max over D, ||v|| = ||u|| = 1 of <u, J_D v>.

What is found here by ascent is a lower bound of that maximum, hence of all these bounds, and tells how much of the gap between
bound and found gain is the method's. It is **not** a lower bound of the Lipschitz constant of the network: the pattern need not
be one that an input reaches. The norm of the Jacobian at an image (`Floor.at_image`) is one.

``<u, J_D v>`` is linear in ``v`` and in each gate tensor, and ``J_D v`` with its adjoint gives all derivatives in one forward and
one backward pass: with ``u = J_D v / ||J_D v||`` the next ``v`` is along ``J_D^T u`` (power iteration), the next gate of an
activation is ``b`` where the derivative is positive and ``a`` where it is negative, and that of a maximum chooses the entry of the
window with the largest derivative. Gate by gate this is alternating maximisation, which never falls but pays a pass for each
layer; all gates at once, it swings between patterns. Here all move at once and the derivatives are averaged, ``A_{k+1} = A_k +
w_k (G_k / ||G_k|| - A_k)`` with ``w_k`` from 1 to 0 as in the worst-case search (relaxed power method, a Krasnoselskii-Mann
iteration: H. Bauschke, P. Combettes, *Convex analysis and monotone operator theory in Hilbert spaces*, sec. 5.2).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from stabtest.bounds.lanczos import lanczos_norm
from stabtest.bounds.linear import Gate, LinearReplay

HOLD = 0.25
"""Share of a path during which each step goes all the way to the new derivative."""

COLD = 0.05
"""Smallest weight: a step that moves nothing is wasted."""

FEWEST = 10
"""Passes of a path, however little time there is."""

_JITTER = 1e-6


@dataclass(frozen=True)
class Floor:
    """The largest ``||J_D||`` that was found.

    Parameters
    ----------
    value
        Reached by `gates` (a Ritz value, from below): a lower bound of ``max_D ||J_D||``.
    gates
        ``D``, one tensor for each gate.
    evaluations
        Passes (forward and backward) spent.
    paths
        Start -> the largest value on the path from there.
    at_image
        ``||J||`` at (next to) the image, from below: a lower bound of the network's Lipschitz constant. None without image.
    """

    value: float
    gates: tuple[Tensor, ...]
    evaluations: int
    paths: tuple[tuple[str, float], ...]
    at_image: float | None = None


def floor(
    replay: LinearReplay,
    *,
    image: Tensor | None = None,
    steps: int = 100,
    restarts: int = 2,
    seconds: float | None = None,
    generator: torch.Generator,
) -> Floor:
    """Search for the activation pattern with the largest ``||J_D||``.

    Parameters
    ----------
    replay
        From `stabtest.bounds.linear.linear_replay`.
    image
        ``(1, ...)``: its pattern is one of the starts.
    steps
        Passes for each path.
    restarts
        Random patterns to start from, beside the mean slopes and the image.
    seconds
        About how much processor time it may take: fewer passes then, at least `FEWEST` for each path. A shorter search finds less, and what it
        finds is a floor all the same.
    generator
        Draws directions and patterns.

    Returns
    -------
    Floor
        What the best path found, its norm by Lanczos iteration.

    Examples
    --------
    ``ReLU(x) - ReLU(-x) = x`` has the constant 1. Slopes in [0, 1] allow both gates to be open, which no input does: 2.

    >>> from torch import nn
    >>> from stabtest.bounds.graph import trace
    >>> from stabtest.bounds.linear import linear_replay
    >>> network = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double()
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[1.0], [-1.0]])), network[2].weight.copy_(torch.tensor([[1.0, -1.0]]))
    >>> x = torch.ones(1, 1, dtype=torch.float64)
    >>> found = floor(linear_replay(trace(network, x)), image=x, generator=torch.Generator().manual_seed(0))
    >>> round(found.value, 6), round(found.at_image, 6)
    (2.0, 1.0)
    """
    starts = [("mean slopes", [_mean(gate) for gate in replay.gates])]
    if seconds is not None:
        steps = _affordable(
            replay, starts[0][1], seconds, steps=steps, paths=1 + restarts + (image is not None), generator=generator
        )
    at_image: float | None = None
    if image is not None:
        starts.append(("image", replay.pattern(_jittered(image[:1], generator))))
        at_image = _norm(replay, starts[-1][1], steps, generator)
    starts += [(f"random {k}", [_random(gate, generator) for gate in replay.gates]) for k in range(1, restarts + 1)]
    best = (-1.0, starts[0][1])
    paths: list[tuple[str, float]] = []
    for name, gates in starts:
        value, gates = _climb(replay, gates, _direction(replay, generator), steps=steps)
        paths.append((name, value))
        best = max(best, (value, gates), key=lambda pair: pair[0])
    value = max(best[0], _norm(replay, best[1], steps, generator))
    if at_image is not None and at_image > value:  # the image's own pattern is a pattern
        value, best = at_image, (at_image, starts[1][1])
    spent = steps * len(starts) + _share(steps) * (1 if at_image is None else 2)
    return Floor(value, tuple(best[1]), spent, tuple(paths), at_image)


def _affordable(
    replay: LinearReplay, gates: Sequence[Tensor], seconds: float, *, steps: int, paths: int, generator: torch.Generator
) -> int:
    """How many passes each path may have: one is timed, and each Lanczos iteration counts as a third of a path."""
    begin = time.process_time()
    _evaluate(replay, _direction(replay, generator), gates)
    one = time.process_time() - begin
    return steps if one <= 0 else max(FEWEST, min(steps, int(seconds / one / (paths + 2 / 3))))


def _climb(replay: LinearReplay, gates: list[Tensor], v: Tensor, *, steps: int) -> tuple[float, list[Tensor]]:
    """One path; the best pattern on it."""
    best = (-1.0, gates)
    average: list[Tensor] | None = None
    for step in range(steps):
        value, along, derivatives = _evaluate(replay, v, gates)
        if value > best[0]:
            best = value, gates
        if not float(torch.linalg.vector_norm(along)) > 0:
            break
        v = _unit(along)
        derivatives = [_unit(derivative) for derivative in derivatives]
        weight = max(COLD, min(1.0, (1 - step / steps) / (1 - HOLD)))
        average = derivatives if average is None else [a + weight * (d - a) for a, d in zip(average, derivatives)]
        gates = [_vertex(gate, a, old) for gate, a, old in zip(replay.gates, average, gates)]
    return best


def _evaluate(replay: LinearReplay, v: Tensor, gates: Sequence[Tensor]) -> tuple[float, Tensor, tuple[Tensor, ...]]:
    """``||J_D v||``, ``J_D^T J_D v`` and the derivatives by the gates, from one forward and one backward pass."""
    v, leaves = v.detach().requires_grad_(True), [gate.detach().requires_grad_(True) for gate in gates]
    with torch.enable_grad():
        out = replay(v, leaves)
        along, *derivatives = torch.autograd.grad(out, [v, *leaves], out.detach(), materialize_grads=True)
    return float(torch.linalg.vector_norm(out.detach())), along, tuple(derivatives)


def _norm(replay: LinearReplay, gates: Sequence[Tensor], steps: int, generator: torch.Generator) -> float:
    """``||J_D||`` from below by Lanczos iteration with the pattern held."""

    def gram(v: Tensor) -> Tensor:
        return _evaluate(replay, v, gates)[1]

    shape, is_complex = replay.input_shape, replay.is_complex
    return lanczos_norm(gram, shape, is_complex=is_complex, generator=generator, steps=_share(steps)).lower


def _share(steps: int) -> int:
    return max(2, steps // 3)


def _vertex(gate: Gate, derivative: Tensor, old: Tensor) -> Tensor:
    """The gate with the largest inner product with the derivative; the old one where that does not matter."""
    if gate.window:
        return one_hot(derivative.argmax(-1), derivative.shape[-1]).to(torch.float64)
    return torch.where(derivative > 0, gate.high, torch.where(derivative < 0, gate.low, old))


def _mean(gate: Gate) -> Tensor:
    value = 1 / gate.shape[-1] if gate.window else (gate.low + gate.high) / 2
    return torch.full(gate.shape, value, dtype=torch.float64)


def _random(gate: Gate, generator: torch.Generator) -> Tensor:
    if gate.window:
        return one_hot(torch.randint(gate.shape[-1], gate.shape[:-1], generator=generator), gate.shape[-1]).to(torch.float64)
    opened = torch.rand(gate.shape, generator=generator) < 0.5
    return torch.where(opened, gate.high, gate.low).to(torch.float64)


def _direction(replay: LinearReplay, generator: torch.Generator) -> Tensor:
    dtype = torch.complex128 if replay.is_complex else torch.float64
    return _unit(torch.randn(replay.input_shape, dtype=dtype, generator=generator))


def _jittered(image: Tensor, generator: torch.Generator) -> Tensor:
    """Next to the image, off the kinks: there the chain rule gives the true Jacobian with probability 1.

    W. Lee, H. Yu, X. Rival, H. Yang, *On correctness of automatic differentiation for non-differentiable functions*, NeurIPS 2020.
    """
    exact = image.detach().to("cpu", torch.complex128 if image.is_complex() else torch.float64)
    size = float(exact.abs().square().mean().sqrt()) or 1.0
    return exact + _JITTER * size * torch.randn(exact.shape, dtype=exact.dtype, generator=generator)


def _unit(v: Tensor) -> Tensor:
    size = torch.linalg.vector_norm(v)
    return v / size if float(size) > 0 else v
