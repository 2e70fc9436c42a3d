"""Each kind's version stands for what its golden input gives: other output, other version.

A test here fails where a stage gives something else than before for the same input. Then raise `version` of the kind in
`artifacts/kinds.py`, so that no home takes the old output for the new, and put the text that the test shows beside it.
"""

import hashlib
import io
import json
import re

import numpy as np
import pytest
from fakes.models import fake_model, publish_networks
from fakes.pictures import COBRA, COW, encode, picture, quiet, small_dataset
from PIL import Image

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.champions import choose_champion
from imagenet_tasks.artifacts.kinds import KINDS
from imagenet_tasks.artifacts.make import make
from imagenet_tasks.artifacts.references import Selection
from imagenet_tasks.augment.stage import augment_class, plan_augmentation
from imagenet_tasks.download.list_index import build_index
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.evaluate.champion import promote
from imagenet_tasks.evaluate.drift import score
from imagenet_tasks.evaluate.stage import evaluate_baseline, evaluate_repair
from imagenet_tasks.preprocess.collect import collect_class
from imagenet_tasks.preprocess.stage import build_dataset, preprocess_class
from imagenet_tasks.sample.drawings import picture_bytes
from imagenet_tasks.settings.classes import STUDY_CLASSES, folder_class
from imagenet_tasks.settings.config import AugmentConfig, DownloadConfig, PreprocessConfig
from imagenet_tasks.store.storage import MARKER, Store
from imagenet_tasks.workflow.run import Run

MARK = re.compile(kinds.FINGERPRINT + r"(?![0-9a-f])")
WITHOUT = {
    "run": "it is a record of what happened, and never used again as an answer",
    "picture": "it is the bytes as received",
    "pace": "it is a measured time",
    "checkpoint": "its model's name holds what it is made of; state.json has a schema version",
}


def digest(*contents: bytes) -> str:
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]


