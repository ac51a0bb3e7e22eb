"""Print the JSON Schema of ``report.json``: ``python -m stabtest.report.schema > report.schema.json``."""

from __future__ import annotations

import json

from stabtest.report.document_io import json_schema


def main() -> None:
    """Print the schema to standard output."""
    print(json.dumps(json_schema(), indent=2))


if __name__ == "__main__":
    main()
