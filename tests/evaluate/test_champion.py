"""The best model over all runs: which one takes its place, and what is kept of it."""

import json
import shutil

import numpy as np
import pytest
from fakes.models import fake_model, trial_of
from fakes.pictures import COBRA, COW, PANDA, fill, quiet, small_dataset

from imagenet_tasks.artifacts.arrays import read_probabilities, read_split
from imagenet_tasks.artifacts.champion_changes import pin, revert
from imagenet_tasks.artifacts.champions import (
    KEY,
    REVERTIBLE,
    champion_of,
    choose_champion,
    key_of,
    read_entries,
    split_change,
)
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.errors import ArtifactError, ChecksumMismatch, NetworkUnusable, TrainingError
from imagenet_tasks.evaluate.champion import _lead, promote
from imagenet_tasks.evaluate.stage import evaluate_baseline, evaluate_repair
from imagenet_tasks.preprocess.stage import build_dataset, preprocess_class
from imagenet_tasks.settings.classes import folder_class
from imagenet_tasks.settings.config import DownloadConfig, PreprocessConfig
from imagenet_tasks.statistics.intervals import wilson
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    where = tmp_path_factory.mktemp("champion")
    store = Store(where / "home")
    return store.root, small_dataset(store, where / "data")


@pytest.fixture
def prepared(made, tmp_path):
    """A store of its own with the dataset in it."""
    home, dataset = made
    shutil.copytree(str(home), tmp_path / "home")
    return Store(tmp_path / "home"), dataset


def evaluated(prepared, name, *accuracies):
    """A baseline round whose seeds have these accuracies."""
    store, dataset = prepared
    models = [
        fake_model(store, dataset, f"{name}{seed}", validation=a, test=a, trial=trial_of(dataset, seed=seed))
        for seed, a in enumerate(accuracies)
    ]
    return evaluate_baseline(store, dataset, models)[0]


def promoted(prepared, evaluations, *, run_id="r", drawn=False, dataset=None, ask=None):
    """What becomes of a run's best model; the champion answers what its own file says, where nothing else does."""
    store, own = prepared
    dataset = dataset or own

    def answers(champion):
        pictures = sum(c.validation for c in dataset.classes)
        return read_probabilities(store, dataset, champion.model, "validation", pictures).argmax(axis=1).tolist()

    run = Run(store, "dag", run_id)
    return promote(store, dataset, evaluations, run, profile="best", drawn=drawn, ask=ask or answers)


def never(champion):
    raise AssertionError("the champion was asked for nothing")


def entry(prepared, *, drawn=False):
    store = prepared[0]
    return champion_of(store, read_entries(store), key_of([COBRA, COW, PANDA], drawn=drawn))


def looked_at(champion, prepared, *run_ids):
    """The champion, its test pictures looked at by these runs."""
    folders = tuple(Run(prepared[0], "dag", run_id).folder for run_id in run_ids)
    return champion.model_copy(update={"looked_at_by": folders})


def test_the_first_model_of_a_list_of_classes_becomes_its_champion_with_where_it_comes_from(prepared):
    dataset = prepared[1]
    result = promoted(prepared, [evaluated(prepared, "a", 0.5)], run_id="manual__1")
    champion = entry(prepared)
    assert (result["outcome"], result["champion"]) == ("promoted", champion.as_dict())
    pictures = sum(c.validation for c in dataset.classes)
    right = round(champion.validation_accuracy * pictures)
    assert (champion.validation_accuracy, champion.validation_pictures) == (right / pictures, pictures)
    assert champion.validation_interval == wilson(right, pictures)
    assert (champion.model.fingerprint, champion.model.trial.seed) == ("a0", 0)
    assert [(c.class_id, c.name) for c in champion.classes] == [(c.class_id, c.name) for c in dataset.classes]
    assert (champion.rows_px, champion.columns_px, champion.dataset) == (16, 16, dataset.fingerprint)
    assert (champion.dag_id, champion.run_id, champion.profile) == ("dag", "manual__1", "best")
    assert (champion.training.device, champion.former, champion.drawn) == ("cpu", (), False)