def without_marks(value):
    """JSON values without fingerprints, which hold the version itself, and floats as far as all processors agree."""
    if isinstance(value, dict):
        return {name: without_marks(one) for name, one in value.items() if name != "fingerprint"}
    if isinstance(value, list | tuple):
        return [without_marks(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return "" if isinstance(value, str) and MARK.fullmatch(value) else value


def digest_of_folder(store: Store, folder: str) -> str:
    contents = []
    for name in sorted(set(store.names(folder)) - {MARKER}):
        content = store.open_file(folder, name).read_bytes()
        if name.endswith(".json"):
            content = json.dumps(without_marks(json.loads(content)), sort_keys=True).encode()
        contents += [name.encode(), content]
    return digest(*contents)


def golden_selection(store, where) -> str:
    """Good pictures in order, a copy, a text, one too small."""
    folder = where / COBRA
    folder.mkdir()
    files = [picture(seed, kind="PNG") for seed in (3, 1, 2, 1)]
    files += [b"no picture", picture(5, rows=8, columns=8, kind="PNG"), picture(4, kind="PNG")]
    for number, data in enumerate(files):
        (folder / f"{number}.png").write_bytes(data)
    settings = DownloadConfig(source="folder", location=str(where), images_per_class=10)
    ref, _ = download_class(store, settings, folder_class(COBRA), progress=quiet())
    selection = json.loads(store.read_bytes(ref.key))
    return digest(json.dumps([selection["files"], ref.rejected]).encode())


def arrays_of(store, where, settings):
    """The pictures of each folder, through the real download and preprocessing."""
    source, pairs = DownloadConfig(source="folder", location=str(where)), []
    for folder in sorted(where.iterdir()):
        ref, _ = download_class(store, source, folder_class(folder.name), progress=quiet())
        pairs.append((ref, preprocess_class(store, settings, ref, progress=quiet())[0]))
    return pairs


def golden_array(store, where) -> str:
    """Grey, transparent, 16 bits deep, turned by EXIF, wide, tall."""
    folder = where / COBRA
    folder.mkdir()
    colours = Image.open(io.BytesIO(picture(1, rows=90, columns=140, kind="PNG")))
    turned = Image.Exif()
    turned[0x0112] = 6
    deep = Image.fromarray(np.linspace(0, 65535, 60 * 80).reshape(60, 80).astype(np.uint16))
    clear = colours.copy()
    clear.putalpha(120)
    for number, data in enumerate(
        (
            encode(colours, "PNG"), encode(colours.convert("L"), "PNG"), encode(clear, "PNG"), encode(deep, "PNG"),
            encode(colours, "PNG", exif=turned), picture(2, rows=30, columns=200, kind="PNG"),
            picture(3, rows=200, columns=30, kind="PNG"),
        )
    ):  # fmt: skip
        (folder / f"{number}.png").write_bytes(data)
    ((_, array),) = arrays_of(store, where, PreprocessConfig())
    return digest_of_folder(store, array.folder)


def golden_dataset(store, where) -> str:
    """Two classes with a picture in both, a near-duplicate, and a flat one."""
    settings = PreprocessConfig(
        rows_px=16, columns_px=16, validation_share=0.25, test_share=0.25, min_images_per_class=1
    )
    for class_id, seeds in ((COBRA, range(30)), (COW, range(29, 60))):
        folder = where / class_id
        folder.mkdir()
        for seed in seeds:
            (folder / f"{seed:03}.png").write_bytes(picture(seed, rows=24, columns=32, kind="PNG"))
    (where / COBRA / "alike.png").write_bytes(picture(0, rows=48, columns=64, kind="PNG"))
    (where / COW / "flat.png").write_bytes(encode(Image.new("RGB", (40, 40), (9, 90, 200)), "PNG"))
    built = build_dataset(store, DownloadConfig(), settings, arrays_of(store, where, settings))
    return digest_of_folder(store, built.dataset.folder)


def trained(store, dataset, arm="baseline", round_number=0, **accuracies):
    from fakes.models import trial_of

    trial = trial_of(dataset, arm=arm, round=round_number)
    return fake_model(store, dataset, f"{arm}{round_number}", trial=trial, **accuracies)


def golden_evaluation(store, where) -> str:
    dataset = small_dataset(store, where)
    before, _ = evaluate_baseline(store, dataset, [trained(store, dataset, validation=0.4, test=0.5)])
    models = [
        trained(store, dataset, "targeted", 1, validation=0.7, test=0.6),
        trained(store, dataset, "longer", 1, validation=0.5, test=0.55),
    ]
    after, _ = evaluate_repair(store, dataset, models, baseline=before, previous=before, repaired=[0])
    return digest(*(digest_of_folder(store, each.folder).encode() for each in (before, after)))


def planned(store, where):
    dataset = small_dataset(store, where)
    measured, _ = evaluate_baseline(store, dataset, [trained(store, dataset, validation=0.4, test=0.5)])
    settings = AugmentConfig(classes_to_augment=1, pictures_to_add=7, policy="colour")
    return (
        dataset,
        settings,
        plan_augmentation(store, settings, dataset, measured, arms=["collect", "targeted", "more"])[0],
    )


def golden_plan(store, where) -> str:
    return digest_of_folder(store, planned(store, where)[2].folder)


def golden_copies(store, where) -> str:
    dataset, settings, plan = planned(store, where)
    arrays = [augment_class(store, settings, dataset, c, seed=0, progress=quiet())[0] for c in plan.of(new=False)]
    return digest(*(digest_of_folder(store, array.folder).encode() for array in arrays))


def golden_collected(store, where) -> str:
    """New pictures of all sides, one that looks like a known one, two that look alike, one that is trained on."""
    dataset = small_dataset(store, where)
    settings = PreprocessConfig(validation_share=0.25, test_share=0.25)
    folder = where / dataset.classes[0].class_id
    for seed in range(900, 930):
        (folder / f"x{seed}.png").write_bytes(picture(seed, rows=24, columns=32, kind="PNG"))
    for name, seed in (("y1", 900), ("y2", 0)):
        (folder / f"{name}.png").write_bytes(picture(seed, rows=48, columns=64, kind="PNG"))
    source = DownloadConfig(source="folder", location=str(where))
    ref, _ = download_class(store, source, folder_class(folder.name), progress=quiet())
    taken = Selection.from_json(store.read_bytes(ref.key), where="").files[-5].partition(".")[0]
    array, _ = collect_class(store, settings, dataset, ref, wanted=12, taken={taken})
    return digest_of_folder(store, array.folder)


def golden_url_list(store, where) -> str:
    lines = b"n00000002_1\thttp://b/2.jpg\nn00000001_7\thttp://a/1.jpg\n\nno line\nn00000001_8\t ftp://x\n"
    make(store, kinds.URL_LIST, "a-b", lambda publish: build_index(publish, io.BytesIO(lines), where="here"))
    return digest_of_folder(store, "lists/a-b")


def golden_drawn_picture(store, where) -> str:
    """The mean colours of the halves of five pictures: drawing uses floats, in which processors differ a little."""
    means = []
    for place, image_class in enumerate(STUDY_CLASSES[::4]):
        drawn = Image.open(io.BytesIO(picture_bytes(image_class.class_id, place))).convert("RGB")
        means += np.asarray(drawn.resize((2, 1), Image.Resampling.BOX), int).flatten().tolist()
    return " ".join(map(str, means))


def golden_model(store, where) -> str:
    """The probabilities of a short training of `compact`, its mixing and schedule included."""
    import keras

    from imagenet_tasks.artifacts.references import Trial
    from imagenet_tasks.settings.training import TrainConfig
    from imagenet_tasks.train import Work
    from imagenet_tasks.train.stage import train

    dataset = small_dataset(store, where)
    trial = Trial(model="compact", seed=3, arm="baseline", dataset=dataset.fingerprint)
    work = Work(settings=TrainConfig(batch_size=8, precision="float32"), trial=trial, epochs=6)
    model, _ = train(store, work, dataset, progress=quiet())
    keras.backend.clear_session()
    shares = np.load(store.open_file(model.folder, "probabilities_test.npy"))
    return " ".join(f"{share:.3f}" for share in shares[:6].flatten())


def golden_final_model(store, where) -> str:
    """What two networks that nobody trained answer together."""
    import keras

    from imagenet_tasks.settings.training import TrainConfig
    from imagenet_tasks.train.final import put_together

    dataset = small_dataset(store, where)
    put_together(store, dataset, publish_networks(store, dataset, 2), TrainConfig(precision="float32"), mark="f")
    network = keras.saving.load_model(store.open_file("final_models/f", "model.keras"), safe_mode=True)
    pictures = np.random.default_rng(0).integers(0, 256, (3, dataset.rows_px, dataset.columns_px, 3), np.uint8)
    shares = network.predict_on_batch(pictures)
    keras.backend.clear_session()
    return " ".join(f"{share:.3f}" for share in np.asarray(shares).flatten())


def golden_hardest(store, where) -> str:
    """Ten of a class's pictures, by two networks that nobody trained."""
    import keras

    from imagenet_tasks.train.hardest import choose_hardest

    dataset = small_dataset(store, where)
    draw = dataset.classes[0].array
    array = choose_hardest(store, publish_networks(store, dataset, 2), draw, label=0, wanted=10)
    keras.backend.clear_session()
    return digest_of_folder(store, array.folder)


def golden_drift(store, where) -> str:
    """A champion, right in a half of its test pictures, that takes all new ones for the first class."""
    dataset = small_dataset(store, where / "old")
    models = [fake_model(store, dataset, "m", validation=0.5, test=0.5)]
    promote(
        store, dataset, [evaluate_baseline(store, dataset, models)[0]], Run(store, "dag", "r"), profile="best",
        drawn=False, ask=list,
    )  # fmt: skip
    drift, _ = score(
        store,
        small_dataset(store, where / "new", count=60),
        choose_champion(store),
        ask=lambda places: [0] * len(places),
    )
    return digest_of_folder(store, drift.folder)


EXACT = {
    kinds.SELECTION: golden_selection, kinds.ARRAY: golden_array, kinds.DATASET: golden_dataset,
    kinds.EVALUATION: golden_evaluation, kinds.PLAN: golden_plan, kinds.COPIES: golden_copies,
    kinds.COLLECTED: golden_collected, kinds.HARDEST: golden_hardest, kinds.URL_LIST: golden_url_list,
    kinds.DRIFT: golden_drift,
}  # fmt: skip
NEARLY = {
    kinds.DRAWN_PICTURE: (golden_drawn_picture, 2.0),
    kinds.MODEL: (golden_model, 0.02),
    kinds.FINAL_MODEL: (golden_final_model, 0.02),
}


def test_every_kind_has_a_golden_input():
    assert {k.name for k in (*EXACT, *NEARLY)} | set(WITHOUT) == {kind.name for kind in KINDS}


@pytest.fixture
def where(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize("kind", EXACT, ids=lambda kind: kind.name)
def test_the_output_is_that_of_this_version(tmp_path, where, kind):
    found = f"{kind.version}:{EXACT[kind](Store(tmp_path / 'home'), where)}"
    assert found == kind.golden, f"raise the version of {kind.name!r}, then: golden={found!r}"


@pytest.mark.parametrize("kind", NEARLY, ids=lambda kind: kind.name)
def test_the_output_is_nearly_that_of_this_version(tmp_path, where, kind):
    golden, tolerance = NEARLY[kind]
    found = golden(Store(tmp_path / "home"), where)
    version, _, expected = kind.golden.partition(":")
    advice = f"raise the version of {kind.name!r}, then: golden='{kind.version}:{found}'"
    assert version == str(kind.version), advice
    assert [float(n) for n in found.split()] == pytest.approx([float(n) for n in expected.split()], abs=tolerance), (
        advice
    )
