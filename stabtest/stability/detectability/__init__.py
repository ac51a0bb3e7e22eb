"""Whether a lesion can still be detected in the images that a method makes.

- `detection`: the test: fresh noise, with and without the lesion, reconstructed and scored.
- `realisations`: the noise, and the images.
- `channels`, `observers`: who looks at them.
- `figures`: AUC and d', each with bounds.
- `psychometric`, `contrast_detail`: from AUCs to the contrast that a lesion needs.
- `export`, `metaimage`: images and scores for other people's tools.
"""

from stabtest.stability.detectability.contrast_detail import SmallestDiameter, compare, smallest_diameter, thresholds
from stabtest.stability.detectability.detection import DetectabilityTest, Study
from stabtest.stability.detectability.export import export_pairs, export_study
from stabtest.stability.detectability.figures import Figure, auc, auc_of, detectability_index, detectability_of
from stabtest.stability.detectability.metaimage import Encoding, fitting_encoding
from stabtest.stability.detectability.observers import HotellingObserver, TemplateObserver, hotelling, non_prewhitening
from stabtest.stability.detectability.psychometric import Psychometric, fit

__all__ = [
    "DetectabilityTest",
    "Encoding",
    "Figure",
    "HotellingObserver",
    "Psychometric",
    "SmallestDiameter",
    "Study",
    "TemplateObserver",
    "auc",
    "auc_of",
    "compare",
    "detectability_index",
    "detectability_of",
    "export_pairs",
    "export_study",
    "fit",
    "fitting_encoding",
    "hotelling",
    "non_prewhitening",
    "smallest_diameter",
    "thresholds",
]
