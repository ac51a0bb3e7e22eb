"""What noise of the same norm does: the baseline without which a worst case cannot be read.

A perturbation of norm ``R`` in a random direction is what a scanner's thermal noise looks like. In ``n`` dimensions a
random direction has almost no share of any particular one, so a worst case is larger wherever a method amplifies a few
directions more than most, as harmless linear ones do too (not zero-filling of one coil, which treats all alike); the report
shows both, for the network and for the reference method.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import SearchError
from stabtest.operators.base import LinearOperator
from stabtest.search.admissible import admissible_set
from stabtest.search.leader import damage
from stabtest.search.memory import Memory
from stabtest.search.precision import check_precision
from stabtest.search.problem import Reconstructor, reconstruct_within
from stabtest.search.running import SearchOptions, divided, most_parallel
from stabtest.search.worst_case import reconstruct_clean


def gaussian_baseline(
    reconstructor: Reconstructor,
    operator: LinearOperator,
    measurement: Tensor,
    *,
    radius: float | Tensor,
    truth: Tensor | None = None,
    draws: int = 8,
    generator: torch.Generator | None = None,
    **options: Unpack[SearchOptions],
) -> Tensor:
    """Relative change under Gaussian noise scaled to exactly the radius.

    Parameters
    ----------
    reconstructor, operator, measurement, radius, truth, **options
        As in `stabtest.search.worst_case`. ``parallel`` is the most draws in one batch; the noise is the same. Nothing is searched, so
        that all is scored in float32 whatever the ``precision``.
    draws
        Noise realisations; each image has its own.
    generator
        Seed 0 if not given.

    Returns
    -------
    Tensor
        ``||f(y+n) - f(y)|| / ||f(y)||``, shape ``(draws, B)``; infinite where ``f(y+n)`` is not finite.

    Raises
    ------
    SearchError
        If there are no draws or the radius does not fit.

    Examples
    --------
    >>> from stabtest.operators import Identity
    >>> gaussian_baseline(lambda y, A: 2 * y, Identity((2, 2)), torch.ones(1, 1, 2, 2), radius=0.1, draws=2)
    tensor([[0.1000],
            [0.1000]])
    """
    if draws < 1:
        raise SearchError("draws", expected="at least 1", came=str(draws))
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    y = operator.range.check(measurement, "measurement").detach()
    about, run = divided(options)
    check_precision(run.get("precision", "float32"))
    memory, together = Memory(run.get("chunk")), most_parallel(run.get("parallel"), y)
    clean = reconstruct_clean(reconstructor, operator, y, memory=memory)
    admissible = admissible_set(operator, y, radius=radius, truth=truth, **about)
    size = tensors.norm(clean)
    size = size.clamp_min(torch.finfo(size.dtype).tiny)

    def draw() -> Tensor:
        noise = admissible.space.randn(len(y), generator=generator, dtype=admissible.radius.dtype, device=y.device)
        noise = admissible.admissible(noise)
        # Brought to the radius as it is, not to the furthest point along it, which in the largest norm is no noise at all.
        noise = admissible.project(tensors.scale(noise, admissible.radius / admissible.size(noise)))
        return y + admissible.perturbation(noise)

    changes: list[Tensor] = []
    with torch.no_grad():
        while len(changes) < draws:
            noisy = torch.cat([draw() for _ in range(min(together, draws - len(changes)))])
            perturbed = reconstruct_within(memory, reconstructor, operator, noisy)
            changes += [damage(tensors.norm(part - clean)) / size for part in perturbed.split(len(y))]
    return torch.stack(changes)
