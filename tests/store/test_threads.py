"""Many files of a store, read side by side."""

import threading

from imagenet_tasks.store.storage import Store
from imagenet_tasks.store.threads import side_by_side


def test_an_object_store_is_asked_for_several_at_once_and_they_come_in_order():
    together = threading.Barrier(4, timeout=10)

    def read(number):
        together.wait()
        return number

    assert side_by_side(Store("memory://threads"), read, range(4)) == [0, 1, 2, 3]


def test_a_disk_is_read_in_the_thread_that_asks(tmp_path):
    assert set(side_by_side(Store(tmp_path), lambda _: threading.get_ident(), range(4))) == {threading.get_ident()}
