"""Two runs compared: their settings, their curves, and what their models answered picture by picture."""

import io
import re

import pytest
from PIL import Image
from report_runs import (
    OTHER_RUN_ID,
    RUN_ID,
    class_row,
    figures,
    rows_of,
    runs_address,
    write_answers,
)

from imagenet_tasks.workflow.run import Run


def compared(viewer, a: str = OTHER_RUN_ID, b: str = RUN_ID) -> str:
    answer = viewer.get(runs_address(compare=(a, b)))
    assert answer.status_code == 200 and "<script" not in answer.text
    return answer.text


def test_settings_that_differ_are_listed_and_no_others(viewer, report, other_report):
    settings = {"train": {"seed": 3, "arms": ["targeted", "none"], "more": True}, "command": "another"}
    other_report.store.write_json(other_report.key("report/report.json"), figures(settings=settings))
    assert rows_of(compared(viewer), "settings") == [
        ["train: seed", "3", "0"], ["train: arms", "targeted, none", "targeted"], ["train: more", "true", "–"],
    ]  # fmt: skip


def test_equal_settings_are_said_to_be(viewer, report, other_report):
    assert "the two runs had the same settings" in compared(viewer)


def test_each_class_is_compared_and_a_change_beyond_chance_is_told_from_one_within(viewer, report, other_report):
    classes = [
        class_row("n01747885", "cobra", 0.3),
        class_row("n02403454", "cow", 0.4),
        class_row("n09438940", "snowdrift", 0.5, support=0),
    ]
    other_report.store.write_json(other_report.key("report/report.json"), figures(classes=classes))
    both = [*figures()["classes"], class_row("n09438940", "snowdrift", 0.5)]
    report.store.write_json(report.key("report/report.json"), figures(classes=both))
    html = compared(viewer)
    rows = {row[0].split()[0]: row[1:] for row in rows_of(html, "classes")}
    assert rows["cobra"][:3] == ["30.0 %", "90.0 %", "+60.0"]
    assert rows["cow"][:3] == ["40.0 %", "42.0 %", "+2.0"]
    assert rows["snowdrift"] == ["50.0 %", "50.0 %", "–", "–"]
    assert html.count('"n shown"') == 1


def test_runs_of_other_classes_are_not_said_to_differ(viewer, report, other_report):
    classes = [class_row("n00000001", "palm", 0.95), class_row(COBRA, "cobra", 0.1)]
    settings = {"classes": {"n00000001": "palm", COBRA: "cobra"}}
    other_report.store.write_json(other_report.key("report/report.json"), figures(classes=classes, settings=settings))
    html = compared(viewer)
    assert "The runs have different classes" in html and "more than chance" not in html
    assert "1 class only in A: palm; 1 class only in B: cow; 1 in both." in html and 'id="settings"' not in html
    assert rows_of(html, "classes") == [[f"cobra {COBRA}", "10.0 %", "90.0 %", "–", "–"]]


def test_what_a_run_ended_with_says_that_its_accuracy_is_a_mean_and_which_model_to_use(viewer, report, other_report):
    model = figures()["models"]["after"] | {"trial": "Targeted (compact, seed 0)", "seed": 0, "seeds": [0, 1, 2]}
    use = {
        "called": "Targeted (compact, seed 2)", "model": "f" * 16, "file": "x", "path": "x", "command": "x",
        "champion": True,
    }  # fmt: skip
    report.store.write_json(report.key("report/report.json"), figures(models={"after": model}) | {"use": use})
    text = re.sub("<[^>]+>", "", compared(viewer))
    assert "Targeted (compact), mean of 3 seedsmodel to use: Targeted (compact, seed 2)" in text


@pytest.mark.parametrize("name", ["validation_share", "test_share", "near_duplicate_bits"])
def test_runs_that_split_their_pictures_otherwise_are_not_said_to_differ(viewer, report, other_report, name):
    settings = {"preprocess": {name: 0}}
    other_report.store.write_json(other_report.key("report/report.json"), figures(settings=settings))
    html = compared(viewer)
    assert "The runs split their pictures with different settings" in html and "more than chance" not in html
    assert [row[3:] for row in rows_of(html, "classes")] == [["–", "–"]] * 2


def test_without_test_pictures_there_is_no_difference(viewer, report, other_report):
    verdict = {"test": {"pictures": 0, "before": 0.5, "after": 0.5}}
    other_report.store.write_json(other_report.key("report/report.json"), figures(verdict=verdict))
    assert "No difference can be given" in compared(viewer)


