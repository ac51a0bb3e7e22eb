"""A small PNG writer: 8-bit gray or palette images, as data URIs.

PNG (Portable Network Graphics) Specification, second edition, W3C and ISO/IEC 15948:2003: a signature and chunks of
``length | type | data | CRC-32``, the pixels compressed by zlib with one filter byte (0 = none) before each line.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def encode_png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> bytes:
    r"""Write an image ``(H, W)`` of levels 0 to 255.

    Parameters
    ----------
    pixels
        Levels, or indices into the palette.
    palette
        ``(256, 3)`` red, green, blue; gray without one.

    Raises
    ------
    ValueError
        If the image is empty or not two-dimensional.

    Examples
    --------
    >>> encode_png(np.zeros((2, 3), dtype=np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    if pixels.ndim != 2 or pixels.size == 0:
        raise ValueError(f"a PNG needs a non-empty image (H, W), not {pixels.shape}")
    height, width = pixels.shape
    colour = 0 if palette is None else 3
    lines = np.concatenate([np.zeros((height, 1), dtype=np.uint8), pixels.astype(np.uint8)], axis=1)
    chunks = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))]
    if palette is not None:
        chunks.append(_chunk(b"PLTE", palette.astype(np.uint8).tobytes()))
    chunks += [_chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def data_uri(png: bytes) -> str:
    """A PNG as a ``data:`` URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
