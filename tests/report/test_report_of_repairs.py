"""What the page says of seeds, arms, rounds, classes that lost, suspect labels, the study, and the champion."""

import json
from dataclasses import replace

import pytest
from report_page import class_of, report

from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.artifacts.drift import Drift
from imagenet_tasks.artifacts.references import AugmentationPlan
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.report import study, wording
from imagenet_tasks.report.page import _batch
from imagenet_tasks.report.repair import _did
from imagenet_tasks.report.stage import write_report
from imagenet_tasks.settings import training
from imagenet_tasks.settings.config import POLICIES, STRATEGIES, TRANSFORMS
from imagenet_tasks.settings.training import ARMS as ARM_NAMES

NAMES = ("cow", "cobra", "palm", "anchor")
ARMS = (("more", 0.78), ("correlated", 0.7), ("untargeted", 0.7), ("collect", 0.6))
HOSTILE = "</p><img src=x onerror=alert(1)>"


def text(page) -> str:
    """Returns the page's text with plain spaces."""
    return " ".join(page.text.split())


def test_over_several_seeds_the_numbers_are_means_with_both_intervals(build_run):
    inputs = build_run(names=NAMES, before=0.3, after=0.8, seeds=3)
    result, page, figures = report(inputs)
    path = inputs.run.store.open_file(inputs.kept.evaluation.folder, "comparison.json")
    comparison = json.loads(path.read_bytes())
    test, gain = comparison["test"], comparison["control"]
    assert result["seeds"] == 3 and result["test_after"] == test["after"] == pytest.approx(0.8, abs=0.02)
    pictures, seeds = wording.span(gain["interval"]), wording.span(gain["seed_interval"])
    assert f"95\u00a0% interval over 3 seeds: {seeds}" in page.text  # the one of more doubt
    assert f"could be {pictures} points, with other trainings {seeds}" in page.text_of["doubt"]
    assert "mean of 3 trainings of each" in text(page) and "another seed may differ" not in text(page)
    assert f"mean of 3 seeds, 95 % interval {pictures} over pictures, {seeds} over seeds" in result["headline"]
    assert gain["rule"] in page.text
    spread = figures["models"]["after"]["test"]["over_seeds"]
    assert figures["verdict"]["test"]["after_interval"] == spread["interval"]


def test_it_is_said_how_many_more_pictures_the_control_was_shown_than_the_baseline(build_run):
    _, page, figures = report(build_run(before=0.3, after=0.8, seeds=2))
    shown = {arm["arm"]: arm["shown_pictures"] for arm in figures["repair"]["arms"]}
    assert shown == {"baseline": 300, "longer": 300, "targeted": 330}  # three epochs
    assert "The control was shown 300 pictures over all epochs, as many as the baseline." in text(page)
    rows = {row[0]: row for row in page.rows if len(row) == 11 and row[0] in ("Baseline", "Targeted")}
    assert (rows["Baseline"][9], rows["Targeted"][9]) == ("300", "330")


def test_each_seed_stands_in_the_table_of_trainings(build_run):
    _, page, figures = report(build_run(names=NAMES, before=0.3, after=0.8, seeds=3))
    trials = [t for t in figures["repair"]["trials"] if t["arm"] == "targeted"]
    assert [t["seed"] for t in trials] == [0, 1, 2]
    assert len({t["test_accuracy"] for t in trials}) == 3
    for trial in trials:
        said = [wording.percent(trial["test_accuracy"]), wording.points(trial["difference"])]
        assert any(row[0] == "Targeted" and row[2] == str(trial["seed"]) and row[4:6] == said for row in page.rows)


def test_pictures_that_agree_and_seeds_that_do_not_are_said_as_such():
    test = {
        "pictures": 100, "before": 0.5, "after": 0.6, "difference": 0.1, "interval": [0.02, 0.18], "p_value": 0.01,
        "seed_interval": [-0.1, 0.3],
    }  # fmt: skip
    test |= {"smallest_gain": 0.2, "before_interval": None}
    verdict = {"word": "no difference shown", "test": test, "gain": test, "seeds": [0, 1, 2], "chosen": "collect"}
    verdict |= {"best_repair": None}
    assert "It is not shown that the repair helped" in wording.sentence(verdict)
    said = " ".join(wording.doubt(verdict | {"test_steers": ""}))
    assert "it varies too much from seed to seed" in said and "with other trainings −10.0 to +30.0" in said


