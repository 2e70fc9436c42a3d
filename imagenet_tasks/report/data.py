"""The report's figures on the pictures: what was downloaded, its quality, and whose labels are in doubt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from imagenet_tasks.artifacts.quality import DataQuality, Flaws, LargestGroup
from imagenet_tasks.artifacts.references import SPLITS, Dataset
from imagenet_tasks.report.files import Files, picked
from imagenet_tasks.report.inputs import ReportInputs

SHORTAGES = 10  # how many short classes have a sentence of their own
CONFLICTS = 12  # how many pictures that lie in several classes are shown
GROUPS, GROUP_PICTURES = 6, 6  # how many groups of near-duplicates are shown, and how many pictures of each
COUNTS = ("listed", "asked", "wanted", "accepted")  # of the pictures of a class, before its split


def collect_data(inputs: ReportInputs, files: Files) -> dict[str, Any]:
    """Returns what the run downloaded and used of each class, and the quality of it, as `Data` describes it."""
    dataset, download = inputs.dataset, inputs.config.download
    quality = files.read(dataset.folder, DataQuality)
    by_class = {selection.class_id: selection for selection in inputs.selections}
    selections = [by_class[member.class_id] for member in dataset.classes]
    rows: list[dict[str, Any]] = [
        picked(member, "class_id", "name", *SPLITS) | picked(selection, *COUNTS, "rejected") | {
            # Where the test pictures steer, they are the validation pictures too.
            "used": member.train + member.test + (0 if dataset.test_steers else member.validation),
            "quality": (flaws := quality.classes[member.class_id].as_dict()), "flawed": any(flaws.values()),
        }
        for member, selection in zip(dataset.classes, selections, strict=True)
    ]  # fmt: skip
    reasons: Counter[str] = Counter()
    hosts: dict[str, list[int]] = {}
    for selection in selections:
        reasons.update(selection.rejected)
        for kind, (accepted, asked) in selection.hosts.items():
            sums = hosts.get(kind, [0, 0])
            hosts[kind] = [sums[0] + accepted, sums[1] + asked]
    totals: dict[str, Any] = {name: sum(row[name] for row in rows) for name in (*COUNTS, "used", *SPLITS)}
    totals["rejected"] = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    planned = inputs.run.result_of("plan_run") or {}
    changes = [inputs.split_change] if inputs.split_change else []
    return picked(dataset, "rows_px", "columns_px", "test_steers") | {
        "source": download.source, "imagenet_terms_accepted": download.accept_imagenet_terms, "classes": rows,
        "totals": totals, "left_out": _left_out(inputs), "hosts": dict(sorted(hosts.items())),
        "layout": planned.get("layout", []), "passed_over": planned.get("passed_over", []),
        "split_given": any(selection.split_given for selection in selections),
        "conflicts": _conflicts(dataset, files),
        "shown_groups": _groups(dataset, files, quality.largest_groups[:GROUPS]),
    } | {name: value for name, value in quality.as_dict().items() if name in Flaws.model_fields} | {
        "warnings": [*changes, *_shortages(rows, {s.class_id: s.example for s in selections}), *quality.warnings]
    }  # fmt: skip


def _conflicts(dataset: Dataset, files: Files) -> list[dict[str, Any]]:
    """Returns the first pictures that were left out since they lie in several classes or are no photos."""
    names = {member.class_id: member.name for member in dataset.classes}
    found: dict[str, dict[str, Any]] = {}
    places = files.places(dataset)
    for side in ("label_conflict", "placeholder"):
        for place in places.get(side, []):
            shown = picked(place, "image_id", "class_id", "row") | {"side": side, "names": []}
            found.setdefault(place.image_id, shown)["names"].append(names[place.class_id])
    for one in found.values():
        if len(one["names"]) == 1:  # its other class is not in the dataset
            one["names"].append("a class that was left out")
    return list(found.values())[:CONFLICTS]


def _groups(dataset: Dataset, files: Files, groups: Sequence[LargestGroup]) -> list[dict[str, Any]]:
    """Returns groups of near-duplicates with the places of their first pictures."""
    names = {member.class_id: member.name for member in dataset.classes}
    row_of = {(p.class_id, p.image_id): p.row for side in SPLITS for p in files.places(dataset).get(side, [])}
    return [
        {
            "group": group.group, "split": group.split, "count": group.pictures,
            "pictures": [
                one.as_dict() | {"name": names[one.class_id], "row": row_of[one.class_id, one.image_id]}
                for one in group.members[:GROUP_PICTURES]
            ],
        }
        for group in groups
    ]  # fmt: skip


def _shortages(rows: list[dict[str, Any]], examples: Mapping[str, str]) -> list[str]:
    """Returns a sentence for each class that is used with fewer pictures than were wanted, the shortest first.

    Args:
        rows: of the classes.
        examples: what was seen of one candidate that was rejected for the commonest reason, by class id; '' for none.
    """
    short = sorted((row for row in rows if row["accepted"] < row["wanted"]), key=lambda row: row["accepted"])
    sentences = []
    for row in short[:SHORTAGES]:
        reasons = ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in row["rejected"].items())
        sentences.append(
            f"{row['name']}: {row['accepted']} of {row['wanted']} pictures; "
            f"rejected of {row['listed']} candidates: {reasons or 'none'}"
            f"{f'; such as {example}' if (example := examples[row['class_id']]) else ''}"
        )
    return sentences + ([f"{len(short) - SHORTAGES} more classes fall short"] if len(short) > SHORTAGES else [])


def _left_out(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Returns the run's classes that are not in the dataset; 'have' is None where a class never came so far."""
    kept = {member.class_id for member in inputs.dataset.classes}
    known = {shortfall.class_id: shortfall.as_dict() for shortfall in inputs.left_out}
    nothing: dict[str, Any] = {"have": None, "need": None, "reasons": {}}
    return [
        {"class_id": c.class_id, "name": c.name} | known.get(c.class_id, nothing)
        for c in inputs.config.classes
        if c.class_id not in kept
    ]