def test_the_candidate_is_the_best_single_training_over_all_rounds_and_arms(prepared):
    store, dataset = prepared
    baseline = evaluated(prepared, "b", 0.3, 0.4)
    repaired = [
        fake_model(
            store, dataset, f"{arm}{seed}", validation=a, test=a, trial=trial_of(dataset, seed=seed, arm=arm, round=1)
        )
        for arm, accuracies in (("targeted", (0.5, 0.6)), ("longer", (0.9, 0.2)))
        for seed, a in enumerate(accuracies)
    ]
    repair, _ = evaluate_repair(store, dataset, repaired, baseline=baseline, previous=baseline, repaired=[0])
    promoted(prepared, [baseline, repair])
    assert entry(prepared).model == repaired[2]


def test_only_a_model_that_is_better_beyond_chance_takes_the_champions_place(prepared):
    promoted(prepared, [evaluated(prepared, "first", 0.5)], run_id="first")
    high = entry(prepared).validation_interval[1]
    kept = promoted(prepared, [evaluated(prepared, "little", high + 0.02)], run_id="little")
    assert (kept["outcome"], entry(prepared).run_id) == ("kept", "first")
    pictures = entry(prepared).validation_pictures
    assert (
        "does not differ by more than chance from the champion of run first, Baseline (compact, seed 0), 51.6 %"
        in kept["why"]
    )
    assert f"51.6 % on the same {pictures} pictures: the difference's 97.5 % interval is −" in kept["why"]
    worse = promoted(prepared, [evaluated(prepared, "less", 0.1)], run_id="less")
    assert (worse["outcome"], entry(prepared).run_id) == ("kept", "first")
    assert "is worse by more than chance than the champion" in worse["why"]
    better = promoted(prepared, [evaluated(prepared, "much", 0.95)], run_id="much")
    assert (better["outcome"], entry(prepared).run_id) == ("promoted", "much")
    assert f"than the champion of run first, Baseline (compact, seed 0), 51.6 % on the same {pictures}" in better["why"]
    (former,) = entry(prepared).former
    assert (former.model.fingerprint, former.run_id, former.replaced_why) == ("first0", "first", better["why"])
    assert former.replaced_s == entry(prepared).promoted_s > former.promoted_s


def test_the_best_of_more_trainings_must_be_better_by_more(prepared):
    promoted(prepared, [evaluated(prepared, "old", 0.5)], run_id="old")
    many = evaluated(prepared, "many", 0.85, *[0.1] * 19)
    assert promoted(prepared, [many])["outcome"] == "kept"
    assert promoted(prepared, [evaluated(prepared, "one", 0.85)])["outcome"] == "promoted"


@pytest.mark.parametrize("trials", [1, 5])
@pytest.mark.parametrize("stay", [0.0, 0.9])
def test_of_weekly_reruns_whose_models_are_all_equally_good_few_ever_replace_the_champion(trials, stay):
    """Some pictures stay from week to week; the new ones may be easier or harder than those before."""
    random, replaced = np.random.default_rng(0), 0
    for _ in range(400):
        ease, champion = np.empty(200), np.empty(200, bool)
        for week in range(6):
            new = random.random(200) >= (stay if week else 0)
            ease[new] = random.normal(scale=0.5) + 2 * random.normal(size=new.sum())
            rights = ease + random.logistic(size=(trials + 1, 200)) > 0
            champion[new] = rights[-1, new]
            best = max(rights[:-1], key=np.mean)
            if week == 0:
                champion = best.copy()
            elif _lead(champion, best, trials=trials, turn=week)[0] > 0:
                replaced += 1
                break
    assert replaced <= 20  # of 400 champions


def test_a_model_that_is_truly_better_takes_the_champions_place():
    random = np.random.default_rng(0)
    truth = 0.0901  # of a model to which each picture is so much easier, over four million of them
    leads = []
    for _ in range(200):
        ease = 2 * random.normal(size=1000)
        rights = (ease + gain + random.logistic(size=1000) > 0 for gain in (0, 0.6))
        leads.append(_lead(*rights, trials=3, turn=1)[:2])
    assert np.mean([low > 0 for low, _ in leads]) > 0.95
    assert np.mean([low < truth < high for low, high in leads]) > 0.97


