"""How a search is run, apart from what it looks for.

Paths in one batch, images at once and the precision of the network change what a search costs and, up to rounding, not what it
finds. The search, its curve over radii, the noise baseline and the transfer between networks take the same words, `RunOptions`;
those that hand on what a set is as well take both, `SearchOptions`.
"""

from __future__ import annotations

import sys
from typing import TypedDict, cast

from torch import Tensor

from stabtest.errors import SearchError
from stabtest.search.admissible import SetOptions
from stabtest.search.precision import Precision


class RunOptions(TypedDict, total=False):
    """How it is run; everything may be left out.

    Attributes
    ----------
    parallel
        Most fresh paths, or draws of noise, in one batch. If not given, all of them on a GPU and one on a CPU.
    chunk
        Most images at once, all paths together (`stabtest.search.memory`). If not given, all; halved where memory runs out.
    precision
        Of the network while a search climbs (`stabtest.search.precision`). What is reported is scored in float32.
    """

    parallel: int | None
    chunk: int | None
    precision: Precision


class SearchOptions(SetOptions, RunOptions, total=False):
    """What a set is and how a search in it is run; see `SetOptions` and `RunOptions`."""


def divided(options: SearchOptions) -> tuple[SetOptions, RunOptions]:
    """The words for the set, a misspelt one among them, and the words for the run.

    Examples
    --------
    >>> divided({"norm": "linf", "chunk": 4})
    ({'norm': 'linf'}, {'chunk': 4})
    """
    run = {word: value for word, value in options.items() if word in RunOptions.__optional_keys__}
    rest = {word: value for word, value in options.items() if word not in run}
    return cast(SetOptions, rest), cast(RunOptions, run)


def most_parallel(parallel: int | None, y: Tensor) -> int:
    """Most paths in one batch for measurements ``y``.

    Raises
    ------
    SearchError
        If there would be none.

    Examples
    --------
    >>> import torch
    >>> most_parallel(None, torch.zeros(1)), most_parallel(4, torch.zeros(1))
    (1, 4)
    """
    if parallel is None:
        return sys.maxsize if y.device.type == "cuda" else 1
    if parallel < 1:
        raise SearchError("parallel", expected="at least one path at a time", came=str(parallel))
    return parallel
