"""Image quality as a medical physicist measures it: how sharp, how noisy, how flat.

- `ttf`: task transfer function at the edge of a disc, at several contrasts
- `nps`: noise power spectrum and noise map from independent noise realisations
- `uniformity`: uniformity of a flat object, bias in regions
- `contrast`: whether a method resolves less at low contrast
- `image_quality`: all of it for one method and one case
"""

from stabtest.stability.physics.contrast import contrast_statements, f50_interval
from stabtest.stability.physics.disc import insert_disc
from stabtest.stability.physics.image_quality import ImageQualityTest
from stabtest.stability.physics.nps import NoisePower, noise_map, noise_power
from stabtest.stability.physics.realisations import Realisations, realisations
from stabtest.stability.physics.ttf import TransferFunction, edge_profile, task_transfer
from stabtest.stability.physics.uniformity import Uniformity, bias, uniformity

__all__ = [
    "ImageQualityTest",
    "NoisePower",
    "Realisations",
    "TransferFunction",
    "Uniformity",
    "bias",
    "contrast_statements",
    "edge_profile",
    "f50_interval",
    "insert_disc",
    "noise_map",
    "noise_power",
    "realisations",
    "task_transfer",
    "uniformity",
]
