"""The tests: one file, one question that a reviewer would ask, one measured statistic with its gate and its interval.

- `quality`: how good is the image when nothing is wrong?
- `worst_case`: how much damage does the worst disturbance of a given size do, as far as a search finds it?
- `structure`: would a small lesion be seen?
- `sampling`: does it get better with more samples?
- `noise`: how do error and bias grow with noise?
- `repeatability`: does the same measurement give the same image again?
- `physics`: how sharp, how noisy and how flat is the image, as a medical physicist measures it?
- `lipschitz`: how much can it amplify at all?

`summarise` turns their rows into findings.
"""

from stabtest.stability.cases import Case, Method, Outcome, Progress, Resampled
from stabtest.stability.lipschitz import LipschitzTest
from stabtest.stability.noise import NoiseTest
from stabtest.stability.physics import ImageQualityTest
from stabtest.stability.quality import quality
from stabtest.stability.region import Region
from stabtest.stability.repeatability import RepeatabilityTest
from stabtest.stability.sampling import SamplingTest, statements
from stabtest.stability.structure import StructureTest
from stabtest.stability.summary import summarise
from stabtest.stability.worst_case import WorstCaseTest, replay

__all__ = [
    "Case",
    "ImageQualityTest",
    "LipschitzTest",
    "Method",
    "NoiseTest",
    "Outcome",
    "Progress",
    "Region",
    "RepeatabilityTest",
    "Resampled",
    "SamplingTest",
    "StructureTest",
    "WorstCaseTest",
    "quality",
    "replay",
    "statements",
    "summarise",
]
