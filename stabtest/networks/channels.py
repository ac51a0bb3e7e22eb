"""How a complex tensor enters a network and how its output becomes an image again.

A complex image ``x = u + iv`` of shape ``(B, 1, H, W)`` is given to a network as it is (``native``), as two real channels
``(u, v)`` (``real-imag``), or as its modulus ``|x|`` (``magnitude``). With ``C`` coils the two-channel layout is
``(B, 2C, H, W)``, all real parts first: the ``complex_to_chan_dim`` of fastMRI (Zbontar et al., arXiv:1811.08839).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from stabtest.errors import NetworkError

Channels = Literal["native", "real-imag", "magnitude"]


def split_complex(x: Tensor) -> Tensor:
    """Real parts, then imaginary parts, along axis 1.

    Parameters
    ----------
    x
        Complex ``(B, C, ...)``.

    Returns
    -------
    Tensor
        Real ``(B, 2C, ...)``.

    Examples
    --------
    >>> split_complex(torch.tensor([[[1 + 2j]]])).flatten()
    tensor([1., 2.])
    """
    return torch.cat([x.real, x.imag], dim=1)


def join_complex(x: Tensor) -> Tensor:
    """Inverse of `split_complex`: real ``(B, 2C, ...)`` to complex ``(B, C, ...)``.

    Examples
    --------
    >>> join_complex(torch.tensor([[[1.0], [2.0]]])).flatten()
    tensor([1.+2.j])
    """
    real, imaginary = x.chunk(2, dim=1)
    return torch.complex(real, imaginary)


def image_to_channels(x: Tensor, channels: Channels) -> Tensor:
    """An image in the layout of the network.

    Parameters
    ----------
    x
        Image ``(B, 1, H, W)``.
    channels
        The layout. ``native`` changes nothing.

    Returns
    -------
    Tensor
        ``(B, 1, H, W)``, or real ``(B, 2, H, W)`` for ``real-imag``.

    Raises
    ------
    NetworkError
        If a real image is asked for in a layout of complex ones.
    """
    if channels == "native":
        return x
    require_complex(x, channels)
    return split_complex(x) if channels == "real-imag" else x.abs()


def measurement_to_channels(y: Tensor, channels: Channels) -> Tensor:
    """A measurement in the layout of the network.

    The modulus of a measurement carries no image, so ``magnitude`` (a statement about images) gives the
    measurement as two channels too.

    Parameters
    ----------
    y
        Measurement ``(B, C, ...)``.
    channels
        The layout of the network's images.

    Raises
    ------
    NetworkError
        If a real measurement is asked for in a layout of complex ones.
    """
    if channels == "native":
        return y
    require_complex(y, channels)
    return split_complex(y)


def channels_to_image(output: Tensor, channels: Channels, shape: tuple[int, ...]) -> Tensor:
    """A network's output as an image.

    Parameters
    ----------
    output
        What the network returned; a missing channel axis of length one, ``(B, H, W)``, is put back (fastMRI's networks
        return that).
    channels
        The layout that was declared.
    shape
        Shape of an image without the batch axis, ``(1, H, W)``.

    Returns
    -------
    Tensor
        ``(B, 1, H, W)``; complex for ``real-imag``, real for ``magnitude``, as it came for ``native``.

    Raises
    ------
    NetworkError
        If the shape or the kind (real, complex) is not that of the declared layout.
    """
    expected = (2, *shape[1:]) if channels == "real-imag" else shape
    image = output.unsqueeze(1) if output.ndim == len(shape) and expected[0] == 1 else output
    if tuple(image.shape[1:]) != expected:
        raise NetworkError(
            "the network's output has another shape than its images",
            expected=f"(B, {', '.join(map(str, expected))}) for channels = {channels!r}",
            came=str(tuple(output.shape)),
            remedy="let the network return images of the operator's size, or declare the channels that it has "
            "(native, real-imag, magnitude)",
        )
    if channels == "native":
        return image
    if image.is_complex():
        raise NetworkError(
            f"the network's output does not fit channels = {channels!r}",
            expected="a real tensor",
            came=str(image.dtype),
            remedy="a network that returns complex tensors has channels = 'native'",
        )
    return join_complex(image) if channels == "real-imag" else image


def require_complex(x: Tensor, channels: Channels) -> None:
    """Raise `NetworkError` if a layout of complex tensors is asked for of a real one."""
    if not x.is_complex():
        raise NetworkError(
            f"channels = {channels!r} is for complex tensors",
            expected="a complex tensor (MRI)",
            came=f"a real one ({x.dtype})",
            remedy="use channels = 'native' for CT",
        )
