"""The only door to disk and object store: atomic writes, checksums, locks. A root is a local path or an fsspec URL.

A finished folder of files is *published*: written elsewhere, checksummed, and moved into place with a marker that
comes last. A folder without its marker does not exist for a reader. Two attempts may publish the same folder; the
first one wins and the other's is dropped.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from upath import UPath

from imagenet_tasks.errors import ArtifactError, ChecksumMismatch, ConfigError, keep_secret, without_secrets
from imagenet_tasks.store.json_text import MOST_JSON_BYTES, parse_json
from imagenet_tasks.store.local_disk import acquire, cache_folder, fetch, put_in_place, room_for, sha256_of, write_whole
from imagenet_tasks.store.walk import Found, changed_s, walk_disk

MARKER = "complete.json"
QUARANTINED = "quarantined.json"  # what the marker of a damaged folder is renamed to
HOME = "IMAGENET_HOME"


def default_home() -> str:
    """Returns the root that the environment names (IMAGENET_HOME), else a folder in the user's home."""
    return os.environ.get(HOME) or str(Path.home() / "imagenet")


def fingerprint(**inputs: Any) -> str:
    """Returns 16 hex digits that stand for `inputs`, which must be plain JSON; equal inputs give equal digits."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def safe_key(text: str) -> str:
    """Returns a name for `text` that is safe as a folder name anywhere and differs wherever `text` differs.

    The readable part alone would not do: it drops what is unsafe, and some file systems ignore case.
    """
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:60].strip("_") or "run"
    return f"{readable}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:10]}"


def to_path(text: str, *, setting: str, options: Mapping[str, Any] | None = None) -> UPath:
    """Returns the path that a setting names.

    Args:
        text: a local path or an fsspec URL.
        setting: its name, for the error.
        options: of the URL's driver.

    Raises:
        ConfigError: where there is no driver for such a URL.
    """
    try:
        path = UPath(text)
        if path.protocol not in ("", "file"):  # else a process that lives long sees no file that others wrote
            path = UPath(text, use_listings_cache=False, **(options or {}))
        path.fs  # noqa: B018 - the driver is looked for here
    except (ValueError, ImportError) as error:
        raise ConfigError(
            f"{setting}: {without_secrets(text)!r} cannot be opened: {without_secrets(str(error))}. Expected a local "
            "path, or an fsspec URL whose driver is installed."
        ) from error
    return path


class Store:
    """Files below one root, by keys such as 'models/<fingerprint>'.

    Args:
        root: a local path or an fsspec URL such as s3://bucket/prefix.
        options: of the URL's driver, such as its key and secret; without them it looks in the environment.
    """

    def __init__(self, root: str | Path, options: Mapping[str, Any] | None = None) -> None:
        self.options = dict(options or {})
        keep_secret(*(str(self.options[name]) for name in ("secret", "token") if self.options.get(name)))
        self.root = to_path(str(root), setting="home", options=self.options)
        self.is_local = self.root.protocol in ("", "file")
        if self.is_local:
            self.root = UPath(Path(self.root.path).expanduser().absolute())
        # Otherwise s3fs asks for a file's size before it reads it, and lists the folder of one that is not there.
        self._in_one = {"max_concurrency": 1} if self.root.protocol in ("s3", "s3a") else {}

    def path(self, key: str) -> UPath:
        """Returns the path of a key.

        Raises:
            ConfigError: where the key would leave the root.
        """
        return self.root.joinpath(*self._parts(key))

    def _parts(self, key: str) -> list[str]:
        parts = [part for part in key.split("/") if part not in ("", ".")]
        if not parts or key.startswith("/") or ".." in parts or "\0" in key:
            raise ConfigError(f"storage: {key!r} is not a key below {self.root}; expected names joined by '/'")
        return parts

    def without_root(self, text: str) -> str:
        """Returns a text for people who need not know where the root lies."""
        return text.replace(str(self.root), HOME)

    def environment(self) -> dict[str, str]:
        """Returns the variables by which fsspec gives another process the same options; secrets are in no file."""
        return {f"FSSPEC_{self.root.protocol.upper()}": json.dumps(self.options)} if self.options else {}

    # Single files

    def read_bytes(self, key: str, *, at_most: int = -1) -> bytes:
        """Returns the bytes of a file; of one on a disk only the first so many.

        Raises:
            ArtifactError: where there is none.
        """
        path = self.path(key)
        try:
            if not self.is_local:
                return bytes(path.fs.cat_file(path.path, **self._in_one))
            with path.open("rb") as file:
                is_longer = 0 <= at_most < os.fstat(file.fileno()).st_size  # else a buffer of at_most would be reserved
                return bytes(file.read(at_most if is_longer else -1))
        except FileNotFoundError as error:
            raise ArtifactError(f"{path}: expected a file, found none. Run the stage that writes it.") from error

    def write_bytes(self, key: str, data: bytes, *, sync: bool = True) -> None:
        """Writes a file whole or not at all: a reader sees the old bytes or the new ones.

        Args:
            key: which file.
            data: its bytes.
            sync: whether to wait for the disk. Not for many small files whose name tells whether they are whole.

        Raises:
            OutOfSpace: where the disk is full.
        """
        if not self.is_local:  # an object store puts whole objects
            path = self.path(key)
            path.fs.pipe_file(path.path, data)
            return
        # Plain strings: a path object costs as much as the write of a small file.
        target = "/".join((str(self.root), *self._parts(key)))
        folder = target.rpartition("/")[0]
        with room_for(len(data), folder, HOME):
            write_whole(target, data, sync=sync)

    def read_json(self, key: str) -> Any:
        """Returns the parsed JSON of a file.

        Raises:
            ArtifactError: where there is none or it is not JSON.
        """
        return self._parsed(key, self.read_bytes(key, at_most=MOST_JSON_BYTES + 1))

    def read_json_if_there(self, key: str, otherwise: Any = None) -> Any:
        """Returns the parsed JSON of a file, `otherwise` where there is none. To ask first would list an object store.

        Raises:
            ArtifactError: where it is not JSON.
        """
        try:
            return self.read_json(key)
        except ArtifactError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return otherwise
            raise

    def read_all_json(self, keys: Sequence[str]) -> list[Any]:
        """Returns the parsed JSON of several files; those of an object store are asked for side by side.

        Raises:
            ArtifactError: where one is missing or is not JSON.
        """
        if self.is_local or not keys:
            return [self.read_json(key) for key in keys]
        paths = [self.path(key).path for key in keys]
        try:
            found = self.root.fs.cat(paths, **self._in_one)
        except FileNotFoundError as error:
            raise ArtifactError(f"{error}: expected a file, found none. Run the stage that writes it.") from error
        return [self._parsed(key, found[path]) for key, path in zip(keys, paths, strict=True)]

    def _parsed(self, key: str, data: bytes) -> Any:
        return parse_json(data, where=self.path(key))

    def write_json(self, key: str, value: Any) -> None:
        """Writes `value` as JSON, whole or not at all."""
        self.write_bytes(key, json.dumps(value, indent=1, allow_nan=False).encode())

    def exists(self, key: str) -> bool:
        """Tells whether a file or folder is there."""
        return self.path(key).exists()

    def names(self, key: str) -> list[str]:
        """Returns the names in a folder in order, without unfinished and hidden ones; [] where it is absent."""
        try:
            return sorted(p.name for p in self.path(key).iterdir() if not p.name.startswith("."))
        except FileNotFoundError:
            return []
        except NotADirectoryError:  # what s3fs says of a folder that is not there
            if self.is_local:
                raise
            return []

    def walk(self, key: str = "") -> Iterator[Found]:
        """Yields all that lies below a key, hidden and unfinished files too; links are told, never followed.

        Args:
            key: of a folder or file; '' for all below the root.
        """
        top = self.path(key) if key else self.root
        if self.is_local:
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                yield from walk_disk(str(top), key)
            return
        before = len(self.root.path.rstrip("/")) + 1
        for name, about in top.fs.find(top.path, detail=True).items():
            if about["type"] == "file":
                yield Found(name[before:], about["size"] or 0, changed_s(about), False)

    @contextlib.contextmanager
    def lock(self, key: str, *, timeout_s: float = -1) -> Iterator[None]:
        """Holds the lock of a key against other processes of this machine (not across machines).

        Args:
            key: of what.
            timeout_s: how long to wait for another; without end where below 0, and then the log says on whom.

        Raises:
            TimeoutError: where another still holds it.
            OutOfSpace: where the disk is full.
        """
        if self.is_local:
            path = Path(str(self.path(key))) / ".lock"
        else:
            path = Path(tempfile.gettempdir()) / f"imagenet-{fingerprint(key=str(self.path(key)))}.lock"
        with room_for(0, path.parent, HOME):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = acquire(path, called=key, timeout_s=timeout_s)
        try:
            yield
        finally:
            lock.release()

    # Published folders

    def is_complete(self, folder: str) -> bool:
        """Tells whether a folder was published."""
        if self.is_local:
            return self.path(f"{folder}/{MARKER}").exists()
        try:  # an object store that is asked whether something exists lists it, too
            return bool(self.read_bytes(f"{folder}/{MARKER}"))
        except ArtifactError:
            return False

    def read_marker(self, folder: str) -> dict[str, Any]:
        """Returns the marker of a published folder: its files with size in bytes and SHA-256.

        Raises:
            ArtifactError: where the folder was not published, or its marker is not as it was written.
        """
        marker = self.read_json(f"{folder}/{MARKER}")
        files = marker.get("files") if isinstance(marker, dict) else None
        if not (
            isinstance(files, dict)
            and all(isinstance(said, dict) and isinstance(said.get("bytes"), int) for said in files.values())
            and all(re.fullmatch("[0-9a-f]{64}", str(said.get("sha256"))) for said in files.values())
            and re.fullmatch("([0-9a-f]{12}/)?", str(marker.get("inner", "")))
        ):
            raise ArtifactError(
                f"{self.path(folder)}/{MARKER}: expected what a finished artifact holds, found something else. Delete "
                f"{self.path(folder)} and run again."
            )
        return marker

    @contextlib.contextmanager
    def publish(self, folder: str) -> Iterator[Path]:
        """Yields an empty local folder; what is in it at the end is published as `folder`, unless that exists.

        Raises:
            OutOfSpace: where the disk is full.
        """
        target = self.path(folder)
        if self.is_local:
            attempt = Path(str(target)).parent / f".attempt-{uuid.uuid4().hex[:12]}"
        else:
            attempt = Path(tempfile.mkdtemp(prefix="imagenet-attempt-"))
        try:
            with room_for(0, attempt.parent, HOME if self.is_local else "TMPDIR"):
                attempt.mkdir(parents=True, exist_ok=not self.is_local)
                yield attempt
                files = sorted(p for p in attempt.rglob("*") if p.is_file())
                contents = {
                    p.relative_to(attempt).as_posix(): {"bytes": p.stat().st_size, "sha256": sha256_of(p)}
                    for p in files
                }
                # An object store renames nothing: there each attempt has a folder of its own, and the marker names it.
                inner = "" if self.is_local else f"{uuid.uuid4().hex[:12]}/"
                (attempt / MARKER).write_text(json.dumps({"files": contents, "inner": inner}, indent=1))
                if self.is_local:
                    put_in_place(attempt, Path(str(target)), last=MARKER)
                elif not self.is_complete(folder):
                    for name, place in [*((name, inner + name) for name in contents), (MARKER, MARKER)]:
                        target.fs.put_file(str(attempt / name), target.joinpath(place).path)
        finally:
            shutil.rmtree(attempt, ignore_errors=True)

    def open_file(self, folder: str, name: str) -> Path:
        """Returns the local path of a published file after checking its bytes against the marker.

        From an object store the file is fetched once into a cache of this machine.

        Raises:
            ArtifactError: where the folder or the file is missing.
            ChecksumMismatch: where the bytes are not those that were written.
            OutOfSpace: where the disk does not hold the copy.
        """
        return self._checked(self.read_marker(folder), folder, name)

    def check(self, folder: str) -> None:
        """Checks all files of a published folder against its marker, for who uses it without reading them.

        Raises:
            ArtifactError: as `open_file` does.
        """
        marker = self.read_marker(folder)
        for name in marker["files"]:
            self._checked(marker, folder, name)

    def _checked(self, marker: dict[str, Any], folder: str, name: str) -> Path:
        expected = marker["files"].get(name)
        source = self.path(f"{folder}/{marker.get('inner', '')}{name}")
        missing = f"{source}: expected this file of a finished artifact, found none. Force its stage."
        if expected is None:
            raise ArtifactError(missing)
        digest = expected["sha256"]
        # By its suffix Keras knows a network.
        copy = cache_folder() / digest[:2] / f"{digest}{Path(name).suffix}"
        local = Path(str(source)) if self.is_local else copy
        received = sha256_of(local) if local.exists() else ""
        if received != digest and not self.is_local:
            try:
                with room_for(expected["bytes"], cache_folder()):
                    fetch(source, local)
            except FileNotFoundError as error:
                raise ArtifactError(missing) from error
            received = sha256_of(local)
        if not received:
            raise ArtifactError(missing)
        if received != digest:
            raise ChecksumMismatch(
                f"{source}: expected SHA-256 {digest}, received {received}. The file was changed after it "
                f"was written: delete {self.path(folder)} and run again."
            )
        return local

    def quarantine(self, folder: str) -> None:
        """Makes a published folder one that no reader sees, and keeps its files for whoever wants to know why."""
        with contextlib.suppress(FileNotFoundError):  # another attempt did it, or removed the folder
            self.path(f"{folder}/{MARKER}").rename(self.path(f"{folder}/{QUARANTINED}"))

    def remove(self, folder: str, *, last: str = "") -> None:
        """Deletes a folder, and the folder around it where that is then empty.

        On a disk it is renamed first: whoever is killed here leaves nothing that looks like a folder, or is in the way
        of one that is published again. On an object store the marker goes first, and only what lay there before: not
        what another attempt publishes meanwhile.

        Args:
            folder: a published one, or any other.
            last: its file that goes last, on an object store.
        """
        path = self.path(folder)
        if not self.is_local:
            files = [f.key for f in self.walk(folder)]
            ends = [f"{folder}/{MARKER}"], [f"{folder}/{last}"]
            for keys in (ends[0], [f for f in files if [f] not in ends], ends[1]):
                names = [self.path(key).path for key in keys if key in files]
                with contextlib.suppress(FileNotFoundError):  # another attempt did it
                    path.fs.rm(names)
            return
        gone = Path(str(path.parent)) / f".removing-{uuid.uuid4().hex}"
        with contextlib.suppress(FileNotFoundError):  # another attempt did it
            Path(str(path)).rename(gone)
            shutil.rmtree(gone)
        with contextlib.suppress(OSError):  # there is more in it
            gone.parent.rmdir()
