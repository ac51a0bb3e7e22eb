"""The tables of ``stabtest.toml``, one model each; `stabtest.audit.config` joins them."""

from stabtest.audit.settings.base import Section
from stabtest.audit.settings.criteria import CriteriaSection
from stabtest.audit.settings.details import DetectabilitySection, MissedLesionSection, StructureSection
from stabtest.audit.settings.image_quality import ImageQualitySection
from stabtest.audit.settings.lipschitz import LipschitzSection
from stabtest.audit.settings.null_space import KernelSection, SfrcSection
from stabtest.audit.settings.samples import Angles, NoiseSection, RepeatabilitySection, SamplingSection
from stabtest.audit.settings.scan import DataSection, MapsSection, MaskSection, OperatorSection
from stabtest.audit.settings.shift import ShiftSection
from stabtest.audit.settings.subject import AuditSection, NetworkSection, ReferenceSection
from stabtest.audit.settings.training import TrainingSection
from stabtest.audit.settings.trajectory import TrajectorySection
from stabtest.audit.settings.worst_case import RegionSection, WorstCaseSection

__all__ = [
    "Angles",
    "AuditSection",
    "CriteriaSection",
    "DataSection",
    "DetectabilitySection",
    "ImageQualitySection",
    "KernelSection",
    "LipschitzSection",
    "MapsSection",
    "MaskSection",
    "MissedLesionSection",
    "NetworkSection",
    "NoiseSection",
    "OperatorSection",
    "ReferenceSection",
    "RegionSection",
    "RepeatabilitySection",
    "SamplingSection",
    "Section",
    "SfrcSection",
    "ShiftSection",
    "StructureSection",
    "TrainingSection",
    "TrajectorySection",
    "WorstCaseSection",
]
