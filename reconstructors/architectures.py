"""The networks of the zoo by name: what a model card or a training recipe calls ``architecture``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from stabtest.errors import NetworkError

if TYPE_CHECKING:
    from torch import nn

Architecture = Literal[
    "unet", "cascade", "automap", "dncnn", "learned-primal-dual", "itnet", "modl", "variational", "varnet", "plug-and-play"
]


def build(architecture: str, settings: Mapping[str, Any]) -> nn.Module:
    """A network with fresh random weights.

    Parameters
    ----------
    architecture
        Its name.
    settings
        Arguments of its class.

    Raises
    ------
    NetworkError
        If there is no such architecture.

    Examples
    --------
    >>> type(build("unet", {"channels": 1, "width": 4})).__name__
    'UNet'
    """
    match architecture:
        case "unet":
            from reconstructors.unet import UNet

            return UNet(**settings)
        case "cascade":
            from reconstructors.cascade import Cascade

            return Cascade(**settings)
        case "automap":
            from reconstructors.automap import Automap

            return Automap(**settings)
        case "dncnn":
            from reconstructors.lecture.dncnn import DnCNN

            return DnCNN(**settings)
        case "learned-primal-dual":
            from reconstructors.learned_primal_dual import LearnedPrimalDual

            return LearnedPrimalDual(**settings)
        case "itnet":
            from reconstructors.itnet import ItNet

            return ItNet(**settings)
        case "modl":
            from reconstructors.modl import Modl

            return Modl(**settings)
        case "variational":
            from reconstructors.variational import VariationalNetwork

            return VariationalNetwork(**settings)
        case "varnet":
            from reconstructors.varnet import VarNet

            return VarNet(**settings)
        case "plug-and-play":
            from reconstructors.plug_and_play import PlugAndPlay

            return PlugAndPlay(**settings)
        case _:
            known = ", ".join(get_args(Architecture))
            raise NetworkError("zoo: architecture", expected=f"one of {known}", came=repr(architecture))
