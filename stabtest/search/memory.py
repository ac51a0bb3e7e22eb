r"""How many images go through the network at once, and what happens when they do not fit.

Images are independent problems, so a batch can be taken in chunks. An objective sees the whole batch, though, and may be anybody's;
so a gradient in chunks takes two passes. With ``x_c = f(y_c + e_c)`` for the images of a chunk ``c``,

1. every ``x_c`` without a graph, then ``phi(x)`` and its gradient ``u = phi'(x)`` of the whole batch;
2. chunk by chunk ``x_c`` again with a graph, and ``J_c* u_c`` back through it.

Only one chunk's activations are held at a time. It costs a second forward, four thirds of the usual where a backward costs two
forwards: the price of recomputing (T. Chen, B. Xu, C. Zhang, C. Guestrin, *Training deep nets with sublinear memory cost*,
arXiv:1604.06174).

Where memory runs out, the chunk is halved and the evaluation done again; the smaller chunk is kept. A single image that does not
fit is an error: it needs a network that recomputes its activations (`stabtest.networks.checkpointing`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from stabtest.errors import SearchError

T = TypeVar("T")


class Memory:
    """The number of images that are evaluated together; shared by a problem and all that are made of it.

    Parameters
    ----------
    chunk
        Images at once, at least 1; None: all, until memory runs out.

    Attributes
    ----------
    chunk
        Images at once now; None while nothing limits it.

    Raises
    ------
    SearchError
        If the chunk is not positive.

    Examples
    --------
    A network that takes two images at most:

    >>> def evaluate(chunk: int) -> int:
    ...     if chunk > 2:
    ...         raise torch.OutOfMemoryError("out of memory")
    ...     return chunk
    >>> memory = Memory()
    >>> memory.attempt(evaluate, 8), memory.chunk
    (2, 2)
    """

    def __init__(self, chunk: int | None = None) -> None:
        if chunk is not None and chunk < 1:
            raise SearchError("chunk", expected="at least one image", came=str(chunk))
        self.chunk = chunk

    def attempt(self, action: Callable[[int], T], images: int) -> T:
        """``action(chunk)`` for so many images, with half the chunk as long as memory runs out.

        Raises
        ------
        SearchError
            If memory runs out with one image at a time.
        """
        while True:
            chunk = images if self.chunk is None else min(self.chunk, images)
            try:
                return action(chunk)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                came = str(error).split("\n")[0]
            # Outside of the handler: while the error lives, its traceback keeps the activations.
            if chunk <= 1:
                raise SearchError(
                    "memory: one image does not fit",
                    expected="memory for a forward and a backward of one image",
                    came=came,
                    remedy="recompute activations with stabtest.networks.checkpointing.checkpointed, or search with "
                    "precision='bfloat16', on smaller images or on a larger machine",
                )
            self.chunk = chunk // 2
            if torch.cuda.is_available():  # what the failed attempt left in PyTorch's cache would not be given to another size
                torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: of a GPU, of the machine, or of NumPy.

    Examples
    --------
    >>> out_of_memory(torch.OutOfMemoryError("CUDA out of memory")), out_of_memory(RuntimeError("shapes do not fit"))
    (True, False)
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in words
        for sign in ("DefaultCPUAllocator", "out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")
    )
