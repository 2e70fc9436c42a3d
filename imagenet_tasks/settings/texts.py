"""Settings as a person writes them in one text: lists, and lines such as 'epochs=3'."""

import contextlib
import json
from collections.abc import Iterable
from typing import Any

from imagenet_tasks.errors import ConfigError


def split_list(value: Any) -> Any:
    """Returns the parts of a text, for a command line has no lists: those of a JSON list, its lines, or between commas.

    A part with a comma in it is written in a JSON list, or on a line of its own among several.
    """
    if not isinstance(value, str):
        return value
    if value.strip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value)
    parts = value.strip().split("\n" if "\n" in value.strip() else ",")
    return [part for text in parts if (part := text.strip().rstrip(",").strip())]


def split_words(value: Any) -> Any:
    """Returns the parts of a text or JSON list, none of which has a comma or a line's end in it."""
    return split_list(value.replace("\n", ",") if isinstance(value, str) else value)


def assignments(lines: Iterable[str], *, where: str) -> dict[str, str]:
    """Returns the settings of lines such as 'epochs=3'.

    Raises:
        ConfigError: where one is none; `where` begins what it says.
    """
    given = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals:
            raise ConfigError(f"{where} {line}: expected name=value, such as epochs=3")
        given[name.strip()] = value.strip()
    return given
