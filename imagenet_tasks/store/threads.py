"""Reads many files of a store side by side."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from imagenet_tasks.store.storage import Store

AT_ONCE = 16  # an object store answers so many at once
T = TypeVar("T")
R = TypeVar("R")


def side_by_side(store: Store, read: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Returns what `read` makes of each item, in order: one after another on a disk, many at once elsewhere."""
    if store.is_local:
        return [read(item) for item in items]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(read, items))
