"""Worst-case search: the admissible perturbation that damages a reconstruction most.

Read in this order: `constraints` (where the search may go), `objectives` (what it makes large), `problem` (one
evaluation, one forward and one backward), `ascent` (the method), `starts` (where it begins), `leader` (the best so
far), `verify` (the witness examined from scratch), `worst_case` (all of it together), `curve` (over radii),
`baseline` (noise of the same norm), `jacobian` (the limit of small radius) and `published` (the attacks of the literature,
for comparison).
"""

from stabtest.search.baseline import gaussian_baseline
from stabtest.search.constraints import Ball, ImageBall, MeasurementBall
from stabtest.search.curve import worst_case_curve
from stabtest.search.jacobian import JacobianNorm, Linearisation, jacobian_norm
from stabtest.search.leader import Leader
from stabtest.search.objectives import DistanceToClean, DistanceToTruth, Objective
from stabtest.search.problem import Evaluation, GradientHealth, Problem, Reconstructor
from stabtest.search.result import WorstCase
from stabtest.search.verify import Verified, verify
from stabtest.search.worst_case import worst_case

__all__ = [
    "Ball",
    "DistanceToClean",
    "DistanceToTruth",
    "Evaluation",
    "GradientHealth",
    "ImageBall",
    "JacobianNorm",
    "Leader",
    "Linearisation",
    "MeasurementBall",
    "Objective",
    "Problem",
    "Reconstructor",
    "Verified",
    "WorstCase",
    "gaussian_baseline",
    "jacobian_norm",
    "verify",
    "worst_case",
    "worst_case_curve",
]
