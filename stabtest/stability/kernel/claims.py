"""Do the data determine a detail, and does the method claim it? Two numbers that have to be read together.

For a detail ``h`` (given, or the witness of a search) and noise ``sigma`` of a real sample

    d'_data = ||A h|| / sigma

is what an ideal observer who knows everything but the presence of ``h`` gets from the data (Barrett, Myers, *Foundations of Image Science*, 2004,
section 13.2). Of a detail in the null space it is zero: no observer tells it from its absence, and no method may claim it. What the method
shows of ``h`` in its error,

    absent  = Re <h, f(y) - x> / ||h||^2                    the object has no h: shown anyway
    present = Re <h, f(y + A h) - x> / ||h||^2              the object has it: 1 = all of it
    recovery = present - absent = Re <h, f(y + A h) - f(y)> / ||h||^2,

says what it claims. Data and claim together:

=============  ======================  ===============================================================
determined     claims                  in words
=============  ======================  ===============================================================
yes            recovery near 1         seen, as it should be
yes            recovery near 0         missed, although the data have it
no             recovery near 1         claimed from data that do not tell: a guess from the prior
no             absent != 0             hallucinated, or left out, whatever the object has
=============  ======================  ===============================================================

Determined means ``d' >= least`` (`stabtest.stability.structure`: 5). Without noise level the share of the null space decides, as there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stabtest import tensors
from stabtest.errors import DataError
from stabtest.operators import LinearOperator
from stabtest.stability.cases import Method
from stabtest.stability.kernel.errors import check_complete
from stabtest.stability.null_space import null_space_share
from stabtest.stability.structure import LEAST_DETECTABILITY, MOST_NULL_SPACE, detectability


@dataclass(frozen=True)
class Claim:
    """What the data and what the method say of one detail.

    Parameters
    ----------
    data_detectability
        ``d'_data``; None where the noise is not known.
    null_space_share
        ``||P_N h|| / ||h||``, an upper bound where conjugate gradients were stopped.
    determined
        Whether the data determine the detail.
    absent, present
        What the method shows of it without and with it in the object, 0 and 1 if it is right.
    """

    data_detectability: float | None
    null_space_share: float
    determined: bool
    absent: float
    present: float

    @property
    def recovery(self) -> float:
        """``present - absent``."""
        return self.present - self.absent


def claim(
    method: Method,
    operator: LinearOperator,
    measurement: Tensor,
    image: Tensor,
    detail: Tensor,
    *,
    noise_std: float | None,
    least: float = LEAST_DETECTABILITY,
    most_null_space: float = MOST_NULL_SPACE,
) -> Claim:
    """Whether a detail is in the data, and whether it is in the reconstruction.

    Parameters
    ----------
    method
        ``f``.
    operator
        ``A``.
    measurement
        ``y`` of the object without the detail, ``(1, *operator.range.shape)``; the same noise is used with it.
    image
        ``x``, the object without the detail, ``(1, *operator.domain.shape)``.
    detail
        ``h``, of the image's shape.
    noise_std
        Of one sample, as `stabtest.stability.cases.Case` defines it; None, zero or not finite = not known.
    least
        ``d'`` from which the data determine a detail.
    most_null_space
        Null-space share up to which they do, where the noise is not known.

    Raises
    ------
    DataError
        If the detail is zero, or the method returns magnitudes.
    NetworkError
        If the method does not return a finite image of the right shape.
    OperatorError
        If a tensor does not fit the operator.

    Examples
    --------
    Half the pixels are measured; the method paints a line over the others, whatever there is:

    >>> from stabtest.operators import Fourier
    >>> A = Fourier(torch.arange(8) % 2 * torch.ones(8, 1) > 0)
    >>> h = torch.ones(1, 1, 8, 8, dtype=torch.complex64)  # its only frequency is not measured
    >>> painter = Method("painter", "under test", lambda y, A: A.pseudo_inverse(y) + 1)
    >>> found = claim(painter, A, A(0 * h), 0 * h, h, noise_std=0.1)
    >>> found.determined, round(found.absent, 6), round(found.recovery, 6)
    (False, 1.0, 0.0)
    """
    double = operator.domain.dtype(torch.float64)
    h = operator.domain.check(detail, "detail").to(double)
    energy = float(tensors.inner(h, h))
    if not energy > 0:
        raise DataError("claim", expected="a detail that is not zero", came="zeros")
    x, y = operator.domain.check(image, "image").to(double), operator.range.check(measurement, "measurement")
    data = operator.forward(h)
    plain, with_detail = method(y, operator), method((y.to(data.dtype) + data).to(y.dtype), operator)
    check_complete(operator, plain)
    visible, share = detectability(data, noise_std), null_space_share(operator, h).share
    return Claim(
        data_detectability=visible,
        null_space_share=share,
        determined=share <= most_null_space if visible is None else visible >= least,
        absent=float(tensors.inner(h, plain.to(double) - x)) / energy,
        present=float(tensors.inner(h, with_detail.to(double) - x)) / energy,
    )
