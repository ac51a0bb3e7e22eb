"""The tests: one file, one question that a reviewer would ask, one measured statistic with its gate and its interval.

- `quality`: how good is the image when nothing is wrong?
- `worst_case`: how much damage does the worst disturbance of a given size do, as far as a search finds it?
- `structure`: would a small lesion be seen?
- `missed_lesion`: which lesion of those that the data carry comes back least, as far as a search finds it?
- `sampling`: does it get better with more samples?
- `noise`: how do error and bias grow with noise?
- `repeatability`: does the same measurement give the same image again?
- `physics`: how sharp, how noisy and how flat is the image, as a medical physicist measures it?
- `detectability`: can observers tell images with a lesion from images without?
- `kernel`: what does the method do where the scanner sees nothing?
- `shift`: what if the object or the scan is not quite what it is told?
- `lipschitz`: how much can it amplify at all?

`summarise` turns their rows into findings.
"""

from stabtest.stability.cases import Case, Method, Outcome, Progress, Resampled
from stabtest.stability.detectability import DetectabilityTest
from stabtest.stability.kernel import KernelTest
from stabtest.stability.lipschitz import LipschitzTest
from stabtest.stability.missed_lesion import MissedLesionTest
from stabtest.stability.noise import NoiseTest
from stabtest.stability.physics import ImageQualityTest
from stabtest.stability.quality import quality
from stabtest.stability.region import Region
from stabtest.stability.repeatability import RepeatabilityTest
from stabtest.stability.sampling import SamplingTest, statements
from stabtest.stability.shift import ShiftTest
from stabtest.stability.structure import StructureTest
from stabtest.stability.summary import summarise
from stabtest.stability.worst_case import WorstCaseTest, replay

__all__ = [
    "Case",
    "DetectabilityTest",
    "ImageQualityTest",
    "KernelTest",
    "LipschitzTest",
    "Method",
    "MissedLesionTest",
    "NoiseTest",
    "Outcome",
    "Progress",
    "Region",
    "RepeatabilityTest",
    "Resampled",
    "SamplingTest",
    "ShiftTest",
    "StructureTest",
    "WorstCaseTest",
    "quality",
    "replay",
    "statements",
    "summarise",
]
