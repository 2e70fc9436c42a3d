"""A round's models: measured, grouped by arm and seed, compared with the baseline and with each other."""

import csv
import json

import numpy as np
import pytest
from fakes.models import fake_model, judges_of_labels, labels_of, publish_model, trial_of
from fakes.pictures import COBRA, COW, small_dataset

from imagenet_tasks.artifacts.arrays import read_split
from imagenet_tasks.errors import ArtifactError, ChecksumMismatch
from imagenet_tasks.evaluate.stage import evaluate_baseline, evaluate_repair
from imagenet_tasks.store.storage import Store


def read(store, evaluation, name):
    return json.loads(store.open_file(evaluation.folder, name).read_bytes())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    where = tmp_path_factory.mktemp("evaluate")
    store = Store(where / "home")
    return store, small_dataset(store, where / "data")


def models_of(prepared, name, accuracies, **trial):
    """A model per seed, with these accuracies on both sides."""
    store, dataset = prepared
    return [
        fake_model(store, dataset, f"{name}-{seed}", validation=a, test=a, trial=trial_of(dataset, seed=seed, **trial))
        for seed, a in enumerate(accuracies)
    ]


def baseline_of(prepared, name, accuracies, **trial):
    return evaluate_baseline(*prepared, models_of(prepared, name, accuracies, **trial))[0]


def repair(prepared, models, baseline, *, control=None, **others):
    """Measures a repair, beside a control that is as good as the baseline, unless another is given."""
    if control is None:
        trial = models[0].trial
        control = [
            publish_model(
                *prepared, f"longer-{m.fingerprint}-{trial.round}", **answers_of(prepared, m),
                trial=m.trial.model_copy(update={"arm": "longer", "round": trial.round}),
            )
            for m in baseline.models
        ]  # fmt: skip
    given = {"previous": baseline, "repaired": [0, 1]} | others
    return evaluate_repair(*prepared, [*models, *control], baseline=baseline, **given)


def answers_of(prepared, model):
    store = prepared[0]
    return {
        split: np.load(store.open_file(model.folder, f"probabilities_{split}.npy")).argmax(axis=1)
        for split in ("validation", "test")
    }


# The baseline


def test_the_figures_are_those_of_the_models_own_probabilities(prepared):
    store, dataset = prepared
    model = fake_model(store, dataset, "a", validation=0.5, test=0.75)
    evaluation, reused = evaluate_baseline(store, dataset, [model])
    n_validation, n_test = (len(labels_of(store, dataset, split)) for split in ("validation", "test"))
    assert evaluation.validation_accuracy == round(0.5 * n_validation) / n_validation
    assert evaluation.test_accuracy == round(0.75 * n_test) / n_test
    metrics = read(store, evaluation, "metrics.json")
    assert (metrics["validation"]["accuracy"], metrics["test"]["support"]) == (evaluation.validation_accuracy, n_test)
    assert (evaluation.models, evaluation.round, reused) == ((model,), 0, False)


def test_the_best_model_is_the_best_on_validation_and_not_on_test(prepared):
    store, dataset = prepared
    models = [
        fake_model(store, dataset, f"b{name}", validation=v, test=t, trial=trial_of(dataset, model=name))
        for name, v, t in (("convnet1", 0.4, 1.0), ("convnet2", 0.8, 0.2), ("convnet3", 0.6, 0.9))
    ]
    evaluation, _ = evaluate_baseline(store, dataset, models)
    assert evaluation.model == models[1]
    assert evaluation.test_accuracy < 0.3
    trials = read(store, evaluation, "metrics.json")["trials"]
    assert [t["model"] for t in trials] == [m.fingerprint for m in models]
    assert [t["validation_accuracy"] for t in trials] == pytest.approx([0.4, 0.8, 0.6], abs=0.03)


def test_of_several_seeds_a_models_mean_decides_and_not_its_luckiest_seed(prepared):
    lucky = models_of(prepared, "lucky", [0.3, 0.9], model="convnet1")
    steady = models_of(prepared, "steady", [0.7, 0.7], model="convnet2")
    evaluation, _ = evaluate_baseline(*prepared, [*lucky, *steady])
    assert evaluation.models == tuple(steady)
    assert evaluation.validation_accuracy == pytest.approx(0.7, abs=0.02)


