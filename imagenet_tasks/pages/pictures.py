"""The pictures of a class of a run: thumbnails of what was accepted, and what became of every candidate."""

import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

from imagenet_tasks.artifacts.arrays import read_ids
from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.kinds import COLLECTED, COPIES, Kind
from imagenet_tasks.artifacts.references import AddedPictures, ChosenClass, Selection, SelectionRef
from imagenet_tasks.errors import Rejected, without_secrets
from imagenet_tasks.pages.records import read_config, read_records
from imagenet_tasks.pages.run_view import Moment, TaskRecord
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.store.plain_files import UNREADABLE, read_plain
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.graph import parse_task_id, task_id
from imagenet_tasks.workflow.run import Run

PICTURES_PER_PAGE = 48
RECORDS_PER_PAGE = 100
THUMBNAIL_PX = 180  # its longer side


class Candidate(JsonArtifact, extra="ignore"):
    """A line of records.jsonl; sizes in pixels and bytes, None where nothing came; `shown` is what people may read."""

    candidate: str
    state: str
    reason: str | None = None
    detail: str | None = None
    file: str | None = None
    bytes: int | None = None
    width_px: int | None = None
    height_px: int | None = None
    time_s: Moment
    shown: str = ""

    @property
    def outcome(self) -> str:
        """Accepted, or why not."""
        return "accepted" if self.state == "accepted" else (self.reason or self.state).replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small picture as a data: address, None where it cannot be shown, and what it is a picture of."""

    address: str | None
    title: str


@dataclass(frozen=True, kw_only=True)
class ClassView:
    """One page of a class's pictures and records.

    `selected` says whether the pictures are those that the run uses, or all that were accepted so far, in any run;
    `new` that they are those which a repair collected, `copied` that it makes copies of those in training.
    `own` says whether the candidates are those that this run looked at, or all of the class; `outcomes` counts them by
    what became of them.
    """

    image_class: ImageClass
    others: tuple[ImageClass, ...]
    ref: SelectionRef | None
    new: bool
    copied: bool
    selected: bool
    own: bool
    pictures: int
    thumbnails: tuple[Thumbnail, ...]
    outcomes: dict[str, int]
    records: tuple[Candidate, ...]
    listed: int
    damaged: int


def classes_of_task(run: Run, task: str, map_index: int) -> dict[str, ImageClass]:
    """Returns the classes that a mapped task handles, by the names of their records; {} where none can be told."""
    known, number = parse_task_id(task)
    if known is None or known.item != "class" or map_index < 0:
        return {}
    config, (records, _) = read_config(run), read_records(run)
    if config is None:
        return {}
    if known.is_repair:
        groups = _plan(records, task_id(known.takes["group"].task, number)).get("groups")
        by_id = {c.class_id: c for c in config.classes}
        keys = groups[map_index] if isinstance(groups, list) and map_index < len(groups) else []
        found = {key: by_id.get(ChosenClass.class_of(key)) for key in keys}
        return {key: image_class for key, image_class in found.items() if image_class}
    size = _plan(records, "plan_run").get("classes_per_task")
    if not isinstance(size, int) or size < 1:  # a run of an earlier version
        size = 1
    return {c.class_id: c for c in config.classes[map_index * size : (map_index + 1) * size]}


def _plan(records: list[TaskRecord], task: str) -> dict[str, Any]:
    """Returns what a task that plans others handed on; {} where it has not."""
    return next((r.result for r in records if r.task == task and isinstance(r.result, dict)), {})


@dataclass(frozen=True, kw_only=True)
class ClassTile:
    """A class to choose, what was selected of it, and its first picture; None before that."""

    image_class: ImageClass
    ref: SelectionRef | None
    thumbnail: Thumbnail | None


def classes_of_run(run: Run) -> dict[str, ImageClass]:
    """Returns all classes of a run by their ids, of which those are shown that a task has none of its own."""
    config = read_config(run)
    return {c.class_id: c for c in config.classes} if config else {}


def view_classes(run: Run, classes: dict[str, ImageClass], page: int) -> list[ClassTile]:
    """Returns a page of classes to choose from, each with its first picture."""
    records = {r.item: r.result for r in read_records(run)[0] if (r.task, r.state) == ("download_class", "success")}
    tiles = []
    for class_id, image_class in _page(list(classes.items()), page, PICTURES_PER_PAGE):
        ref = None
        with contextlib.suppress(*UNREADABLE):
            ref = SelectionRef.from_dict(records[class_id]) if class_id in records else None
        files = selection.files if (selection := _selection(run, ref)) else ()
        tiles.append(
            ClassTile(
                image_class=image_class, ref=ref,
                thumbnail=thumbnail(run.store, class_id, files[0]) if files else None,
            )
        )  # fmt: skip
    return tiles


def view_class(
    run: Run, task: str, classes: dict[str, ImageClass], class_id: str, *, outcome: str, all_runs: bool,
    picture_page: int, record_page: int,
) -> ClassView | None:  # fmt: skip
    """Returns what is known of one of a task's classes; None where the task has no such class.

    Args:
        run: whose.
        task: its id.
        classes: the task's, by the names of their records.
        class_id: which of them; '' for the first.
        outcome: only candidates of which this became; '' for all.
        all_runs: candidates of all runs, and not only those that this one looked at.
        picture_page: of the thumbnails, from 1.
        record_page: of the records, from 1.
    """
    item, image_class = next(((i, c) for i, c in classes.items() if class_id in ("", c.class_id)), ("", None))
    if image_class is None:
        return None
    candidates, damaged = _candidates(run, image_class.class_id)
    ref, new = _handed_on(run, task, item)
    selection = _selection(run, ref)
    found = {c.file: c for c in candidates if c.file and c.state == "accepted"}
    shown = list(selection.files if selection else found)
    if new is not None:
        shown = [file for file in shown if file.partition(".")[0] in new]
    if own := bool(selection and selection.asked and not all_runs):
        asked = set(selection.asked if selection else ())
        candidates = [c for c in candidates if c.candidate in asked]
    wanted = [c for c in candidates if outcome in ("", c.outcome)]
    return ClassView(
        image_class=image_class, others=tuple(classes.values()), ref=ref, new=new is not None,
        copied=_makes(task) is COPIES, selected=selection is not None, own=own, pictures=len(shown),
        thumbnails=tuple(
            _of_candidate(run, image_class.class_id, file, found.get(file))
            for file in _page(shown, picture_page, PICTURES_PER_PAGE)
        ),
        outcomes=dict(Counter(c.outcome for c in candidates).most_common()),
        records=tuple(_page(wanted, record_page, RECORDS_PER_PAGE)), listed=len(wanted), damaged=damaged,
    )  # fmt: skip


def _page(items: list[Any], page: int, size: int) -> list[Any]:
    return items[(page - 1) * size : page * size]


def _candidates(run: Run, class_id: str) -> tuple[list[Candidate], int]:
    """Returns the newest record of each candidate, and how many lines cannot be read."""
    found: dict[str, Candidate] = {}
    damaged = 0
    try:
        content = read_plain(run.store, f"images/{class_id}/records.jsonl") or b""
    except UNREADABLE:
        return [], 1
    for line in content.splitlines():
        try:
            candidate = Candidate.model_validate_json(line)
        except ValueError:
            damaged += 1
        else:
            found[candidate.candidate] = candidate.model_copy(
                update={
                    "shown": _readable(run, candidate.candidate),
                    "detail": candidate.detail and _readable(run, candidate.detail),
                }
            )
    return list(found.values()), damaged


def _makes(task: str) -> Kind | None:
    known, _ = parse_task_id(task)
    return known.makes if known else None


def _handed_on(run: Run, task: str, item: str) -> tuple[SelectionRef | None, set[str] | None]:
    """Returns what was selected of a class, and the ids of those that are new, where a repair collected some."""
    collects = _makes(task) is COLLECTED
    wanted = (task, item, "success") if collects else ("download_class", ChosenClass.class_of(item), "success")
    record = next((r for r in read_records(run)[0] if (r.task, r.item, r.state) == wanted), None)
    try:
        if record is None:
            return None, set() if collects else None
        if not collects:
            return SelectionRef.from_dict(record.result), None
        added = AddedPictures.from_dict(record.result)
        return added.selection, set(read_ids(run.store, added.array))
    except UNREADABLE:
        return None, set() if collects else None


def _selection(run: Run, ref: SelectionRef | None) -> Selection | None:
    if ref is None:
        return None
    try:
        content = read_plain(run.store, ref.key)
        return Selection.from_json(content, where=ref.key) if content else None
    except UNREADABLE:
        return None


def _readable(run: Run, text: str) -> str:
    """Returns a candidate's address, or what was seen of it, without secrets; of a path its last two parts."""
    text = without_secrets(text)
    if not text.startswith("/"):
        return run.store.without_root(text)
    parts = text.rsplit("/", 2)
    return "/".join(["…", *parts[1:]]) if len(parts) > 2 else text


def _of_candidate(run: Run, class_id: str, file: str, candidate: Candidate | None) -> Thumbnail:
    said = [candidate.shown] if candidate else []
    if candidate and candidate.width_px and candidate.height_px:
        said.append(f"{candidate.width_px}x{candidate.height_px} pixels")
    return thumbnail(run.store, class_id, file, title=", ".join([*said, file]))


def thumbnail(store: Store, class_id: str, file: str, *, title: str = "") -> Thumbnail:
    """Returns a stored picture small; `title` is what is said of it, its file where nothing is given."""
    from imagenet_tasks import images

    address = None
    with contextlib.suppress(*UNREADABLE, Rejected):
        if content := read_plain(store, f"images/{class_id}/{file}"):
            address, _ = images.thumbnail_address(content, longest_px=THUMBNAIL_PX)
    return Thumbnail(address=address, title=title or file)
