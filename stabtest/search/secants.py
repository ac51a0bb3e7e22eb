r"""What forward differences tell of a derivative: a transpose without a backward pass.

A black box answers ``f(v + d) - f(v) ~ J d``, a whole image for each query, but never ``J* u``. From unit directions ``x_1 .. x_k`` that
have been tried (rows of ``X``) and the changes they made (rows of ``D``), the derivative is estimated by ridge regression,

    J ~ D* (X X* + N)^(-1) X,     so     J* u ~ X* (X X* + N)^(-1) D u,

the mean of ``J`` under a Gaussian prior when the ``i``-th change carries noise of variance ``N_ii``. The noise is that the reconstruction
bends: a secant was taken where the search stood then, so ``N_ii`` is `NOISE` at first and grows by `DRIFT` times the square of each
move since, relative to the radius (the process noise of a Kalman filter; Broyden's update is the limit in which only the newest secant counts:
C. Broyden, Math. Comp. 19 (1965)). Nothing follows from a secant in a direction that was nearly known, and nothing is divided by a small number.

Outside of what has been tried this estimate is zero. There a guess may be at hand, ``s = S* u`` with the derivative ``S`` of a
reconstruction that can be differentiated (the operator's pseudo-inverse, which a network corrects, or another network). With
``H = X* (X X* + N)^(-1) X``,

    J* u  ~  g + a (s - H s),     g = X* (X X* + N)^(-1) D u,     a = <g, H s> / ||H s||^2  where that is positive, else 0:

what was tried where it was, guessed elsewhere, and the guess has the scale that fits best where it can be checked.

When the memory is full, pairs are combined into half as many, those that the reconstruction amplifies most (thick restart: K. Wu, H. Simon,
SIAM J. Matrix Anal. Appl. 22 (2000)): a combination of pairs is a pair.

Complex vectors count as real ones of twice the length. Images are independent problems, with pairs of their own each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest import tensors

NOISE = 1e-3
"""Variance of a fresh secant, relative to that of the change of a unit step."""
DRIFT = 0.1
"""What a move as long as the radius adds to the variance."""


class Secants:
    """Pairs ``(direction, change)`` of a batch of functions, and the derivative that they imply, both ways.

    Parameters
    ----------
    like
        A tensor of the variable's shape, ``(B, ...)``.
    change
        A tensor of the shape of the function's value, ``(B, ...)``.
    memory
        Most pairs to keep; at least 2.
    drift
        What a move as long as the radius adds to the variance of what was learnt before.

    Examples
    --------
    >>> secants = Secants(torch.zeros(1, 2), torch.zeros(1, 2), memory=4)
    >>> matrix = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    >>> for step in torch.eye(2):
    ...     secants.add(0.1 * step[None], 0.1 * (matrix @ step)[None])
    >>> [round(number, 1) for number in secants.transpose(torch.tensor([[1.0, 1.0]]))[0].tolist()]
    [2.0, 4.0]
    """

    def __init__(self, like: Tensor, change: Tensor, *, memory: int, drift: float = DRIFT) -> None:
        variable, image = as_real(like), as_real(change)
        self._like, self._change, self._memory, self._used = like, change, memory, 0
        self._drift = drift
        room = min(memory, 32)
        self._directions = variable.new_zeros(len(variable), room, variable.shape[1])
        self._changes = image.new_zeros(len(image), room, image.shape[1])
        self._noise = variable.new_zeros(len(variable), room)
        self._gram = variable.new_zeros(len(variable), room, room)
        self._factor: Tensor | None = None

    def __len__(self) -> int:
        """Pairs in the memory."""
        return self._used

    def add(self, step: Tensor, change: Tensor) -> None:
        """Learn that a step of the variable changed the value so; pairs that are zero or not finite teach nothing.

        Parameters
        ----------
        step
            Difference of two variables, ``(B, ...)``.
        change
            Difference of the two values.
        """
        x, d = as_real(step), as_real(change)
        size = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        sound = (size > 0) & torch.isfinite(size) & torch.isfinite(torch.linalg.vector_norm(d, dim=1, keepdim=True))
        scale = torch.where(sound, 1 / torch.where(sound, size, 1), 0)
        x, d = torch.where(sound, x, 0) * scale, torch.where(sound, d, 0) * scale
        if self._used == self._memory:
            self._compress()
        self._grow()
        k = self._used
        # An unsound pair takes its place as zeros, so that an image does not depend on the others of its batch.
        self._directions[:, k], self._changes[:, k], self._noise[:, k] = x, d, NOISE
        self._used = k + 1
        row = torch.einsum("bkn,bn->bk", self._directions[:, : k + 1], x)
        self._gram[:, k, : k + 1], self._gram[:, : k + 1, k] = row, row
        self._factor = None

    def move(self, length: Tensor) -> None:
        """Say that the search moved by so much of its radius, ``(B,)``: what was learnt before is less certain."""
        self._noise[:, : self._used] += self._drift * length.square()[:, None]
        self._factor = None

    def forward(self, step: Tensor) -> Tensor:
        """The change that is predicted for a step, shape of the function's value; outside of what was tried, none.

        Parameters
        ----------
        step
            Difference of two variables, ``(B, ...)``.
        """
        weights = self._solve(torch.einsum("bkn,bn->bk", self._directions[:, : self._used], as_real(step)))
        return like_real(torch.einsum("bk,bkn->bn", weights, self._changes[:, : self._used]), self._change)

    def transpose(self, u: Tensor, guess: Tensor | None = None) -> Tensor:
        """An estimate of ``J* u``.

        Parameters
        ----------
        u
            Shape of the function's value.
        guess
            ``S* u``, shape of the variable; without one the estimate is zero outside of what was tried.
        """
        tried = self._combine(self._solve(torch.einsum("bkn,bn->bk", self._changes[:, : self._used], as_real(u))))
        if guess is None:
            return like_real(tried, self._like)
        known = self._known(as_real(guess))
        agreement, size = (tried * known).sum(1, keepdim=True), known.square().sum(1, keepdim=True)
        tiny = torch.finfo(size.dtype).tiny
        # With nothing tried yet there is nothing to check the guess by: it is taken at its word.
        fit = torch.where(size > tiny, (agreement / size.clamp_min(tiny)).clamp_min(0), 1.0)
        return like_real(tried + fit * (as_real(guess) - known), self._like)

    def outside(self, direction: Tensor) -> Tensor:
        """What of a direction is not known, ``(B, ...)``: orthogonal to what was tried, up to the noise."""
        x = as_real(direction)
        return like_real(x - self._known(x), self._like)

    def _known(self, x: Tensor) -> Tensor:
        """``H x``, the part in directions that were tried."""
        return self._combine(self._solve(torch.einsum("bkn,bn->bk", self._directions[:, : self._used], x)))

    def _combine(self, weights: Tensor) -> Tensor:
        return torch.einsum("bk,bkn->bn", weights, self._directions[:, : self._used])

    def _solve(self, right: Tensor) -> Tensor:
        """``(X X* + N)^(-1) right``, ``(B, k)``."""
        if self._used == 0:
            return right
        factor = self._factor
        if factor is None:
            k = self._used
            factor = torch.linalg.cholesky(self._gram[:, :k, :k] + torch.diag_embed(self._noise[:, :k]))
            self._factor = factor
        return torch.cholesky_solve(right[..., None], factor)[..., 0]

    def _grow(self) -> None:
        """Room for one more, doubling."""
        room = self._directions.shape[1]
        if self._used < room:
            return
        more, pad = min(self._memory, 2 * room) - room, torch.nn.functional.pad
        self._directions, self._changes = pad(self._directions, (0, 0, 0, more)), pad(self._changes, (0, 0, 0, more))
        self._noise, self._gram = pad(self._noise, (0, more)), pad(self._gram, (0, more, 0, more))

    def _compress(self) -> None:
        """Half as many pairs, combined from all: the directions of largest change, of those that are certain."""
        keep = self._memory // 2
        noise = self._noise.to(torch.float64)
        values, vectors = torch.linalg.eigh(self._gram.to(torch.float64) + torch.diag_embed(noise))
        white = vectors / values.sqrt()[:, None]  # columns are combinations of unit length, noise included
        changes = torch.einsum("bkn,bln->bkl", self._changes, self._changes).to(torch.float64)
        strength = torch.linalg.eigh(white.mT @ changes @ white).eigenvectors[..., -keep:]
        turn = (white @ strength).mT
        length = torch.einsum("bik,bkl,bil->bi", turn, self._gram.to(torch.float64), turn).clamp_min(1e-12).sqrt()
        turn = turn / length[..., None]
        self._noise[:, :keep] = (turn.square() * noise[:, None]).sum(-1).to(self._noise.dtype)
        turn = turn.to(self._directions.dtype)
        self._directions[:, :keep], self._changes[:, :keep] = turn @ self._directions, turn @ self._changes
        self._gram[:, :keep, :keep] = self._directions[:, :keep] @ self._directions[:, :keep].mT
        self._used = keep


def as_real(v: Tensor) -> Tensor:
    """A batch of vectors as real ones, ``(B, n)``.

    Examples
    --------
    >>> as_real(torch.tensor([[1 + 2j]]))
    tensor([[1., 2.]])
    """
    return (torch.view_as_real(v) if v.is_complex() else v).flatten(1)


def like_real(flat: Tensor, like: Tensor) -> Tensor:
    """Real vectors ``(B, n)`` in the shape and kind of others: the inverse of `as_real`."""
    if like.is_complex():
        return torch.view_as_complex(flat.reshape(*like.shape, 2).contiguous())
    return flat.reshape(like.shape)


def step_length(direction: Tensor, length: Tensor) -> Tensor:
    """A direction at a Euclidean length of each image's own, zero where it is zero, ``(B, ...)``."""
    return tensors.scale(tensors.normalise(direction), length)
