"""The final model: several networks and mirrored views as one, which loads without a doubt about its code."""

import keras
import numpy as np
import pytest
from fakes.models import labels_of, publish_networks
from fakes.pictures import picture

from imagenet_tasks import images
from imagenet_tasks.artifacts.arrays import pictures_by_class, read_table
from imagenet_tasks.artifacts.final import FinalModel
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.settings.training import TrainConfig
from imagenet_tasks.statistics.calibration import at_temperature
from imagenet_tasks.train.final import put_together
from imagenet_tasks.train.networks import of_final_model
from imagenet_tasks.train.predict import predict


@pytest.fixture(scope="module")
def made(prepared):
    """The final model of two networks, these networks, the test pictures and their labels."""
    store, dataset = prepared
    models = publish_networks(store, dataset, 2)
    put_together(store, dataset, models, TrainConfig(precision="float32"), mark="together")
    final, table = FinalModel.find(store, "together"), read_table(store, dataset)
    pictures = np.concatenate([p for p, _ in pictures_by_class(store, dataset, table, table.on("test"))])
    networks = [
        keras.saving.load_model(store.open_file(m.folder, "model.keras"), compile=False, safe_mode=True)
        for m in (final, *models)
    ]
    return final, networks, pictures, labels_of(store, dataset, "test")


def test_it_answers_the_mean_over_the_networks_and_both_views_and_loads_in_safe_mode(made):
    _, (together, *networks), pictures, _ = made
    views = [network.predict(p, verbose=0) for network in networks for p in (pictures, pictures[:, :, ::-1])]
    answered = together.predict(pictures, verbose=0)
    np.testing.assert_allclose(answered, np.mean(views, axis=0), atol=1e-6)
    np.testing.assert_allclose(answered, together.predict(pictures[:, :, ::-1], verbose=0), atol=1e-6)
    assert (together.input_shape, together.inputs[0].dtype) == (networks[0].input_shape, "uint8")


def test_it_is_asked_about_pictures_of_any_size_as_a_champion_is(made, prepared, tmp_path):
    (final, (network, *_), *_), (store, dataset) = made, prepared
    classes = tuple(ImageClass(class_id=c.class_id, name=c.name) for c in reversed(dataset.classes))
    (tmp_path / "a.png").write_bytes(picture(1, rows=40, columns=30, kind="PNG"))
    (answer,) = predict(of_final_model(store, final, classes), [tmp_path / "a.png"], top=3)
    size = {"rows_px": dataset.rows_px, "columns_px": dataset.columns_px}
    pixels = images.to_array((tmp_path / "a.png").read_bytes(), **size)
    (shares,) = network.predict(pixels[None], verbose=0)
    said = at_temperature(shares[None], of_final_model(store, final, classes).calibration.temperature)[0]
    best = [(dataset.classes[label].name, pytest.approx(said[label])) for label in np.argsort(-said)]
    assert [(c["name"], c["probability"]) for c in answer["top"]] == best


def test_its_figures_are_of_the_same_pictures_as_those_of_the_models_alone(made):
    final, (together, *networks), pictures, labels = made
    alone = [(network.predict(pictures, verbose=0).argmax(axis=1) == labels).mean() for network in networks]
    right = (together.predict(pictures, verbose=0).argmax(axis=1) == labels).mean()
    assert (final.test.one, final.test.final) == pytest.approx((np.mean(alone), right))
    assert final.test.pictures == len(labels) and final.validation.pictures > 0
    assert final.test.interval[0] < final.test.difference < final.test.interval[1]
    assert final.one_ms > 0 < final.final_ms
