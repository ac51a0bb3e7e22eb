"""Linear forward models of MRI and CT with exact adjoints, their masks, and checks of both."""

from stabtest.operators.base import LinearOperator, Space
from stabtest.operators.fourier import FineFourier, Fourier, fft2c, ifft2c
from stabtest.operators.identity import BlockMean, Identity
from stabtest.operators.masks import (
    Kind,
    MaskFamily,
    cartesian_equispaced,
    cartesian_gaussian,
    cartesian_random,
    nested,
    poisson_disc,
    radial,
    sampling_fraction,
    variable_density,
)
from stabtest.operators.radon import Radon

__all__ = [
    "BlockMean",
    "FineFourier",
    "Fourier",
    "Identity",
    "Kind",
    "LinearOperator",
    "MaskFamily",
    "Radon",
    "Space",
    "cartesian_equispaced",
    "cartesian_gaussian",
    "cartesian_random",
    "fft2c",
    "ifft2c",
    "nested",
    "poisson_disc",
    "radial",
    "sampling_fraction",
    "variable_density",
]
