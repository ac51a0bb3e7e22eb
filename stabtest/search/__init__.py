"""Worst-case search: the admissible perturbation that damages a reconstruction most.

Read in this order: `sets`, `constraints` (where the search may go; `norms`, `regions`, `floors`, `radius`, `admissible` say it
in words), `objectives` (what it makes large; `targets`, `similarity`), `problem` (one evaluation, one forward and one
backward), `ascent` (the method), `starts` and `paths` (from where, and how the budget is spent), `leader` (the best so far),
`verify` (the witness examined from scratch), `worst_case` (all of it together), `curve` (over radii), `ways` (along several
derivatives of one method), `gaussian` (noise of the same norm). Around it: `health` (can the gradient be believed?),
`black_box` (without gradients), `jacobian` and `spectrum` (the limit of small radius), `universal` (one perturbation for many
images), `transfer` (between methods), `witness` and `replay` (a perturbation that is kept and put into another
network) and `published` (the attacks of the literature, for comparison).
"""

from stabtest.search.admissible import SetOptions, admissible_set
from stabtest.search.black_box import black_box
from stabtest.search.constraints import Ball, ImageBall, MeasurementBall
from stabtest.search.curve import worst_case_curve
from stabtest.search.gaussian import gaussian_baseline
from stabtest.search.health import GradientReport, examine
from stabtest.search.jacobian import JacobianNorm, Linearisation, jacobian_norm
from stabtest.search.leader import Leader, PathEnd
from stabtest.search.objectives import DistanceToClean, DistanceToTruth, LocalDamage, Objective, RegionDamage
from stabtest.search.problem import Evaluation, GradientHealth, Problem, Reconstructor
from stabtest.search.replay import Replayed, replay
from stabtest.search.result import WorstCase
from stabtest.search.running import RunOptions, SearchOptions
from stabtest.search.similarity import StructuralDissimilarity
from stabtest.search.spectrum import JacobianSpectrum, jacobian_spectrum
from stabtest.search.targets import Lesion, LesionAppears, LesionVanishes, Target
from stabtest.search.transfer import TransferMatrix, transfer_matrix
from stabtest.search.universal import Universal, universal
from stabtest.search.verify import Verified, verify
from stabtest.search.ways import CurveByWays, curve_by_ways
from stabtest.search.witness import Witness, witness_of
from stabtest.search.witness_file import load_witness, save_witness
from stabtest.search.worst_case import worst_case

__all__ = [
    "Ball",
    "CurveByWays",
    "DistanceToClean",
    "DistanceToTruth",
    "Evaluation",
    "GradientHealth",
    "GradientReport",
    "ImageBall",
    "JacobianNorm",
    "JacobianSpectrum",
    "Leader",
    "Lesion",
    "LesionAppears",
    "LesionVanishes",
    "Linearisation",
    "LocalDamage",
    "MeasurementBall",
    "Objective",
    "PathEnd",
    "Problem",
    "Reconstructor",
    "RegionDamage",
    "Replayed",
    "RunOptions",
    "SearchOptions",
    "SetOptions",
    "StructuralDissimilarity",
    "Target",
    "TransferMatrix",
    "Universal",
    "Verified",
    "Witness",
    "WorstCase",
    "admissible_set",
    "black_box",
    "curve_by_ways",
    "examine",
    "gaussian_baseline",
    "jacobian_norm",
    "jacobian_spectrum",
    "load_witness",
    "replay",
    "save_witness",
    "transfer_matrix",
    "universal",
    "verify",
    "witness_of",
    "worst_case",
    "worst_case_curve",
]
