r"""The exact worst case of a small ReLU network, by enumeration of its regions, in float64 and without any code of the search.

Where the signs ``s`` of all pre-activations are fixed, a ReLU network is affine. The signs are fixed on a polytope

    P_s = {u : G u >= h},       f(y + R u) - f(y) = M u + d   on it,

and the polytopes that meet the unit ball cover it (G. Montufar, R. Pascanu, K. Cho, Y. Bengio, *On the number of linear regions of
deep neural networks*, NeurIPS 2014). They are enumerated unit by unit: a sign is kept if the least distance problem
``min ||u|| over G u >= h`` has a solution within the ball. Its answer comes from a non-negative least squares problem, ``min
||E w - (0, 1)||^2 over w >= 0`` with ``E = [G^T; h^T]``: with ``s`` the minimum, the distance is ``sqrt(1 / s - 1)``, and ``s = 0`` if the
polytope is empty (C. Lawson, R. Hanson, *Solving least squares problems*, 1974, chapter 23).

``||M u + d||^2`` is convex, so on ``P_s`` within the ball it is largest at an extreme point: a vertex of the polytope, or a point of
the unit sphere. Such a point lies in the relative interior of some face ``{G_A u = h_A}``, and is stationary on the sphere that the
face cuts out of the unit sphere. With ``u = p + N t``, ``N`` an orthonormal basis of the face,

    Q t + q = l t,   ||t|| = r,          Q = N* M* M N,  q = N* M* (M p + d),  r^2 = 1 - ||p||^2.

All real ``l`` are eigenvalues of ``[[Q, -1], [-q q* / r^2, Q]]`` (W. Gander, G. Golub, U. von Matt, *A constrained eigenvalue problem*,
LAA 114/115, 1989); where ``q`` has no part along an eigenvector of ``Q``, its eigenvalue counts too (the "hard case"). Every candidate is
a point of the ball and is put into the network itself, so that what comes out is attained; that nothing exceeds it follows from
the enumeration of all faces of all regions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import nnls

SLACK = 1e-9
"""Regions and faces that only touch the ball are looked at as well: that costs time and cannot make the answer wrong."""


@dataclass(frozen=True)
class Relu:
    """``W_k relu(... relu(W_1 y + b_1) ...) + b_k``, with points as rows."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """The outputs, one row a point."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            y = np.maximum(y @ weight.T + bias, 0)
        return y @ self.weights[-1].T + self.biases[-1]

    def signs(self, y: np.ndarray) -> np.ndarray:
        """Which units are active at each point, all layers in a row."""
        signs = []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            y = y @ weight.T + bias
            signs.append(y > 0)
            y = np.maximum(y, 0)
        return np.concatenate(signs, -1)


@dataclass(frozen=True)
class Region:
    """One polytope ``G u >= h`` in units of the radius, its signs, and the affine map on it."""

    G: np.ndarray
    h: np.ndarray
    signs: tuple[bool, ...]
    M: np.ndarray
    d: np.ndarray