def test_all_comparisons_of_a_champion_together_are_as_often_wrong_as_one():
    wrong = [1 - _lead(np.ones(9, bool), np.ones(9, bool), trials=3, turn=turn)[2] for turn in range(1, 1000)]
    assert 3 * sum(wrong) == pytest.approx(0.05, rel=0.01)


def test_the_champion_is_asked_only_where_its_answers_can_decide(prepared, tmp_path):
    store, first = prepared[0], evaluated(prepared, "first", 0.5)
    promoted(prepared, [first], run_id="first", ask=never)
    assert promoted(prepared, [first], run_id="first", ask=never)["outcome"] == "promoted"
    assert promoted(prepared, [first], run_id="again", ask=never)["outcome"] == "kept"
    steered = small_dataset(store, tmp_path / "steered", validation_share=0.0, test_steers=True)
    assert promoted(prepared, [evaluated((store, steered), "st", 0.9)], dataset=steered, ask=never)["champion"]
    others = [evaluated(prepared, name, 0.5) for name in ("second", "third")]
    kept = promoted(prepared, others[:1], run_id="second")
    assert kept["outcome"] == "kept"
    again = promoted(prepared, others[:1], run_id="a rerun", ask=never)
    assert (again["outcome"], again["why"]) == ("kept", kept["why"])
    promoted(prepared, others[1:], run_id="third")
    assert promoted(prepared, others[:1], run_id="the second again", ask=never)["why"] == kept["why"]
    with pytest.raises(AssertionError, match="asked for nothing"):
        promoted(prepared, others, run_id="fourth", ask=never)  # the best of more trainings is another question


@pytest.mark.parametrize(
    "error",
    [
        TrainingError("asking: the child process ended by signal SIGSEGV without an answer. Its last lines are above."),
        ArtifactError("asking: the child process ended by signal SIGSEGV without an answer"),
    ],
)
def test_a_champion_that_does_not_answer_stays_and_is_asked_again_the_next_time(prepared, error):
    promoted(prepared, [evaluated(prepared, "first", 0.2)], run_id="first")
    better, before = evaluated(prepared, "better", 0.95), entry(prepared)

    def fail(champion):
        raise error

    result = promoted(prepared, [better], ask=fail)
    assert (result["outcome"], entry(prepared)) == ("kept", looked_at(before, prepared, "first", "r"))
    assert result["why"].endswith(
        "is not compared with the champion of run first, Baseline (compact, seed 0), which did not answer: "
        "asking: the child process ended by signal SIGSEGV without an answer"
    )
    assert promoted(prepared, [better])["outcome"] == "promoted"


def test_a_champion_that_can_no_longer_be_loaded_is_replaced(prepared, caplog):
    promoted(prepared, [evaluated(prepared, "first", 0.9)], run_id="first")

    def refuse(champion):
        raise NetworkUnusable("a layer that this Keras does not know")

    result = promoted(prepared, [evaluated(prepared, "new", 0.4)], run_id="new", ask=refuse)
    assert (result["outcome"], entry(prepared).run_id) == ("promoted", "new")
    assert "can no longer be loaded" in result["why"] and "a layer that" in caplog.text


def test_a_run_whose_report_is_written_again_says_again_that_its_model_was_promoted(prepared):
    promoted(prepared, [evaluated(prepared, "before", 0.3)], run_id="before")
    evaluation = evaluated(prepared, "retried", 0.9)
    promoted(prepared, [evaluation], run_id="same")
    before = prepared[0].read_bytes(KEY)
    again = promoted(prepared, [evaluation], run_id="same")
    assert (again["outcome"], prepared[0].read_bytes(KEY)) == ("promoted", before)
    assert [former["run_id"] for former in again["champion"]["former"]] == ["before"]


