"""Distribution shift: what happens when the object or the scan is not quite what the method was trained for, or is told.

- `ObjectShift`: the object is brighter, turned, moved, magnified, inverted in contrast, or of another anatomy.
- `ScanShift`: mask, coil maps, motion, geometry, detectors or receiver are not what the method is told.
- `Scene`: a case and the object in it, if need be on the finer grid that it was simulated on.
- `equivariance`: the error with and without, and how far the method is from commuting with the shift.
- `worst_shift`: the worst rotation, translation and intensity within a box.
- `ShiftTest`: all of it as a test of stability, and `statements` about the patients.
"""

from stabtest.stability.shift.box import Box
from stabtest.stability.shift.equivariance import Comparison, compare, equivariance
from stabtest.stability.shift.measure import ShiftTest
from stabtest.stability.shift.object_shifts import ObjectShift
from stabtest.stability.shift.scan_shifts import ScanShift
from stabtest.stability.shift.scene import Scene
from stabtest.stability.shift.search import WorstShift, worst_shift
from stabtest.stability.shift.shifted import Shift, Shifted
from stabtest.stability.shift.statements import statements

__all__ = [
    "Box",
    "Comparison",
    "ObjectShift",
    "ScanShift",
    "Scene",
    "Shift",
    "ShiftTest",
    "Shifted",
    "WorstShift",
    "compare",
    "equivariance",
    "statements",
    "worst_shift",
]
