"""Finding a reconstructor by name.

A classical method is a callable ``(y, operator) -> image``; a trained network is an ``nn.Module`` with a note of how it
wants its input (`stabtest.networks.wrap` adapts it). Both come as an `Entry` with a card that says what the method is and,
for networks, what they were trained on and how well they did on held-out images.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconstructors.lecture.shelf import SHELF
from stabtest.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

HERE = Path(__file__).parent

_CLASSICAL = {
    "zero-filled": "Zero-filled inverse Fourier transform: linear, what an undersampled scan shows without any prior.",
    "fbp": "Filtered back-projection with the plain ramp filter: linear, the classical CT reconstruction.",
    "cg-sense": "CG-SENSE (Pruessmann et al. 2001): MRI with several coils by conjugate gradients to a stated residual, Tikhonov "
    "regularised, linear.",
    "sirt": "SIRT (Gilbert 1972; Gregor and Benson 2008): iterative CT with the weights of row and column sums, regularised by its number "
    "of steps, linear.",
    "tv": "Total variation by PDHG (Chambolle and Pock 2011): sparse regularisation, the reference method.",
    "tgv": "Total generalised variation of second order by PDHG (Bredies, Kunisch and Pock 2010): sparse regularisation that leaves slopes "
    "alone.",
    "firenet": "FIRENET (Colbrook, Antun and Hansen 2022): restarted primal-dual iterations for the square-root LASSO in wavelets, unrolled; "
    "its weights are computed, not trained.",
    "wavelet": "Translation-invariant Haar wavelets by PDHG (Coifman and Donoho 1995; Chambolle and Pock 2011): sparse regularisation, beside "
    "total variation.",
}


WAVELET_WEIGHT = 1.5e-3
"""Of the wavelets where none is given: what `experiments.training.classical` chooses for the CT scan of the zoo (for the MRI scan 0.004)."""


@dataclass(frozen=True)
class Entry:
    """One reconstructor of the zoo.

    Attributes
    ----------
    name
        Its name in the zoo.
    card
        Model card: description, source; for a network also data, steps, seed, held-out metrics, loss curve, SHA-256.
    module
        The trained network in evaluation mode with frozen parameters, or ``None`` for a classical method.
    make
        For a classical method: ``make(**settings)`` gives the callable ``(y, operator) -> image``.
    takes, channels, scale
        For a network: arguments of `stabtest.networks.wrap`.
    weights
        For a network: the weight file.
    """

    name: str
    card: dict[str, Any]
    module: nn.Module | None = None
    make: Callable[..., Callable[..., Any]] | None = None
    takes: str = "pseudo_inverse"
    channels: str = "native"
    scale: str = "none"
    weights: Path | None = None


def names() -> list[str]:
    """All names that `load` knows: classical methods, networks made by hand or untrained, trained networks."""
    return [*_CLASSICAL, *SHELF, *sorted(path.stem for path in (HERE / "cards").glob("*.json"))]


def read_card(name: str) -> dict[str, Any]:
    """The model card of a trained network, without loading its weights."""
    return json.loads((HERE / "cards" / f"{name}.json").read_text(encoding="utf-8"))


def load(name: str) -> Entry:
    """Load a reconstructor.

    Parameters
    ----------
    name
        One of `names`.

    Returns
    -------
    Entry
        Ready to be called (classical) or wrapped (network).

    Raises
    ------
    ConfigError
        If there is no such reconstructor.

    Examples
    --------
    >>> load("tv").card["description"].split(":")[0]
    'Total variation by PDHG (Chambolle and Pock 2011)'
    """
    if name in _CLASSICAL:
        return Entry(name, {"name": name, "description": _CLASSICAL[name]}, make=_classical(name))
    if name in SHELF:
        return _from_shelf(name)
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        raise ConfigError(
            "zoo",
            expected="the name of a built-in reconstructor",
            came=repr(name),
            remedy=f"did you mean {near[0]!r}; stabtest zoo lists them" if near else f"one of {', '.join(names())}",
        )
    from safetensors.torch import load_file

    from reconstructors.architectures import build

    card = read_card(name)
    module = build(card["architecture"], card["settings"])
    weights = HERE / "weights" / card["weights"]
    module.load_state_dict(load_file(weights))
    return Entry(
        name,
        card,
        module=module.eval().requires_grad_(False),
        takes=card["takes"],
        channels=card["channels"],
        scale=card["scale"],
        weights=weights,
    )


def _from_shelf(name: str) -> Entry:
    piece = SHELF[name]
    module = piece.make(**piece.settings)
    weights, training = HERE / "weights" / f"{name}.safetensors" if piece.trained else None, dict[str, Any]()
    if weights is not None:
        from safetensors.torch import load_file

        module.load_state_dict(load_file(weights))
        training = json.loads((HERE / "lecture" / f"{name}.json").read_text(encoding="utf-8"))
    module = module.eval().requires_grad_(False)
    card = {
        "name": name,
        "description": piece.description,
        "settings": piece.settings,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "reconstructs": piece.reconstructs,
        **training,
    }
    return Entry(name, card, module=module, weights=weights)


def _classical(name: str) -> Callable[..., Callable[..., Any]]:
    if name == "tv":
        from reconstructors.tv import TotalVariation

        return TotalVariation
    if name == "tgv":
        from reconstructors.tgv import TotalGeneralisedVariation

        return TotalGeneralisedVariation
    if name == "firenet":
        from reconstructors.firenet import Firenet

        return Firenet
    if name == "wavelet":
        from reconstructors.invariant import InvariantWavelets

        return partial(InvariantWavelets, weight=WAVELET_WEIGHT)
    if name == "cg-sense":
        from reconstructors.sense import Sense

        return Sense
    if name == "sirt":
        from reconstructors.sirt import Sirt

        return Sirt
    from reconstructors.linear import direct

    return lambda: direct
