"""The command ``stabtest``.

Exit status: 0 ran and nothing failed; 1 a criterion FAILED; 2 wrong use, configuration, network or data; 3 ended before it was
complete, the same command goes on. A defect of the tool itself ends with 70 and a traceback.
"""

from stabtest.cli.app import app, main

__all__ = ["app", "main"]
