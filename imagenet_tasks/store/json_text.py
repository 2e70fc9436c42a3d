"""Reads the text of all JSON files of the store, which may have been changed by hand or by others."""

import json
from typing import Any

from imagenet_tasks.errors import ArtifactError

MOST_JSON_BYTES = 2**28  # the answers of a dozen trainings on 1,000 classes are a tenth of it


def parse_json(data: bytes, *, where: object) -> Any:
    """Returns the value of a file's JSON.

    Raises:
        ArtifactError: where it is none, or larger than any of ours.
    """
    if len(data) > MOST_JSON_BYTES:
        raise ArtifactError(f"{where}: expected JSON of at most {MOST_JSON_BYTES:,} bytes, found more.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # the latter for brackets in brackets without end
        raise ArtifactError(f"{where}: expected JSON, found something else ({error}).") from error