def test_each_group_of_seeds_has_its_mean_spread_and_interval(prepared):
    store = prepared[0]
    models = [*models_of(prepared, "g", [0.4, 0.5, 0.6]), *models_of(prepared, "h", [0.3], model="convnet1")]
    evaluation, _ = evaluate_baseline(*prepared, models)
    metrics = read(store, evaluation, "metrics.json")
    three, one = metrics["groups"]
    found = [t["test_accuracy"] for t in metrics["trials"][:3]]
    assert (three["arm"], three["model"], three["seeds"]) == ("baseline", "compact", [0, 1, 2])
    assert (three["test"]["mean"], three["test"]["sd"]) == pytest.approx((np.mean(found), np.std(found, ddof=1)))
    half = 4.302653 * np.std(found, ddof=1) / np.sqrt(3)  # t of two degrees of freedom
    assert three["test"]["interval"] == pytest.approx([np.mean(found) - half, np.mean(found) + half], abs=1e-6)
    assert one["test"] == {"mean": pytest.approx(0.3, abs=0.02), "sd": None, "interval": None}
    assert evaluation.test_accuracy == three["test"]["mean"]


def test_f47_of_equally_good_models_the_first_is_taken(prepared):
    models = [m for n in ("convnet1", "convnet2", "convnet3") for m in models_of(prepared, f"tie-{n}", [0.5], model=n)]
    assert evaluate_baseline(*prepared, models)[0].model == models[0]


