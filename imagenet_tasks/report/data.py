"""The report's figures on the pictures: what was downloaded, its quality, and whose labels are in doubt."""

from typing import Any

from imagenet_tasks.artifacts.quality import DataQuality, Suspects
from imagenet_tasks.artifacts.references import SPLITS, Dataset
from imagenet_tasks.report.files import Files
from imagenet_tasks.report.inputs import ReportInputs

SHORTAGES = 10  # how many short classes have a sentence of their own
CONFLICTS = 12  # how many pictures that lie in several classes are shown
GROUPS, GROUP_PICTURES = 6, 6  # how many groups of near-duplicates are shown, and how many pictures of each
QUALITY = ("label_conflicts", "placeholders", "flat", "near_duplicates", "largest_groups", "warnings")


def collect_suspects(inputs: ReportInputs, files: Files) -> dict[str, Any] | None:
    """Returns the training pictures whose label is in doubt, as the baseline's evaluation lists them.

    Returns:
        'folds', 'pictures' (judged) and 'suspects'; None where labels were not judged.
    """
    if not inputs.config.train.label_check_folds:
        return None
    found: dict[str, Any] = files.json(inputs.baseline.folder, Suspects)
    return found


def collect_data(inputs: ReportInputs, files: Files) -> dict[str, Any]:
    """Returns what the run downloaded and used of each class, and the quality of it.

    Returns:
        Among others 'classes' and 'totals' (counts of pictures from 'listed' to 'used'), 'rejected' in both (by
        reason), 'hosts' (accepted and asked, by kind), 'conflicts' and 'shown_groups' (pictures to look at).
    """
    dataset = inputs.dataset
    rows: list[dict[str, Any]] = []
    selections = {selection.class_id: selection for selection in inputs.selections}
    for member in dataset.classes:
        selection = selections[member.class_id]
        rows.append(
            {
                "class_id": member.class_id, "name": member.name, "listed": selection.listed, "asked": selection.asked,
                "wanted": selection.wanted, "accepted": selection.accepted, "rejected": dict(selection.rejected),
                "train": member.train, "validation": member.validation, "test": member.test,
                # Where the test pictures steer, they are the validation pictures too.
                "used": member.train + member.test + (0 if dataset.test_steers else member.validation),
            }
        )  # fmt: skip
    totals: dict[str, Any] = {
        name: sum(row[name] for row in rows)
        for name in ("listed", "asked", "wanted", "accepted", "used", "train", "validation", "test")
    }
    reasons: dict[str, int] = {}
    for row in rows:
        for reason, count in row["rejected"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    totals["rejected"] = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    hosts: dict[str, list[int]] = {}
    for member in dataset.classes:
        for kind, (accepted, asked) in selections[member.class_id].hosts.items():
            sums = hosts.setdefault(kind, [0, 0])
            sums[0], sums[1] = sums[0] + accepted, sums[1] + asked
    quality = files.json(dataset.folder, DataQuality)
    for row in rows:
        row["quality"] = quality["classes"][row["class_id"]]
        row["flawed"] = any(row["quality"].values())
    return {
        "rows_px": dataset.rows_px, "columns_px": dataset.columns_px, "classes": rows, "totals": totals,
        "left_out": _left_out(inputs),
        "source": inputs.config.download.source, "hosts": dict(sorted(hosts.items())),
        "imagenet_terms_accepted": inputs.config.download.accept_imagenet_terms, "test_steers": dataset.test_steers,
        "conflicts": _conflicts(dataset, files),
        "shown_groups": _groups(dataset, files, quality["largest_groups"][:GROUPS]),
    } | {name: quality[name] for name in QUALITY} | {
        "warnings": [change for change in [inputs.split_change] if change] + _shortages(rows) + quality["warnings"]
    }  # fmt: skip


def _conflicts(dataset: Dataset, files: Files) -> list[dict[str, Any]]:
    """Returns the first pictures that were left out since they lie in several classes or are no photos."""
    names = {member.class_id: member.name for member in dataset.classes}
    found: dict[str, dict[str, Any]] = {}
    places = files.places(dataset)
    for side in ("label_conflict", "placeholder"):
        for place in places.get(side, []):
            one = found.setdefault(
                place.image_id,
                {
                    "image_id": place.image_id, "class_id": place.class_id, "row": place.row, "side": side,
                    "names": [],
                },
            )  # fmt: skip
            one["names"].append(names[place.class_id])
    for one in found.values():
        if len(one["names"]) == 1:  # its other class is not in the dataset
            one["names"].append("a class that was left out")
    return list(found.values())[:CONFLICTS]


def _groups(dataset: Dataset, files: Files, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns groups of near-duplicates with the places of their first pictures."""
    names = {member.class_id: member.name for member in dataset.classes}
    row_of = {(p.class_id, p.image_id): p.row for side in SPLITS for p in files.places(dataset).get(side, [])}
    return [
        {
            "group": group["group"], "split": group["split"], "count": group["pictures"],
            "pictures": [
                {
                    "image_id": one["image_id"], "class_id": one["class_id"], "name": names[one["class_id"]],
                    "row": row_of[one["class_id"], one["image_id"]],
                }
                for one in group["members"][:GROUP_PICTURES]
            ],
        }
        for group in groups
    ]  # fmt: skip


def _shortages(rows: list[dict[str, Any]]) -> list[str]:
    """Returns a sentence for each class that is used with fewer pictures than were wanted, the shortest first."""
    short = sorted((row for row in rows if row["accepted"] < row["wanted"]), key=lambda row: row["accepted"])
    sentences = []
    for row in short[:SHORTAGES]:
        reasons = ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in row["rejected"].items())
        sentences.append(
            f"{row['name']}: {row['accepted']} of {row['wanted']} pictures; "
            f"of {row['listed']} candidates rejected: {reasons or 'none'}"
        )
    return sentences + ([f"{len(short) - SHORTAGES} more classes are short"] if len(short) > SHORTAGES else [])


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
