"""The calling convention of fastMRI's networks: ``module(masked_kspace, mask[, num_low_frequencies])``.

From https://github.com/facebookresearch/fastMRI (`fastmri/models/varnet.py`, `fastmri/data/transforms.py`; Zbontar et al.,
arXiv:1811.08839; Sriram et al., MICCAI 2020): k-space is real ``(B, C, H, W, 2)``, centred, with the orthonormal transform
over ``H, W``; the mask is boolean ``(B, 1, 1, W, 1)``, one entry a column; the output is a magnitude ``(B, H, W)``.
``num_low_frequencies`` is the number of central columns that are all measured, from which the coil maps are estimated.
The package itself is not needed here.
"""

from __future__ import annotations

import inspect

import torch
from torch import Tensor, nn

from stabtest.errors import NetworkError
from stabtest.networks.protocol import Network
from stabtest.operators.base import LinearOperator


def call_fastmri(module: Network, y: Tensor, operator: LinearOperator) -> object:
    """Call a network by fastMRI's convention.

    Parameters
    ----------
    module
        A network; ``num_low_frequencies`` is passed if its signature has it.
    y
        K-space, complex ``(B, C, H, W)``, zero where nothing was measured.
    operator
        An MRI operator with a ``mask`` ``(H, W)``.

    Returns
    -------
    object
        What the network returned.

    Raises
    ------
    NetworkError
        If the measurements are not complex or the operator has no mask.
    """
    mask = _mask(operator)
    if not y.is_complex():
        raise NetworkError("takes = 'fastmri' is for MRI", expected="complex k-space", came=str(y.dtype))
    kspace = torch.view_as_real(y.resolve_conj())
    layout = fastmri_mask(mask.to(y.device), batch=y.shape[0])
    if _wants_low_frequencies(module):
        return module(kspace, layout, low_frequencies(mask))
    return module(kspace, layout)


def fastmri_mask(mask: Tensor, *, batch: int) -> Tensor:
    """A mask ``(H, W)`` as fastMRI has it.

    Parameters
    ----------
    mask
        Boolean ``(H, W)``.
    batch
        Number of images.

    Returns
    -------
    Tensor
        Boolean ``(batch, 1, 1, W, 1)`` if whole columns were measured, else ``(batch, 1, H, W, 1)``, which
        broadcasts in the same way.

    Examples
    --------
    >>> fastmri_mask(torch.tensor([[True, False, True]]).expand(5, 3), batch=2).shape
    torch.Size([2, 1, 1, 3, 1])
    """
    rows = mask[:1] if bool((mask == mask[:1]).all()) else mask
    return rows[None, None, :, :, None].expand(batch, -1, -1, -1, -1)


def low_frequencies(mask: Tensor) -> int:
    """Number of central columns measured without a gap, symmetric about DC, at least 1.

    As `SensitivityModel.get_pad_and_num_low_freqs` infers it, but right where a run of measured columns reaches the
    edge (there the package's own inference takes a full mask for a single column). For a mask that is not of whole
    columns the central row decides.

    Examples
    --------
    >>> low_frequencies(torch.tensor([[True, False, True, True, True, True, False, True]]))
    4
    >>> low_frequencies(torch.ones(8, 8, dtype=torch.bool))
    8
    """
    row = [bool(value) for value in mask[mask.shape[0] // 2].tolist()]
    centre = len(row) // 2
    left, right = row[:centre][::-1], row[centre:]
    return max(2 * min(_run(left), _run(right)), 1)


def _run(values: list[bool]) -> int:
    """Length of the run of True that a list begins with."""
    return values.index(False) if False in values else len(values)


def _mask(operator: LinearOperator) -> Tensor:
    mask = getattr(operator, "mask", None)
    if not isinstance(mask, Tensor):
        raise NetworkError(
            "takes = 'fastmri' needs a sampling mask",
            expected="an operator with a mask (Fourier, MultiCoilFourier)",
            came=type(operator).__name__,
            remedy="use takes = 'pseudo_inverse' or 'measurements+operator'",
        )
    return mask


def _wants_low_frequencies(module: Network) -> bool:
    try:
        return (
            "num_low_frequencies" in inspect.signature(module.forward if isinstance(module, nn.Module) else module).parameters
        )
    except (TypeError, ValueError):  # compiled callables have no signature
        return False
