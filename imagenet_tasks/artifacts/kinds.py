"""Every kind of artifact, declared once: what it is made of, where it lies, and the files that it is kept in.

From a declaration follow the fingerprint and reuse (`artifacts.make`), what a run's index and the Files page list, and
what `prune` knows, keeps and removes. To add a kind, declare it here, list it in KINDS, and make it in its stage.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from imagenet_tasks.store.storage import fingerprint

FINGERPRINT = r"[0-9a-f]{16}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """What one kind of artifact is made of.

    Attributes:
        name: what a person calls one of it.
        folder: where all of it lies, below the root.
        files: the names of its files, as a regular expression; '' for a kind that is one file.
        title: of its part of the Files page; '' where no task hands it on as a folder of its own.
        version: raised when the same input would give another output.
        golden: the version, and the digest of what that makes of the golden input (tests/artifacts/test_golden.py): the
            test fails where the output has changed and the version has not.
        inputs: what it is made from, by name: the names of other kinds, or '' for a value that is no artifact.
        settings: those whose values are part of its fingerprint; one that is None is left out of it.
        choices: those that say which of it a run makes, and so reach it through its inputs.
        key: of one artifact, as a regular expression; '' for `folder/<fingerprint>`.
        group: what `prune` calls all of it, where that is not the folder's name.
        names_others: the files in which the fingerprints of other artifacts stand.
    """

    name: str
    folder: str
    files: str = ""
    title: str = ""
    version: int = 1
    golden: str = ""
    inputs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    settings: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    key: str = ""
    group: str = ""
    names_others: tuple[str, ...] = ()

    @property
    def plural(self) -> str:
        """What `prune` calls all of it; kinds that share a folder may share it."""
        return self.group or self.folder

    @property
    def pattern(self) -> str:
        """The key of one artifact, as a regular expression."""
        return self.key or f"{self.folder}/{FINGERPRINT}"

    def folder_of(self, mark: str) -> str:
        """Returns the folder of the artifact that has this fingerprint."""
        return f"{self.folder}/{mark}"

    def fingerprint(self, inputs: Mapping[str, Any], *stages: Any, salt: str = "", **resolved: Any) -> str:
        """Returns the name of the artifact that these inputs and settings give.

        Args:
            inputs: plain JSON by the declared names; of an artifact, its own fingerprint.
            stages: the dataclasses of settings in which the declared ones are found.
            salt: differs where the work is to be done again.
            resolved: settings whose value is another here than in the dataclass, such as the precision of 'auto'.

        Raises:
            ValueError: where an input or a setting is not as declared, which is a bug.
        """
        given = {field.name: getattr(s, field.name) for s in stages for field in dataclasses.fields(s)} | resolved
        missing = sorted(set(self.settings) - set(given)) + sorted(set(self.inputs) ^ set(inputs))
        if missing or not set(resolved) <= set(self.settings):
            raise ValueError(f"{self.name}: not as declared: {', '.join(missing or sorted(resolved))}")
        settings = {name: given[name] for name in self.settings if given[name] is not None}
        return fingerprint(kind=self.name, version=self.version, inputs=dict(inputs), settings=settings, salt=salt)


PICTURE = Kind(name="picture", folder="images", group="pictures", key=r"images/[^/]+/[0-9a-f]{64}\.[a-z]+")
DRAWN_PICTURE = Kind(  # what the built-in source serves; stored as any other picture
    name="drawn picture", folder="images", group="pictures",
    golden="1:115 103 106 122 110 109 158 180 189 141 162 177 98 120 132 94 107 115 74 74 74 71 71 71 111 136 122 "
    "104 136 126",
)  # fmt: skip
URL_LIST = Kind(
    name="URL list", folder="lists", key=rf"lists/{FINGERPRINT}-{FINGERPRINT}", files=r"urls-\d+\.txt|index\.json",
    inputs={"version": ""},
    golden="1:83df565a31cf644d",
)  # fmt: skip
SELECTION = Kind(
    name="selection", folder="images", group="selections", key=rf"images/[^/]+/selected-{FINGERPRINT}\.json",
    inputs={"class_id": "", "files": "picture"},
    choices=(
        "classes", "source", "location", "images_per_class", "max_bytes", "max_pixels", "min_side_px", "max_aspect",
        "given_split", "table_columns",
    ),
    golden="1:e57208c87e83df79",
)  # fmt: skip
ARRAY = Kind(
    name="array", folder="arrays", files=r"[^/]+\.npy|ids\.json", title="Pictures as arrays",
    inputs={"selection": "selection"}, settings=("rows_px", "columns_px"),
    version=5, golden="5:25cbbf407a97f30e",
)  # fmt: skip
DATASET = Kind(
    name="dataset", folder="datasets", files=r"(dataset|data_quality)\.json|split\.csv", title="Dataset",
    inputs={"arrays": "array", "classes": "", "placeholders": "selection"},
    settings=("validation_share", "test_share", "near_duplicate_bits", "test_steers"),
    choices=("min_images_per_class", "min_classes"),
    names_others=("dataset.json",),
    version=4, golden="4:ecbae2c7d595f867",
)  # fmt: skip
PACE = Kind(  # how fast a model trains, by which `train_minutes` says how many epochs it gets
    name="pace", folder="paces", files=r"pace\.json",
    inputs={"dataset": "dataset", "model": ""}, settings=("batch_size", "precision", "width"),
)  # fmt: skip
MODEL = Kind(
    name="model", folder="models", title="Models",
    files=r"model\.keras|history\.jsonl|training\.json|probabilities_\w+\.npy",
    inputs={
        "trial": "dataset", "epochs": "", "epoch_pictures": "", "prior": "", "backend": "",
        "added": "copies, collected pictures, hardest pictures",
    },
    settings=("batch_size", "precision", "early_stopping_patience", "learning_rate", "weight_decay", "width"),
    choices=(
        "model", "more_models", "retrain_model", "epochs", "retrain_epochs", "seed", "seeds", "arms", "rounds",
        "label_check_folds", "learning_curve", "accuracy_goal", "correct_prior", "train_minutes", "tune_candidates",
    ),
    names_others=("training.json",),
    version=5,
    golden="5:0.172 0.359 0.469 0.992 0.004 0.004 0.285 0.062 0.653 0.879 0.044 0.077 0.458 0.102 0.440 0.961 "
    "0.015 0.024",
)  # fmt: skip
FINAL_MODEL = Kind(
    name="final model", folder="final_models", title="Final model",
    files=r"model\.keras|final\.json|probabilities_(validation|test)\.npy",
    inputs={"models": "model"}, choices=("final_models",),
    names_others=("final.json",),
    golden="1:0.313 0.262 0.425 0.325 0.241 0.434 0.345 0.338 0.318",
)  # fmt: skip
CHECKPOINT = Kind(
    name="checkpoint", folder="checkpoints", key=rf"checkpoints/{FINGERPRINT}/epoch-\d{{5}}-[0-9a-f]{{12}}",
    files=r"state\.json|(variables|best)\.npz",
    inputs={"model": "model"},
)  # fmt: skip
EVALUATION = Kind(
    name="evaluation", folder="evaluations", files=r"\w+\.(json|csv)", title="Evaluations",
    inputs={"dataset": "dataset", "models": "model", "against": "evaluation", "repaired": ""},
    names_others=("evaluation.json", "metrics.json"),
    version=6, golden="6:77ca3387dd899e26",
)  # fmt: skip
DRIFT = Kind(
    name="champion's drift", folder="drifts", files=r"drift\.json", title="The champion on new pictures",
    inputs={"champion": "model", "dataset": "dataset"}, choices=("drift_check",),
    golden="1:111a38712aca1f99",
)  # fmt: skip
PLAN = Kind(
    name="plan", folder="plans", files=r"plan\.json", title="Augmentation plans",
    inputs={"dataset": "dataset", "evaluation": "evaluation"},
    settings=("arms", "strategy", "augment_classes", "classes_to_augment", "pictures_to_add"),
    choices=("accuracy_goal", "rounds"),
    names_others=("plan.json",),
    version=5, golden="5:487acd65fcbe1bad",
)  # fmt: skip
COPIES = Kind(
    name="copies", folder="arrays", files=ARRAY.files, title=ARRAY.title,
    inputs={"dataset": "dataset", "chosen": "plan"},
    settings=(
        "seed", "policy", "rotation_deg", "zoom_share", "horizontal_flip", "vertical_flip", "denied_transforms",
    ),
    version=3, golden="3:a8f86c93476f5304",
)  # fmt: skip
COLLECTED = Kind(
    name="collected pictures", folder="arrays", files=ARRAY.files, title=ARRAY.title,
    inputs={"dataset": "dataset", "selection": "selection", "chosen": "plan"},
    golden="1:c2ddecd1678a937e",
)  # fmt: skip
HARDEST = Kind(
    name="hardest pictures", folder="arrays", files=ARRAY.files, title=ARRAY.title,
    inputs={"collected": "collected pictures", "models": "model", "label": "", "wanted": ""},
    golden="1:d58c2af41012a359",
)  # fmt: skip
RUN = Kind(
    name="run", folder="runs", key=r"runs/[^/]+/[A-Za-z0-9_-]+-[0-9a-f]{10}", title="The run itself",
    files=r"config\.json|run\.json|decision(_round_\d)?\.json|(tasks|progress)/([^/]+\.json)?"
    r"|report/(report\.(html|json))?",
)  # fmt: skip
# What refers to others comes before these, which is the order of removal. Added pictures lie where arrays do.
KINDS = (
    RUN, EVALUATION, DRIFT, PLAN, FINAL_MODEL, MODEL, CHECKPOINT, PACE, DATASET, ARRAY, COPIES, COLLECTED, HARDEST,
    URL_LIST, SELECTION, PICTURE, DRAWN_PICTURE,
)  # fmt: skip
# What anything made depends on.
DECLARED_SETTINGS = frozenset(name for kind in KINDS for name in (*kind.settings, *kind.choices))
