"""Opens plain files below the root alone: a link could lead out of it, and reading a pipe would never end."""

from pathlib import Path

from imagenet_tasks.errors import ArtifactError, ImagenetTasksError
from imagenet_tasks.storage import Store

UNREADABLE = (ImagenetTasksError, OSError, ValueError, RecursionError)


def read_plain(store: Store, key: str) -> bytes | None:
    """Returns the bytes of a file, or None where there is none.

    Raises:
        ArtifactError: where there is something else than a file with content below the root.
        OSError: where it cannot be read.
    """
    if not is_plain(store, key):
        return None
    content: bytes = store.path(key).read_bytes()
    if not content:
        raise ArtifactError(f"{key}: expected content, found an empty file")
    return content


def is_plain(store: Store, key: str) -> bool:
    """Tells whether there is a file.

    Raises:
        ArtifactError: where there is something else, or a file outside of the root.
    """
    path = store.path(key)
    if not store.is_local:
        return bool(path.exists())
    local = Path(str(path))
    if not local.is_symlink() and not local.exists():
        return False
    if not local.resolve().is_relative_to(Path(str(store.root)).resolve()) or not local.is_file():
        raise ArtifactError(f"{key}: expected a plain file")
    return True
