"""Lipschitz bounds of networks, layer by layer, and of whole reconstructors, from measurement to image.

Every bound is a true upper bound and says what it rests on; what is not known is called unknown.
"""

from stabtest.bounds.call import Call, Gain, Signal, gain, unknown
from stabtest.bounds.convolution import convolution_norm
from stabtest.bounds.end_to_end import Factor, end_to_end, pseudo_inverse_norm
from stabtest.bounds.lanczos import lanczos_norm, linear_map_norm
from stabtest.bounds.lipschitz import LipschitzBound, lipschitz
from stabtest.bounds.local.ball import BallBound, lipschitz_on_ball
from stabtest.bounds.normalise import spectrally_normalised
from stabtest.bounds.several import GlobalBound

__all__ = [
    "BallBound",
    "Call",
    "Factor",
    "Gain",
    "GlobalBound",
    "LipschitzBound",
    "Signal",
    "convolution_norm",
    "end_to_end",
    "gain",
    "lanczos_norm",
    "linear_map_norm",
    "lipschitz",
    "lipschitz_on_ball",
    "pseudo_inverse_norm",
    "spectrally_normalised",
    "unknown",
]