def test_the_difference_on_test_has_an_interval_and_says_whether_the_pictures_were_the_same(
    viewer, report, other_report
):
    low = {"test": {"pictures": 400, "before": 0.3, "after": 0.35}, "test_steers": "they did"}
    other_report.store.write_json(
        other_report.key("report/report.json"), figures(verdict=low, fingerprints={"Dataset": "datasets/bbbb"})
    )
    html = compared(viewer)
    assert "B minus A: +16.7 points on test" in html and "more than chance" in html
    assert "Their datasets differ" in html and "also steered A, whose" in html
    same = compared(viewer, RUN_ID, OTHER_RUN_ID)
    assert "B minus A: −16.7 points on test" in same


def test_the_curves_of_both_runs_lie_on_the_same_axes(viewer, report, other_report):
    model = figures()["models"]["after"]
    for run, share in ((report, 0.4), (other_report, 0.3)):
        history = [epoch | {"val_accuracy": share} for epoch in model["history"]]
        models = {role: model | {"history": history} for role in ("before", "after")}
        run.store.write_json(run.key("report/report.json"), figures(models=models))
    html = compared(viewer)
    assert html.count('<svg class="lines"') == 1 and ">epoch</text>" in html
    assert re.findall(r'<g class="([^"]+)">', html) == ["run-a before", "run-a after", "run-b before", "run-b after"]


def test_a_curve_that_both_runs_have_is_drawn_once(viewer, report, other_report):
    html = compared(viewer)
    assert re.findall(r'<g class="([^"]+)">', html) == ["run-a before", "run-a after"]
    assert html.count("A and B, ") == 2


COBRA, COW = "n01747885", "n02403454"
TEST = {f"{number:064x}": COBRA if number % 2 else COW for number in range(200)}
ALL_RIGHT = TEST
HALF_RIGHT = dict.fromkeys(TEST, COW)


def answer(run: Run, *seeds: dict[str, str], test: dict[str, str] = TEST, dataset: str = "d" * 16, **changes) -> None:
    """Lets a run with a report have answered so, one dict per seed."""
    marks = write_answers(run, test, *seeds, dataset=dataset)
    run.store.write_json(run.key("report/report.json"), figures(fingerprints=marks, **changes))


def said_of_difference(html: str) -> str:
    return " ".join(re.sub("<[^>]+>", "", html.partition('<p id="difference">')[2].partition("</p>")[0]).split())


def test_runs_with_the_same_test_pictures_are_paired_on_them(viewer, report, other_report):
    answer(other_report, HALF_RIGHT, HALF_RIGHT)
    answer(report, ALL_RIGHT, ALL_RIGHT)
    said = said_of_difference(html := compared(viewer))
    assert said.startswith(
        "B minus A: +50.0 points, 50.0 % to 100.0 %, on 200 test pictures, paired one by one: 95&nbsp;% interval +42."
    )
    assert "B is better by more than chance" in said
    rows = {row[0]: row[1:4] for row in rows_of(html, "classes")}
    assert rows == {f"cobra {COBRA}": ["0.0 %", "100.0 %", "+100.0"], f"cow {COW}": ["100.0 %", "100.0 %", "0.0"]}
    assert "Changed: cobra +100.0" in re.sub("<[^>]+>", "", html)


def test_a_paired_interval_is_narrower_than_one_of_different_pictures(viewer, report, other_report):
    from imagenet_tasks.statistics.intervals import newcombe

    answer(other_report, HALF_RIGHT)
    answer(report, HALF_RIGHT | dict(list(TEST.items())[:20]))
    found = re.search(r"interval ([+−]\d+\.\d) to ([+−]\d+\.\d)", said_of_difference(compared(viewer)))
    low, high = (float(bound.replace("−", "-")) for bound in found.groups())
    unpaired = newcombe(0.55, 200, 0.5, 200)
    assert 0 < low < 5 < high and high - low < 60 * (unpaired[1] - unpaired[0])


def test_of_one_training_each_it_is_not_said_that_one_is_better(viewer, report, other_report):
    answer(other_report, HALF_RIGHT)
    answer(report, ALL_RIGHT, HALF_RIGHT)
    said = said_of_difference(compared(viewer))
    assert "These two models differ by more than chance. One training of each is compared" in said
    assert "is not enough to tell" in said and "1 more training, left out" in said