def random_relu(seed: int, widths: tuple[int, ...]) -> Relu:
    """Normal weights with variance two over the inputs, and biases that put kinks near the origin."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(out, into)) * np.sqrt(2 / into) for into, out in itertools.pairwise(widths)]
    return Relu(tuple(weights), tuple(0.3 * rng.normal(size=out) for out in widths[1:]))


def meets_ball(G: np.ndarray, h: np.ndarray) -> bool:
    """Whether ``G u >= h`` has a point in the unit ball; rows of ``G`` have norm 1."""
    if not len(h):
        return True
    target = np.zeros(G.shape[1] + 1)
    target[-1] = 1
    _, residual = nnls(np.vstack([G.T, h]), target)
    return residual**2 >= 0.5 - SLACK


def regions(network: Relu, y: np.ndarray, radius: float) -> Iterator[Region]:
    """Every region that meets the ball of the radius around ``y``."""
    clean, n = network(y), len(y)

    def branch(layer: int, unit: int, signs: tuple[bool, ...], into, pre, G, h) -> Iterator[Region]:
        """``into = (M, d)`` is the affine map into this layer, ``pre`` that of its pre-activations, with as many signs as units."""
        if unit == len(pre[1]):
            active = np.array(signs[len(signs) - unit :], dtype=float)
            into = (active[:, None] * pre[0], active * pre[1])
            weight, bias = network.weights[layer + 1], network.biases[layer + 1]
            after = (weight @ into[0], weight @ into[1] + bias)
            if layer + 2 == len(network.weights):
                yield Region(G, h, signs, after[0], after[1] - clean)
            else:
                yield from branch(layer + 1, 0, signs, into, after, G, h)
            return
        row, offset = pre[0][unit], pre[1][unit]
        length = np.linalg.norm(row)
        for sign in (True, False):
            if length == 0:  # all of what feeds the unit is switched off: its sign is that of its bias
                if sign == (offset > 0):
                    yield from branch(layer, unit + 1, (*signs, sign), into, pre, G, h)
                continue
            side = 1.0 if sign else -1.0
            G2, h2 = np.vstack([G, side * row / length]), np.append(h, -side * offset / length)
            if meets_ball(G2, h2):
                yield from branch(layer, unit + 1, (*signs, sign), into, pre, G2, h2)

    first = (radius * network.weights[0], network.weights[0] @ y + network.biases[0])
    yield from branch(0, 0, (), (np.eye(n), np.zeros(n)), first, np.zeros((0, n)), np.zeros(0))


def faces(region: Region) -> Iterator[tuple[int, ...]]:
    """Every set of constraints that hold with equality somewhere in the region and the ball, the empty set among them."""

    def grow(chosen: tuple[int, ...], G: np.ndarray, h: np.ndarray) -> Iterator[tuple[int, ...]]:
        yield chosen
        if len(chosen) == G.shape[1]:
            return
        for i in range(chosen[-1] + 1 if chosen else 0, len(region.h)):
            both = np.vstack([G, -region.G[i]]), np.append(h, -region.h[i])
            if meets_ball(*both):
                yield from grow((*chosen, i), *both)

    yield from grow((), region.G, region.h)


def stationary(Q: np.ndarray, q: np.ndarray, r: float) -> np.ndarray:
    """The points of the sphere ``||t|| = r`` with ``Q t + q`` along ``t``, as rows; of a whole sphere of them, its axes."""
    k = len(q)
    if k == 1:
        return np.array([[r], [-r]])
    values, vectors = np.linalg.eigh(Q)
    along = vectors.T @ q
    scale = max(1.0, np.abs(values).max())
    found = []
    roots = np.linalg.eigvals(np.block([[Q, -np.eye(k)], [-np.outer(q, q) / r**2, Q]]))
    for root in roots[np.abs(roots.imag) < 1e-5 * scale].real:
        distance = root - values
        if np.abs(distance).min() > 1e-12 * scale:
            t = vectors @ (along / distance)
            found.append(t * (r / max(np.linalg.norm(t), 1e-300)))
    for i in np.flatnonzero(np.abs(along) < 1e-6 * scale):
        distance = values[i] - values
        others = np.abs(distance) > 1e-9 * scale
        t = vectors[:, others] @ (along[others] / distance[others])
        rest = r**2 - t @ t
        if rest >= 0:
            found += [t + np.sqrt(rest) * vectors[:, i], t - np.sqrt(rest) * vectors[:, i]]
    return np.array(found).reshape(-1, k)


def candidates(region: Region) -> np.ndarray:
    """Where the damage on a region can be largest, as rows of points in the unit ball."""
    n, points = region.G.shape[1], []
    for face in faces(region):
        G = region.G[list(face)]
        p = np.linalg.pinv(G) @ region.h[list(face)] if face else np.zeros(n)
        N = null_space(G) if face else np.eye(n)
        r = np.sqrt(max(0.0, 1 - p @ p))
        if N.shape[1] == 0 or r < 1e-9:
            points.append(p[None])
            continue
        MN = region.M @ N
        points.append(p + stationary(MN.T @ MN, MN.T @ (region.M @ p + region.d), r) @ N.T)
    u = np.concatenate(points)
    return u / np.maximum(1, np.linalg.norm(u, axis=1, keepdims=True))


def exact_worst_case(network: Relu, y: np.ndarray, radius: float) -> tuple[float, int]:
    """``max ||f(y + e) - f(y)||`` over ``||e|| <= radius``, and the number of regions in the ball.

    Regions on which ``||M|| + ||d||`` is below what is attained elsewhere are left out.
    """
    clean, best = network(y), 0.0
    bounded = [(np.linalg.norm(region.M, 2) + np.linalg.norm(region.d), region) for region in regions(network, y, radius)]
    for bound, region in sorted(bounded, key=lambda pair: -pair[0]):
        if bound <= best:
            break
        best = max(best, np.linalg.norm(network(y + radius * candidates(region)) - clean, axis=1).max())
    return float(best), len(bounded)