def test_without_test_pictures_no_difference_is_claimed():
    test = {"difference": None}
    assert "no test pictures" in wording.sentence({"word": "no difference shown", "test": test, "seeds": [0]})


def test_all_arms_stand_beside_the_baseline_with_what_was_added(build_run):
    result, page, figures = report(build_run(names=NAMES, after=0.8, arms=ARMS, seeds=2))
    assert result["arms"] == ["baseline", "collect", "correlated", "longer", "more", "targeted", "untargeted"]
    arms = {row["arm"]: row for row in figures["repair"]["arms"]}
    assert arms["baseline"]["comparison"] is None
    assert {arm: row["added_pictures"] for arm, row in arms.items()} == {
        "baseline": 0, "targeted": 10, "more": 20, "correlated": arms["correlated"]["added_pictures"],
        "untargeted": 10, "longer": 0, "collect": 10,
    }  # fmt: skip
    for arm, row in arms.items():
        if arm == "baseline":
            continue
        name = f"{training.ARM_NAMES[arm]} {training.ARM_GLOSSES[arm]}"
        said = next(shown for shown in page.rows if shown[0] == name)
        assert said[2:4] == [str(row["added_pictures"]), "2"]
        assert said[4] == wording.percent(row["validation"]["mean"])
        assert said[5].startswith(wording.percent(row["test"]["mean"]))
        assert said[6] == wording.points(row["comparison"]["difference"])
        assert said[10] == row["comparison"]["verdict"]
    assert any(row[0] == "Chance" and row[5] == wording.percent(0.25) for row in page.rows)


@pytest.mark.parametrize(
    ("other", "accuracy", "tested", "said"),
    [
        ("untargeted", 0.75, 0.8, "it is not shown that the choice of classes mattered"),
        ("untargeted", 0.3, 0.8, "which classes got them mattered"),
        ("untargeted", 0.7, 0.4, "choosing these classes was the worse choice"),
        ("more", 0.3, 0.3, "it is not shown that the repair mattered"),
        ("more", 0.3, 0.8, "it was the repair, not the longer training"),
        ("more", 0.3, 0.05, "the repair did harm"),
    ],
)
def test_what_an_arm_means_beside_the_chosen_one_is_said(build_run, other, accuracy, tested, said):
    """The one with the highest validation accuracy, 80 %, is chosen; `tested` is its test accuracy."""
    _, page, _ = report(build_run(before=0.3, after=0.8, tested=tested, seeds=2, arms=((other, accuracy),)))
    assert said in page.text_of["against"]


def test_an_arm_that_would_change_nothing_is_said_with_the_reason(build_run):
    inputs = build_run(before=0.3, after=0.3, seeds=2)
    rounds = tuple(replace(each, empty_arms={"collect": "the source has nothing new"}) for each in inputs.rounds)
    result = write_report(replace(inputs, rounds=rounds))
    page = " ".join(inputs.run.store.read_bytes(result["report"]).decode().split())
    assert page.count("Collect was not tried: the source has nothing new.") == 2  # in the verdict, and among the arms
    assert "they did not beat the control" in page


def test_what_a_search_for_new_pictures_met_is_said_beyond_the_first_download(build_run):
    inputs = build_run(names=NAMES, after=0.8, arms=(("collect", 0.6),))
    (each,) = inputs.rounds

    def larger(added):
        ref = added.selection
        more = {"asked": ref.asked + 9, "accepted": ref.accepted + 5, "rejected": ref.rejected | {"too_small": 4}}
        return added.model_copy(update={"selection": ref.model_copy(update=more)})

    found = sum(added.selection is not None for added in each.added)
    searched = replace(each, added=tuple(larger(a) if a.selection else a for a in each.added))
    _, page, figures = report(replace(inputs, rounds=(searched,)))
    (told,) = figures["augmentation"]["rounds"]
    assert told["search"] == {"asked": 9 * found, "accepted": 5 * found, "rejected": {"too_small": 4 * found}}
    said = f"{9 * found} candidates were asked for and {5 * found} accepted; rejected: too small {4 * found}. One "
    assert said in " ".join(page.text_of["augmentation"].split())


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("mix", "mixed with one another: cow and palm"),
        ("soften", "changed half as much: cobra"),
        ("clean", "left out: 4\N{NO-BREAK SPACE}pictures with labels in doubt"),
        ("more", ""),
    ],
)
def test_what_an_arm_without_pictures_of_its_own_changed_is_said(build_run, arm, said):
    (chosen,) = (c for c in build_run(names=NAMES, after=0.8).rounds[0].plan.targeted[:1])
    plan = AugmentationPlan(
        fingerprint="p", strategy="recall", mixed=((0, 2),), doubted_pictures=4,
        chosen=(chosen.model_copy(update={"name": "cobra"}),),
    )  # fmt: skip
    assert _did(arm, plan, list(NAMES)) == said


