"""The one way in which an artifact comes to be: made, or used again where it is there already."""

import contextlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from imagenet_tasks.artifacts.kinds import Kind
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.store.storage import Store

Publish = Callable[[], AbstractContextManager[Path]]


def make(store: Store, kind: Kind, mark: str, build: Callable[[Publish], None]) -> bool:
    """Makes an artifact unless it is there already; returns whether it was.

    Args:
        store: where it goes.
        kind: what it is.
        mark: its fingerprint.
        build: does the work, opens a new folder by calling what it is given, and writes into that. Nothing is published
            where it raises.
    """
    if store.is_complete(kind.folder_of(mark)):
        return True
    build(lambda: _publish(store, kind, mark))
    return False


@contextlib.contextmanager
def _publish(store: Store, kind: Kind, mark: str) -> Iterator[Path]:
    """Yields an empty local folder; what is in it at the end is published as the artifact.

    Raises:
        ArtifactError: where a file in it is none of the kind's, which is a bug: `prune` would never remove it.
    """
    with store.publish(kind.folder_of(mark)) as folder:
        yield folder
        if strange := [p.name for p in folder.iterdir() if not re.fullmatch(kind.files, p.name)]:
            raise ArtifactError(
                f"{kind.folder_of(mark)}: {', '.join(strange)} is not declared as a file of {kind.name}"
            )
