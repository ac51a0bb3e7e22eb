"""One function for each rule, by family; `RULES` lists which operation is answered by which.

An operation that is not listed is unknown, and so is all that follows it.
"""

from collections.abc import Callable

from stabtest.bounds.call import Call, Gain
from stabtest.bounds.rules import activations, arithmetic, convolutions, fourier, linear_maps, norms, pooling, shapes

RULES: dict[str, Callable[[Call], Gain]] = {
    **activations.RULES,
    **arithmetic.RULES,
    **convolutions.RULES,
    **fourier.RULES,
    **linear_maps.RULES,
    **norms.RULES,
    **pooling.RULES,
    **shapes.RULES,
}
"""Operation name -> rule."""

__all__ = ["RULES"]