def test_a_run_that_is_repeated_promotes_nothing(prepared):
    evaluation = evaluated(prepared, "same", 0.5)
    promoted(prepared, [evaluation], run_id="one")
    before = entry(prepared)
    again = promoted(prepared, [evaluation], run_id="two")
    assert (again["outcome"], entry(prepared)) == ("kept", looked_at(before, prepared, "one", "two"))
    assert "is the champion already" in again["why"]


def looks(prepared):
    return [folder.split("/")[2].rpartition("-")[0] for folder in entry(prepared).looked_at_by]


def test_a_run_with_nothing_new_is_no_further_look(prepared):
    store, dataset = prepared
    promoted(prepared, [evaluated(prepared, "one", 0.5)], run_id="one")
    again = Run(store, "dag", "two")
    promote(store, dataset, [], again, profile="best", drawn=False, ask=never, looks=False)
    assert looks(prepared) == ["one"]


def test_a_champions_test_pictures_are_looked_at_by_each_run_that_has_at_least_half_of_them(prepared, tmp_path):
    store = prepared[0]
    promoted(prepared, [evaluated(prepared, "first", 0.5)], run_id="first")
    more = small_dataset(store, tmp_path / "more", count=60)  # these pictures, and others
    promoted((store, more), [evaluated((store, more), "more", 0.4)], dataset=more, run_id="more")
    assert looks(prepared) == ["first", "more"]
    few = small_dataset(store, tmp_path / "few", count=12)
    promoted((store, few), [evaluated((store, few), "few", 0.4)], dataset=few, run_id="few")
    assert looks(prepared) == ["first", "more"]
    promoted(prepared, [evaluated(prepared, "best", 0.95)], run_id="best")
    assert entry(prepared).run_id == "best" and looks(prepared) == ["first", "more", "best"]


def test_a_pinned_champion_is_not_replaced_and_the_run_says_so(prepared):
    store = prepared[0]
    promoted(prepared, [evaluated(prepared, "first", 0.3)], run_id="first")
    better = evaluated(prepared, "better", 0.95)
    since_s = pin(store, "first").pinned_s
    assert pin(store, "first").pinned_s == since_s  # again changes nothing
    kept = promoted(prepared, [better], run_id="second", ask=never)
    assert kept["outcome"] == "kept" and kept["why"].startswith(
        "it is pinned, so this run's best, Baseline (compact, seed "
    )
    assert (entry(prepared).run_id, entry(prepared).compared) == ("first", ())
    shutil.rmtree(str(store.path("models/first0")))
    assert promoted(prepared, [better], run_id="third", ask=never)["outcome"] == "kept"
    pin(store, "first", pinned=False)
    assert promoted(prepared, [better], run_id="fourth")["outcome"] == "promoted"


def test_a_former_champion_takes_its_place_again_with_its_comparisons_and_stays_there(prepared):
    store = prepared[0]
    promoted(prepared, [evaluated(prepared, "a", 0.3)], run_id="a")
    promoted(prepared, [evaluated(prepared, "little", 0.32)], run_id="little")
    before = entry(prepared)
    newer = evaluated(prepared, "b", 0.95)
    promoted(prepared, [newer], run_id="b")
    champion = revert(store, "a", dag_id="dag")
    assert champion == entry(prepared)
    assert (champion.model, champion.compared, champion.run_id) == (before.model, before.compared, "a")
    assert looks(prepared) == ["a", "little", "b"]
    assert [(former.run_id, former.replaced_why[:12]) for former in champion.former] == [
        ("a", "Baseline (co"), ("b", "reverted by "),
    ]  # fmt: skip
    assert promoted(prepared, [newer], run_id="b again")["why"].startswith("it is pinned")
    assert [former.run_id for former in champion.revertible] == ["b"]  # of one model the last reign, and not its own
    assert revert(store, "b").run_id == "b"


