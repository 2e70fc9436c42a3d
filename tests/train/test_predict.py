"""The champion answers for files; a bad file, a swapped network and a missing champion are said as what they are."""

import os
import shutil

import keras
import numpy as np
import pytest
from fakes.models import trial_of
from fakes.pictures import COBRA, COW, PANDA, encode, load_split, prepared, small_dataset
from fakes.records import write_training
from PIL import Image

from imagenet_tasks import images
from imagenet_tasks.artifacts.arrays import read_split, read_table
from imagenet_tasks.artifacts.champions import KEY, choose_champion, sha256_of_marker
from imagenet_tasks.artifacts.references import TrainedModel
from imagenet_tasks.errors import ArtifactError, ChecksumMismatch, ConfigError, NetworkUnusable
from imagenet_tasks.evaluate.champion import promote
from imagenet_tasks.evaluate.stage import evaluate_baseline
from imagenet_tasks.preprocess.stage import build_dataset
from imagenet_tasks.settings.config import PreprocessConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks.child import run_in_child
from imagenet_tasks.train import predict as module
from imagenet_tasks.train.networks import of_champion
from imagenet_tasks.workflow.run import Run


def predict(store, files, *, classes=(), **others):
    """What the champion of these classes answers, or the newest one."""
    return list(module.predict(of_champion(store, choose_champion(store, classes)), files, **others))


def red_green_or_blue(shape=(16, 16, 3), classes=3):
    """A network that answers the strongest colour: red is label 0, green 1, blue 2."""
    network = keras.Sequential(
        [
            keras.Input(shape, dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, activation="softmax", use_bias=False),
        ]
    )
    network.layers[-1].set_weights([5 * np.eye(3, classes, dtype=np.float32)])
    return network


def publish(store, dataset, name, network, answers=None):
    model = TrainedModel(trial=trial_of(dataset), fingerprint=name)
    counts = {"validation": sum(c.validation for c in dataset.classes), "test": sum(c.test for c in dataset.classes)}
    with store.publish(model.folder) as folder:
        network.save(folder / "model.keras")
        write_training(folder, model.trial)
        for split, count in counts.items():
            said = np.full((count, 3), 1 / 3, np.float32) if answers is None else answers(split, count)
            np.save(folder / f"probabilities_{split}.npy", said)
    return model


def promote_network(store, dataset, network, name="colours", drawn=False, answers=None):
    evaluation, _ = evaluate_baseline(store, dataset, [publish(store, dataset, name, network, answers)])
    promote(store, dataset, [evaluation], Run(store, "dag", "run"), profile="best", drawn=drawn, ask=list)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    where = tmp_path_factory.mktemp("predict")
    store = Store(where / "home")
    dataset = small_dataset(store, where / "data", count=12)
    promote_network(store, dataset, red_green_or_blue())
    return store, dataset


@pytest.fixture
def store(made, tmp_path):
    """A copy that a test may harm."""
    shutil.copytree(str(made[0].root), tmp_path / "home")
    return Store(tmp_path / "home")


def picture(folder, colour, name="picture.png", size=(40, 30), kind="PNG"):
    path = folder / name
    path.write_bytes(encode(Image.new("RGB", size, colour), kind))
    return path


def test_each_file_has_its_most_probable_classes_with_their_names_and_probabilities(made, tmp_path):
    files = [picture(tmp_path, c, f"{c}.jpg", kind="JPEG") for c in ("red", "lime", "blue")]
    answers = predict(made[0], files, top=2)
    assert [a["file"] for a in answers] == [str(f) for f in files]
    assert [a["top"][0]["class_id"] for a in answers] == [COBRA, COW, PANDA]
    assert [a["reason"] for a in answers] == [None] * 3
    first, second = answers[0]["top"]
    assert first["name"] == "cobra"
    sure = np.exp(5) / (np.exp(5) + 2)
    assert first["probability"] == pytest.approx(sure, abs=0.01)
    assert second["probability"] == pytest.approx((1 - sure) / 2, abs=0.01)


def test_no_more_classes_are_given_than_there_are(made, tmp_path):
    (answer,) = predict(made[0], [picture(tmp_path, "red")], top=50)
    assert sum(c["probability"] for c in answer["top"]) == pytest.approx(1.0)
    assert len(answer["top"]) == 3


def test_a_bad_file_says_why_and_stops_none_of_the_others(made, tmp_path):
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    cut = picture(tmp_path, "red", "cut.png")
    cut.write_bytes(cut.read_bytes()[:-30])
    files = {
        tmp_path / "text.jpg": "no usable picture: not an image",
        tmp_path / "empty.jpg": "no usable picture: not an image",
        picture(tmp_path, "blue", "good.png"): None,
        tmp_path / "absent.jpg": "cannot be read: No such file",
        tmp_path / "folder": "a folder; expected a picture's file",
        tmp_path / "pipe.jpg": "not a file",
        tmp_path / "nul\0.jpg": "cannot be read: ",
        cut: "no usable picture: truncated image",
        picture(tmp_path, "red", "thin.png", size=(400, 30)): "no usable picture: bad aspect",
        picture(tmp_path, "red", "tiny.png", size=(8, 8)): "no usable picture: too small",
    }
    answers = predict(made[0], list(files))
    for answer, reason in zip(answers, files.values(), strict=True):
        assert reason in answer["reason"] if reason else answer["reason"] is None
        assert bool(answer["top"]) == (reason is None)