def test_the_best_baseline_on_validation_is_taken_and_said(build_run):
    inputs = build_run(before=0.3, after=0.8, models=(("convnet1", 0.5),))
    _, page, figures = report(inputs)
    taken = {row["model"]: row["taken"] for row in figures["repair"]["baselines"]}
    assert taken == {"compact": False, "convnet1": True}
    assert "convnet1 was taken: its validation accuracy is the highest, or the first of equals." in text(page)
    assert [row["model"] for row in figures["repair"]["arms"]] == ["convnet1", "compact", "compact"]


def test_of_several_rounds_the_best_on_validation_is_kept(build_run):
    inputs = build_run(names=NAMES, before=0.3, rounds=(0.8, 0.5))
    result, page, figures = report(inputs)
    first, second = inputs.rounds
    assert inputs.kept is first and result["rounds"] == 2
    assert result["test_after"] == first.evaluation.test_accuracy
    assert result["chosen"] == [c.class_id for c in first.plan.targeted]
    rows = {row[0]: row for row in page.rows if len(row) == 8 and row[0][:1] in "12"}
    assert rows["1 kept"][4] == wording.percent(first.evaluation.validation_accuracy)
    assert rows["1 kept"][7] == second.decision.why
    assert rows["2"][7] == "no further round: at most 2 were asked for"
    said = "Of the rounds whose repair beat the control, validation accuracy decides which is kept: round 1."
    assert said in text(page)
    assert [r["kept"] for r in figures["augmentation"]["rounds"]] == [True, False]


def test_a_round_in_which_no_repair_beat_the_control_is_not_kept(build_run):
    inputs = build_run(names=NAMES, before=0.6, rounds=(0.7, 0.5))
    assert [each.arm for each in inputs.rounds] == ["targeted", "longer"]
    first, second = (each.evaluation for each in inputs.rounds)
    better = replace(inputs.rounds[1], evaluation=second.model_copy(update={"validation_accuracy": 0.99}))
    assert replace(inputs, rounds=(inputs.rounds[0], better)).kept.evaluation is first


def test_a_gate_that_stopped_the_rounds_says_why(build_run):
    inputs = build_run(names=NAMES, before=0.3, rounds=(0.5, 0.8))
    gate = Decision(branch="report", validation_accuracy=0.8, accuracy_goal=0.7, why="the goal is met", round=3)
    _, _, figures = report(inputs)
    assert figures["verdict"]["kept"] == 2
    result = write_report(replace(inputs, decision=gate))
    rounds = inputs.run.store.read_json(result["report_json"])["repair"]["rounds"]
    assert rounds[1]["then"] == "the goal is met"
    assert result["branch"] == "augment"  # the path that the run took


def test_a_later_round_counts_the_classes_of_those_before_as_repaired(build_run):
    inputs = build_run(names=NAMES, before=0.3, rounds=(0.5, 0.8))
    _, _, figures = report(inputs)
    repaired = {row["class_id"] for row in figures["classes"] if row["targeted"]}
    assert repaired == {c.class_id for r in inputs.rounds for c in r.plan.targeted}


def test_one_round_has_no_section_of_rounds(build_run):
    _, page, _ = report(build_run())
    assert not any(attributes.get("id") == "rounds" for _, attributes in page.elements)


def test_a_decision_for_a_round_that_was_not_evaluated_is_an_error(build_run):
    inputs = build_run()
    with pytest.raises(ArtifactError, match="evaluate_augmented"):
        write_report(replace(inputs, decision=inputs.decision.model_copy(update={"round": 2})))


def test_a_class_that_lost_is_marked_and_said(build_run):
    _, page, figures = report(build_run(names=NAMES, before=0.9, after=0.95, losing=1, seeds=2))
    assert figures["verdict"]["collateral"] == ["n00000001"]
    assert "1 class lost. cobra got worse than in the baseline by more than chance explains" in text(page).replace(
        "\u00a0", " "
    )
    row = next(row for row in page.rows if len(row) == 13 and class_of(row) == "cobra")
    assert "▼" in row[0] and row[6].endswith("< 0.001".replace(" ", "\u00a0"))


