"""Training on more pictures than memory may take: what is read from shards, in which order, and what is left behind."""

import errno
import os
import sys
from collections import namedtuple
from pathlib import Path

import keras
import numpy as np
import pytest
from fakes.pictures import COBRA, load_split
from trainings import KILLED_IN, kill_a_training, learned, program, run_trial, shares_of, training_of

from imagenet_tasks.artifacts import arrays
from imagenet_tasks.artifacts.arrays import write_array
from imagenet_tasks.artifacts.references import ClassArray, Trial
from imagenet_tasks.artifacts.training import read_history
from imagenet_tasks.errors import ConfigError, NonFiniteLoss, OutOfSpace
from imagenet_tasks.train import data, epochs, loop, shards
from imagenet_tasks.train.batches import Mixing, cutmix, order_of_epoch
from imagenet_tasks.train.epochs import feed
from imagenet_tasks.train.loop import prior_correction
from imagenet_tasks.train.memory import SHARE, allowed_bytes, free_bytes
from imagenet_tasks.train.shards import Scratch, Shards, spread

HERE = Path(__file__).parent
SHAPE = (4, 4, 3)
BUDGET_GB = "0.000026"  # of 92 kB of pictures: shards of two
LIKE = {"abs": 1e-5, "rel": 1e-4}
pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def scratch_folder(tmp_path, monkeypatch):
    """Where shards go: empty and of this test alone."""
    monkeypatch.setenv("IMAGENET_CACHE", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


@pytest.fixture
def little_memory(monkeypatch, scratch_folder):
    monkeypatch.setenv("IMAGENET_MEMORY_GB", BUDGET_GB)
    return scratch_folder


def numbered(count: int) -> np.ndarray:
    """Pictures that each show their number."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, *SHAPE)).copy()


@pytest.fixture
def on_disk(tmp_path):
    """Makes pictures of a scratch file, each with its number as its label."""
    made = []

    def make(count, shard_pictures=5):
        scratch = Scratch(tmp_path / "scratch", count, SHAPE)
        made.append(scratch)
        order = spread(count, shard_pictures, seed=0)
        places = np.empty(count, int)
        places[order] = np.arange(count)
        shards.fill(
            scratch, ((places[i : i + 7], numbered(count)[i : i + 7]) for i in range(0, count, 7)), buffer_bytes=1
        )
        return Shards(scratch, 0, count, shard_pictures), order.astype(np.int32)

    yield make
    for scratch in made:
        scratch.close()


def epoch_of(
    pictures, labels, *, epoch=0, seed=0, epoch_pictures=None, batch_size=8, devices=1, mixing=None
) -> list:  # fmt: skip
    fed, _ = feed(
        pictures, labels, seed=seed, epoch=epoch, epoch_pictures=epoch_pictures or len(labels), batch_size=batch_size,
        devices=devices, mixing=mixing,
    )  # fmt: skip
    return list(fed)


def all_of(share: float) -> Mixing:
    return Mixing(share, 10_000)


def labels_of(batches) -> list[int]:
    return np.concatenate([labels for _, labels in batches]).tolist()


# The order


@pytest.mark.parametrize(("count", "shard_pictures", "batch_size"), [(97, 5, 8), (97, 1, 64), (40, 100, 7), (1, 5, 8)])
def test_an_epoch_from_shards_shows_each_picture_once_with_its_label(on_disk, count, shard_pictures, batch_size):
    batches = epoch_of(*on_disk(count, shard_pictures), batch_size=batch_size)
    assert sorted(labels_of(batches)) == list(range(count))
    for pictures, labels in batches:
        assert (pictures == numbered(count)[labels]).all()


def test_every_batch_but_the_last_is_whole_also_across_windows(on_disk):
    sizes = [len(labels) for _, labels in epoch_of(*on_disk(97, 5), batch_size=8)]
    assert sizes == [8] * 12 + [1]


def test_several_devices_get_equal_parts_and_what_does_not_divide_is_left_out(on_disk):
    sizes = [len(labels) for _, labels in epoch_of(*on_disk(97, 5), batch_size=8, devices=4)]
    assert sizes == [8] * 12


def test_seed_and_epoch_alone_give_the_order_of_shards_and_of_pictures(on_disk):
    stored = on_disk(60)
    orders = {(s, e): labels_of(epoch_of(*stored, seed=s, epoch=e)) for s in (0, 1) for e in (0, 1)}
    assert len({tuple(order) for order in orders.values()}) == 4
    assert labels_of(epoch_of(*stored, seed=1, epoch=1)) == orders[1, 1]


def test_pictures_of_one_class_are_spread_over_all_shards():
    order = spread(10_000, 100, seed=0)
    first_class = np.flatnonzero(order < 1000) // 100
    assert np.bincount(first_class, minlength=100).min() >= 1


def test_a_batch_that_is_asked_for_twice_is_the_same(on_disk):
    """As Keras does before an epoch, to know what a batch looks like."""
    fed, _ = feed(*on_disk(97, 2), seed=0, epoch=0, epoch_pictures=97, batch_size=8, devices=1, mixing=all_of(0.5))
    first, second = fed[0], fed[1]
    for batch, again in zip((first, second), list(fed)[:2], strict=True):
        assert (batch[0] == again[0]).all() and (batch[1] == again[1]).all()


def test_pictures_are_mixed_with_pictures_of_their_window(on_disk):
    stored = on_disk(60)
    plain, mixed = epoch_of(*stored, mixing=all_of(0.0)), epoch_of(*stored, mixing=all_of(1.0))
    assert np.concatenate([targets for _, targets in plain])[:, 2].tolist() == [1.0] * 60
    targets = np.concatenate([targets for _, targets in mixed])
    pictures = np.concatenate([pictures for pictures, _ in mixed])
    assert targets[:, 0].tolist() == np.concatenate([targets for _, targets in plain])[:, 0].tolist()
    for picture, (own, other, share) in zip(pictures, targets, strict=True):
        assert (picture[..., 0] == own).mean() == pytest.approx(share)
        assert set(np.unique(picture)) <= {own, other}


def test_in_memory_an_epoch_is_what_it_always_was():
    pictures, labels = numbered(50), np.arange(50, dtype=np.int32)
    third = {"seed": 3, "epoch": 2, "epoch_pictures": 50, "batch_size": 8}
    fed, targets = feed(pictures, labels, devices=4, mixing=all_of(0.5), **third)
    order = order_of_epoch(50, 50, seed=3, epoch=2)[:48]
    expected = pictures[order]
    random = np.random.default_rng([3, 2, 1])
    expected_targets = cutmix(expected, labels[order], Mixing(0.5, 48), random)
    assert (fed == expected).all() and (targets == expected_targets).all()
    fed, targets = feed(pictures, labels, devices=1, mixing=None, **third)
    assert (targets == order_of_epoch(50, 50, seed=3, epoch=2)).all() and (fed == pictures[targets]).all()


@pytest.mark.parametrize("epoch_pictures", [25, 60, 83, 130])
@pytest.mark.parametrize("streamed", [True, False])
def test_epochs_of_another_length_than_a_pass_show_each_picture_once_a_pass(on_disk, epoch_pictures, streamed):
    """A repair's arms have different pictures and epochs of one length."""
    stored = on_disk(60) if streamed else (numbered(60), np.arange(60, dtype=np.int32))
    shown = []
    for epoch in range(-(-3 * 60 // epoch_pictures)):
        if streamed:
            batches = epoch_of(*stored, epoch=epoch, epoch_pictures=epoch_pictures)
            assert all((pictures == numbered(60)[labels]).all() for pictures, labels in batches)
            shown.append(labels_of(batches))
        else:
            shown.append(order_of_epoch(60, epoch_pictures, seed=0, epoch=epoch).tolist())
        assert len(shown[-1]) == epoch_pictures
    passes = np.concatenate(shown)[: 3 * 60].reshape(3, 60)
    assert (np.sort(passes, axis=1) == np.arange(60)).all()


def test_nothing_behind_an_epochs_end_is_read(on_disk, monkeypatch):
    """60 pictures in 12 shards, read in 3 windows; the epoch ends in the second one."""
    stored, read = on_disk(60), []
    shuffled = epochs._Streamed._shuffled
    monkeypatch.setattr(epochs._Streamed, "_shuffled", lambda s, n: read.append(n) or shuffled(s, n))
    assert len(labels_of(epoch_of(*stored, epoch_pictures=30))) == 30
    assert sorted(read) == [0, 1]


def test_from_the_first_whole_picture_on_none_is_mixed_across_windows(on_disk):
    targets = np.concatenate([t for _, t in epoch_of(*on_disk(60), mixing=Mixing(1.0, 33))])
    assert (targets[33:, 2] == 1).all() and (targets[:33, 2] < 1).mean() > 0.8


# What is read


def test_a_training_on_a_part_reads_that_part_and_validation_and_no_test_picture(prepared, monkeypatch):
    store, dataset = prepared
    asked, on = [], arrays.SplitTable.on
    monkeypatch.setattr(arrays.SplitTable, "on", lambda self, side: asked.append(side) or on(self, side))
    trial = Trial(model="tiny", seed=0, arm="part", dataset=dataset.fingerprint, folds=2)
    with data.open_data(store, dataset, trial) as read:
        assert read.asked == ("validation",) and set(asked) == {"train", "validation"}
        pictures, labels = load_split(store, dataset, "train")
        assert set(pairs(read.pictures, read.labels)) < set(pairs(pictures, labels))
        halves = [round(count / 2) for count in np.bincount(labels)]
        assert np.bincount(read.labels).tolist() == halves


def pairs(pictures, labels) -> list:
    return sorted((int(label), p.tobytes()) for p, label in zip(pictures, labels, strict=True))


@pytest.mark.parametrize(
    "trial", [{}, {"arm": "labels", "fold": 1, "folds": 3}, {"arm": "part", "folds": 2}, {"test_steers": True}]
)
def test_what_is_streamed_is_what_would_be_held(prepared, scratch_folder, monkeypatch, trial):
    store, dataset = prepared
    dataset = dataset.model_copy(update={"test_steers": trial.get("test_steers", False)})
    named = {"arm": "baseline"} | {k: v for k, v in trial.items() if k != "test_steers"}
    added = ClassArray(class_id=COBRA, fingerprint="added-to-stream", count=9)
    wanted = Trial(model="tiny", seed=0, dataset=dataset.fingerprint, added=(added,), **named)
    if not store.is_complete(added.folder):
        with store.publish(added.folder) as folder:
            write_array(folder, added, np.full((9, 16, 16, 3), 7, np.uint8), ["x"] * 9, shape=(16, 16, 3))
    with data.open_data(store, dataset, wanted) as held:
        corrected = prior_correction(held.labels, held.added)
        monkeypatch.setenv("IMAGENET_MEMORY_GB", BUDGET_GB)
        with data.open_data(store, dataset, wanted) as streamed:
            assert (held.streamed, streamed.streamed) == (False, True)
            assert pairs(streamed.pictures[:], streamed.labels) == pairs(held.pictures, held.labels)
            assert (streamed.validation[0][:] == held.validation[0]).all()
            assert (streamed.validation[1] == held.validation[1]).all()
            assert streamed.asked == held.asked
            assert streamed.added.tolist() == held.added.tolist() == [9, 0, 0]
            assert (prior_correction(streamed.labels, streamed.added) == corrected).all()
            for name in held.asked:
                assert (streamed.read(name)[:] == held.read(name)).all()


def test_the_log_says_which_way_was_taken_and_why(prepared, scratch_folder, monkeypatch, caplog):
    trial = Trial(model="tiny", seed=0, arm="baseline", dataset=prepared[1].fingerprint)
    with caplog.at_level("INFO"):
        with data.open_data(*prepared, trial):
            pass
        monkeypatch.setenv("IMAGENET_MEMORY_GB", BUDGET_GB)
        with data.open_data(*prepared, trial):
            pass
    assert caplog.messages[0] == "120 pictures, 0 MB, held in memory"
    assert caplog.messages[1].startswith("120 pictures, 0 MB, more than the 0 MB that may be used: streamed from ")
    assert caplog.messages[1].endswith(f"shards in {scratch_folder}")


def test_no_class_is_copied_as_a_whole(prepared, little_memory, monkeypatch):
    store, dataset = prepared
    added = ClassArray(class_id=COBRA, fingerprint="added-in-pieces", count=9)
    with store.publish(added.folder) as folder:
        write_array(folder, added, [np.full((16, 16, 3), i, np.uint8) for i in range(9)], ["x"] * 9, shape=(16, 16, 3))
    sizes = []
    fill = data.fill

    def watched(scratch, sources, **options):
        pieces = list(sources)
        sizes.extend(len(pictures) for _, pictures in pieces)
        fill(scratch, pieces, **options)

    monkeypatch.setattr(data, "fill", watched)
    monkeypatch.setattr(arrays, "PIECE_BYTES", 4 * 16 * 16 * 3)
    trial = Trial(model="tiny", seed=0, arm="targeted", dataset=dataset.fingerprint, added=(added,))
    with data.open_data(store, dataset, trial):
        assert max(sizes) == 4 and sum(sizes) == 120 + 9


@pytest.mark.timeout(20)
def test_shards_that_end_too_early_are_an_error_and_not_a_wait_without_end(on_disk):
    stored, _ = on_disk(10)
    os.truncate(stored.scratch._file.fileno(), 5 * 48)
    assert stored[:5].shape == (5, *SHAPE)
    with pytest.raises(OSError, match="expected 240 bytes from byte 240 of shards, found none"):
        stored[5:]


@pytest.mark.timeout(20)
def test_a_file_that_takes_no_bytes_is_an_error_and_not_a_wait_without_end(on_disk, monkeypatch):
    monkeypatch.setattr(shards.os, "pwrite", lambda *args: 0)
    with pytest.raises(OSError, match=r"bytes from byte \d+ of shards, found none"):
        on_disk(10)


# A streamed training


def test_a_streamed_training_learns_as_one_in_memory_does_and_leaves_no_file(prepared, little_memory, monkeypatch):
    store, _ = prepared
    model = run_trial(prepared, epochs=12, salt="streamed", model="mixed")
    assert training_of(store, model).streamed and list(little_memory.iterdir()) == []
    monkeypatch.delenv("IMAGENET_MEMORY_GB")
    held = run_trial(prepared, epochs=12, salt="held", model="mixed")
    assert not training_of(store, held).streamed
    losses = [read_history(store, m)[-1].loss for m in (model, held)]
    assert losses[0] == pytest.approx(losses[1], rel=0.15)
    network = keras.saving.load_model(store.open_file(model.folder, "model.keras"))
    for split in ("validation", "test"):
        answers = np.asarray(network.predict(load_split(*prepared, split)[0], verbose=0))
        assert shares_of(store, model, split) == pytest.approx(answers, abs=1e-5)


def test_f40_a_streamed_training_that_was_killed_goes_on_as_if_nothing_was_and_its_shards_are_gone(
    prepared, little_memory
):
    store, dataset = prepared
    said = kill_a_training(store, dataset)
    assert any("streamed from" in line for line in said) and list(little_memory.iterdir()) == []
    model, whole = run_trial(prepared, epochs=5), run_trial(prepared, epochs=5, salt="whole")
    assert training_of(store, model).resumed_from == KILLED_IN - 1
    assert shares_of(store, model, "test") == pytest.approx(shares_of(store, whole, "test"), **LIKE)
    for line, expected in zip(learned(read_history(store, model)), learned(read_history(store, whole)), strict=True):
        assert line == pytest.approx(expected, **LIKE)


def test_after_a_failure_there_are_no_shards(prepared, little_memory):
    made = []
    with pytest.MonkeyPatch.context() as patch, pytest.raises(NonFiniteLoss):
        patch.setattr(data, "Scratch", lambda *args: made.append(Scratch(*args)) or made[0])
        run_trial(prepared, epochs=2, model="explodes", salt="streamed")
    assert list(little_memory.iterdir()) == [] and made[0]._file.closed


def test_where_the_disk_does_not_hold_the_shards_the_error_says_where_and_how_much(
    prepared, little_memory, monkeypatch
):
    Usage = namedtuple("Usage", "free")
    monkeypatch.setattr(shards.shutil, "disk_usage", lambda folder: Usage(92_000))
    with pytest.raises(OutOfSpace, match=rf"{little_memory}: expected 92,160 bytes .* found 92,000\. .*IMAGENET_CACHE"):
        run_trial(prepared, epochs=1, salt="full disk")
    assert list(little_memory.iterdir()) == []


def test_a_disk_that_another_fills_meanwhile_is_the_same_error(prepared, little_memory, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards.os, "posix_fallocate", full)
    with pytest.raises(OutOfSpace, match="expected 92,160 bytes"):
        run_trial(prepared, epochs=1, salt="full disk")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_f31_a_disk_that_reserves_nothing_and_runs_full_while_pictures_are_copied_is_the_same_error(tmp_path):
    scratch = Scratch(tmp_path, 2, SHAPE)
    scratch.close()
    said = rf"{tmp_path}: .* expected 96 bytes .* found "
    with Path("/dev/full").open("wb", buffering=0) as scratch._file, pytest.raises(OutOfSpace, match=said):
        scratch.write(np.arange(2), numbered(2))


# Answers in parts


def test_answers_in_parts_are_those_of_all_at_once(prepared, monkeypatch):
    store, _ = prepared
    whole = run_trial(prepared, epochs=2, salt="at once", model="mixed")
    monkeypatch.setattr(loop, "PART_BYTES", 1)
    asked = []
    predict = keras.Model.predict
    monkeypatch.setattr(keras.Model, "predict", lambda self, x, **o: asked.append(len(x)) or predict(self, x, **o))
    parts = run_trial(prepared, epochs=2, salt="in parts", model="mixed")
    assert max(asked) == 16 and len(asked) > 4
    for split in ("validation", "test"):
        assert shares_of(store, parts, split) == pytest.approx(shares_of(store, whole, split), **LIKE)
    for line, expected in zip(learned(read_history(store, parts)), learned(read_history(store, whole)), strict=True):
        assert line == pytest.approx(expected, **LIKE)


# Memory


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_memory_of_a_streamed_training_grows_neither_with_its_pictures_nor_with_its_classes(tmp_path):
    """First 60 and then 300 MB in six classes where 40 MB may be used; held in memory, the second take 800 MB more."""
    memory = {"IMAGENET_MEMORY_GB": "0.04", "IMAGENET_CACHE": str(tmp_path / "scratch")}
    said = program("trainings.py", "peak", str(tmp_path / "home"), "60,300", **memory)
    assert sum("more than the 40 MB that may be used: streamed from" in line for line in said) == 2
    small, large = (int(line.split()[-1]) for line in said if line.startswith("peak kB"))
    assert large - small < 60_000


def group_files(root: Path, folder: str, *, v2: bool, limit: str, used: int, cached: int) -> None:
    where = root / folder
    where.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if v2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    (where / names[0]).write_text(f"{limit}\n")
    (where / names[1]).write_text(f"{used}\n")
    (where / "memory.stat").write_text(f"anon 5\n{'' if v2 else 'total_'}inactive_file {cached}\n")


@pytest.fixture
def machine(tmp_path):
    """A machine with 8 MiB of free memory."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:  99999 kB\nMemFree: 1 kB\nMemAvailable:    8192 kB\n")
    return tmp_path


def test_without_control_groups_the_machines_free_memory_counts(machine):
    assert free_bytes(machine) == 8192 * 1024


@pytest.mark.parametrize("v2", [True, False])
def test_a_control_groups_limit_counts_without_the_files_that_it_caches(machine, v2):
    line, top = ("0::/task/a", "sys/fs/cgroup") if v2 else ("4:cpu,memory:/task/a", "sys/fs/cgroup/memory")
    (machine / "proc/self/cgroup").write_text(f"9:pids:/\n{line}\n")
    group_files(machine, f"{top}/task/a", v2=v2, limit="max" if v2 else str(2**63 - 4096), used=700, cached=100)
    assert free_bytes(machine) == 8192 * 1024
    group_files(machine, f"{top}/task", v2=v2, limit="5000", used=900, cached=200)
    assert free_bytes(machine) == 5000 - 900 + 200


def test_a_container_that_sees_its_own_group_as_the_top_one_has_its_limit(machine):
    (machine / "proc/self/cgroup").write_text("0::/docker/abc\n")
    group_files(machine, "sys/fs/cgroup", v2=True, limit="4000", used=1000, cached=0)
    assert free_bytes(machine) == 3000


def test_a_group_that_is_full_leaves_nothing(machine):
    (machine / "proc/self/cgroup").write_text("0::/\n")
    group_files(machine, "sys/fs/cgroup", v2=True, limit="1000", used=2000, cached=0)
    assert free_bytes(machine) == 0


def test_the_setting_is_in_gigabytes_and_without_it_a_share_of_what_is_free_may_be_used(monkeypatch):
    monkeypatch.setenv("IMAGENET_MEMORY_GB", "1.5")
    assert allowed_bytes() == 1_500_000_000
    monkeypatch.delenv("IMAGENET_MEMORY_GB")
    monkeypatch.setattr("imagenet_tasks.train.memory.free_bytes", lambda: 10**9)
    assert allowed_bytes() == SHARE * 10**9


@pytest.mark.parametrize("text", ["much", "0", "-1", "nan", "inf"])
def test_a_setting_that_is_no_amount_is_refused(monkeypatch, text):
    monkeypatch.setenv("IMAGENET_MEMORY_GB", text)
    with pytest.raises(ConfigError, match=f"IMAGENET_MEMORY_GB: expected a number .* received '{text}'"):
        allowed_bytes()
