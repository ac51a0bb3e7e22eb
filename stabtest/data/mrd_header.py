"""What is needed of the XML header of the ISMRM raw data format, which fastMRI's files carry as ``ismrmrd_header``.

The scanner encodes ``encodedSpace`` and shows ``reconSpace``. Along the read-out (``x``) it usually samples twice as densely as needed, so that
the encoded field of view is twice the shown one. What is kept of ``N`` encoded pixels is ``N`` times the ratio of the two fields of view; where
that is the reconstructed matrix but for rounding, the matrix. (A reconstructed matrix that is larger is an interpolation of the scanner's.)

Along the phase encoding (``y``), step number ``k`` of the encoding lies at column ``k - centre + N // 2``; columns outside of the limits were
filled up with zeros and not measured.

Source: S. J. Inati et al., *ISMRM Raw data format: a proposed standard for MRI raw datasets*, Magnetic Resonance in Medicine 77 (2017).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from stabtest.errors import DataError

MOST_TEXT = 4_000_000
"""Characters of a header that are looked at; real ones have some ten thousand."""
_REMEDY = "write the header again from the raw data, or leave it out"


@dataclass(frozen=True)
class Encoding:
    """The first encoding of a scan; pairs are read-out ``x``, phase encoding ``y``.

    Attributes
    ----------
    encoded, shown
        Matrix sizes of ``encodedSpace`` and ``reconSpace``.
    encoded_mm, shown_mm
        Their fields of view, or None where the header does not say.
    partitions
        Phase encodings along ``z``: more than 1 in 3-D scans.
    limits
        First, last and central phase encoding step, or None.
    trajectory
        As named there: ``"cartesian"``, ``"radial"``, ...
    """

    encoded: tuple[int, int]
    shown: tuple[int, int]
    encoded_mm: tuple[float, float] | None
    shown_mm: tuple[float, float] | None
    partitions: int
    limits: tuple[int, int, int] | None
    trajectory: str

    def kept(self, axis: int, pixels: int) -> int:
        """How many of ``pixels`` encoded pixels along an axis (0 = x, 1 = y) lie in the shown field of view.

        Examples
        --------
        >>> Encoding((640, 368), (320, 320), None, None, 1, None, "cartesian").kept(0, 640)
        320
        >>> Encoding((256, 256), (512, 512), (440.0, 220.0), (220.0, 220.0), 1, None, "cartesian").kept(0, 256)
        128
        """
        shown = self.shown[axis]
        if self.encoded_mm is not None and self.shown_mm is not None:
            by_field = pixels * self.shown_mm[axis] / self.encoded_mm[axis]
            if abs(by_field - shown) > 2.0:
                shown = round(by_field)
        return min(shown, pixels)

    def columns(self, width: int) -> tuple[int, int] | None:
        """First measured column and the one after the last, of ``width``; None without limits."""
        if self.limits is None:
            return None
        first, last, centre = self.limits
        return max(first - centre + width // 2, 0), min(last - centre + width // 2 + 1, width)


def read_header(text: str | bytes, name: str) -> Encoding:
    """Read the first encoding of a header.

    Parameters
    ----------
    text
        XML.
    name
        Of its place, for messages.

    Raises
    ------
    DataError
        If it is no XML, declares entities, or the matrix sizes are missing or not positive.

    Examples
    --------
    >>> space = "<matrixSize><x>{}</x><y>32</y><z>1</z></matrixSize>"
    >>> xml = f"<h><encoding><encodedSpace>{space.format(64)}</encodedSpace><reconSpace>{space.format(32)}</reconSpace></encoding></h>"
    >>> read_header(xml, "scan.h5").kept(0, 64)
    32
    """
    text = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text
    if len(text) > MOST_TEXT or "<!DOCTYPE" in text or "<!ENTITY" in text:
        # Entities can be nested so that a small file becomes gigabytes in memory.
        came = "a document type or entities" if len(text) <= MOST_TEXT else f"{len(text)} characters"
        raise DataError(name, expected="a plain ISMRMRD header", came=came, remedy=_REMEDY)
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise DataError(name, expected="an ISMRMRD header in XML", came=str(error), remedy=_REMEDY) from error
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
    encoding = root.find("encoding")
    if encoding is None:
        raise DataError(name, expected="an encoding in the ISMRMRD header", came="none", remedy=_REMEDY)
    sizes = {
        space: [_number(encoding, f"{space}/matrixSize/{axis}", name) for axis in "xyz"]
        for space in ("encodedSpace", "reconSpace")
    }
    encoded, shown = sizes["encodedSpace"], sizes["reconSpace"]
    return Encoding(
        encoded=(encoded[0], encoded[1]),
        shown=(shown[0], shown[1]),
        encoded_mm=_field(encoding, "encodedSpace"),
        shown_mm=_field(encoding, "reconSpace"),
        partitions=encoded[2],
        limits=_limits(encoding),
        trajectory=(encoding.findtext("trajectory") or "cartesian").strip().lower(),
    )


def _number(encoding: ET.Element, path: str, name: str) -> int:
    text = encoding.findtext(path)
    value = _whole(text)
    if value is None or not 1 <= value <= 1_000_000:
        came = "nothing" if text is None else repr(text[:40])
        raise DataError(f"{name}: {path}", expected="a positive whole number", came=came, remedy=_REMEDY)
    return value


def _field(encoding: ET.Element, space: str) -> tuple[float, float] | None:
    try:
        x, y = (float(encoding.findtext(f"{space}/fieldOfView_mm/{axis}") or "nan") for axis in "xy")
    except ValueError:
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


def _limits(encoding: ET.Element) -> tuple[int, int, int] | None:
    where = "encodingLimits/kspace_encoding_step_1"
    first, last, centre = (_whole(encoding.findtext(f"{where}/{key}")) for key in ("minimum", "maximum", "center"))
    if last is None or centre is None or not 0 <= (first or 0) <= centre <= last:
        return None
    return first or 0, last, centre


def _whole(text: str | None) -> int | None:
    try:
        return int(text) if text is not None and len(text) < 20 else None
    except ValueError:
        return None