def test_where_no_class_lost_that_is_said_too(build_run):
    _, page, _ = report(build_run())
    assert page.text_of["collateral"].startswith("Compared with the baseline, no class lost more than chance explains")


def test_labels_that_were_not_judged_have_no_part_of_the_page(build_run):
    _, page, figures = report(build_run())
    assert figures["suspects"] is None and "labels" not in page.text_of


def test_labels_that_none_disputes_are_said_to_be_fine(build_run):
    _, page, figures = report(build_run(suspects=0))
    assert figures["suspects"]["suspects"] == []
    assert "None found: of" in text(page)


@pytest.mark.parametrize("after", [0.8, None])
def test_suspect_labels_are_shown_with_both_classes(build_run, after):
    _, page, figures = report(build_run(names=("a <cow>", "cobra", "palm"), suspects=3, after=after))
    assert len(figures["suspects"]["suspects"]) == 3
    pictures = [a for tag, a in page.elements if tag == "img" and a["alt"].startswith("training picture filed under")]
    assert len(pictures) == 3 and all(a["src"].startswith("data:image/jpeg;") for a in pictures)
    said = text(page).replace("\u00a0", " ")
    assert "given a <cow>" in said and "suggested cobra" in said


def test_of_many_suspect_labels_the_strongest_are_shown(build_run):
    _, page, figures = report(build_run(names=tuple(f"class {i}" for i in range(8)), suspects=40))
    assert len(figures["suspects"]["suspects"]) > 24
    assert sum(a.get("alt", "").startswith("training picture filed under") for _, a in page.elements) == 24
    assert "The strongest 24 are shown" in text(page)


def test_where_the_test_pictures_steer_every_test_figure_says_so(build_run):
    inputs = build_run(names=NAMES, after=0.8, steers=True, model="convnet1", retrain="convnet5", seeds=2)
    result, page, figures = report(inputs)
    assert (
        "also chose which epoch of a training is kept, which classes are repaired and which repair"
        in page.text_of["steers"]
    )
    assert result["headline"].endswith(": helped; optimistic, since the test pictures also steered")
    tags = sum(attributes.get("class") == "tag" for _, attributes in page.elements)
    assert tags > 10
    assert f"{figures['data']['totals']['test']} for test, which are the validation pictures too." in text(page)
    assert "Test decides nothing" not in page.text


def test_where_they_do_not_steer_nothing_is_called_optimistic(build_run):
    result, page, _ = report(build_run())
    assert "optimistic" not in page.text + result["headline"]


def test_the_studys_figures_stand_beside_those_of_its_models(build_run):
    inputs = build_run(names=NAMES, after=0.8, model="convnet1", retrain="convnet5", profile="seed")
    _, page, figures = report(inputs)
    assert [row["model"] for row in figures["repair"]["study"]] == ["convnet1", "convnet5"]
    rows = {row[0].split(" ")[0]: row for row in page.rows if len(row) == 5}
    assert (rows["convnet1"][2], rows["convnet1"][4]) == (wording.percent(0.4719, 2), "2.423")
    assert (rows["convnet5"][2], rows["convnet5"][4]) == (wording.percent(0.517, 2), "2.195")
    assert rows["convnet1"][1] == wording.percent(inputs.baseline.test_accuracy, 2)
    assert "The study used other pictures" in text(page)


@pytest.mark.parametrize(("profile", "model"), [("seed", "compact"), ("best", "convnet1")])
def test_of_other_models_and_other_profiles_no_figure_of_the_study_is_shown(build_run, profile, model):
    _, page, figures = report(build_run(profile=profile, model=model, retrain=model))
    assert figures["repair"]["study"] == [] and "The study used" not in page.text


def test_the_studys_other_arms_are_not_taken_for_its_convnet_5():
    group = {"model": "convnet5", "arm": "more", "round": 1, "seeds": [0], "test": {"mean": 0.5}, "loss": 2.0}
    assert study.study_rows([group]) == []


