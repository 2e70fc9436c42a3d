"""Every chart can be read without seeing it; the path and the curves say what happened."""

from dataclasses import replace

import pytest
from report_page import report

from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.report import wording
from imagenet_tasks.report.charts import funnel_chart
from imagenet_tasks.report.curves import Curve, Limits, learning_curves
from imagenet_tasks.report.stage import write_report

NAMES = ("cow", "cobra", "palm", "anchor")


@pytest.mark.parametrize(
    "run",
    [
        {"after": None, "curve": (0.1, 0.2), "seeds": 2},
        {"names": NAMES, "seeds": 2, "rounds": (0.5, 0.8), "arms": (("more", 0.4),)},
    ],
)
def test_every_chart_has_a_table_and_an_accessible_name(build_run, run):
    _, page, _ = report(build_run(**run))
    titles = {a["id"] for tag, a in page.elements if tag == "title" and "id" in a}
    tables = {a["id"] for tag, a in page.elements if tag in ("table", "details") and "id" in a}
    assert len(page.charts) >= 5
    for chart in page.charts:
        title, description = chart["svg"]["aria-labelledby"].split()
        assert chart["svg"]["role"] == "img" and title in titles
        assert page.text_of[title].strip() and page.text_of[description].strip()
        assert chart["figure"]["table"] or chart["figure"]["aria-details"] in tables


def test_every_table_header_says_what_it_heads(build_run):
    _, page, _ = report(build_run(names=NAMES, conflicts=2, copies=2, suspects=2))
    scopes = [attributes.get("scope") for tag, attributes in page.elements if tag == "th"]
    assert scopes and set(scopes) <= {"row", "col", "colgroup"}


def test_the_curves_of_every_training_are_drawn_and_listed(build_run):
    inputs = build_run(names=NAMES, before=0.3, after=0.8, seeds=2, arms=(("more", 0.5),))
    _, page, figures = report(inputs)
    assert all([entry["epoch"] for entry in t["history"]] == [1, 2, 3] for t in figures["repair"]["trials"])
    drawn = [name for name in page.text_of if name.startswith("curves-") and name.endswith("-title")]
    assert len(drawn) == 2 + 2 * 4  # before and after together, then accuracy and loss of each group
    for name in ("curves-1-accuracy-description", "curves-1-loss-description"):
        assert "seed 0: after epoch 3" in page.text_of[name] and "seed 1: after epoch 3" in page.text_of[name]
    best = ["2, best", "20.0\u00a0%", "18.0\u00a0%", "1.500", "1.600"]
    assert sum(row == best for row in page.rows) == 2  # of the two models
    assert sum(row[1:] == best for row in page.rows) == 8  # of four groups with two seeds


def test_where_one_training_is_all_there_is_none_is_drawn_twice(build_run):
    _, page, _ = report(build_run(after=None))
    assert "These are all the trainings of this run." in page.text
    assert sum(name.startswith("curves-") and name.endswith("-title") for name in page.text_of) == 2


def test_the_best_epoch_is_a_dot_on_the_validation_curve():
    history = [
        {"epoch": e, "accuracy": 0.1 * e, "loss": 3 / e, "val_accuracy": 0.09 * e, "val_loss": 3.2 / e}
        for e in (1, 2, 3)
    ]
    curves = {best: Curve(name="a", role="after", history=history, best_epoch=best) for best in (None, 2)}
    limits = Limits.of(list(curves.values()), 0.5)
    drawn = {
        best: learning_curves([curve], "accuracy", "x", limits, goal=0.5, title="t") for best, curve in curves.items()
    }
    assert "var(--surface)" in drawn[2] and "var(--surface)" not in drawn[None]  # the dot's edge
    assert "best epoch 2" in drawn[2] and "best epoch" not in drawn[None]


def test_wild_first_epochs_do_not_flatten_the_loss():
    history = [
        {"epoch": e, "accuracy": 0.5, "loss": 50 if e == 1 else 2.0, "val_accuracy": 0.5, "val_loss": 2.0}
        for e in range(1, 21)
    ]
    limits = Limits.of([Curve(name="a", role="after", history=history, best_epoch=None)], 0.5)
    assert limits.loss < 3 and limits.beyond.endswith("early epochs reach 50.0.")


@pytest.mark.parametrize(
    ("after", "said", "skipped"),
    [(0.8, "validation 30.6 % < goal 99 % → repair", 0), (None, "validation 30.6 % ≥ goal 25 % → report", 3)],
)
def test_the_path_says_the_comparison_that_decided_and_what_was_skipped(build_run, after, said, skipped):
    inputs = build_run(names=NAMES, before=0.3, after=after)
    _, page, figures = report(inputs)
    gate = next(step for step in figures["path"] if step["kind"] == "gate")
    assert gate["said"].replace("\u00a0", " ") == said.replace(
        "30.6", f"{100 * inputs.baseline.validation_accuracy:.1f}"
    )
    assert gate["said"] in page.text
    assert sum(not step["taken"] for step in figures["path"]) == skipped == page.text.count("skipped")


def test_a_gate_that_ends_the_repairs_below_the_goal_says_why(build_run):
    inputs = build_run(names=NAMES, before=0.3, after=0.5)
    gate = Decision(
        branch="report", validation_accuracy=0.5, accuracy_goal=0.7, round=2,
        why="validation accuracy 50.00 % is below the goal of 70 %; the one <repair> is done",
    )  # fmt: skip
    result = write_report(replace(inputs, decision=gate))
    assert "the one &lt;repair&gt; is done" in inputs.run.store.read_bytes(result["report"]).decode()


@pytest.mark.parametrize(
    ("accuracy", "goal", "said"),
    [
        (0.31, 0.5, "31.0 % < goal 50 %"), (0.4999, 0.5, "49.99 % < goal 50 %"), (0.5, 0.5, "50.0 % ≥ goal 50 %"),
        (0.500001, 0.5, "50.0001 % ≥ goal 50 %"),
    ],
)  # fmt: skip
def test_a_gates_comparison_has_the_digits_that_it_takes(accuracy, goal, said):
    decision = Decision(validation_accuracy=accuracy, accuracy_goal=goal, branch="report", why="")
    assert wording.gate(decision).replace("\u00a0", " ") == f"validation {said} → report"


def test_a_funnel_of_nothing_is_drawn_too():
    totals = dict.fromkeys(("listed", "asked", "accepted", "used", "train", "validation", "test"), 0)
    assert "listed 0" in funnel_chart(totals, test_steers=False)
