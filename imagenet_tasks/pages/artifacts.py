"""A run's artifacts: its own files and the published folders that its tasks handed on, with sizes and checksums."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.pages.records import class_names, label_of, read_records
from imagenet_tasks.store.plain_files import UNREADABLE, is_plain, names_if_readable, read_plain
from imagenet_tasks.store.storage import MARKER, Store
from imagenet_tasks.workflow.graph import TASKS, task_label
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import artifact_folders

# What may be downloaded, and as what. Always as an attachment: nothing that comes from here runs in the user's session.
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".keras": "application/octet-stream",
    ".npy": "application/octet-stream",
}
FIRST = kinds.RUN, kinds.FINAL_MODEL, kinds.MODEL
TITLES = {kind.folder: kind.title for kind in (kinds.RUN, *(t.makes for t in TASKS)) if kind and kind.title}


@dataclass(frozen=True, kw_only=True)
class ArtifactFile:
    """A file of an artifact, and what is said of it where it is named."""

    folder: str
    name: str
    size_bytes: int
    sha256: str

    @property
    def key(self) -> str:
        """Below the root."""
        return f"{self.folder}/{self.name}"

    @property
    def media_type(self) -> str | None:
        """As what it may be downloaded; None where it may not."""
        return MEDIA_TYPES.get(PurePosixPath(self.name).suffix)


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A folder of files, without any where it is gone or its marker cannot be read; `label` is its class or trial."""

    folder: str
    label: str
    files: tuple[ArtifactFile, ...]

    @property
    def title(self) -> str:
        """What kind of artifact it is."""
        return TITLES[self.folder.partition("/")[0]]

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(file.size_bytes for file in self.files)


def list_artifacts(run: Run) -> dict[str, list[Artifact]]:
    """Returns the run's own files and its artifacts by their kind: the report and the models, then all others."""
    names = class_names(run)
    found: dict[str, list[Artifact]] = {title: [] for title in (*(kind.title for kind in FIRST), *TITLES.values())}
    found[kinds.RUN.title].append(Artifact(folder=run.folder, label="", files=tuple(_own_files(run))))
    for folder, (task, item) in _folders(run).items():
        label = label_of(names, item) or item
        if folder.startswith(f"{kinds.ARRAY.folder}/"):  # a class may have several
            label += f", {task_label(task)}"
        artifact = _artifact(run.store, folder, label)
        found[artifact.title].append(artifact)
    return found


def open_artifact(run: Run, key: str) -> tuple[ArtifactFile, bytes] | None:
    """Returns a listed file and its bytes; None where it is not listed, not of an allowed type, or gone.

    Raises:
        ChecksumMismatch: where the bytes are not those that were written.
    """
    folder = next((folder for folder in (run.folder, *_folders(run)) if key.startswith(f"{folder}/")), None)
    if folder is None:
        return None
    files = _own_files(run) if folder == run.folder else _artifact(run.store, folder, "").files
    file = next((file for file in files if file.key == key), None)
    if file is None or file.media_type is None:
        return None
    if folder == run.folder:
        content = read_plain(run.store, key)
        return None if content is None else (file, content)
    if run.store.is_local and not is_plain(run.store, key):
        return None
    return file, run.store.open_file(folder, file.name).read_bytes()


def _folders(run: Run) -> dict[str, tuple[str, str]]:
    """Returns the task and the item of the first record that names each folder."""
    found: dict[str, tuple[str, str]] = {}
    for r in read_records(run)[0]:
        for folder in artifact_folders([{"task": r.task, "item": r.item, "result": r.result}]):
            found.setdefault(folder, (r.task, r.item))
    return found


def _own_files(run: Run) -> Iterator[ArtifactFile]:
    in_report = names_if_readable(run.store, run.key("report"))
    names = [*names_if_readable(run.store, run.folder), *(f"report/{name}" for name in in_report)]
    for name in names:  # what the tasks and their progress wrote is on the Report tab
        if not re.fullmatch(kinds.RUN.files, name) or name.startswith(("tasks", "progress")):
            continue
        try:
            content = read_plain(run.store, run.key(name)) or b""
        except UNREADABLE:
            continue
        yield ArtifactFile(
            folder=run.folder, name=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
        )


def _artifact(store: Store, folder: str, label: str) -> Artifact:
    try:
        is_plain(store, f"{folder}/{MARKER}")
        listed = store.read_marker(folder)["files"]
        files = tuple(
            ArtifactFile(folder=folder, name=name, size_bytes=int(said["bytes"]), sha256=str(said["sha256"]))
            for name, said in sorted(listed.items())
        )
    except (*UNREADABLE, KeyError, TypeError, AttributeError):
        files = ()
    return Artifact(folder=folder, label=label, files=files)
