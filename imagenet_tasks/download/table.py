"""A table of files and their labels: a CSV, TSV or JSON Lines file that lies beside or above the pictures."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import PurePosixPath
from urllib.parse import unquote

from upath import UPath

from imagenet_tasks.download.files import PICTURES, FileSource, is_hidden, path_of
from imagenet_tasks.errors import ConfigError, without_secrets
from imagenet_tasks.settings.classes import classes_called

TABLES = (".csv", ".tsv", ".jsonl")
FOUND = tuple(f"labels{suffix}" for suffix in TABLES)  # at a location, it is the table of what lies there
FILE_COLUMNS = ("file", "filename", "file_name", "filepath", "path", "image", "image_path", "image_id", "id")
SPLIT_COLUMNS = ("split", "subset", "set", "fold")
LABEL_COLUMNS = ("label", "class", "class_name", "category", "target", "breed", "species")
MOST_BYTES = 500_000_000
TRIED_ROWS = 100  # are looked up as paths before all that lies there is listed


class TableSource(FileSource):
    """The pictures below a table's folder, each of the class that the table says.

    A row names a file by its path from the table's folder, by its name, or by its name without its ending.

    Args:
        table: the file.
        max_bytes: a larger file is rejected unread.

    Raises:
        ConfigError: where it cannot be read as a table, with the line.
    """

    def __init__(self, table: UPath, max_bytes: int) -> None:
        super().__init__(table.parent, max_bytes)
        self._table, self._folder = table, table.parent
        self._where = without_secrets(str(table))
        self._unheeded: list[str] = []
        rows = list(self._read())
        called = classes_called(label for _, label in rows)
        self._classes = {c.class_id: c for c in called.values()}
        self._rows: defaultdict[str, list[str]] = defaultdict(list)
        for file, label in rows:
            self._rows[called[label].class_id].append(file)

    @property
    def passed_over(self) -> Mapping[str, list[str]]:
        """What below the table's folder is no class's, by the reason."""
        named = {locator for rows in self._rows.values() for file in rows if (locator := self._locator(file))}
        others = [path for path, locator in self._paths.items() if locator not in named]
        found = {"not named by the table": others} if others else {}
        if self._unheeded:
            found["a column of the table that is ignored, since the run makes its own split"] = self._unheeded
        return found

    def candidates(self, class_id: str) -> Mapping[str, str]:
        """Returns the path of each row's file in the order of the rows, with size and time."""
        found: dict[str, str] = {}
        for file in self._rows.get(class_id, []):
            there = self._at(self._folder / file) if _is_plain(file) else None
            if there is None and (locator := self._locator(file)):
                there = locator, self._versions[locator]
            found |= [there or self._unreadable(f"{self._folder}/{file.lstrip('/')}", self._why_missing(file))]
        return found

    def has_files(self) -> bool:
        """Tells whether any row names a file that is there."""
        files = [file for rows in self._rows.values() for file in rows]
        directly = any(_is_plain(file) and self._at(self._folder / file) for file in files[:TRIED_ROWS])
        return directly or any(map(self._locator, files))

    @cached_property
    def _versions(self) -> dict[str, str]:
        """The versions of all files, by locator."""
        return {name: version for name, version in self._below(self._folder) if name != str(self._table)}

    @cached_property
    def _paths(self) -> dict[str, str]:
        """The locators of all files, by their paths from the table's folder."""
        root, quoted = f"{self._folder}/", self._folder.protocol in ("http", "https")
        paths = {name.removeprefix(root): name for name in self._versions}
        return {unquote(path): name for path, name in paths.items()} if quoted else paths

    @cached_property
    def _short(self) -> dict[str, set[str]]:
        """The locators by name, and of pictures without its ending, with and without their folders."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for path, locator in self._paths.items():
            pure = PurePosixPath(path)
            found[pure.name].add(locator)
            if path.lower().endswith(PICTURES):
                found[pure.stem].add(locator)
                found[str(pure.with_suffix(""))].add(locator)
        return found

    def _locator(self, file: str) -> str | None:
        """Returns the locator of the file that a row names; None where there is none, or are several."""
        for name in (file, file.replace("\\", "/"), file.removeprefix(f"{self._folder}/")):
            if name in self._paths:
                return self._paths[name]
            if len(found := self._short.get(name, set())) == 1:
                return next(iter(found))
        return None

    def _why_missing(self, file: str) -> str:
        several = len(self._short.get(file, set())) > 1
        return f"{'several files have that name' if several else 'no file of that name lies'} below {self._folder}"

    def _read(self) -> Iterator[tuple[str, str]]:
        """Yields file and label of each row."""
        for number, row in self._parsed():
            columns = {str(name).strip().casefold(): value for name, value in row.items() if name is not None}
            self._unheeded = self._unheeded or [name for name in columns if name in SPLIT_COLUMNS]
            found = []
            for what, names in (("file", FILE_COLUMNS), ("label", LABEL_COLUMNS)):
                column = next((name for name in names if name in columns), None)
                if column is None:
                    raise ConfigError(
                        f"location: {self._where}, line {number}: expected a column for the {what}, called one of "
                        f"{', '.join(names)}; found {', '.join(map(str, row)) or 'none'}"
                    )
                value = columns[column]
                found.append(str(value).strip() if isinstance(value, str | int) else "")
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
            if self._table.stat().st_size > MOST_BYTES:
                raise ConfigError(f"location: {self._where}: expected a table of at most {MOST_BYTES:,} bytes")
            text = self._table.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise ConfigError(f"location: {self._where}: the table cannot be read: {type(error).__name__}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"location: {self._where}: expected a table in UTF-8: {error}") from error
        if self._table.suffix.lower() == ".jsonl":
            for number, line in enumerate(text.split("\n"), start=1):
                if line.strip():
                    yield number, _object(line, f"location: {self._where}, line {number}")
            return
        separator = "\t" if self._table.suffix.lower() == ".tsv" else max(",;\t", key=text.partition("\n")[0].count)
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        try:
            for row in rows:
                yield rows.line_num, row
        except csv.Error as error:
            said = f"line {rows.line_num + 1}: not a valid row: {error}"
            raise ConfigError(f"location: {self._where}, {said}") from error


def table_of(location: str) -> UPath | None:
    """Returns the table that a location is or holds; None where it is and holds none."""
    path = path_of(location)
    if is_table(location):
        return path
    return next((table for name in FOUND if (table := path / name).is_file()), None)


def is_table(location: str) -> bool:
    """Tells whether a location is a table by how it ends."""
    return location.lower().endswith(TABLES)


def _object(line: str, where: str) -> Mapping[str, object]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: expected a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected a JSON object, found {value!r:.80}")
    return value


def _is_plain(file: str) -> bool:
    """Tells whether a row's file is a path that leads nowhere but below the table's folder."""
    parts = PurePosixPath(file).parts
    return not file.startswith("/") and "://" not in file and not any(is_hidden(part) for part in parts)
