"""The report: one self-contained HTML page, rendered from the findings document alone.

``Document -> Page -> HTML``: `stabtest.report.view` makes plain data of what stands on the page, one module a theme under
``sections``; `stabtest.report.render` draws it with the templates; `stabtest.report.document_io` writes and reads files.
"""

from stabtest.report.document_io import ReportPaths, json_schema, load_document, write_report
from stabtest.report.render import render

__all__ = ["ReportPaths", "json_schema", "load_document", "render", "write_report"]
