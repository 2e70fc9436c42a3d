"""The classes that got worse: their figures fit together, and the pictures shown are those that went wrong."""

import pytest
from report_page import report
from test_report_of_pictures import nearest, pictures_of, predictions

from imagenet_tasks.artifacts.report import Report
from imagenet_tasks.report import wording

NAMES = ("cow", "a <cobra>", "palm", "anchor")


@pytest.fixture
def lost(build_run):
    """Returns a run whose second class is never right after the repair."""
    return build_run(names=NAMES, before=0.9, after=0.95, losing=1)


def went_wrong(inputs, class_id: str) -> list[dict[str, str]]:
    """Returns the answers after the repair on what was right before, the surest first."""
    before, after = (predictions(inputs.run.store, e) for e in (inputs.baseline, inputs.kept.evaluation))
    right = {row["image_id"] for row in before if row["true"] == row["predicted"] == class_id}
    wrong = [row for row in after if row["image_id"] in right and row["predicted"] != class_id]
    return sorted(wrong, key=lambda row: (-float(row[row["predicted"]]), float(row[class_id]), row["image_id"]))


def test_the_pictures_shown_are_the_surest_that_went_from_right_to_wrong(lost):
    _, page, figures = report(lost)
    row = figures["got_worse"][0]
    expected = [one["image_id"] for one in went_wrong(lost, "n00000001")]
    assert row["went_wrong"] == len(expected) > 6
    assert [one["image_id"] for one in row["pictures"]] == expected[:6]
    shown = pictures_of(page, "test picture of a <cobra>, now taken for palm")
    assert [image_id for image_id, *_ in shown] == expected[:6]
    for image_id, pixels, _ in shown:
        assert nearest(lost, pixels) == ("n00000001", image_id)


def test_each_picture_says_what_it_is_taken_for_now_and_how_surely(lost):
    _, page, figures = report(lost)
    answers = {row["image_id"]: row for row in went_wrong(lost, "n00000001")}
    for one in figures["got_worse"][0]["pictures"]:
        answer = answers[one["image_id"]]
        assert one["answered_class_id"] == answer["predicted"]
        assert one["answered_probability"] == float(answer[answer["predicted"]])
    sure = wording.percent(figures["got_worse"][0]["pictures"][0]["answered_probability"], 0)
    assert f"now palm{sure}" in page.text_of["classes"]


def test_the_counts_of_a_class_add_up(lost):
    _, page, figures = report(lost)
    for row in figures["got_worse"]:
        assert row["after"] == row["before"] - row["went_wrong"] + row["came_right"]
        assert sum(row["taken_for"].values()) == row["went_wrong"]
        assert row["change"] == pytest.approx((row["after"] - row["before"]) / row["support"])
    first = figures["got_worse"][0]
    cells = next(cells for cells in page.rows if len(cells) == 4 and cells[0] == "a <cobra>")
    assert cells[1:] == [
        wording.points(first["change"]), f"{first['before']} → 0 of {first['support']}",
        f"palm\u00a0{first['went_wrong']}",
    ]  # fmt: skip


def test_the_name_of_the_class_leads_to_its_pictures(lost):
    _, page, _ = report(lost)
    assert "#worse-1" in [attributes.get("href") for tag, attributes in page.elements if tag == "a"]
    assert page.text_of["worse-1"].startswith("a <cobra> ")


def test_the_folded_line_names_the_class_that_lost_most(lost):
    _, page, figures = report(lost)
    points = wording.points(figures["got_worse"][0]["change"]).removeprefix("−")
    assert f"the same; a <cobra> lost {points} points" in page.text


def test_of_several_seeds_the_row_says_whose_counts_it_has_and_that_seeds_change(build_run):
    inputs = build_run(names=NAMES, before=0.6, after=0.3, seeds=3, spread=0.2)
    _, page, figures = report(inputs)
    row = next(row for row in figures["got_worse"] if row["went_wrong"])
    own = (row["after"] - row["before"]) / row["support"]
    assert own != pytest.approx(row["change"])
    cells = next(cells for cells in page.rows if len(cells) == 4 and cells[0] == row["name"])
    assert cells[1] == wording.points(row["change"])
    assert cells[2] == f"{row['before']} → {row['after']} of {row['support']}"
    assert ["Class", "Points", "Right, seed 0", "Went wrong, now taken for"] in page.rows
    assert "both of seed 0" in page.text_of["classes"]


def test_a_class_that_lost_with_other_seeds_alone_says_so(build_run):
    inputs = build_run(names=NAMES, before=0.6, after=0.3, seeds=3, spread=-0.2)
    _, page, figures = report(inputs)
    assert [row["went_wrong"] for row in figures["got_worse"]] == [0] * len(figures["got_worse"]) != []
    assert page.text.count("With seed 0 no picture of it went from right to wrong") == len(figures["got_worse"])


def test_of_many_classes_five_have_pictures(build_run):
    names = tuple(f"class {i}" for i in range(12))
    _, page, figures = report(build_run(names=names, before=0.9, after=0.95, tested=0.4))
    assert len(figures["got_worse"]) > 5
    assert [bool(row["pictures"]) for row in figures["got_worse"][:6]] == [True] * 5 + [False]
    assert sum(attributes.get("href", "").startswith("#worse-") for _, attributes in page.elements) == 5


def test_where_no_class_got_worse_nothing_is_said_of_it(build_run):
    _, page, figures = report(build_run())
    assert figures["got_worse"] == [] and "worse" not in page.text_of
    assert "The pictures that went from right to wrong" not in page.text


def test_a_report_from_before_there_were_these_pictures_is_read(lost):
    _, _, figures = report(lost)
    older = {name: value for name, value in figures.items() if name != "got_worse"}
    assert Report.from_file(older, where="report.json").got_worse == ()
