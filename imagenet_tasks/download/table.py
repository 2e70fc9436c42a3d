"""A table of files or URLs and their labels: CSV, TSV, JSON Lines or Parquet, beside or above the pictures."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from urllib.parse import unquote

from upath import UPath

from imagenet_tasks.artifacts.references import GivenSide, most_held_out
from imagenet_tasks.download.fetch import Fetcher, host_name
from imagenet_tasks.download.files import (
    MADE_OF,
    NOT_TRAINED,
    PARTS,
    PICTURES,
    FileSource,
    by_turns,
    is_hidden,
    path_of,
    sides_of_parts,
)
from imagenet_tasks.download.list_files import is_http
from imagenet_tasks.errors import ConfigError, without_secrets
from imagenet_tasks.settings.classes import classes_called, shown
from imagenet_tasks.settings.config import DownloadConfig

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
# At a location, it is the table of what lies there.
FOUND = tuple(f"{name}{suffix}" for name in ("labels", "metadata") for suffix in TABLES)
COLUMNS = {  # by what they hold, the names that they usually have
    "file": (
        "file", "filename", "file_name", "filepath", "path", "image", "image_path", "url", "image_url", "image_id",
        "id",
    ),
    "label": ("label", "class", "class_name", "category", "target", "breed", "species"),
    "split": ("split", "subset", "set", "fold"),
}  # fmt: skip
MOST_BYTES, BATCH_ROWS = 500_000_000, 100
TRIED_ROWS = 100  # are looked up as paths before all that lies there is listed


class TableSource(FileSource):
    """The pictures below a table's folder or on the web, each of the class that the table says.

    A row names a file by its path from the table's folder, by its name, or by its name without its ending; or a URL.
    Where each has a part of a split set in its split column, as train and val, these are the sides of the split.

    Args:
        table: the file.
        settings: the bounds, and what the columns are called.
        open_fetcher: called once where a row names a URL.

    Raises:
        ConfigError: where it cannot be read as a table, with the line.
    """

    def __init__(self, table: UPath, settings: DownloadConfig, open_fetcher: Callable[[], Fetcher]) -> None:
        super().__init__(table.parent, settings.max_bytes)
        self._table, self._folder, self._open_fetcher = table, table.parent, open_fetcher
        self._where = without_secrets(str(table))
        self._columns = {what: (name.casefold(),) for what, name in settings.columns.items()}
        self._unheeded: list[str] = []
        self._untrained: list[str] = []
        rows = list(self._read())
        if not rows:
            raise ConfigError(f"location: {self._where}: expected a row for each picture, found none")
        called = classes_called(label for _, label, _ in rows)
        self._classes = {c.class_id: c for c in called.values()}
        sides = self._sides_of([part for *_, part in rows], settings.given_split)
        self._rows: defaultdict[str, defaultdict[GivenSide | None, list[str]]] = defaultdict(lambda: defaultdict(list))
        for file, label, part in rows:
            self._rows[called[label].class_id][sides.get(part.casefold())].append(file)
        if sides:
            untrained = [c for c, parts in self._rows.items() if not parts.keys() & {"train", "not test"}]
            self._untrained = [self._classes.pop(class_id).name for class_id in untrained]

    def _sides_of(self, parts: Sequence[str], given_split: bool) -> dict[str, GivenSide]:
        """Returns the sides of the parts that the rows name; none where these are not those of a split set."""
        names = dict.fromkeys(part.casefold() for part in parts)
        if not any(names):
            return {}
        if not set(names) <= set(PARTS):
            other = next(name for name in names if name not in PARTS)
            self._unheeded = [f"it holds {shown(other)!r:.40}"]
            return {}
        sides = sides_of_parts({PARTS[name] for name in names}) if given_split else {}
        self._layout += [f"{name} is {MADE_OF[sides.get(PARTS[name])]}" for name in names]
        return {name: sides[PARTS[name]] for name in names if PARTS[name] in sides}

    @cached_property
    def _fetcher(self) -> Fetcher:
        return self._open_fetcher()

    def host(self, locator: str) -> str:
        """Returns the host of a row's URL; '' of a file."""
        return host_name(locator) if locator in self._urls else ""

    def look_again(self) -> None:
        """Lets hosts that were given up be asked again."""
        if self._urls:
            self._fetcher.hosts.forgive()

    @property
    def passed_over(self) -> Mapping[str, list[str]]:
        """What below the table's folder is no class's, by the reason."""
        named = {locator for file in self._files if (locator := self._locator(file))}
        others = [path for path, locator in self._paths.items() if locator not in named] if self._files else []
        found = {"not named by the table": others} if others else {}
        if self._untrained:
            found[NOT_TRAINED] = self._untrained
        if self._unheeded:
            found["a split column that is ignored, since it holds more than train, val and test"] = self._unheeded
        return found

    @cached_property
    def _named(self) -> tuple[list[str], set[str]]:
        """The files and the URLs that the rows name."""
        named = [file for parts in self._rows.values() for files in parts.values() for file in files]
        return [file for file in named if not is_http(file)], set(filter(is_http, named))

    @property
    def _files(self) -> list[str]:
        return self._named[0]

    @property
    def _urls(self) -> set[str]:
        return self._named[1]

    def candidates(self, class_id: str) -> Mapping[str, str]:
        """Returns the path of each row's file in the order of the rows, with size and time, or its URL.

        Of a split set the parts come by turns, so that as many as are wanted are of each part in proportion.
        """
        found: dict[str, str] = {}
        rows = self._rows[class_id].items() if class_id in self._rows else ()
        for file, side in by_turns([(file, side) for file in files] for side, files in rows):
            locator, version = self._candidate(file)
            found[locator] = version
            if side:
                self._given[locator] = most_held_out((side, self._given.get(locator, side)))
        return found

    def _candidate(self, file: str) -> tuple[str, str]:
        if is_http(file):
            self._get[file] = lambda: self._fetcher.fetch(file)
            return file, ""
        there = self._at(self._folder / file) if _is_plain(file) else None
        if there is None and (locator := self._locator(file)):
            there = locator, self._versions[locator]
        return there or self._unreadable(f"{self._folder}/{file.lstrip('/')}", self._why_missing(file))

    def has_files(self) -> bool:
        """Tells whether any row names a file that is there."""
        directly = any(_is_plain(file) and self._at(self._folder / file) for file in self._files[:TRIED_ROWS])
        return directly or any(map(self._locator, self._files))

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
            found = self._short.get(name, set())
            if len(found) > 1:  # as of train.csv beside train/ and test/
                found = {one for one in found if one.startswith(f"{self._folder}/{self._table.stem}/")}
            if len(found) == 1:
                return next(iter(found))
        return None

    def _why_missing(self, file: str) -> str:
        several = len(self._short.get(file, set())) > 1
        return f"{'several files have that name' if several else 'no file of that name lies'} below {self._folder}"

    def _read(self) -> Iterator[tuple[str, str, str]]:
        """Yields what each row says: file, label and part, '' where it says none."""
        known: dict[tuple[str | None, ...], list[str | None]] = {}  # rows mostly have the same columns
        for number, row in self._parsed():
            named = tuple(row)
            if named not in known:
                known[named] = self._columns_of(named, f"location: {self._where}, line {number}")
            file, label, part = (_text(row[column]) if column is not None else "" for column in known[named])
            if swallowed := [text for text in (file, label) if "\n" in text and re.search(r"[,;\t]", text)]:
                raise ConfigError(
                    f"location: {self._where}, line {number}: expected a file and its label in one line, found "
                    f"{swallowed[0]!r:.60}. A quotation mark is not closed"
                )
            if not file or not label:
                raise ConfigError(
                    f"location: {self._where}, line {number}: expected a file and its label, found {file!r} and "
                    f"{label!r}"
                )
            yield file.removeprefix("./"), label, part

    def _columns_of(self, named: Sequence[str | None], where: str) -> list[str | None]:
        """Returns the names of the columns of a row that hold its file, label and part; None of a part that is none."""
        columns = {str(name).strip().casefold(): name for name in named if name is not None}
        found = []
        for what, usual in COLUMNS.items():
            names = self._columns.get(what, usual)
            column = next((columns[name] for name in names if name in columns), None)
            if column is None and (what != "split" or what in self._columns):
                raise ConfigError(
                    f"{where}: expected a column for the {what}, called one of {', '.join(names)}; found "
                    f"{', '.join(map(str, named)) or 'none'}. If it has another name, say so: "
                    f"table_columns={what}=NAME"
                )
            found.append(column)
        return found

    def _parsed(self) -> Iterator[tuple[int, Mapping[str, object]]]:
        """Yields the rows with the numbers of their lines."""
        if self._table.suffix.lower() == ".parquet":
            yield from self._parsed_parquet()
            return
        try:
            self._refuse_large()
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
        if '"' in text:
            self._refuse_open_quotation(text, separator)
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        try:
            for row in rows:
                yield rows.line_num, row
        except csv.Error as error:
            said = f"line {rows.line_num + 1}: not a valid row: {error}"
            raise ConfigError(f"location: {self._where}, {said}") from error

    def _refuse_open_quotation(self, text: str, separator: str) -> None:
        """Refuses a table whose rest is one field; other marks out of place are read as they come."""
        rows, last = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), 0
        try:
            for _ in rows:
                last = rows.line_num
        except csv.Error as error:
            if "unexpected end" in str(error):
                said = f"line {last + 1}: not a valid row: a quotation mark is not closed"
                raise ConfigError(f"location: {self._where}, {said}") from error

    def _refuse_large(self) -> None:
        if self._table.stat().st_size > MOST_BYTES:
            raise ConfigError(f"location: {self._where}: expected a table of at most {MOST_BYTES:,} bytes")

    def _parsed_parquet(self) -> Iterator[tuple[int, Mapping[str, object]]]:
        import pyarrow
        from pyarrow import parquet

        try:
            self._refuse_large()
            with self._table.open("rb") as opened, parquet.ParquetFile(opened) as file:
                fields = {field.name.strip().casefold(): field for field in file.schema_arrow}
                chosen = (
                    next((fields[name] for name in self._columns.get(what, usual) if name in fields), None)
                    for what, usual in COLUMNS.items()
                )
                wanted = [field for field in chosen if field is not None] or list(fields.values())
                if nested := [f.name for f in wanted if f.type.num_fields]:
                    raise ConfigError(
                        f"location: {self._where}: its column {shown(nested[0])} holds more than the name or URL of a "
                        "file. Pictures that lie in the table itself are not read: write them to files first."
                    )
                names, read_bytes, number = [field.name for field in wanted], 0, 0
                for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=names):
                    read_bytes += batch.nbytes
                    if read_bytes > MOST_BYTES:
                        raise ConfigError(f"location: {self._where}: expected a table of at most {MOST_BYTES:,} bytes")
                    for row in batch.to_pylist():
                        number += 1
                        yield number, row
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"location: {self._where}: expected a table in Parquet: {shown(str(error))[:200]}"
            ) from error


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


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():  # as numbers become in a column where one is missing
        value = int(value)
    return str(value).strip() if isinstance(value, str | int) else ""


def _is_plain(file: str) -> bool:
    """Tells whether a row's file is a path that leads nowhere but below the table's folder."""
    parts = PurePosixPath(file).parts
    return not file.startswith("/") and "://" not in file and not any(is_hidden(part) for part in parts)
