"""How a user's network is loaded, adapted to ``f(y, A) -> image``, and checked."""

from stabtest.networks.channels import Channels
from stabtest.networks.executable import load_executable
from stabtest.networks.gates import check_network, require
from stabtest.networks.load import load_factory, load_object, sha256
from stabtest.networks.magnitude import Magnitude, comparable, returns_magnitude
from stabtest.networks.onnx_file import OnnxNetwork, is_onnx, load_onnx
from stabtest.networks.program import Program
from stabtest.networks.protocol import Network, Reconstructor
from stabtest.networks.scaling import Scale
from stabtest.networks.weights import LoadedWeights, load_weights
from stabtest.networks.wrap import Takes, WrappedNetwork, wrap

__all__ = [
    "Channels",
    "LoadedWeights",
    "Magnitude",
    "Network",
    "OnnxNetwork",
    "Program",
    "Reconstructor",
    "Scale",
    "Takes",
    "WrappedNetwork",
    "check_network",
    "comparable",
    "is_onnx",
    "load_executable",
    "load_factory",
    "load_object",
    "load_onnx",
    "load_weights",
    "require",
    "returns_magnitude",
    "sha256",
    "wrap",
]
