"""Several audits side by side: one table, plots of one scale, and where their protocols differ.

`audits` names them, `protocols` finds what differs, `tables`, `figures` and `page` draw.
"""

from stabtest.report.comparison.audits import Audit, read_audits
from stabtest.report.comparison.page import comparison, write_comparison
from stabtest.report.comparison.protocols import require_one_protocol

__all__ = ["Audit", "comparison", "read_audits", "require_one_protocol", "write_comparison"]
