"""How a user's network is loaded, adapted to ``f(y, A) -> image``, and checked."""

from stabtest.networks.channels import Channels
from stabtest.networks.load import load_factory, sha256
from stabtest.networks.magnitude import Magnitude, comparable, returns_magnitude
from stabtest.networks.protocol import Network, Reconstructor
from stabtest.networks.scaling import Scale
from stabtest.networks.weights import LoadedWeights, load_weights
from stabtest.networks.wrap import Takes, WrappedNetwork, wrap

__all__ = [
    "Channels",
    "LoadedWeights",
    "Magnitude",
    "Network",
    "Reconstructor",
    "Scale",
    "Takes",
    "WrappedNetwork",
    "comparable",
    "load_factory",
    "load_weights",
    "returns_magnitude",
    "sha256",
    "wrap",
]