def test_a_file_that_is_too_large_is_not_read(made, tmp_path):
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(20_000_001)
    (answer,) = predict(made[0], [tmp_path / "huge.jpg"])
    assert "20,000,001 bytes; expected at most 20,000,000" in answer["reason"]


def test_more_files_than_a_batch_are_answered_in_their_order(made, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    colours = ["red", "lime", "blue", "lime", "red"]
    files = [picture(tmp_path, c, f"{i}.png") for i, c in enumerate(colours)]
    answers = predict(made[0], [*files, tmp_path / "absent"], top=1)
    found = [a["top"][0]["class_id"] for a in answers[:-1]]
    assert found == [{"red": COBRA, "lime": COW, "blue": PANDA}[c] for c in colours]


def test_a_list_of_classes_names_its_champion_in_any_order(made, tmp_path):
    file = picture(tmp_path, "lime")
    assert predict(made[0], [file], classes=[PANDA, COBRA, COW])[0]["top"][0]["class_id"] == COW
    with pytest.raises(ArtifactError, match="no champion knows exactly the classes n02403454"):
        predict(made[0], [file], classes=[COW])


def test_without_a_champion_it_is_said_how_to_get_one(tmp_path):
    with pytest.raises(ArtifactError, match=r"no champion yet\. Run the workflow"):
        predict(Store(tmp_path), [picture(tmp_path, "red")])


def test_fewer_than_one_class_cannot_be_asked_for(made):
    with pytest.raises(ConfigError, match="top: expected 1 or more, received 0"):
        predict(made[0], [], top=0)


@pytest.fixture
def too_sure(tmp_path):
    """A champion that said 98 % of its own pictures and was right in two of three."""
    store = Store(tmp_path / "home")
    dataset = small_dataset(store, tmp_path / "data", count=12)

    def answers(split, count):
        labels = np.array([row.label for row in read_split(store, dataset, split)])
        taken_for = np.where(np.arange(count) % 3 == 0, (labels + 1) % 3, labels)
        return np.where(np.eye(3)[taken_for] == 1, 0.98, 0.01).astype(np.float32)

    promote_network(store, dataset, red_green_or_blue(), answers=answers)
    return store


def test_probabilities_are_as_right_as_validation_says(too_sure, made, tmp_path):
    file = picture(tmp_path, "red")
    (before,), (after,) = predict(made[0], [file]), predict(too_sure, [file])
    assert before["top"][0]["probability"] > 0.95
    assert 0.4 < after["top"][0]["probability"] < 0.9
    assert [c["class_id"] for c in before["top"]] == [c["class_id"] for c in after["top"]]


def test_a_picture_of_which_the_network_is_less_sure_than_of_its_own_ones_is_called_unlike_them(too_sure, tmp_path):
    answers = predict(too_sure, [picture(tmp_path, c, f"{n}.png") for n, c in enumerate(("red", "gray"))])
    assert [a["unlike"] for a in answers] == [False, True]
    assert of_champion(too_sure, choose_champion(too_sure)).calibration.false_alarms == 0


def test_without_the_pictures_of_the_champions_run_its_own_probabilities_are_given(too_sure, made, tmp_path):
    shutil.rmtree(str(too_sure.path("datasets")))
    file = picture(tmp_path, "red")
    (answer,) = predict(too_sure, [file])
    assert answer == predict(made[0], [file])[0] | {"unlike": None}


def never(*_, **__):
    raise AssertionError("a network was loaded that must not be")


def test_f46_a_network_that_changed_is_never_loaded(store, monkeypatch):
    key = "models/colours/model.keras"
    store.write_bytes(key, store.read_bytes(key)[:-1])
    monkeypatch.setattr(keras.saving, "load_model", never)
    with pytest.raises(ChecksumMismatch, match=r"model\.keras"):
        predict(store, [])


def test_f46_a_network_with_a_marker_of_its_own_in_the_champions_place_is_never_loaded(store, made, monkeypatch):
    shutil.rmtree(str(store.path("models/colours")))
    publish(store, made[1], "colours", red_green_or_blue())
    monkeypatch.setattr(keras.saving, "load_model", never)
    with pytest.raises(ChecksumMismatch, match="expected the champion's network"):
        predict(store, [])


def test_a_network_of_an_object_store_is_loaded_from_its_copy_and_a_changed_one_is_not(made, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGENET_CACHE", str(tmp_path / "cache"))
    remote = Store(f"memory://{tmp_path.name}")
    for found in made[0].walk("models"):
        if not found.key.endswith("/"):
            remote.write_bytes(found.key, made[0].read_bytes(found.key))
    assert predict(remote, [picture(tmp_path, "red")])[0]["top"][0]["class_id"] == COBRA
    shutil.rmtree(tmp_path / "cache")
    remote.write_bytes("models/colours/model.keras", b"other bytes")
    monkeypatch.setattr(keras.saving, "load_model", never)
    with pytest.raises(ChecksumMismatch, match=r"model\.keras: expected SHA-256"):
        predict(remote, [])


@pytest.mark.filterwarnings("ignore:The `lambda` argument:UserWarning")
def test_a_network_that_would_run_code_of_its_own_is_refused(made, tmp_path):
    store, dataset = Store(tmp_path / "home"), made[1]
    shutil.copytree(str(made[0].root), tmp_path / "home")
    store.path(KEY).unlink()
    network = keras.Sequential([*red_green_or_blue().layers, keras.layers.Lambda(lambda x: x)])
    network.build((None, 16, 16, 3))
    promote_network(store, dataset, network, "lambda")
    with pytest.raises(NetworkUnusable, match="unsafe"):
        predict(store, [])
    with pytest.raises(NetworkUnusable, match="unsafe"):  # as of several that become one
        module.load_network(store.open_file("models/lambda", "model.keras"))


def test_a_network_that_does_not_fit_its_record_is_refused(made, tmp_path):
    shutil.copytree(str(made[0].root), tmp_path / "home")
    store = Store(tmp_path / "home")
    store.path(KEY).unlink()
    promote_network(store, made[1], red_green_or_blue((20, 20, 3)), "larger")
    with pytest.raises(NetworkUnusable, match=r"expected a network from \(None, 16, 16, 3\).*\(None, 20, 20, 3\)"):
        predict(store, [])


def test_the_champion_that_was_chosen_answers_and_not_another_of_the_same_classes(tmp_path):
    store = Store(tmp_path / "home")
    dataset = small_dataset(store, tmp_path / "data", count=12)
    promote_network(store, dataset, red_green_or_blue())
    other = red_green_or_blue()
    other.layers[-1].set_weights([5 * np.roll(np.eye(3, dtype=np.float32), 1, axis=1)])
    promote_network(store, dataset, other, name="rolled", drawn=True)
    file, newest = picture(tmp_path, "red"), choose_champion(store)
    assert newest.drawn
    (answer,) = module.predict(of_champion(store, newest), [file])
    assert answer["top"][0]["class_id"] != predict(store, [file], classes=[COBRA, COW, PANDA])[0]["top"][0]["class_id"]


def strongest_colours(pictures):
    return np.array([picture.mean(axis=(0, 1)).argmax() for picture in pictures])


def test_the_champion_answers_validation_pictures_with_the_labels_of_the_datasets_own_order(store, tmp_path):
    seeds = {class_id: range(1000 * i, 1000 * i + 12) for i, class_id in enumerate((PANDA, COBRA, COW))}
    settings = PreprocessConfig(
        rows_px=16, columns_px=16, validation_share=0.5, test_share=0.25, min_images_per_class=1
    )
    download, pairs = prepared(store, tmp_path / "other", seeds, settings)
    dataset = build_dataset(store, download, settings, pairs)[0]
    assert [c.class_id for c in dataset.classes] == [PANDA, COBRA, COW]
    pictures, _ = load_split(store, dataset, "validation")
    colours = strongest_colours(pictures)  # red is COBRA's, green COW's, blue PANDA's
    assert len(set(colours)) == 3
    answers = module.predict_pictures(store, choose_champion(store), dataset)
    assert answers == np.array([1, 2, 0])[colours].tolist()
    some = read_table(store, dataset).on("validation")[1::2].tolist()
    assert module.predict_pictures(store, choose_champion(store), dataset, some) == answers[1::2]


def test_the_champion_answers_in_a_child_at_a_size_of_its_own(made, store):
    dataset = made[1]
    champion = choose_champion(store).model_copy(update={"rows_px": 20, "columns_px": 12})
    model = publish(store, dataset, "other-size", red_green_or_blue((20, 12, 3)))
    champion = champion.model_copy(update={"model": model, "model_sha256": sha256_of_marker(store, model)})
    question = {"champion": champion.as_dict(), "dataset": dataset.fingerprint}
    answers = run_in_child(Run(store, "dag", "run"), "score_champion.champion_answers", question, timeout_s=300)
    rows = read_split(store, dataset, "validation")
    originals = [next(store.path(f"images/{row.class_id}").glob(f"{row.image_id}.*")).read_bytes() for row in rows]
    colours = strongest_colours([images.to_array(data, rows_px=20, columns_px=12) for data in originals])
    assert len(set(colours)) > 1 and answers == colours.tolist()
