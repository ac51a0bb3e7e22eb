"""The tests: one file, one question that a reviewer would ask, one measured statistic with its gate and its interval."""

from stabtest.stability.cases import Case, Method, Outcome, Progress, Resampled
from stabtest.stability.quality import quality
from stabtest.stability.sampling import SamplingTest, statements
from stabtest.stability.structure import StructureTest
from stabtest.stability.summary import summarise

__all__ = [
    "Case",
    "Method",
    "Outcome",
    "Progress",
    "Resampled",
    "SamplingTest",
    "StructureTest",
    "quality",
    "statements",
    "summarise",
]
