"""What a person changes of the champions: a former one takes its place again, one is pinned."""

import time
from collections.abc import Callable
from itertools import chain

from imagenet_tasks.artifacts.champions import (
    KEY,
    REVERTIBLE,
    Champion,
    Reign,
    champion_of,
    open_model,
    read_entries,
)
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.store.storage import Store


def pin(store: Store, run_id: str, *, dag_id: str = "", pinned: bool = True) -> Champion:
    """Pins the champion that a run made, so that no run replaces it, or lets it be replaced again; returns it.

    Raises:
        ArtifactError: where no list of classes, or more than one, has a champion of this run; or an entry is not as a
            run wrote it.
    """

    def change(champion: Champion) -> Champion | None:
        if not _is_of(champion, run_id, dag_id):
            return None
        since = (champion.pinned_s or time.time()) if pinned else None
        return champion.model_copy(update={"pinned_s": since})

    return _change(store, run_id, change, "a champion")


def revert(store: Store, run_id: str, *, dag_id: str = "") -> Champion:
    """Makes the former champion that a run made the champion again, pinned; returns it.

    It is pinned, since the next run might make the model that was left the champion anew.

    Args:
        store: where the champions are.
        run_id: of the run that made the former champion.
        dag_id: that run's workflow; '' for any.

    Raises:
        ArtifactError: where no list of classes, or more than one, has such a former champion that can be reverted to,
            or its network is gone; or an entry is not as a run wrote it.
        ChecksumMismatch: where its network has other bytes than when it was the champion.
    """

    def change(champion: Champion) -> Champion | None:
        last = next((former for former in champion.revertible if _is_of(former, run_id, dag_id)), None)
        if last is None:
            return None
        open_model(store, last, then="it can no longer be reverted to, and nothing was changed.")
        # Who came after it on the same test pictures has kept count for it, too.
        counts = [reign.looked_at_by for reign in (*champion.former, champion)]
        same = [looked_at_by for looked_at_by in counts if set(last.looked_at_by) <= set(looked_at_by)]
        looked_at_by = tuple(dict.fromkeys(chain(last.looked_at_by, *same)))
        reign = last.model_copy(update={"looked_at_by": looked_at_by})
        now_s = time.time()
        return champion.succeeded_by(reign, f"reverted by hand to that of run {run_id}", now_s=now_s, pinned_s=now_s)

    expected = f"one of the last {REVERTIBLE} former champions of a list of classes"
    return _change(store, run_id, change, expected)


def _is_of(reign: Reign, run_id: str, dag_id: str) -> bool:
    return reign.run_id == run_id and dag_id in ("", reign.dag_id)


def _change(store: Store, run_id: str, change: Callable[[Champion], Champion | None], expected: str) -> Champion:
    """Changes the one champion that `change` returns another for, and returns that; `expected` is for messages."""
    with store.lock("models"):
        entries = read_entries(store)
        found = {key: champion for key in entries if (champion := champion_of(store, entries, key))}
        changed = {key: new for key, champion in found.items() if (new := change(champion))}
        if len(changed) != 1:
            received = f"{len(changed)} lists of classes have" if changed else "no list of classes has"
            raise ArtifactError(
                f"{store.path(KEY)}: expected the run of {expected}; {received} one of run {run_id!r}. The command "
                "`champion list` shows them; --workflow tells runs of the same name apart."
            )
        ((key, new),) = changed.items()
        if new != found[key]:
            store.write_json(KEY, entries | {key: new.as_file()})
    return new
