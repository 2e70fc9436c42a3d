"""Planted wrong labels are found, right ones mostly left alone."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB

from imagenet_tasks.evaluate.suspects import dispute


@pytest.fixture(scope="module")
def planted():
    """Eight classes that a simple model tells apart well; the labels of 24 of 480 points are wrong."""
    points, true = make_blobs(480, n_features=10, centers=8, cluster_std=2.0, random_state=0)
    random = np.random.default_rng(0)
    wrong = random.choice(len(true), 24, replace=False)
    given = true.copy()
    given[wrong] = (given[wrong] + random.integers(1, 8, len(wrong))) % 8
    shares = cross_val_predict(GaussianNB(), points, given, cv=5, method="predict_proba")
    return given, true, set(wrong.tolist()), shares


def test_planted_wrong_labels_are_found_and_few_others(planted):
    given, _, wrong, shares = planted
    found = {row for row, _ in dispute(given, shares)}
    assert len(found & wrong) / len(found) >= 0.9  # precision
    assert len(found & wrong) / len(wrong) >= 0.75  # recall


def test_the_label_suggested_for_a_wrong_one_is_the_true_one(planted):
    given, true, wrong, shares = planted
    suggestions = [(suggested, true[row]) for row, suggested in dispute(given, shares) if row in wrong]
    assert sum(a == b for a, b in suggestions) / len(suggestions) >= 0.9


def test_the_strongest_doubt_comes_first(planted):
    given, _, _, shares = planted
    margins = [shares[row, given[row]] - shares[row, suggested] for row, suggested in dispute(given, shares)]
    assert margins == sorted(margins)


def test_right_labels_and_a_sure_model_leave_no_suspects():
    labels = np.repeat([0, 1, 2], 5)
    assert dispute(labels, np.eye(3)[labels] * 0.9 + 0.1 / 3) == []


def test_a_class_that_the_model_is_never_sure_of_can_be_suggested_too():
    # Of class 1 the model gives its own pictures 0.4 on average: a picture of class 0 that reaches this is in doubt,
    # though class 0 gives its own 0.9.
    shares = np.array([[0.9, 0.1]] * 9 + [[0.45, 0.55]] + [[0.6, 0.4]] * 10)
    labels = np.array([0] * 10 + [1] * 10)
    assert dispute(labels, shares) == [(9, 1)]


def test_a_picture_whose_label_is_the_models_own_answer_is_not_disputed():
    shares = np.array([[0.95, 0.05]] * 9 + [[0.55, 0.45]] + [[0.65, 0.35]] * 10)  # 0.45 is above class 1's mean of 0.35
    assert dispute(np.array([0] * 10 + [1] * 10), shares) == []


def test_a_class_without_pictures_suggests_nothing():
    shares = np.array([[0.5, 0.1, 0.4], [0.1, 0.5, 0.4], [0.2, 0.1, 0.7]])
    assert dispute(np.array([0, 1, 1]), shares) == []
