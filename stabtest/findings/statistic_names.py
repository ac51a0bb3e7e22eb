"""The keys of all statistics that an audit can find, so that a misspelt criterion is refused before anything is computed.

What they mean is in `stabtest.stability.summary`, which needs PyTorch; this list does not.
"""

from __future__ import annotations

STATISTICS = (
    "quality.nrmse.median",
    "quality.psnr.median",
    "quality.ssim.median",
    "quality.psnr.difference_to_reference",
    "worst_case.relative_change.max",
    "worst_case.relative_error.max",
    "worst_case.gain.max",
    "worst_case.local_damage.max",
    "worst_case.relative_change.median",
    "worst_case.relative_change.p90",
    "worst_case.amplification_over_noise",
    "worst_case.relative_change.ratio_to_reference",
    "structure.recovery.min",
    "structure.recovery.median",
    "structure.lost_fraction",
    "structure.outside_energy.max",
    "missed_lesion.recovery.min",
    "missed_lesion.recovery.difference_to_reference",
    "sampling.more_is_poorer",
    "noise.nrmse.growth",
    "noise.nrmse.ratio_to_reference",
    "repeatability.difference.max",
    "image_quality.f50.fall",
    "image_quality.bias.max",
    "shift.poorer_beyond_linear",
    "shift.searched.poorer_beyond_linear",
    "detectability.threshold.ratio_to_reference",
    "detectability.auc.min",
    "kernel.hallucinated.median",
    "kernel.hallucinated.difference_to_reference",
    "kernel.transfer_bound.max",
    "lipschitz.network_alone",
    "lipschitz.measurement_to_image",
)
"""In the order of the report."""
