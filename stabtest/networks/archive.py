"""What a damaged zip archive makes of the reader: every kind of error that `zipfile` is known to raise."""

from __future__ import annotations

import struct
import zipfile
import zlib

DAMAGED = (zipfile.BadZipFile, ValueError, RuntimeError, EOFError, struct.error, zlib.error)
"""``RuntimeError``: a member that says it is encrypted; ``NotImplementedError``, a kind of it: a version or a compression that it cannot read."""
