"""A table of files and their labels: a CSV, TSV or JSON Lines file that lies beside or above the pictures."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from upath import UPath

from imagenet_tasks.download.files import Files, is_hidden
from imagenet_tasks.errors import ConfigError, without_secrets
from imagenet_tasks.settings.classes import ImageClass, class_called, told_apart
from imagenet_tasks.store.storage import to_path

TABLES = (".csv", ".tsv", ".jsonl")
FOUND = tuple(f"labels{suffix}" for suffix in TABLES)  # at a location, it is the table of what lies there
FILE_COLUMNS = ("file", "filename", "file_name", "filepath", "path", "image", "image_path", "image_id", "id")
SPLIT_COLUMNS = ("split", "subset", "set", "fold")
LABEL_COLUMNS = ("label", "class", "class_name", "category", "target", "breed", "species")
MOST_BYTES = 500_000_000


class TableSource:
    """The pictures below a table's folder, each of the class that the table says.

    A row names a file by its path from the table's folder, by its name, or by its name without its ending.

    Args:
        location: the table, or the folder that holds one of `FOUND`.
        max_bytes: a larger file is rejected unread.

    Attributes:
        passed_over: what of the location is no class's, by the reason.

    Raises:
        ConfigError: where it cannot be read as a table, with the line.
    """

    def __init__(self, location: str, max_bytes: int) -> None:
        path = to_path(location, setting="location").expanduser().absolute()
        self.table = table_of(path) or path
        self._where = without_secrets(str(self.table))
        self._files = Files(self.table.parent, max_bytes)
        self._classes: dict[str, ImageClass] = {}
        self._rows: defaultdict[str, list[str]] = defaultdict(list)
        self._unheeded: list[str] = []
        by_label: dict[str, ImageClass] = {}
        for file, label in self._read():
            if label not in by_label:
                found = told_apart(class_called(label), self._classes)
                by_label[label] = self._classes.setdefault(found.class_id, found)
            self._rows[by_label[label].class_id].append(file)
        self._versions = dict(self._files.below(self.table.parent))
        self._locators = self._index()
        named = {self._locators.get(file) for rows in self._rows.values() for file in rows}
        others = [name for name in self._versions if name not in named and name != str(self.table)]
        root = f"{self.table.parent}/"
        self.passed_over = {"not named by the table": [name.removeprefix(root) for name in others]} if others else {}
        if self._unheeded:
            self.passed_over["a column of the table that is not heeded, since the run splits by itself"] = (
                self._unheeded
            )

    def classes(self) -> tuple[ImageClass, ...]:
        """Returns a class per label, in the order of the rows."""
        return tuple(self._classes.values())

    def candidates(self, class_id: str) -> Mapping[str, str]:
        """Returns the path of each row's file in the order of the rows, with size and time."""
        found: dict[str, str] = {}
        for file in self._rows.get(class_id, []):
            locator = self._locators.get(file)
            if locator is None:
                missing = f"no file of that name lies below {self.table.parent}"
                found |= [self._files.unreadable(self.table.parent / file.lstrip("/"), missing)]
            else:
                found[locator] = self._versions[locator]
        return found

    def fetch(self, locator: str) -> bytes:
        """Returns the bytes of a file."""
        return self._files.get[locator]()

    def host(self, locator: str) -> str:
        """Returns '': no candidate is a URL of its own."""
        return ""

    def look_again(self) -> None:
        """Does nothing: no host was given up."""

    def close(self) -> None:
        """Does nothing: no file stays open."""

    def _index(self) -> dict[str, str]:
        """Returns the locator of each path, and of each name and stem that only one file has."""
        root = f"{self.table.parent}/"
        paths = {name.removeprefix(root): name for name in self._versions if name != str(self.table)}
        short: defaultdict[str, set[str]] = defaultdict(set)
        for path, locator in paths.items():
            pure = PurePosixPath(path)
            short[pure.name].add(locator)
            short[pure.stem].add(locator)
            short[str(pure.with_suffix(""))].add(locator)
        return {name: next(iter(found)) for name, found in short.items() if len(found) == 1} | paths

    def _read(self) -> Iterator[tuple[str, str]]:
        """Yields file and label of each row."""
        for number, row in self._parsed():
            self._unheeded = self._unheeded or [name for name in row if str(name).strip().casefold() in SPLIT_COLUMNS]
            columns = {str(name).strip().casefold(): value for name, value in row.items() if name is not None}
            found = []
            for what, names in (("file", FILE_COLUMNS), ("label", LABEL_COLUMNS)):
                column = next((name for name in names if name in columns), None)
                if column is None:
                    raise ConfigError(
                        f"location: {self._where}, line {number}: expected a column for the {what}, called one of "
                        f"{', '.join(names)}; found {', '.join(map(str, row)) or 'none'}"
                    )
                found.append(str(columns[column] if columns[column] is not None else "").strip())
            file, label = found
            if not file or not label:
                raise ConfigError(
                    f"location: {self._where}, line {number}: expected a file and its label, found {file!r} and "
                    f"{label!r}"
                )
            yield file.removeprefix("./"), label

    def _parsed(self) -> Iterator[tuple[int, Mapping[str, object]]]:
        """Yields the rows with the numbers of their lines."""
        try:
            if self.table.stat().st_size > MOST_BYTES:
                raise ConfigError(f"location: {self._where}: expected a table of at most {MOST_BYTES:,} bytes")
            text = self.table.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise ConfigError(f"location: {self._where}: the table cannot be read: {type(error).__name__}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"location: {self._where}: expected a table in UTF-8: {error}") from error
        lines = text.splitlines()
        if self.table.suffix.lower() == ".jsonl":
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _object(line, f"location: {self._where}, line {number}")
            return
        separator = "\t" if self.table.suffix.lower() == ".tsv" else max(",;\t", key=(lines or [""])[0].count)
        rows = csv.DictReader(lines, delimiter=separator)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                raise ConfigError(
                    f"location: {self._where}, line {rows.line_num + 1}: no row of a table: {error}"
                ) from error
            yield rows.line_num, row


def table_of(folder: UPath) -> UPath | None:
    """Returns the table that lies in a folder; None where none does, or it is no folder."""
    if is_table(str(folder)) or is_hidden(folder.name):
        return None
    return next((table for name in FOUND if (table := folder / name).is_file()), None)


def is_table(location: str) -> bool:
    """Tells whether a location is a table by how it ends."""
    return location.lower().endswith(TABLES)


def _object(line: str, where: str) -> Mapping[str, object]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: expected a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected a JSON object, found a {type(value).__name__}")
    return value