def test_only_the_last_champions_before_it_can_be_reverted_to(prepared):
    store = prepared[0]
    for place in range(REVERTIBLE + 2):
        shutil.rmtree(str(store.path(f"models/m{place - 1}0")), ignore_errors=True)  # so that the next one replaces it
        promoted(prepared, [evaluated(prepared, f"m{place}", 0.5)], run_id=f"run {place}")
    assert [former.run_id for former in entry(prepared).former] == [f"run {n}" for n in range(REVERTIBLE + 1)]
    assert [former.run_id for former in entry(prepared).revertible] == [f"run {n}" for n in range(REVERTIBLE, 0, -1)]
    before = store.read_bytes(KEY)
    for run_id in ("run 0", "another"):
        with pytest.raises(ArtifactError, match=f"one of the last 5 former champions .* has one of run '{run_id}'"):
            revert(store, run_id)
    with pytest.raises(ArtifactError, match="can no longer be reverted to, and nothing was changed"):
        revert(store, "run 1")
    assert store.read_bytes(KEY) == before


def test_a_former_champion_whose_network_was_swapped_is_not_reverted_to(prepared):
    store = prepared[0]
    promoted(prepared, [evaluated(prepared, "a", 0.3)], run_id="a")
    promoted(prepared, [evaluated(prepared, "b", 0.95)], run_id="b")
    shutil.rmtree(str(store.path("models/a0")))
    with store.publish("models/a0") as attempt:
        (attempt / "model.keras").write_bytes(b"a network with a marker of its own")
    with pytest.raises(ChecksumMismatch, match="expected the champion's network"):
        revert(store, "a")
    assert entry(prepared).run_id == "b"


def test_the_champion_of_one_of_two_workflows_with_runs_of_one_name_is_named_with_its_workflow(prepared):
    promoted(prepared, [evaluated(prepared, "photo", 0.4)], run_id="same")
    promoted(prepared, [evaluated(prepared, "drawn", 0.4)], run_id="same", drawn=True)
    with pytest.raises(ArtifactError, match="2 lists of classes have one of run 'same'"):
        pin(prepared[0], "same", dag_id="dag")
    with pytest.raises(ArtifactError, match="no list of classes has one of run 'same'"):
        pin(prepared[0], "same", dag_id="another")


def test_a_model_whose_test_pictures_steered_is_never_promoted(prepared, tmp_path):
    store = prepared[0]
    steered = small_dataset(store, tmp_path / "steered", validation_share=0.0, test_steers=True)
    result = promoted(prepared, [evaluated((store, steered), "st", 0.9)], dataset=steered)
    assert (result["outcome"], result["champion"], store.exists(KEY)) == ("not eligible", None, False)
    assert "test pictures steered" in result["why"]


def test_a_model_of_another_split_is_not_compared_with_the_champion(prepared, tmp_path):
    """The one's validation pictures may have trained the other."""
    store = prepared[0]
    promoted(prepared, [evaluated(prepared, "first", 0.4)], run_id="first")
    other = small_dataset(store, tmp_path / "other", validation_share=0.4)
    result = promoted(prepared, [evaluated((store, other), "second", 0.95)], dataset=other, run_id="second")
    assert (result["outcome"], entry(prepared).run_id) == ("kept", "first")
    assert "split by other settings" in result["why"]


def given(store, where, **parts):
    """Three classes of pictures of a set that is split already."""
    for part, seeds in parts.items():
        for place, class_id in enumerate((COBRA, COW, PANDA)):
            fill(where / part / class_id, [1000 * place + seed for seed in seeds])
    download = DownloadConfig(source="folder", location=str(where), images_per_class=100)
    shape = PreprocessConfig(rows_px=16, columns_px=16, min_images_per_class=1)
    pairs = []
    for class_id in (COBRA, COW, PANDA):
        ref, _ = download_class(store, download, folder_class(class_id), progress=quiet())
        pairs.append((ref, preprocess_class(store, shape, ref, progress=quiet())[0]))
    return build_dataset(store, download, shape, pairs)[0]


