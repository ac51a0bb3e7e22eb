"""The tables of ``stabtest.toml``, one model each; `stabtest.audit.config.model` joins them."""

from stabtest.audit.config.settings.base import Section
from stabtest.audit.config.settings.criteria import CriteriaSection
from stabtest.audit.config.settings.details import DetectabilitySection, MissedLesionSection, StructureSection
from stabtest.audit.config.settings.image_quality import ImageQualitySection
from stabtest.audit.config.settings.lipschitz import LipschitzSection
from stabtest.audit.config.settings.null_space import KernelSection, SfrcSection
from stabtest.audit.config.settings.samples import Angles, NoiseSection, RepeatabilitySection, SamplingSection
from stabtest.audit.config.settings.scan import DataSection, MapsSection, MaskSection, OperatorSection
from stabtest.audit.config.settings.shift import ShiftSection
from stabtest.audit.config.settings.subject import AuditSection, NetworkSection, ReferenceSection
from stabtest.audit.config.settings.training import TrainingSection
from stabtest.audit.config.settings.trajectory import TrajectorySection
from stabtest.audit.config.settings.worst_case import RegionSection, WorstCaseSection

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
