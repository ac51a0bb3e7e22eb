"""A disc with a sharp edge in the object, and the real image in which edges and noise are measured.

**The disc** is drawn on the grid twice as fine, with the covered share of every fine pixel, and measured through the operator
of that grid (`stabtest.stability.insertion`): ``y' = y + A_fine h`` has the same noise as ``y``.

**The signal.** Edge profiles and noise power are of real images. CT images are real. In MRI the disc has the local phase ``u``
of the object, ``|u| = 1``, and the signal of an image ``z`` is

    Re(conj(u) z),

the part along that phase. It is linear in ``z``: a linear method keeps one resolution at all contrasts, and noise stays
Gaussian with mean zero and, white and complex of ``E|n|^2 = sigma^2``, has variance ``sigma^2 / 2``. The magnitude would be
neither: in weak signal it is Rician, its noise smaller and its mean raised (Gudbjartsson, Patz, *The Rician distribution of
noisy MRI data*, MRM 34 (1995) 910-914). Only where a method returns magnitudes is nothing else to be had, and they are
measured as they are, against the magnitude ``|x + t| - |x|`` of the template.
"""

from __future__ import annotations

from torch import Tensor

from stabtest.findings.physics_rows import Quantity
from stabtest.operators import LinearOperator
from stabtest.stability.cases import Case
from stabtest.stability.insertion import Insertion, insert_lesion


def insert_disc(case: Case, fine: LinearOperator, *, site: tuple[int, int], diameter: float, contrast: float) -> Insertion:
    """A disc with a sharp edge at a site of a case.

    Parameters
    ----------
    case, fine, site, diameter, contrast
        As in `stabtest.stability.insertion.insert_lesion`; the contrast is relative to ``max|x|``.

    Raises
    ------
    ConfigError
        If the diameter is not positive.
    OperatorError
        If ``fine`` does not belong to the case.

    Examples
    --------
    >>> import torch
    >>> from stabtest.operators import Identity
    >>> image = torch.ones(1, 1, 24, 24)
    >>> case = Case("a", "a", "other", Identity((24, 24)), image, truth=image)
    >>> found = insert_disc(case, case.operator.refine(2), site=(12, 11), diameter=10, contrast=0.5)
    >>> round(found.template.sum().item() / (torch.pi * 25 * 0.5), 2)
    1.0
    """
    return insert_lesion(case, fine, site=site, diameter=diameter, contrast=contrast, edge=0.0)


def quantity(case: Case, reconstruction: Tensor) -> Quantity:
    """What is measured of the images of a method.

    Examples
    --------
    >>> import torch
    >>> from stabtest.operators import Identity
    >>> image = torch.ones(1, 1, 8, 8)
    >>> quantity(Case("a", "a", "ct", Identity((8, 8)), image), image)
    'value'
    """
    if not case.operator.domain.is_complex:
        return "value"
    return "along the local phase" if reconstruction.is_complex() else "magnitude"


def signal(image: Tensor, phase: Tensor) -> Tensor:
    """``Re(conj(u) z)`` of a complex image; a real image as it is.

    Parameters
    ----------
    image
        ``z``, ``(B, 1, H, W)``.
    phase
        ``u``, of modulus 1, ``(1, 1, H, W)``.

    Examples
    --------
    >>> import torch
    >>> signal(torch.tensor([2j, -1j, 1 + 0j]), torch.tensor([1j, 1j, 1j]))
    tensor([ 2., -1.,  0.])
    """
    return (phase.conj() * image).real if image.is_complex() else image
