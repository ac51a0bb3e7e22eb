"""What an audit finds: measured rows, findings with their verdicts, and the document that the report is rendered from.

Plain frozen data. Nothing here measures, searches or draws; `stabtest.stability` fills the rows, `stabtest.audit` assembles
the document, `stabtest.report` renders it.
"""

from stabtest.findings.document import Document
from stabtest.findings.records import Interval, Picture
from stabtest.findings.verdicts import Criterion, Finding, Verdict, decide

__all__ = ["Criterion", "Document", "Finding", "Interval", "Picture", "Verdict", "decide"]
