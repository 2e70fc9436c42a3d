"""Mistakes, confused pairs, copies and conflicts: the figures, and that the pictures beside them are the right ones."""

import base64
import csv
import io
import re

import numpy as np
import pytest
from PIL import Image
from report_page import report

from imagenet_tasks.artifacts.arrays import read_array, read_split
from imagenet_tasks.report import wording
from imagenet_tasks.report.matrices import MOST_CLASSES, shown_labels

NAMES = ("cow", "cobra", "palm", "anchor")


def predictions(store, evaluation) -> list[dict[str, str]]:
    with store.open_file(evaluation.folder, "predictions.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "test"]


def pictures_of(page, start: str) -> list[tuple[str, np.ndarray, str]]:
    """Returns each picture whose alt text begins so: its image id, its pixels and its alt text."""
    found = []
    for tag, attributes in page.elements:
        if tag == "img" and attributes["alt"].startswith(start):
            data = base64.b64decode(attributes["src"].removeprefix("data:image/jpeg;base64,"))
            found.append((attributes.get("title", ""), np.asarray(Image.open(io.BytesIO(data))), attributes["alt"]))
    return found


def nearest(inputs, pixels: np.ndarray) -> tuple[str, str]:
    """Returns the class id and image id of the picture that looks most like this one, of all pictures."""
    best = (np.inf, "", "")
    for member in inputs.dataset.classes:
        pictures, ids = read_array(inputs.run.store, member.array)
        distances = np.abs(pictures.astype(int) - pixels).mean(axis=(1, 2, 3))
        best = min(best, (distances.min(), member.class_id, ids[int(distances.argmin())]))
    return best[1:]


def test_the_verdicts_numbers_follow_from_the_predictions(build_run):
    inputs = build_run(names=NAMES, before=0.3, after=0.8)
    _, page, figures = report(inputs)
    before, after = (
        [row["true"] == row["predicted"] for row in predictions(inputs.run.store, evaluation)]
        for evaluation in (inputs.baseline, inputs.kept.evaluation)
    )
    test = figures["verdict"]["test"]
    assert test["pictures"] == len(before) == len(after)
    assert test["before"] == pytest.approx(np.mean(before)) and test["after"] == pytest.approx(np.mean(after))
    assert test["difference"] == pytest.approx(np.mean(after) - np.mean(before))
    assert test["only_after_right"] == sum(a and not b for b, a in zip(before, after, strict=True))
    assert test["only_before_right"] == sum(b and not a for b, a in zip(before, after, strict=True))
    assert page.text_of["test-before"] == wording.percent(np.mean(before))
    assert page.text_of["test-after"] == wording.percent(np.mean(after))


def test_the_difference_of_the_matrices_is_after_minus_before(build_run):
    inputs = build_run(names=NAMES, before=0.3, after=0.8)
    _, page, figures = report(inputs)
    counts = {}
    for role, evaluation in (("before", inputs.baseline), ("after", inputs.kept.evaluation)):
        counts[role] = np.zeros((4, 4), int)
        for row in predictions(inputs.run.store, evaluation):
            ids = [member.class_id for member in inputs.dataset.classes]
            counts[role][ids.index(row["true"]), ids.index(row["predicted"])] += 1
    assert (np.array(figures["confusion_difference"]) == counts["after"] - counts["before"]).all()
    assert "Difference, after minus before" in page.text_of["confusion-difference"]


def test_each_answer_has_its_count_and_its_share_of_the_row(build_run):
    _, page, figures = report(build_run(names=NAMES, before=0.3, after=0.8))
    counts = figures["models"]["before"]["test"]["confusion"][0]
    row = next(row for row in page.rows if len(row) == 5 and row[:2] == ["cow", str(sum(counts))])
    assert row[2:4] == [str(counts[0]), wording.percent(counts[0] / sum(counts), 0)]
    assert f"cobra\u00a0{counts[1]} {wording.percent(counts[1] / sum(counts), 0)}" in row[4]


def test_of_many_classes_those_in_the_most_mistakes_are_drawn_and_all_are_listed(build_run):
    matrix = np.eye(50, dtype=int) * 5
    matrix[7, 45], matrix[45, 7], matrix[33, 2] = 4, 4, 3
    shown = shown_labels([matrix.tolist()])
    assert len(shown) == MOST_CLASSES and {2, 7, 33, 45} <= set(shown) and shown == sorted(shown)
    names = tuple(f"class {i}" for i in range(35))
    _, page, _ = report(build_run(names=names))
    assert "Of 35 classes, the 30 with the most mistakes are drawn" in page.text
    listed = [row[0] for row in page.rows if len(row) == 5 and row[0] in names]
    assert len(listed) >= 2 * 35 and set(listed) == set(names)


@pytest.mark.parametrize("after", [0.6, None])
def test_the_surest_mistakes_are_listed_with_their_own_pictures(build_run, after):
    inputs = build_run(names=NAMES, before=0.4, after=after)
    _, page, figures = report(inputs)
    names = {member.class_id: member.name for member in inputs.dataset.classes}
    evaluations = {"before": inputs.baseline} | ({"after": inputs.kept.evaluation} if after else {})
    assert figures["confident_mistakes"].keys() == evaluations.keys()
    for role, evaluation in evaluations.items():
        said = {row["image_id"]: row for row in predictions(inputs.run.store, evaluation)}
        listed = figures["confident_mistakes"][role]
        wrong = [float(r[r["predicted"]]) for r in said.values() if r["true"] != r["predicted"]]
        assert [one["answered_probability"] for one in listed] == sorted(wrong, reverse=True)[:12]
        for one in listed:
            row = said[one["image_id"]]
            assert (one["class_id"], one["answered_class_id"]) == (row["true"], row["predicted"]) != (row["true"],) * 2
            assert one["given_probability"] == float(row[row["true"]])
    for image_id, pixels, alt in pictures_of(page, "test picture of")[:30]:
        class_id, found = nearest(inputs, pixels)
        assert found == image_id and f"test picture of {names[class_id]}, " in alt


def test_the_pictures_of_a_confused_pair_are_of_the_true_class_and_were_taken_for_the_other(build_run):
    inputs = build_run(names=NAMES, before=0.3, after=0.6)
    _, page, figures = report(inputs)
    tests = {row.image_id for row in read_split(inputs.run.store, inputs.dataset, "test")}
    for pair in figures["confused_pairs"]:
        for role, evaluation in (("before", inputs.baseline), ("after", inputs.kept.evaluation)):
            taken = {
                row["image_id"]
                for row in predictions(inputs.run.store, evaluation)
                if (row["true"], row["predicted"]) == (pair["true_class_id"], pair["predicted_class_id"])
            }
            assert len(taken) == pair[role]
            shown = {one["image_id"] for one in pair["pictures"][role]}
            assert shown <= taken & tests and len(shown) == min(4, pair[role])
    pair = figures["confused_pairs"][0]
    alt = f"test picture of {pair['true']}, taken for {pair['predicted']} by the baseline model"
    for image_id, pixels, _ in pictures_of(page, alt):
        assert nearest(inputs, pixels) == (pair["true_class_id"], image_id)


def test_a_pair_that_only_the_repair_confuses_is_listed_too(build_run):
    _, page, figures = report(build_run(names=NAMES, before=0.9, after=0.95, losing=1))
    first = figures["confused_pairs"][0]
    assert (first["true"], first["before"] < first["after"]) == ("cobra", True)
    counts = f"{first['before']} of {first['support']} by the baseline, {first['after']} by the retrained model"
    assert f"cobra taken for {first['predicted']} most often: {counts}" in page.text


def test_without_a_mistake_that_is_said(build_run):
    _, page, figures = report(build_run(before=1.0, after=None))
    assert figures["confused_pairs"] == figures["confident_mistakes"]["before"] == []
    assert page.text.count("No test picture was taken for another class.") == 2
    assert figures["confusion_difference"] is None and "confusion-difference" not in page.text_of


def test_pictures_in_several_classes_and_near_duplicates_are_shown(build_run):
    inputs = build_run(names=("a <cow>", "cobra", "palm"), conflicts=2, copies=3)
    _, page, figures = report(inputs)
    conflicts = figures["data"]["conflicts"]
    assert [(one["side"], one["names"]) for one in conflicts] == [("label_conflict", ["a <cow>", "cobra"])] * 2
    assert {image_id for image_id, *_ in pictures_of(page, "picture that lies in a <cow>, cobra")} == {
        one["image_id"] for one in conflicts
    }
    totals = figures["data"]["totals"]
    assert totals["used"] == totals["accepted"] - 4 == sum(totals[s] for s in ("train", "validation", "test"))
    group = figures["data"]["shown_groups"][0]
    shown = pictures_of(page, "picture of")
    assert [image_id for image_id, *_ in shown] == [one["image_id"] for one in group["pictures"]]
    for (image_id, pixels, _), one in zip(shown, group["pictures"], strict=True):
        assert nearest(inputs, pixels) == (one["class_id"], image_id)


def test_rejects_stand_by_reason_and_class(build_run):
    _, page, _ = report(build_run())
    assert ["cow", "7", "3", "10", wording.percent(0.2, 0)] in page.rows
    assert ["All", "21", "9", "30", wording.percent(0.2, 0)] in page.rows


def test_the_funnel_says_what_is_lost_at_each_step(build_run):
    _, page, figures = report(build_run())
    assert [row[1:] for row in page.rows if row[0] == "Accepted"] == [["120", wording.percent(120 / 180), "30"]]
    funnel = re.search(r"listed 180, asked for 150, accepted 120, used 120; of these train (\d+)", page.text)
    assert funnel and int(funnel[1]) == figures["data"]["totals"]["train"]


def test_what_at_the_location_is_no_class_is_told(build_run):
    inputs = build_run(names=NAMES, after=0.8)
    with inputs.run.task("plan_run") as record:
        record["result"] = {"passed_over": ["hidden: 1 (<b>.git)"]}
    _, page, figures = report(inputs)
    assert figures["data"]["passed_over"] == ["hidden: 1 (<b>.git)"]
    assert "Passed over at the location: hidden: 1 (<b>.git)." in page.text_of["data"]