def test_the_plans_of_the_other_arms_and_denied_changes_are_said(build_run):
    inputs = build_run(names=NAMES, after=0.8, arms=ARMS, seeds=2)
    augment = replace(inputs.config.augment, denied_transforms=("n00000000: vertical_flip zoom",))
    result = write_report(replace(inputs, config=replace(inputs.config, augment=augment)))
    page = inputs.run.store.read_bytes(result["report"]).decode()
    assert "Denied changes: cow (no turning upside down or zoom)." in page
    assert "<strong>untargeted</strong>: 10\u00a0pictures of all 4\u00a0classes (2 to 3 each)" in page
    assert "New pictures are training pictures that the source has" in page
    assert page.count('alt="new picture of ') == 10
    for chosen in inputs.rounds[0].plan.targeted:
        assert chosen.why.replace("'", "&#39;") in page


def test_there_is_a_word_for_each_arm_strategy_policy_and_transform():
    assert set(wording.TRANSFORMS) == set(TRANSFORMS)
    assert set(training.ARM_GLOSSES) == set(training.ARM_NAMES) == {"baseline", *ARM_NAMES}
    assert set(wording.ARM_DEEDS) == set(ARM_NAMES)
    assert set(wording.STRATEGIES) == set(STRATEGIES)
    assert set(wording.POLICIES) == set(POLICIES)


@pytest.mark.parametrize("outcome", ["promoted", "kept", "not eligible", "not settled"])
def test_what_became_of_the_champion_is_said(build_run, outcome):
    inputs = replace(build_run(before=0.32), champion={"outcome": outcome, "why": HOSTILE, "champion": None})
    result = write_report(inputs)
    page = inputs.run.store.read_bytes(result["report"]).decode()
    assert f"Champion {outcome}: &lt;/p&gt;" in page and HOSTILE not in page


def test_where_the_champion_stays_it_comes_before_the_runs_own_model(build_run):
    of_it = {"test_accuracy": 0.6, "looked_at_by": ["r1"], "model": {"fingerprint": "f" * 16}}
    now = {"dag_id": "of_another", "run_id": "before"} | of_it
    inputs = replace(build_run(before=0.32), champion={"outcome": "kept", "why": "it is better", "champion": now})
    page = inputs.run.store.read_bytes(write_report(inputs)["report"]).decode()
    said = "The <", "of these classes", "It stays: it is better.", "--classes n", "This run&rsquo;s own", "--run "
    places = [page.partition('<section id="use">')[2].index(each) for each in said]
    assert places == sorted(places)


def test_the_figures_say_in_how_many_runs_the_champions_test_pictures_were_looked_at(build_run):
    now = {"test_accuracy": 0.62, "looked_at_by": ["runs/dag/a", "runs/dag/b"], "dag_id": "dag", "run_id": "a"}
    now |= {"model": {"fingerprint": "m"}}
    inputs = replace(build_run(before=0.32), champion={"outcome": "kept", "why": "it is better", "champion": now})
    result = write_report(inputs)
    assert inputs.run.store.read_json(result["report_json"])["champion"] == {
        "outcome": "kept", "why": "it is better", "test_accuracy": 0.62, "test_looked_at_in_runs": 2,
    }  # fmt: skip


def test_how_the_champion_did_on_new_pictures_is_said_or_why_it_did_not_answer(build_run):
    inputs = build_run(before=0.32)
    drift = Drift(
        fingerprint="d", verdict="declines", sentence="declines: 50.0 % of 200 pictures", model="m", trial="a-b-seed0",
        dag_id="dag", run_id=HOSTILE, new=200, pictures=200,
    )  # fmt: skip
    for changes, said in (
        ({"drift": drift}, "It <strong>declines</strong>: 50.0 % of 200 pictures."),
        ({"drift_problem": f"{HOSTILE} ended."}, "<strong>It did not answer.</strong>"),
    ):
        result = write_report(replace(inputs, **changes))
        page = inputs.run.store.read_bytes(result["report"]).decode()
        assert said in page and HOSTILE not in page and 'id="drift"' in page


def test_calibration_best_epoch_and_learning_rate_are_in_the_models_table(build_run):
    _, page, figures = report(build_run())
    rows = {row[0].strip(): row[1:] for row in page.rows if len(row) == 3}
    assert rows["Test calibration error (ECE)"][0] == wording.percent(figures["models"]["before"]["test"]["ece"])
    assert rows["Best epoch on validation, kept"] == ["2", "2"]
    assert rows["Learning rate, first to last epoch"] == ["0.001 → 0.000333"] * 2


def test_a_halved_batch_is_said():
    assert _batch({"batch_size": 32}, 64) == "32, halved from 64: out of device memory"
    assert _batch({"batch_size": 64}, 64) == "64"
