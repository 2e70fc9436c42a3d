"""`python -m imagenet_tasks.report.schema` writes the JSON Schema of report.json: docs/report.schema.json."""

import json
import sys

from imagenet_tasks.artifacts.report import Report


def json_schema() -> str:
    """Returns the JSON Schema of report.json as text."""
    return json.dumps(Report.json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
