"""Linear forward models of MRI and CT with exact adjoints, their masks, and checks of both."""

from stabtest.operators.base import LinearOperator, Space
from stabtest.operators.calls import Layout
from stabtest.operators.checks import NormEstimate, dot_test, operator_norm
from stabtest.operators.examine import Examined, examine
from stabtest.operators.fan_beam import FanBeam
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
from stabtest.operators.matrix import MatrixMap
from stabtest.operators.multicoil import FineMultiCoilFourier, MultiCoilFourier
from stabtest.operators.noncartesian import NonCartesian
from stabtest.operators.own import Averaged, OwnOperator
from stabtest.operators.radon import Radon
from stabtest.operators.solvers import Solution, conjugate_gradient
from stabtest.operators.trajectories import spiral, spokes

__all__ = [
    "Averaged",
    "BlockMean",
    "Examined",
    "FanBeam",
    "FineFourier",
    "FineMultiCoilFourier",
    "Fourier",
    "Identity",
    "Kind",
    "Layout",
    "LinearOperator",
    "MaskFamily",
    "MatrixMap",
    "MultiCoilFourier",
    "NonCartesian",
    "NormEstimate",
    "OwnOperator",
    "Radon",
    "Solution",
    "Space",
    "cartesian_equispaced",
    "cartesian_gaussian",
    "cartesian_random",
    "conjugate_gradient",
    "dot_test",
    "examine",
    "fft2c",
    "ifft2c",
    "nested",
    "operator_norm",
    "poisson_disc",
    "radial",
    "sampling_fraction",
    "spiral",
    "spokes",
    "variable_density",
]
