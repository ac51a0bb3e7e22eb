"""From measured rows to findings: one file a test, the rules of `stabtest.statistics` throughout."""

from stabtest.stability.summaries.context import Context

__all__ = ["Context"]