def test_pictures_that_the_champion_has_trained_on_do_not_judge_it(tmp_path):
    """Of a given split the files may be moved, and a picture that lies in two parts may change its side."""
    store, seeds = Store(tmp_path / "home"), list(range(36))
    first = given(store, tmp_path / "a", train=seeds[:20], val=seeds[20:32], test=seeds[32:])
    promoted((store, first), [evaluated((store, first), "first", 0.4)], run_id="first")
    assert split_change(store, first, drawn=False) == ""
    other = given(store, tmp_path / "b", train=seeds[:16] + seeds[26:36], val=seeds[16:26], test=[99])
    result = promoted(
        (store, other), [evaluated((store, other), "second", 0.5)], run_id="second", ask=lambda _: [0] * 30
    )
    assert "on the same 18 pictures, without 12 that it has trained on and with " in result["why"]
    said = split_change(store, other, drawn=False)
    assert "lie in other parts of their set than in run first" in said and "12 test pictures of that run" in said
    swapped = given(store, tmp_path / "c", train=seeds[20:], val=seeds[:12], test=[99])
    result = promoted(
        (store, swapped), [evaluated((store, swapped), "third", 0.9)], run_id="third", ask=lambda _: [0] * 36
    )
    assert result["outcome"] == "kept" and "has trained on all validation pictures" in result["why"]


def test_pictures_that_were_added_to_the_champions_training_do_not_judge_it(prepared):
    store, dataset = prepared
    trial = trial_of(dataset, added=(dataset.classes[0].array,))
    first = fake_model(store, dataset, "first", validation=0.4, test=0.4, trial=trial)
    promoted(prepared, [evaluate_baseline(store, dataset, [first])[0]], run_id="first")
    result = promoted(prepared, [evaluated(prepared, "second", 0.5)], run_id="second")
    assert f", without {dataset.classes[0].validation} that it has trained on and with " in result["why"]


def test_a_change_of_the_split_says_how_many_test_pictures_may_train_now(prepared, tmp_path):
    store, dataset = prepared
    assert split_change(store, dataset, drawn=False) == ""
    promoted(prepared, [evaluated(prepared, "first", 0.4)], run_id="first")
    assert split_change(store, dataset, drawn=False) == ""
    other = small_dataset(store, tmp_path / "other", validation_share=0.05, test_share=0.05)
    tested, trained = (
        {row.image_id for row in read_split(store, of, side)} for of, side in ((dataset, "test"), (other, "train"))
    )
    said = split_change(store, other, drawn=False)
    assert tested & trained and f"{len(tested & trained)} test pictures of that run may train now" in said
    assert "run first" in said and split_change(store, other, drawn=True) == ""


def test_drawn_pictures_and_photos_have_champions_of_their_own(prepared):
    promoted(prepared, [evaluated(prepared, "drawn", 0.95)], drawn=True, run_id="drawn")
    assert promoted(prepared, [evaluated(prepared, "photo", 0.4)], run_id="photo")["outcome"] == "promoted"
    assert (entry(prepared, drawn=True).run_id, entry(prepared).run_id) == ("drawn", "photo")
    assert choose_champion(prepared[0], [PANDA, COBRA, COW]).run_id == "photo"


def test_without_a_list_of_classes_the_one_promoted_last_is_chosen(prepared):
    promoted(prepared, [evaluated(prepared, "photo", 0.4)], run_id="photo")
    promoted(prepared, [evaluated(prepared, "drawn", 0.95)], drawn=True, run_id="drawn")
    assert choose_champion(prepared[0]).run_id == "drawn"


def test_classes_without_a_champion_are_said_with_those_that_have_one(prepared):
    with pytest.raises(ArtifactError, match="no champion yet"):
        choose_champion(prepared[0])
    promoted(prepared, [evaluated(prepared, "x", 0.4)])
    with pytest.raises(
        ArtifactError, match=rf"exactly the classes {COBRA}. Expected one of: .*\({COBRA}\), .*\({COW}\)"
    ):
        choose_champion(prepared[0], [COBRA])
    names = [c.name.upper() for c in entry(prepared).classes]
    assert choose_champion(prepared[0], names) == entry(prepared)


