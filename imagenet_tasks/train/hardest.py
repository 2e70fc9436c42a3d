"""Which of a draw of new pictures the models get most wrong: those are trained with, where that is asked for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.arrays import read_array, read_ids, write_array
from imagenet_tasks.artifacts.make import Publish, make
from imagenet_tasks.artifacts.quality import STRONG
from imagenet_tasks.artifacts.references import ClassArray, TrainedModel
from imagenet_tasks.store.storage import Store
from imagenet_tasks.train import load_keras

if TYPE_CHECKING:
    import numpy as np


def choose_hardest(
    store: Store, models: Sequence[TrainedModel], draw: ClassArray, *, label: int, wanted: int, salt: str = ""
) -> ClassArray:
    """Makes an array of those pictures of a class that models get most wrong. It loads Keras where there is none yet.

    Args:
        store: where the models and the pictures are and the array goes.
        models: they are asked together: the mean of their probabilities counts.
        draw: the pictures to choose from, none of which the models were trained on.
        label: of the class.
        wanted: at most so many are chosen.
        salt: differs where the work is to be done again.
    """
    inputs = {
        "collected": draw.fingerprint, "models": [m.fingerprint for m in models], "label": label, "wanted": wanted,
    }  # fmt: skip
    mark = kinds.HARDEST.fingerprint(inputs, salt=salt)
    array = ClassArray(class_id=draw.class_id, fingerprint=mark, count=0)

    def build(publish: Publish) -> None:
        pictures, ids = read_array(store, draw)
        chosen = hardest(_probabilities(store, models, pictures), label)[:wanted]
        with publish() as folder:
            write_array(
                folder, array, [pictures[i] for i in chosen], [ids[i] for i in chosen], shape=pictures.shape[1:]
            )

    make(store, kinds.HARDEST, mark, build)
    return array.model_copy(update={"count": len(read_ids(store, array))})


def hardest(probabilities: "np.ndarray", label: int) -> list[int]:
    """Returns the pictures of a class in the order in which they are wanted: what a model gets most wrong first.

    Those whose label is strongly in doubt, where another class is more probable by STRONG, come last, the least doubted
    of them first: to the model, a picture with the wrong label is the hardest of all.

    Args:
        probabilities: float (n, classes).
        label: of the class.
    """
    own = probabilities[:, label]
    others = probabilities.copy()
    others[:, label] = 0
    doubt = others.max(axis=1) - own
    return sorted(range(len(own)), key=lambda i: own[i] if doubt[i] < STRONG else 1 + doubt[i])


def _probabilities(store: Store, models: Sequence[TrainedModel], pictures: "np.ndarray") -> "np.ndarray":
    """Returns the mean of what the models say, float32 (n, classes)."""
    load_keras()
    import numpy as np

    from imagenet_tasks.train.devices import find_gpus
    from imagenet_tasks.train.predict import BATCH, load_network

    find_gpus()  # a training may use the GPU at the same time: memory is taken as it is needed
    answers = []
    for model in models:
        network = load_network(store.open_file(model.folder, "model.keras"))
        parts = [network.predict_on_batch(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
        answers.append(np.concatenate(parts))
    return np.mean(answers, axis=0)