def test_each_prediction_and_the_confusion_are_written(prepared):
    store, dataset = prepared
    model = fake_model(store, dataset, "d", validation=0.5, test=0.75)
    evaluation, _ = evaluate_baseline(store, dataset, [model])
    with store.open_file(evaluation.folder, "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = [r["true"] == r["predicted"] for r in rows if r["split"] == "test"]
    assert sum(right) / len(right) == evaluation.test_accuracy
    assert {round(sum(float(r[c.class_id]) for c in dataset.classes), 5) for r in rows} == {1.0}
    with store.open_file(evaluation.folder, "confusion_test.csv").open(newline="") as file:
        header, *counts = list(csv.reader(file))
    ids = [c.class_id for c in dataset.classes]
    assert header == ["true \\ predicted", *ids]
    assert [row[0] for row in counts] == ids
    written = [list(map(int, row[1:])) for row in counts]
    assert written == read(store, evaluation, "metrics.json")["test"]["confusion"]


def test_a_seed_that_comes_twice_is_refused(prepared):
    twice = models_of(prepared, "twice", [0.5]) + models_of(prepared, "twice-again", [0.5])
    with pytest.raises(ArtifactError, match="baseline-compact-seed0 twice"):
        evaluate_baseline(*prepared, twice)


def test_without_a_baseline_there_is_no_evaluation(prepared):
    with pytest.raises(ArtifactError, match="at least one baseline"):
        evaluate_baseline(*prepared, [])


# Suspect labels


def test_disputed_labels_are_listed_with_what_the_models_take_the_pictures_for(prepared):
    store, dataset = prepared
    labels = labels_of(store, dataset, "train")
    shares = np.full((len(labels), 3), 0.1)
    shares[np.arange(len(labels)), labels] = 0.8
    shares[7] = (0.05, 0.05, 0.9) if labels[7] != 2 else (0.9, 0.05, 0.05)
    judges = judges_of_labels(store, dataset, "judge", shares, folds=3)
    evaluation, _ = evaluate_baseline(store, dataset, [*models_of(prepared, "sus", [0.5]), *judges])
    found = read(store, evaluation, "suspects.json")
    row = read_split(store, dataset, "train")[7]
    assert (found["folds"], found["pictures"]) == (3, len(labels))
    (suspect,) = found["suspects"]
    assert (suspect["image_id"], suspect["class_id"], suspect["label"], suspect["row"]) == (
        row.image_id, row.class_id, row.label, row.row,
    )  # fmt: skip
    assert (suspect["given_probability"], suspect["suggested_probability"]) == pytest.approx((0.05, 0.9))
    assert suspect["suggested_class_id"] == dataset.classes[2 if labels[7] != 2 else 0].class_id
    assert len(read(store, evaluation, "metrics.json")["trials"]) == 1  # a judge of labels is no baseline


def test_a_repair_hands_on_the_suspects_of_the_round_before(prepared):
    store, dataset = prepared
    shares = np.full((len(labels_of(store, dataset, "train")), 3), 1 / 3)
    judges = judges_of_labels(store, dataset, "handed", shares, folds=2)
    before, _ = evaluate_baseline(store, dataset, [*models_of(prepared, "hand", [0.5]), *judges])
    after, _ = repair(prepared, models_of(prepared, "hander", [0.6], arm="targeted", round=1), before)
    assert read(store, after, "suspects.json") == read(store, before, "suspects.json")


# The learning curve


def test_the_learning_curve_has_each_class_s_recall_on_validation_by_size(prepared):
    store, dataset = prepared
    labels = labels_of(store, dataset, "validation")
    shares = {4: 0.4, 2: 0.6}
    parts = [
        publish_model(
            store, dataset, f"part{size}{seed}", trial=trial_of(dataset, arm="part", folds=size, seed=seed),
            validation=np.where(np.arange(len(labels)) < share * len(labels), labels, (labels + 1) % 3),
        )
        for size, share in shares.items() for seed in (0, 1)
    ]  # fmt: skip
    baselines = models_of(prepared, "whole", [0.9, 0.9])
    evaluation, _ = evaluate_baseline(store, dataset, [*baselines, *parts])
    found = read(store, evaluation, "learning_curve.json")
    assert (found["model"], found["seeds"]) == ("compact", [0, 1])
    assert [part["parts"] for part in found["parts"]] == [4, 2, 1]
    rows, right = found["classes"], np.arange(len(labels)) < 0.4 * len(labels)
    assert [row["points"][0]["recall"] for row in rows] == [right[labels == label].mean() for label in range(3)]
    assert [row["points"][2]["pictures"] for row in rows] == [c.train for c in dataset.classes]
    assert len(read(store, evaluation, "metrics.json")["trials"]) == 2  # a part is no baseline
    with pytest.raises(ArtifactError, match=r"each of the seeds \[0, 1\] and each part; received .*part-compact-seed0"):
        evaluate_baseline(store, dataset, [*baselines, *parts[:3]])


def test_suspect_labels_need_every_fold(prepared):
    store, dataset = prepared
    shares = np.full((len(labels_of(store, dataset, "train")), 3), 1 / 3)
    judges = judges_of_labels(store, dataset, "lost", shares, folds=3)
    for some in (judges[:2], [*judges[:2], judges[1]]):
        with pytest.raises(ArtifactError, match=r"each of 3 folds, received labels-compact-seed0-fold1of3"):
            evaluate_baseline(store, dataset, [*models_of(prepared, f"lost{len(some)}", [0.5]), *some])


def test_without_judges_there_is_no_list_of_suspects(prepared):
    evaluation = baseline_of(prepared, "unjudged", [0.5])
    assert "suspects.json" not in prepared[0].read_marker(evaluation.folder)["files"]


# A repair


def test_a_repair_is_compared_with_the_baseline_and_with_the_control_on_the_same_pictures(prepared):
    store = prepared[0]
    baseline = baseline_of(prepared, "f", [0.3, 0.3])
    targeted = models_of(prepared, "f-t", [1.0, 1.0], arm="targeted", round=1)
    control = models_of(prepared, "f-l", [0.5, 0.5], arm="longer", round=1)
    evaluation, _ = repair(prepared, targeted, baseline, control=control)
    comparison = read(store, evaluation, "comparison.json")
    assert comparison["test"]["verdict"] == comparison["control"]["verdict"] == "helped"
    assert comparison["test"]["before"] == pytest.approx(baseline.test_accuracy)
    assert comparison["control"]["before"] == pytest.approx(0.5, abs=0.03)
    assert (comparison["validation"]["after"], evaluation.round) == (1.0, 1)
    assert [c["support"] for c in comparison["test"]["per_class"]] == [
        c["support"] for c in read(store, evaluation, "metrics.json")["test"]["per_class"]
    ]


def test_the_best_arm_on_validation_is_chosen_whatever_test_says(prepared):
    store, dataset = prepared
    baseline = baseline_of(prepared, "choice", [0.3])
    arms = {"longer": (0.4, 0.9), "collect": (0.6, 0.2), "targeted": (0.5, 1.0)}
    models = [
        fake_model(store, dataset, f"choice-{arm}", validation=v, test=t, trial=trial_of(dataset, arm=arm, round=1))
        for arm, (v, t) in arms.items()
    ]
    evaluation, _ = repair(prepared, models, baseline, control=[])
    comparison = read(store, evaluation, "comparison.json")
    assert comparison["chosen"] == evaluation.model.trial.arm == "collect"
    assert list(comparison["against"]) == ["longer", "targeted"]


def test_where_no_arm_beats_the_control_on_validation_the_control_is_chosen(prepared):
    baseline = baseline_of(prepared, "beaten", [0.3, 0.3])
    targeted = models_of(prepared, "beaten-t", [0.5, 0.5], arm="targeted", round=1)
    control = models_of(prepared, "beaten-l", [0.5, 0.5], arm="longer", round=1)
    evaluation, _ = repair(prepared, targeted, baseline, control=control)
    comparison = read(prepared[0], evaluation, "comparison.json")
    assert comparison["chosen"] == "longer" and comparison["control"] is None
    assert comparison["repaired"]["recall"]["before"] == pytest.approx(0.3, abs=0.1)  # the baseline's


def test_seeds_are_paired_by_their_number_whatever_their_order(prepared):
    store = prepared[0]
    baseline = baseline_of(prepared, "order", [0.3, 0.5, 0.7])
    targeted = models_of(prepared, "order-t", [0.4, 0.6, 0.8], arm="targeted", round=1)
    evaluation, _ = repair(prepared, targeted[::-1], baseline)
    test = read(store, evaluation, "comparison.json")["test"]
    assert [s["seed"] for s in test["by_seed"]] == [2, 1, 0]
    assert [s["difference"] for s in test["by_seed"]] == pytest.approx([0.1] * 3, abs=0.04)
    assert evaluation.models == tuple(targeted[::-1])


def test_different_seeds_on_both_sides_cannot_be_compared(prepared):
    baseline = baseline_of(prepared, "unlike", [0.3, 0.5])
    targeted = models_of(prepared, "unlike-t", [0.4], arm="targeted", round=1)
    with pytest.raises(ArtifactError, match=r"'targeted' was trained from the seeds \[0\].*'baseline'.*\[0, 1\]"):
        repair(prepared, targeted, baseline)


def test_each_arm_is_compared_with_the_baseline_and_with_the_chosen_one(prepared):
    store = prepared[0]
    baseline = baseline_of(prepared, "arms", [0.2])
    targeted = models_of(prepared, "arms-t", [0.9], arm="targeted", round=1)
    control = models_of(prepared, "arms-n", [0.6], arm="longer", round=1)
    evaluation, _ = repair(prepared, targeted, baseline, control=control)
    comparison = read(store, evaluation, "comparison.json")
    assert list(comparison["arms"]) == ["targeted", "longer"] and list(comparison["against"]) == ["longer"]
    pairs = [comparison["arms"]["longer"], comparison["arms"]["targeted"], comparison["against"]["longer"]]
    found = [(c["test"]["before"], c["test"]["after"]) for c in pairs]
    assert [pytest.approx(p, abs=0.03) for p in ((0.2, 0.6), (0.2, 0.9), (0.6, 0.9))] == found
    assert evaluation.models == tuple(targeted)
    groups = read(store, evaluation, "metrics.json")["groups"]
    assert [(g["arm"], g["seeds"]) for g in groups] == [("targeted", [0]), ("longer", [0])]


def test_a_later_round_is_compared_with_the_baseline_and_with_the_round_before(prepared):
    store = prepared[0]
    baseline = baseline_of(prepared, "r0", [0.2])
    first, _ = repair(prepared, models_of(prepared, "r1", [0.5], arm="targeted", round=1), baseline)
    second, _ = repair(prepared, models_of(prepared, "r2", [0.8], arm="targeted", round=2), baseline, previous=first)
    comparison = read(store, second, "comparison.json")
    assert (comparison["test"]["before"], comparison["previous"]["test"]["before"]) == pytest.approx(
        (baseline.test_accuracy, first.test_accuracy)
    )
    assert second.round == 2


def test_without_the_control_there_is_nothing_to_judge_by(prepared):
    baseline = baseline_of(prepared, "no-c", [0.2])
    with pytest.raises(ArtifactError, match="with the control 'longer' among them; received targeted-compact-seed0"):
        repair(prepared, models_of(prepared, "no-c-t", [0.5], arm="targeted", round=1), baseline, control=[])


def test_a_model_that_lost_a_class_has_exactly_that_class_as_collateral(prepared):
    store, dataset = prepared
    right = {s: labels_of(store, dataset, s) for s in ("validation", "test")}
    lost = right | {"test": np.where(right["test"] == 1, 0, right["test"])}  # every cow is taken for a cobra
    worse = {s: np.where(np.arange(len(labels)) < 3, 2, labels) for s, labels in right.items()}
    before, control, after = [], [], []
    for seed in range(2):
        trial = trial_of(dataset, seed=seed)
        before.append(publish_model(store, dataset, f"whole{seed}", trial=trial, **worse))
        repaired = trial.model_copy(update={"round": 1})
        control.append(
            publish_model(store, dataset, f"c{seed}", trial=repaired.model_copy(update={"arm": "longer"}), **worse)
        )
        after.append(
            publish_model(store, dataset, f"l{seed}", trial=repaired.model_copy(update={"arm": "targeted"}), **lost)
        )
    baseline, _ = evaluate_baseline(store, dataset, before)
    comparison = read(store, repair(prepared, after, baseline, control=control)[0], "comparison.json")
    assert comparison["collateral"] == [COW]
    changed = {c["class_id"]: c["changed"] for c in comparison["control"]["per_class"] if c["changed"]}
    assert changed == {COW: "lost"}
    assert comparison["control"]["per_class"][0]["class_id"] == COBRA


def test_a_repair_that_changed_nothing_has_no_collateral(prepared):
    baseline = baseline_of(prepared, "same", [0.6, 0.6])
    evaluation, _ = repair(prepared, models_of(prepared, "same-t", [0.6] * 2, arm="targeted", round=1), baseline)
    comparison = read(prepared[0], evaluation, "comparison.json")
    assert (comparison["collateral"], comparison["test"]["verdict"]) == ([], "no difference shown")


# Reuse and damage


def test_f34_an_evaluation_is_reused_until_its_models_change(prepared):
    models = models_of(prepared, "e", [0.5, 0.5])
    first, _ = evaluate_baseline(*prepared, models[:1])
    assert evaluate_baseline(*prepared, models[:1]) == (first, True)
    assert evaluate_baseline(*prepared, models)[1] is False
    assert evaluate_baseline(*prepared, models[:1], salt="forced")[1] is False


def test_f34_a_repair_is_reused_until_what_it_is_compared_with_changes(prepared):
    targeted = models_of(prepared, "e-t", [0.7], arm="targeted", round=1)
    control = models_of(prepared, "e-l", [0.6], arm="longer", round=1)
    one, other = baseline_of(prepared, "e-one", [0.5]), baseline_of(prepared, "e-other", [0.4])
    first, _ = repair(prepared, targeted, one, control=control)
    assert repair(prepared, targeted, one, control=control) == (first, True)
    for baseline, change in ((other, {}), (one, {"previous": other}), (one, {"salt": "x"}), (one, {"repaired": [2]})):
        assert repair(prepared, targeted, baseline, control=control, **change)[1] is False


def test_each_file_of_probabilities_is_opened_once(prepared, monkeypatch):
    opened = []
    real = Store.open_file

    def counted(self, folder, name):
        opened.append(f"{folder}/{name}")
        return real(self, folder, name)

    baseline = baseline_of(prepared, "once", [0.3, 0.4])
    models = [
        m for arm in ("targeted", "longer") for m in models_of(prepared, f"once-{arm}", [0.5, 0.6], arm=arm, round=1)
    ]
    monkeypatch.setattr(Store, "open_file", counted)
    repair(prepared, models, baseline, control=[])
    files = [name for name in opened if "probabilities" in name]
    assert len(files) == len(set(files)) == 2 * (len(models) + len(baseline.models))


def test_f46_probabilities_that_changed_are_found_before_use(prepared):
    store, dataset = prepared
    model = fake_model(store, dataset, "h", validation=0.5, test=0.5)
    path = store.path(f"{model.folder}/probabilities_test.npy")
    np.save(str(path), np.zeros((1, 3), np.float32))
    with pytest.raises(ChecksumMismatch, match="probabilities_test"):
        evaluate_baseline(store, dataset, [model])


@pytest.mark.parametrize("other", ["pictures", "dataset"])
def test_a_model_of_another_dataset_is_refused(prepared, other):
    store, dataset = prepared
    if other == "pictures":
        model = publish_model(store, dataset, "few", validation=np.zeros(2, int), test=np.zeros(2, int))
    else:
        whole = fake_model(store, dataset, "elsewhere", validation=0.5, test=0.5)
        model = whole.model_copy(update={"trial": whole.trial.model_copy(update={"dataset": "0123"})})
    with pytest.raises(ArtifactError, match="was trained on another dataset"):
        evaluate_baseline(store, dataset, [model])
