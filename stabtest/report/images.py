"""Pictures on the page: a `Picture` of the document becomes a PNG with its window applied, and every window is printed.

Anatomy is drawn in gray. Errors, which start at zero, use matplotlib's *inferno* (N. Smith, S. van der Walt, 2015; CC0), whose
lightness grows evenly and which survives printing in gray; signed quantities use ColorBrewer's *RdBu* about zero (C. Brewer,
Apache-2.0). The tables below are every fifth colour of the 256, interpolated linearly, within 1.2 of 255 of the original.
A value outside its window is drawn with the colour of the end.
"""

from __future__ import annotations

import math
import zlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

from stabtest.findings.records import Picture
from stabtest.report.numbers import number
from stabtest.report.png import data_uri, encode_png

_INFERNO = (
    "000004 02020c 050417 0a0722 10092d 160b39 1e0c45 260c51 2f0a5b 380962 400a67 490b6a 510e6c 59106e 61136e "
    "69166e 71196e 781c6d 801f6c 88226a 902568 982766 a02a63 a82e5f b0315b b73557 bf3952 c63d4d cc4248 d34743 "
    "d94d3d df5337 e45a31 e9612b ed6925 f1711f f47918 f78212 f98b0b fa9407 fb9d07 fca60c fcb014 fbba1f fac42a "
    "f8cd37 f6d746 f4e156 f2ea69 f2f27d f5f992 fcffa4 "
)
_RED_BLUE = (
    "053061 0a3b70 10457e 15508d 1b5a9c 2065ab 276eb0 2e77b5 3480b9 3b88be 4291c2 4f9bc7 5fa5cd 6eaed2 7eb8d7 "
    "8dc2dc 9bc9e0 a7d0e4 b3d6e8 c0dceb cce2ef d5e7f1 ddebf2 e4eef4 ecf2f5 f3f5f6 f8f4f2 f9efe9 fae9df fbe4d6 "
    "fcdecd fcd7c2 fbccb4 f9c2a7 f7b799 f5ac8b f2a17f ec9374 e6866a e17860 db6b55 d55d4c ce4f45 c6413e bf3338 "
    "b82531 b1182b a21328 930e26 840924 760521 67001f "
)


@cache
def palette(kind: str) -> NDArray[np.uint8] | None:
    """Colours ``(256, 3)`` of a kind of picture; ``None`` for gray.

    Examples
    --------
    >>> palette("error")[0].tolist(), palette("anatomy")
    ([0, 0, 4], None)
    """
    table = {"error": _INFERNO, "signed": _RED_BLUE}.get(kind)
    if table is None:
        return None
    anchors = np.array([[int(colour[k : k + 2], 16) for k in (0, 2, 4)] for colour in table.split()], dtype=float)
    at = np.round(np.linspace(0, 255, len(anchors)))
    channels = [np.interp(np.arange(256), at, anchors[:, channel]) for channel in range(3)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


def levels(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    """Grey or palette levels of an image in a window; what is outside is clipped to its ends.

    Examples
    --------
    >>> levels(np.array([[-1.0, 0.0, 0.5, 2.0]]), 0.0, 1.0).tolist()
    [[0, 0, 128, 255]]
    """
    scaled = (np.nan_to_num(np.asarray(values, dtype=np.float64)) - low) / (high - low)
    return np.round(np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def window(picture: Picture) -> tuple[float, float]:
    """The display window of a picture, or the range of its values where the document gives no usable window."""
    low, high = picture.window_low, picture.window_high
    if math.isfinite(low) and math.isfinite(high) and low < high and math.isfinite(high - low):
        return low, high
    return picture.low, picture.high


def source(picture: Picture) -> str | None:
    """The picture as a data URI; ``None`` where its data do not decode to an image."""
    low, high = window(picture)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            values = picture.decode()
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                return None
            return data_uri(encode_png(levels(values, low, high), palette(picture.kind)))
    except (ValueError, zlib.error):
        return None


@cache
def colour_bar(kind: str) -> str:
    """A colour bar of a kind of picture as a data URI, low end at the left."""
    return data_uri(encode_png(np.arange(256, dtype=np.uint8)[None, :], palette(kind)))


def printed_window(picture: Picture) -> str:
    """The window in words: ``0 to 0.85``."""
    low, high = window(picture)
    return f"{number(low)} to {number(high)}"