@pytest.mark.parametrize("harm", ["gone", "damaged", "swapped"])
def test_a_champion_whose_model_cannot_be_used_is_replaced_with_a_warning(prepared, harm, caplog):
    store = prepared[0]
    promoted(prepared, [evaluated(prepared, "old", 0.9)], run_id="old")
    folder = store.path("models/old0")
    if harm == "damaged":
        store.write_bytes("models/old0/model.keras", b"other bytes")
    else:
        shutil.rmtree(str(folder))
    if harm == "swapped":
        with store.publish("models/old0") as attempt:
            (attempt / "model.keras").write_bytes(b"a network with a marker of its own")
    result = promoted(prepared, [evaluated(prepared, "new", 0.4)], run_id="new")
    assert (result["outcome"], entry(prepared).run_id) == ("promoted", "new")
    assert "cannot be used and is replaced" in caplog.text


def test_a_candidate_whose_model_is_damaged_is_not_promoted(prepared):
    evaluation = evaluated(prepared, "bad", 0.9)
    prepared[0].write_bytes("models/bad0/model.keras", b"other bytes")
    with pytest.raises(ArtifactError, match="expected SHA-256"):
        promoted(prepared, [evaluation])
    assert not prepared[0].exists(KEY)


def _changed(text: str, how: str) -> str:
    entries = json.loads(text)
    (key,) = entries
    if how == "cut":
        return text[:-20]
    if how == "a list":
        return json.dumps([entries])
    if how == "a class less":
        entries[key]["classes"].pop()
    elif how == "no share":
        entries[key]["validation_accuracy"] = 41
    else:
        del entries[key]["model_sha256"]
    return json.dumps(entries)


@pytest.mark.parametrize("how", ["cut", "a list", "a class less", "no share", "a field less"])
def test_a_file_that_was_changed_by_hand_is_refused_with_what_to_do(prepared, how):
    store = prepared[0]
    evaluation = evaluated(prepared, "edited", 0.4)
    promoted(prepared, [evaluation])
    store.write_bytes(KEY, _changed(store.read_bytes(KEY).decode(), how).encode())
    uses = [lambda: promoted(prepared, [evaluation]), lambda: choose_champion(store)]
    for use in (*uses, lambda: choose_champion(store, [COBRA, COW, PANDA])):
        with pytest.raises(ArtifactError, match=r"champion\.json(.|\n)*Restore it, or delete it"):
            use()


@pytest.mark.parametrize("foreign", [None, 41, {"model": "of a newer version"}])
def test_what_other_classes_entries_hold_is_neither_judged_nor_changed(prepared, foreign):
    store = prepared[0]
    store.write_json(KEY, {"0" * 16: foreign})
    assert promoted(prepared, [evaluated(prepared, "own", 0.5)])["outcome"] == "promoted"
    assert store.read_json(KEY)["0" * 16] == foreign
    assert choose_champion(store, [COBRA, COW, PANDA]) == entry(prepared)


def test_an_entry_under_another_classes_key_is_refused_there(prepared):
    store = prepared[0]
    promoted(prepared, [evaluated(prepared, "moved", 0.5)])
    (own,) = read_entries(store).values()
    store.write_json(KEY, {key_of([COBRA, COW], drawn=False): own})
    with pytest.raises(ArtifactError, match="the classes of this entry have another key"):
        choose_champion(store, [COBRA, COW])


@pytest.mark.parametrize("content", [b"null", b"[]", b"7"])
def test_f54_what_is_no_list_of_champions_is_refused_and_not_taken_for_none(prepared, content):
    """Else `prune` would offer the champion's network."""
    prepared[0].write_bytes(KEY, content)
    with pytest.raises(ArtifactError, match="expected one entry per list of classes"):
        read_entries(prepared[0])


def test_a_champion_whose_training_pictures_are_damaged_is_not_compared_and_stays(prepared, tmp_path):
    store, dataset = prepared
    promoted(prepared, [evaluated(prepared, "first", 0.4)], run_id="first")
    other = small_dataset(store, tmp_path / "other", count=44)
    store.write_bytes(f"{dataset.folder}/split.csv", store.read_bytes(f"{dataset.folder}/split.csv") + b"x")
    result = promoted((store, other), [evaluated((store, other), "second", 0.9)], run_id="second", ask=never)
    assert result["outcome"] == "kept" and "what the champion was trained on is damaged" in result["why"]
