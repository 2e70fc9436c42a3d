"""Opens plain files below the root alone: a link could lead out of it, and reading a pipe would never end."""

from pathlib import Path

from imagenet_tasks.errors import ArtifactError, ImagenetTasksError
from imagenet_tasks.store.storage import Store

UNREADABLE = (ImagenetTasksError, OSError, ValueError, RecursionError)


def read_plain(store: Store, key: str) -> bytes | None:
    """Returns the bytes of a file, or None where there is none.

    Raises:
        ArtifactError: where there is something else than a file with content below the root.
        OSError: where it cannot be read.
    """
    if not is_plain(store, key):
        return None
    try:
        content: bytes = store.path(key).read_bytes()
    except FileNotFoundError:
        return None
    if not content:
        raise ArtifactError(f"{key}: expected content, found an empty file")
    return content


def is_plain(store: Store, key: str) -> bool:
    """Tells whether there is a file; in an object store there are no others, and whoever reads it learns that it lacks.

    Raises:
        ArtifactError: where there is something else, or a file outside of the root.
    """
    if not store.is_local:
        return True
    path = Path(str(store.path(key)))
    if not path.is_symlink() and not path.exists():
        return False
    if not _is_below_root(store, path) or not path.is_file():
        raise ArtifactError(f"{key}: expected a plain file")
    return True


def has_content(store: Store, key: str) -> bool:
    """Tells whether there is a file that is worth reading; raises as `is_plain` does."""
    if not is_plain(store, key):
        return False
    try:
        size: int = store.path(key).stat().st_size
    except FileNotFoundError:
        return False
    if not size:
        raise ArtifactError(f"{key}: expected content, found an empty file")
    return True


def list_names(store: Store, key: str) -> list[str]:
    """Returns the names in a folder below the root, [] where it is absent.

    Raises:
        ArtifactError: where it leads out of the root.
        OSError: where it is no folder.
    """
    if store.is_local and not _is_below_root(store, Path(str(store.path(key)))):
        raise ArtifactError(f"{key}: expected a folder below the root")
    return store.names(key)


def names_if_readable(store: Store, key: str) -> list[str]:
    """Returns the names in a folder, [] also where they cannot be read."""
    try:
        return list_names(store, key)
    except UNREADABLE:
        return []


def _is_below_root(store: Store, path: Path) -> bool:
    return path.resolve().is_relative_to(Path(str(store.root)).resolve())
