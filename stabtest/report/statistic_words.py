"""What each statistic is, in a sentence, for a reader of the report; the configuration page has the same words."""

from __future__ import annotations

from collections.abc import Mapping

STATISTIC_WORDS: Mapping[str, str] = {
    "quality.nrmse.median": "Median over patients of the NRMSE on the clean measurement",
    "quality.psnr.median": "Median over patients of the PSNR on the clean measurement, in dB",
    "quality.ssim.median": "Median over patients of the SSIM on the clean measurement",
    "quality.psnr.difference_to_reference": "Mean paired difference of the PSNR to the reference, in dB",
    "worst_case.relative_change.max": "Largest relative change found within the largest radius",
    "worst_case.relative_error.max": "Largest relative error found",
    "worst_case.gain.max": "Largest gain found",
    "worst_case.local_damage.max": "Largest local damage found",
    "worst_case.relative_change.median": "Median over patients of the relative change found",
    "worst_case.relative_change.p90": "90 % quantile over patients of the relative change found",
    "worst_case.amplification_over_noise": ("Geometric mean of found change over the median change by noise of the same norm"),
    "worst_case.relative_change.ratio_to_reference": "Geometric mean of found change over that of the reference",
    "structure.recovery.min": "Least recovery of an identifiable detail",
    "structure.recovery.median": "Median over patients of the mean recovery",
    "structure.lost_fraction": "Share of patients with a recovery below 0.5",
    "structure.outside_energy.max": "Largest energy outside the detail over that of the detail",
    "missed_lesion.recovery.min": "Least recovery of a lesion that the data carry, found by a search of the body",
    "missed_lesion.recovery.difference_to_reference": (
        "Mean paired difference of the least recovery found to that of the reference, each searched by itself"
    ),
    "sampling.more_is_poorer": "Largest mean paired rise of the NRMSE with more samples",
    "noise.nrmse.growth": "Geometric mean of the NRMSE at the most noise over that at the scan's own",
    "noise.nrmse.ratio_to_reference": "Geometric mean of the NRMSE at the most noise over that of the reference",
    "repeatability.difference.max": "Largest change of the image where there should be none",
    "image_quality.f50.fall": (
        "Largest mean fall of f50 from the highest contrast to a lower one, as a share: 0.2 = 20 % lower"
    ),
    "image_quality.bias.max": "Largest modulus of the bias of a flat region, over the largest pixel",
    "shift.poorer_beyond_linear": (
        "Largest rise of the mean NRMSE under a shift of the object or the scan, or its excess over that of the "
        "linear reference where that is smaller"
    ),
    "shift.searched.poorer_beyond_linear": (
        "Largest rise of the mean NRMSE under the worst shift found in the box, or its excess over that of the "
        "linear reference where that is smaller; a search bounds it from below only, so it can fail and never pass"
    ),
    "detectability.threshold.ratio_to_reference": (
        "Largest, over observers and diameters, of the geometric mean over patients of the threshold contrast over"
        " the reference's: 2 = a lesion needs twice the contrast. A threshold beyond the contrasts measured is put"
        " at their end and leaves the bound on that side open"
    ),
    "detectability.auc.min": (
        "Smallest, over observers and diameters, of the mean AUC at the highest contrast, of lesions that the data"
        " carry and the reference tells"
    ),
    "kernel.hallucinated.median": (
        "Median over patients of what is shown in the null space and the object does not have, over the norm of the image"
    ),
    "kernel.hallucinated.difference_to_reference": "Mean paired difference of it to the reference's",
    "kernel.transfer_bound.max": (
        "Largest lower bound of the gain that a search found from details which the data barely tell apart"
    ),
    "lipschitz.network_alone": "Lipschitz constant of the network alone; value = gain found, bounds = the bracket",
    "lipschitz.measurement_to_image": (
        "Lipschitz constant from measurement to image; value = gain found, bounds = the bracket"
    ),
}
