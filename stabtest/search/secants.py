r"""What forward differences tell of a derivative: a transpose without a backward pass.

A black box answers ``f(v + d) - f(v) ~ J d``, a whole image for each query, but never ``J* u``. From directions ``b_1 .. b_k``
that have been tried, with ``B`` orthonormal and ``D ~ J B``, the part of ``J* u`` in their span is known,

    B B* J* u = B D* u,

and of the rest a guess may be at hand, ``s = S* u`` with the derivative ``S`` of a reconstruction that can be differentiated
(the operator's pseudo-inverse, which a network corrects, or another network). The estimate is

    J* u  ~  B D* u + a (s - B B* s),     a = <B D* u, s> / ||B* s||^2  where that is positive, else 0:

exact in the span, guessed outside, and the guess has the scale that fits best where it can be checked. A pair
whose direction already lies in the span corrects ``D`` by the least change that explains it (C. Broyden, *A class of methods for solving
nonlinear simultaneous equations*, Math. Comp. 19 (1965), the "good" update): where ``f`` bends, the newest secant is right.

When the memory is full, the half of the span that the reconstruction amplifies least is forgotten: the left singular
vectors of ``D`` are kept, which are what a search for the largest change needs (thick restart: K. Wu, H. Simon, SIAM J. Matrix Anal. Appl. 22
(2000)).

Complex vectors count as real ones of twice the length. Images are independent problems, with a basis of their own each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stabtest import tensors

FRESH = 0.5
"""A pair whose direction lies outside of the span by less than this fraction of its length corrects it instead of extending it."""


class Secants:
    """Pairs ``(direction, change)`` of a batch of functions, and the transposed derivative that they imply.

    Parameters
    ----------
    like
        A tensor of the variable's shape, ``(B, ...)``.
    change
        A tensor of the shape of the function's value, ``(B, ...)``.
    memory
        Most directions to keep; at least 2.

    Examples
    --------
    >>> secants = Secants(torch.zeros(1, 2), torch.zeros(1, 2), memory=4)
    >>> matrix = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    >>> for step in torch.eye(2):
    ...     secants.add(0.1 * step[None], 0.1 * (matrix @ step)[None])
    >>> secants.transpose(torch.tensor([[1.0, 1.0]]))
    tensor([[2., 4.]])
    """

    def __init__(self, like: Tensor, change: Tensor, *, memory: int) -> None:
        variable, image = as_real(like), as_real(change)
        self._like, self._change, self._memory, self._used = like, change, memory, 0
        self._basis = variable.new_zeros(len(variable), min(memory, 32), variable.shape[1])
        self._derivative = image.new_zeros(len(image), min(memory, 32), image.shape[1])

    def __len__(self) -> int:
        """Directions in the memory."""
        return self._used

    def outside(self, direction: Tensor) -> Tensor:
        """The part of a direction that is orthogonal to all that have been tried, shape ``(B, ...)``."""
        return like_real(self._split(as_real(direction))[1], self._like)

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
            self._forget()
        self._grow()
        known, rest = self._split(x)
        length = torch.linalg.vector_norm(rest, dim=1, keepdim=True)
        fresh = length > FRESH
        surprise = d - _combine(known, self._derivative[:, : self._used])
        # A fresh direction takes the whole of the surprise; otherwise the least change of D that explains it.
        share = torch.where(fresh | ~sound, 0, known / known.square().sum(1, keepdim=True).clamp_min(1e-12))
        self._derivative[:, : self._used] += share[..., None] * surprise[:, None]
        over = torch.where(fresh, 1 / torch.where(fresh, length, 1), 0)
        self._basis[:, self._used], self._derivative[:, self._used] = rest * over, surprise * over
        self._used += 1  # also where it brought nothing new, so that an image does not depend on the others of its batch

    def transpose(self, u: Tensor, guess: Tensor | None = None) -> Tensor:
        """An estimate of ``J* u``.

        Parameters
        ----------
        u
            Shape of the function's value.
        guess
            ``S* u``, shape of the variable; without one the estimate is zero outside of the span.
        """
        weights = torch.einsum("bkn,bn->bk", self._derivative[:, : self._used], as_real(u))
        inside = _combine(weights, self._basis[:, : self._used])
        if guess is None:
            return like_real(inside, self._like)
        known, rest = self._split(as_real(guess))
        agreement, size = (weights * known).sum(1, keepdim=True), known.square().sum(1, keepdim=True)
        tiny = torch.finfo(size.dtype).tiny
        # With nothing tried yet there is nothing to check the guess by: it is taken at its word.
        fit = torch.where(size > tiny, (agreement / size.clamp_min(tiny)).clamp_min(0), 1.0)
        return like_real(inside + fit * rest, self._like)

    def forward(self, step: Tensor) -> Tensor:
        """The change that the pairs predict for a step, shape of the function's value; what lies outside of the span changes nothing.

        Parameters
        ----------
        step
            Difference of two variables, ``(B, ...)``.
        """
        known = torch.einsum("bkn,bn->bk", self._basis[:, : self._used], as_real(step))
        return like_real(_combine(known, self._derivative[:, : self._used]), self._change)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates in the span, ``(B, k)``, and the rest, orthogonalised twice against rounding."""
        basis = self._basis[:, : self._used]
        known = torch.einsum("bkn,bn->bk", basis, x)
        rest = x - _combine(known, basis)
        again = torch.einsum("bkn,bn->bk", basis, rest)
        return known + again, rest - _combine(again, basis)

    def _grow(self) -> None:
        """Room for one more, doubling."""
        room = self._basis.shape[1]
        if self._used < room:
            return
        more = min(self._memory, 2 * room) - room
        self._basis = torch.nn.functional.pad(self._basis, (0, 0, 0, more))
        self._derivative = torch.nn.functional.pad(self._derivative, (0, 0, 0, more))

    def _forget(self) -> None:
        """Keep the half of the span that is amplified most."""
        keep = self._memory // 2
        gram = torch.einsum("bkn,bln->bkl", self._derivative, self._derivative)
        turn = torch.linalg.eigh(gram.to(torch.float64)).eigenvectors[..., -keep:].to(gram.dtype)
        self._basis = torch.einsum("bkl,bkn->bln", turn, self._basis)
        self._derivative = torch.einsum("bkl,bkn->bln", turn, self._derivative)
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
    """Real vectors in the shape and kind of others."""
    if like.is_complex():
        return torch.view_as_complex(flat.reshape(*like.shape, 2).contiguous())
    return flat.reshape(like.shape)


def _combine(weights: Tensor, vectors: Tensor) -> Tensor:
    return torch.einsum("bk,bkn->bn", weights, vectors)


def step_length(direction: Tensor, length: Tensor) -> Tensor:
    """A direction at a Euclidean length of each image's own, zero where it is zero, ``(B, ...)``."""
    return tensors.scale(tensors.normalise(direction), length)
