"""The networks that people ask about pictures of their own: a champion's, or the final model of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imagenet_tasks.artifacts.champions import Champion, open_model
from imagenet_tasks.artifacts.final import FinalModel
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.store.storage import Store


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network from uint8 pictures (n, rows_px, columns_px, 3) to the probabilities of its classes, in their order.

    Attributes:
        called: what it is, for messages.
        classes: in the order of the labels.
        rows_px: of a picture.
        columns_px: the same.
        open: checks its file, and returns the local path; raises ArtifactError or ChecksumMismatch.
    """

    called: str
    classes: tuple[ImageClass, ...]
    rows_px: int
    columns_px: int
    open: Callable[[], Path]


def of_champion(store: Store, champion: Champion) -> Network:
    """Returns a champion's network."""
    return Network(
        called=(
            f"{champion.model.trial.key}, the champion of {len(champion.classes)} classes, "
            f"{100 * champion.validation_accuracy:.1f} % on validation, of run {champion.run_id}"
        ),
        classes=champion.classes, rows_px=champion.rows_px, columns_px=champion.columns_px,
        open=lambda: open_model(store, champion),
    )  # fmt: skip


def of_final_model(store: Store, final: FinalModel, classes: tuple[ImageClass, ...]) -> Network:
    """Returns a final model's network. `classes` are its run's, in any order."""
    by_id = {c.class_id: c for c in classes}
    return Network(
        called=f"the mean of {', '.join(model.trial.key for model in final.models)}",
        classes=tuple(by_id[class_id] for class_id in final.class_ids),
        rows_px=final.rows_px, columns_px=final.columns_px,
        open=lambda: store.open_file(final.folder, "model.keras"),
    )  # fmt: skip
