"""The human gate: what a person is asked before a repair, and what becomes of the answer."""

from pathlib import Path

import pytest
from fakes.models import fake_model
from fakes.pictures import small_dataset
from fakes.records import write_training

from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.artifacts.references import AugmentationPlan, Dataset, Evaluation, Trial
from imagenet_tasks.evaluate.stage import evaluate_baseline
from imagenet_tasks.report.wording import headline, sentence
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import models, repair
from imagenet_tasks.tasks.ask import _training_s, ask_before_repair, keep_answer
from imagenet_tasks.tasks.common import decision_of, repairs_decided
from imagenet_tasks.workflow.run import Run

ALL = ("longer", "collect", "targeted")


@pytest.fixture
def asking(tmp_path: Path) -> Run:
    """A run whose gate goes on to the repair, and which asks first."""
    return begun(tmp_path, ask_before_repair_minutes=90)


def begun(where: Path, **settings) -> Run:
    run = Run(Store(where / "home"), "dag", "run")
    defaults = {"arms": ["collect"], "seeds": 2, "accuracy_goal": 0.9, "classes_to_augment": 2, "pictures_to_add": 7}
    run.write_config(make_config("sample", defaults | settings))
    dataset = small_dataset(run.store, where / "data")
    model = fake_model(run.store, dataset, "m", validation=0.4, test=0.4)
    measured, _ = evaluate_baseline(run.store, dataset, [model])
    for task, result in (
        ("build_dataset", {"fingerprint": dataset.fingerprint, "left_out": [], "split_change": ""}),
        ("evaluate_baseline", measured.as_dict()),
    ):
        with run.task(task) as record:
            record["result"] = result
    assert models.check_accuracy(run, measured.as_dict()) == "augment"
    return run


def test_by_default_nobody_is_asked(tmp_path: Path) -> None:
    run = begun(tmp_path)
    assert ask_before_repair(run, may_ask=True) is None
    assert list(repairs_decided(run.result_of)) == [1]


