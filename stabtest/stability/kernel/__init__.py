"""The troublesome kernel: what a method does in the null space of the forward model (`stabtest.stability.null_space` projects onto it).

- `errors`: in which of the two the error of a reconstruction lies, and how consistent it is with the data.
- `hallucinations`: the maps of Bhadra et al.
- `transfer`: what recovering two images that the data barely tell apart costs in stability; `families` and `climb` search for the dearest.
- `claims`: whether the data determine a detail, and whether the method claims it.
- `sfrc`: scanning Fourier ring correlation, signed, beside the contrast recovery.
- `kernel_test`: all of it as a test of stability.
"""

from stabtest.stability.kernel.claims import Claim, claim
from stabtest.stability.kernel.climb import FoundDetail, search_detail
from stabtest.stability.kernel.errors import KernelErrors, kernel_errors
from stabtest.stability.kernel.families import BumpDetail, Ellipsoid, FreeDetail
from stabtest.stability.kernel.hallucinations import HallucinationMaps, hallucination_maps, specific_map
from stabtest.stability.kernel.kernel_test import KernelTest, SfrcSettings
from stabtest.stability.kernel.sfrc import Scan, ring_correlation, scan
from stabtest.stability.kernel.transfer import TransferBound, transfer_bound

__all__ = [
    "BumpDetail",
    "Claim",
    "Ellipsoid",
    "FoundDetail",
    "FreeDetail",
    "HallucinationMaps",
    "KernelErrors",
    "KernelTest",
    "Scan",
    "SfrcSettings",
    "TransferBound",
    "claim",
    "hallucination_maps",
    "kernel_errors",
    "ring_correlation",
    "scan",
    "search_detail",
    "specific_map",
    "transfer_bound",
]
