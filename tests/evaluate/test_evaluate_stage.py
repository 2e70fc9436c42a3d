"""One round's models: measured, the best one chosen on validation, compared with the round before."""

import csv
import json

import numpy as np
import pytest
from fakes.models import fake_model, labels_of
from fakes.pictures import small_dataset

from imagenet_tasks.errors import ChecksumMismatch
from imagenet_tasks.evaluate.stage import evaluate
from imagenet_tasks.storage import Store


def read_metrics(store, evaluation):
    return json.loads(store.open_file(evaluation.folder, "metrics.json").read_bytes())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    where = tmp_path_factory.mktemp("evaluate")
    store = Store(where / "home")
    return store, small_dataset(store, where / "data")


def test_the_figures_are_those_of_the_models_own_probabilities(prepared):
    store, dataset = prepared
    model = fake_model(store, dataset, "a", validation=0.5, test=0.75)
    evaluation, reused = evaluate(store, dataset, [model])
    n_validation, n_test = (len(labels_of(store, dataset, split)) for split in ("validation", "test"))
    assert evaluation.validation_accuracy == round(0.5 * n_validation) / n_validation
    assert evaluation.test_accuracy == round(0.75 * n_test) / n_test
    metrics = read_metrics(store, evaluation)
    assert (metrics["validation"]["accuracy"], metrics["test"]["support"]) == (evaluation.validation_accuracy, n_test)
    assert not reused


def test_the_best_model_is_the_best_on_validation_and_not_on_test(prepared):
    store, dataset = prepared
    models = [
        fake_model(store, dataset, "b0", validation=0.4, test=1.0),
        fake_model(store, dataset, "b1", validation=0.8, test=0.2),
        fake_model(store, dataset, "b2", validation=0.6, test=0.9),
    ]
    evaluation, _ = evaluate(store, dataset, models)
    assert evaluation.model == models[1]
    assert evaluation.test_accuracy < 0.3
    trials = read_metrics(store, evaluation)["trials"]
    assert [t["model"] for t in trials] == [m.fingerprint for m in models]
    assert [t["validation_accuracy"] for t in trials] == pytest.approx([0.4, 0.8, 0.6], abs=0.03)


def test_f47_of_equally_good_models_the_first_is_taken(prepared):
    store, dataset = prepared
    models = [fake_model(store, dataset, f"c{i}", validation=0.5, test=0.5) for i in range(3)]
    assert evaluate(store, dataset, models)[0].model == models[0]


def test_each_prediction_and_the_confusion_are_written(prepared):
    store, dataset = prepared
    model = fake_model(store, dataset, "d", validation=0.5, test=0.75)
    evaluation, _ = evaluate(store, dataset, [model])
    with store.open_file(evaluation.folder, "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = [r["true"] == r["predicted"] for r in rows if r["split"] == "test"]
    assert sum(right) / len(right) == evaluation.test_accuracy
    with store.open_file(evaluation.folder, "confusion_test.csv").open(newline="") as file:
        header, *counts = list(csv.reader(file))
    ids = [c.class_id for c in dataset.classes]
    assert header == ["true \\ predicted", *ids]
    assert [row[0] for row in counts] == ids
    written = [list(map(int, row[1:])) for row in counts]
    assert written == read_metrics(store, evaluation)["test"]["confusion"]


def test_f34_an_evaluation_is_reused_until_its_models_change(prepared):
    store, dataset = prepared
    model = fake_model(store, dataset, "e", validation=0.5, test=0.5)
    first, _ = evaluate(store, dataset, [model])
    assert evaluate(store, dataset, [model]) == (first, True)
    other = fake_model(store, dataset, "e2", validation=0.5, test=0.5)
    assert evaluate(store, dataset, [model, other])[1] is False
    assert evaluate(store, dataset, [model], against=first)[1] is False
    assert evaluate(store, dataset, [model], salt="forced")[1] is False


def test_a_second_round_is_compared_with_the_first_on_the_same_pictures(prepared):
    store, dataset = prepared
    baseline, _ = evaluate(store, dataset, [fake_model(store, dataset, "f", validation=0.3, test=0.3)])
    better = fake_model(store, dataset, "g", validation=1.0, test=1.0)
    evaluation, _ = evaluate(store, dataset, [better], against=baseline)
    comparison = json.loads(store.open_file(evaluation.folder, "comparison.json").read_bytes())
    assert comparison["test"]["verdict"] == "helped"
    assert comparison["test"]["before"] == pytest.approx(baseline.test_accuracy)
    assert comparison["validation"]["after"] == 1.0


def test_f46_probabilities_that_changed_are_found_before_use(prepared):
    store, dataset = prepared
    model = fake_model(store, dataset, "h", validation=0.5, test=0.5)
    path = store.path(f"{model.folder}/probabilities_test.npy")
    np.save(str(path), np.zeros((1, 3), np.float32))
    with pytest.raises(ChecksumMismatch, match="probabilities_test"):
        evaluate(store, dataset, [model])
