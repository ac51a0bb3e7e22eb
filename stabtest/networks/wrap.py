"""A user's network as a reconstruction method ``f(y, A) -> image``.

Networks differ in what they are given (``takes``), in how a complex image lies in their channels (``channels``) and in how
the image is normalised before them (``scale``). `wrap` states all three in one place and makes one differentiable function
of measurement and operator, so that a search, a bound or a test of stability sees the whole chain: with ``P`` the
pseudo-inverse, ``S`` the split into channels and ``c`` the scale,

    pseudo_inverse          f(y) = c S^-1 N(S P y / c)
    measurements            f(y) = c S^-1 N(S y / c)
    measurements+operator   f(y) = c S^-1 N(S y / c, A)
    fastmri                 f(y) = c N(y / c, mask)
    deepinv                 f(y) = c S^-1 N(S y / c, physics)

With ``scale = "max"``, ``c = max |P y|`` in every row: the image comes out at the size that it went in, and
``f(t y) = t f(y)``.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from stabtest.errors import NetworkError
from stabtest.networks.channels import (
    Channels,
    channels_to_image,
    image_to_channels,
    measurement_to_channels,
)
from stabtest.networks.deepinv import Physics, measurement_to_deepinv
from stabtest.networks.fastmri import call_fastmri
from stabtest.networks.protocol import Network
from stabtest.networks.scaling import Scale, Standardisation, max_modulus
from stabtest.operators.base import LinearOperator
from stabtest.tensors import scale as multiply

Takes = Literal["pseudo_inverse", "measurements", "measurements+operator", "fastmri", "deepinv"]


@dataclass(frozen=True, eq=False)
class WrappedNetwork:
    """A network with what it takes; a `Reconstructor`. Made by `wrap`.

    Attributes
    ----------
    module
        The network, in evaluation mode, its parameters frozen.
    takes, channels, scale
        As in `wrap`.
    """

    module: Network
    takes: Takes
    channels: Channels
    scale: Scale

    def __call__(self, y: Tensor, operator: LinearOperator, /) -> Tensor:
        """Reconstruct.

        Parameters
        ----------
        y
            Measurements ``(B, *operator.range.shape)``.
        operator
            The forward model.

        Returns
        -------
        Tensor
            Images ``(B, 1, H, W)``: complex or real as the operator's domain, real for a network that returns magnitudes
            (`magnitude`).

        Raises
        ------
        NetworkError
            If the network's output has another shape or kind than declared, or the declaration does not fit the
            operator. What the network itself raises passes through.
        """
        start = operator.pseudo_inverse(y) if self.takes == "pseudo_inverse" or self.scale == "max" else None
        size = None if start is None or self.scale != "max" else max_modulus(start)
        given = start if self.takes == "pseudo_inverse" and start is not None else y
        if size is not None:
            given = multiply(given, 1 / size)
        image = self._run(given, operator)
        return image if size is None else multiply(image, size)

    @property
    def magnitude(self) -> bool:
        """Whether the network is declared to return magnitudes."""
        return self.channels == "magnitude"

    def describe(self) -> dict[str, str | int]:
        """Class, number of parameters, and the three declarations, for the report."""
        parameters = sum(p.numel() for p in self.module.parameters()) if isinstance(self.module, nn.Module) else 0
        return {
            "network": getattr(self.module, "__name__", type(self.module).__name__),
            "parameters": parameters,
            "takes": self.takes,
            "channels": self.channels,
            "scale": self.scale,
        }

    def in_double(self) -> WrappedNetwork:
        """The same method with a copy of the network in float64.

        Raises
        ------
        NetworkError
            If the module cannot be copied or converted. A network that computes in a fixed precision inside
            shows only when it is called.
        """
        if not isinstance(self.module, nn.Module):
            return self
        try:
            return replace(self, module=copy.deepcopy(self.module).double())
        except Exception as error:
            raise NetworkError("the network cannot be copied in float64", came=f"{type(error).__name__}: {error}") from error

    def _run(self, given: Tensor, operator: LinearOperator) -> Tensor:
        """What the network makes of its scaled input, as an image."""
        shape = operator.domain.shape
        if self.takes == "pseudo_inverse":
            x = image_to_channels(given, self.channels)
            if self.scale != "standardise":
                return channels_to_image(_tensor(self.module(x)), self.channels, shape)
            statistics = Standardisation.of(x)
            output = statistics.undo(_tensor(self.module(statistics.apply(x))))
            return channels_to_image(output, self.channels, shape)
        if self.takes == "fastmri":
            output = _tensor(call_fastmri(self.module, given, operator))
            return _fastmri_image(output, self.channels, shape)
        if self.takes == "deepinv":
            physics = Physics(operator, like=given)
            output = _tensor(self.module(measurement_to_deepinv(given, operator), physics))
            two_channels = operator.domain.is_complex and self.channels == "native"
            return channels_to_image(output, "real-imag" if two_channels else self.channels, shape)
        x = measurement_to_channels(given, self.channels)
        output = self.module(x) if self.takes == "measurements" else self.module(x, operator)
        return channels_to_image(_tensor(output), self.channels, shape)


def wrap(
    module: Network,
    *,
    takes: Takes = "pseudo_inverse",
    channels: Channels = "native",
    scale: Scale = "none",
) -> WrappedNetwork:
    """Make a reconstruction method of a network.

    A ``nn.Module`` is put into evaluation mode and its parameters are frozen, *in place*: it is the audited network, and a
    copy would double the memory of a large one. Train it again after ``module.train().requires_grad_(True)``.

    Parameters
    ----------
    module
        An ``nn.Module``, or any callable on tensors.
    takes
        What it is called with: ``pseudo_inverse``: the zero-filled or filtered back-projection image; ``measurements``;
        ``measurements+operator``: ``module(y, operator)`` with the operator of `stabtest.operators`; ``fastmri``:
        ``module(masked_kspace, mask[, num_low_frequencies])``, see `stabtest.networks.fastmri`; ``deepinv``:
        ``module(y, physics)``, see `stabtest.networks.deepinv`.
    channels
        How complex images lie in the network's input and output: ``native`` (as they are: complex tensors for MRI, real
        ones for CT; for ``deepinv`` its two channels), ``real-imag`` (two
        real channels) or ``magnitude`` (one; the phase is dropped and the reconstruction is real; fastMRI's VarNet). No
        phase is dropped from measurements: for ``real-imag`` and ``magnitude`` they have real and imaginary channels. For
        ``fastmri`` and ``deepinv`` measurements have the layout of their convention.
    scale
        ``none``; ``max``: divide by the largest modulus of the pseudo-inverse image and multiply the output by it;
        ``standardise``: subtract each channel's mean and divide by its standard deviation, undone on the output; only
        for a network that takes the image. Each image for itself; the gradient of the scale is included. An
        image of zeros is divided by 1.

    Returns
    -------
    WrappedNetwork

    Raises
    ------
    NetworkError
        If an option is unknown, the options contradict each other or ``module`` cannot be called.

    Examples
    --------
    >>> from stabtest.operators import Fourier
    >>> A = Fourier(torch.ones(8, 8, dtype=torch.bool))
    >>> f = wrap(nn.Conv2d(2, 2, 3, padding=1), takes="pseudo_inverse", channels="real-imag", scale="max")
    >>> f(torch.ones(3, 1, 8, 8, dtype=torch.complex64), A).shape
    torch.Size([3, 1, 8, 8])
    """
    _one_of("takes", takes, get_args(Takes))
    _one_of("channels", channels, get_args(Channels))
    _one_of("scale", scale, get_args(Scale))
    if not callable(module):
        raise NetworkError("wrap: module", expected="an nn.Module or a callable", came=type(module).__name__)
    if scale == "standardise" and takes != "pseudo_inverse":
        raise NetworkError(
            f"scale = 'standardise' does not fit takes = {takes!r}",
            expected="takes = 'pseudo_inverse' (a mean is taken off an image, not off measurements)",
            came=repr(takes),
            remedy="use scale = 'max' or 'none'",
        )
    if isinstance(module, nn.Module):
        module.eval()
        for parameter in module.parameters():  # one by one: a TorchScript module cannot freeze itself
            parameter.requires_grad_(False)
    return WrappedNetwork(module, takes, channels, scale)


def _fastmri_image(output: Tensor, channels: Channels, shape: tuple[int, ...]) -> Tensor:
    """Output of a fastMRI network: magnitude ``(B, H, W)``, or real and imaginary part along the last axis or axis 1."""
    if channels == "real-imag" and output.shape[-1] == 2 and not output.is_complex():
        joined = torch.view_as_complex(output.contiguous())
        return channels_to_image(joined, "native", shape)
    return channels_to_image(output, channels, shape)


def _tensor(output: object) -> Tensor:
    if not isinstance(output, Tensor):
        raise NetworkError(
            "the network does not return a tensor",
            expected="one tensor, the image",
            came=type(output).__name__,
            remedy="wrap it in a module whose forward returns the image alone",
        )
    return output


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise NetworkError(f"wrap: {name}", expected=" | ".join(allowed), came=repr(value))
