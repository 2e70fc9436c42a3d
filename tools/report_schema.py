"""`python -m tools.report_schema` writes the JSON Schema of report.json: docs/report.schema.json."""

import json
import sys

from imagenet_tasks.artifacts.json_file import VERSION_FIELD
from imagenet_tasks.artifacts.report import Report


def json_schema() -> str:
    """Returns the JSON Schema of report.json as text."""
    schema = Report.model_json_schema()
    schema["properties"] = {VERSION_FIELD: {"const": Report.SCHEMA_VERSION}} | schema["properties"]
    schema["required"] = [VERSION_FIELD, *schema["required"]]
    return json.dumps(schema, indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