def test_on_the_command_line_nobody_is_asked(asking: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert ask_before_repair(asking) is None
    assert "nobody is asked" in caplog.text


def test_the_question_says_what_is_done_what_it_costs_and_until_when(asking: Run) -> None:
    question = ask_before_repair(asking, may_ask=True)
    assert question and question["minutes"] == 90 and question["arms"] == ["collect", "targeted"]
    assert "goal 90" in question["subject"] and "repair 2" in question["subject"]
    plain = question["body"].replace("\u00a0", " ")
    assert "It costs 6 trainings" in plain and "UTC, all are tried" in plain
    assert "| **collect** | new pictures of the chosen classes | 14 | 2 |" in plain
    assert "| **longer** | nothing more added, the control | 0 | 2 |" in plain


def test_while_it_waits_the_task_is_at_work_in_the_runs_records(asking: Run) -> None:
    ask_before_repair(asking, may_ask=True)
    states = {record["task"]: record["state"] for record in asking.task_records()}
    assert states["ask_before_repair"] == "running"


def test_without_an_answer_the_repair_is_what_it_would_have_been(asking: Run, tmp_path: Path) -> None:
    ask_before_repair(asking, may_ask=True)
    keep_answer(asking, repair=True, arms=["collect", "targeted"], by="")
    assert planned(asking) == planned(begun(tmp_path / "other"))
    assert "nobody answered in 1\u00a0h 30\u00a0min" in Decision.from_dict(decision_of(asking.result_of, 1) or {}).why


def planned(run: Run) -> set[str]:
    (group, *_) = repair.plan_augmentation(run)
    return {arm for c in AugmentationPlan.find(run.store, group["plan"]).chosen for arm in c.arms}


@pytest.mark.parametrize(
    ("arms", "added", "left_out"),
    [(["targeted"], {"targeted"}, {"collect"}), (["collect"], {"targeted", "collect"}, {"targeted"})],
)
def test_an_arm_that_was_taken_away_is_not_trained_and_the_record_says_why(
    asking: Run, arms: list[str], added: set[str], left_out: set[str]
) -> None:
    ask_before_repair(asking, may_ask=True)
    keep_answer(asking, repair=True, arms=arms, by="vera")
    assert planned(asking) == added  # the copies of 'targeted' say how long each training is
    copied = [repair.augment_class(asking, group) for group in repair.plan_augmentation(asking)]
    trials = repair.plan_retraining(asking, copied, [])
    recorded = asking.result_of("plan_retraining") or {}
    assert {name for name, why in recorded["empty_arms"].items() if "left it out" in why} == left_out
    assert {Trial.from_dict(trial).arm for trial in trials} == {"longer", "targeted"} - left_out
    assert asking.store.read_json(asking.key("decision.json"))["why"].endswith(f"; vera chose {arms[0]}")


@pytest.mark.parametrize(("wanted", "arms"), [(False, ["collect", "targeted"]), (True, [])])
def test_a_no_ends_the_repairs_and_the_decision_says_whose_it_was(asking: Run, wanted: bool, arms: list[str]) -> None:
    ask_before_repair(asking, may_ask=True)
    keep_answer(asking, repair=wanted, arms=arms, by="vera")
    decision = Decision.from_dict(decision_of(asking.result_of, 1) or {})
    assert decision.branch == "report" and decision.why.endswith("; vera decided against a repair")
    assert list(repairs_decided(asking.result_of)) == []


def test_an_answer_of_an_earlier_attempt_does_not_outweigh_a_gate_that_no_longer_asks(asking: Run) -> None:
    ask_before_repair(asking, may_ask=True)
    keep_answer(asking, repair=True, arms=["collect", "targeted"], by="vera")
    with asking.task("check_accuracy") as record:
        record["result"] = (asking.result_of("check_accuracy") or {}) | {"branch": "report"}
    assert (decision_of(asking.result_of, 1) or {})["branch"] == "report"
    assert list(repairs_decided(asking.result_of)) == []


def test_a_training_is_said_to_take_what_the_repaired_models_start_and_pace_make_of_as_many_pictures(
    tmp_path: Path,
) -> None:
    run = begun(tmp_path, retrain_epochs=4)
    model = Evaluation.from_dict(run.result_of("evaluate_baseline") or {}).model
    (group, *_) = repair.plan_augmentation(run)
    plan = AugmentationPlan.find(run.store, group["plan"])
    dataset = Dataset.find(run.store, model.trial.dataset)
    timed = model.model_copy(update={"fingerprint": "timed"})
    with run.store.publish(timed.folder) as folder:  # 40 pictures of 1 s each, and 10 s to start
        write_training(folder, timed.trial, epochs=2, epoch_pictures=20, pictures_per_s=1.0, seconds=50.0)
    plan = plan.model_copy(update={"before": (timed,)})
    assert _training_s(run, plan, dataset) == 10 + 4 * (dataset.training_pictures + 14)
    write_record(run, timed.trial.key, seconds=60.0)  # its task, with the start of a process
    assert _training_s(run, plan, dataset) == 20 + 4 * (dataset.training_pictures + 14)


def write_record(run: Run, item: str, *, seconds: float) -> None:
    with run.task("train_baseline", item) as record:
        pass
    run.write_record(record | {"seconds": seconds})


@pytest.mark.parametrize(
    ("accuracy", "said"), [(0.4, "is below the goal of 90 %: a person decided against"), (0.9, "meets the")]
)
def test_the_headline_says_whether_the_goal_was_met_where_no_repair_was_tried(accuracy: float, said: str) -> None:
    verdict = {
        "word": "not tried", "validation": {"before": accuracy}, "goal": 0.9, "seeds": [0], "test_steers": False,
        "left_out": "", "test": {"before": 0.5, "before_interval": (0.4, 0.6), "difference": None},
    }  # fmt: skip
    assert said in headline(verdict)
    assert ("already met the goal" in sentence(verdict)) == (accuracy >= 0.9)