def test_a_class_shows_which_of_its_pictures_flipped(viewer, report, other_report):
    answer(other_report, HALF_RIGHT)
    answer(report, ALL_RIGHT)
    links = re.findall(r'href="(\?a=[^"]+)#flipped">', compared(viewer))
    pages = [viewer.get(runs_address() + "/compare" + link.replace("&amp;", "&")).text for link in links]
    assert ["of cobra that flipped" in page for page in pages] == [False, True]
    assert ["right in B: 100<" in page for page in pages] == [False, True]
    assert (
        viewer.get(runs_address() + f"/compare?a={OTHER_RUN_ID}&b={RUN_ID}&class=n1".replace("+", "%2B")).status_code
        == 404
    )


def test_only_the_test_pictures_that_both_have_are_paired(viewer, report, other_report):
    fewer = dict(list(TEST.items())[50:])
    answer(other_report, HALF_RIGHT, test=fewer, dataset="e" * 16, settings={"preprocess": {"test_share": 0.1}})
    answer(report, ALL_RIGHT)
    said = said_of_difference(compared(viewer))
    assert "on 150 test pictures" in said and "A has 150 test pictures and B 200" in said
    assert "split their pictures with different settings" in said


def test_runs_without_a_common_test_picture_say_so_beside_both_figures(viewer, report, other_report):
    others = {f"{number:064x}": COW for number in range(1000, 1010)}
    answer(other_report, others, test=others, dataset="e" * 16)
    answer(report, ALL_RIGHT)
    html = compared(viewer)
    assert "The runs share no test pictures" in said_of_difference(html) and html.count("51.7") >= 2
    assert viewer.get(re.findall(r'href="([^"]+/pictures/[^"]+)"', html)[0]).status_code == 200  # the class's name
    assert "flipped" not in html


def test_runs_that_ended_with_the_same_model_have_no_difference(viewer, report, other_report):
    answer(other_report, HALF_RIGHT)
    answer(report, HALF_RIGHT)
    html = compared(viewer)
    assert said_of_difference(html) == "Both runs ended with the same model. There is no difference to measure."
    assert "95&nbsp;% interval" not in html


def test_pictures_that_flipped_are_shown_and_no_more_than_24_of_each_direction(viewer, report, other_report):
    from imagenet_tasks.artifacts.references import Selection

    cobras = [image_id for image_id, class_id in TEST.items() if class_id == COBRA]
    cows = [image_id for image_id, class_id in TEST.items() if class_id == COW]
    store, shown_id = report.store, min(cobras)
    picture = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(picture, "JPEG")
    store.write_bytes(f"images/{COBRA}/{shown_id}.jpg", picture.getvalue())
    selection = Selection(class_id=COBRA, files=(f"{shown_id}.jpg",))
    store.write_json(Selection.key(COBRA, f"of-{COBRA}"), selection.as_dict())
    answer(other_report, HALF_RIGHT)
    answer(report, ALL_RIGHT | dict.fromkeys(cows[:3], COBRA))
    html = compared(viewer)
    assert "Right in A, wrong in B: 3 of 200" in html and html.count("<span>B: cobra</span>") == 3
    assert "Wrong in A, right in B: 100 of 200" in html and html.count("<span>A: cow</span>") == 24
    assert html.count("data:image/jpeg") == 1 and html.count("cannot be shown") == 26


@pytest.mark.parametrize("file", ["probabilities_test.npy", "complete.json"])
def test_answers_that_cannot_be_read_leave_the_interval_of_different_pictures(viewer, report, other_report, file):
    answer(other_report, HALF_RIGHT)
    answer(report, ALL_RIGHT)
    for path in (report.store.path("models")).iterdir():
        (path / file).write_bytes(b"damaged")
    assert "cannot be read: the interval treats them as different ones" in said_of_difference(compared(viewer))


@pytest.mark.parametrize(("a", "b"), [("", ""), (RUN_ID, RUN_ID), (RUN_ID, "unknown"), ("..", RUN_ID), ("\0", RUN_ID)])
def test_what_cannot_be_compared_is_said(viewer, report, a, b):
    answer = viewer.get(runs_address(compare=(a, b)))
    assert answer.status_code == 404 and "<h1>Nothing here</h1>" in answer.text


@pytest.mark.parametrize("content", [b"{broken", b"[]", b'{"verdict": 1}', b"[" * 100_000])
def test_figures_that_cannot_be_read_are_not_compared(viewer, report, other_report, content):
    other_report.store.write_bytes(other_report.key("report/report.json"), content)
    assert viewer.get(runs_address(compare=(OTHER_RUN_ID, RUN_ID))).status_code == 404
