"""The settings: what the profiles hold, how a setting is overridden, and what a wrong one says."""

import dataclasses
import json
import re
from collections import Counter

import numpy as np
import pytest

from imagenet_tasks.artifacts.references import Trial
from imagenet_tasks.errors import ConfigError
from imagenet_tasks.settings.classes import STUDY_CLASSES, classes_called, find_class
from imagenet_tasks.settings.config import from_json, to_json
from imagenet_tasks.settings.profiles import (
    PROFILES,
    make_config,
    parse_classes,
    read_settings,
    setting_names,
    shared_settings,
    with_classes,
)
from imagenet_tasks.settings.training import own_epochs

STAGES = ("download", "preprocess", "train", "evaluate", "augment")


def test_the_seed_profile_is_the_run_that_was_asked_for():
    config = make_config("seed")
    assert config.classes == STUDY_CLASSES and len(config.classes) == 20
    assert config.download.images_per_class == 800
    assert (config.train.model, config.train.batch_size, config.train.epochs) == ("convnet1", 128, None)
    assert 1 - config.preprocess.validation_share - config.preprocess.test_share == pytest.approx(0.8)
    assert (config.preprocess.rows_px, config.preprocess.columns_px) == (68, 45)
    assert config.evaluate.accuracy_goal == 0.5
    assert (config.augment.classes_to_augment, config.augment.pictures_to_add) == (3, 100)
    assert (config.train.retrain_model, config.train.retrain_epochs) == ("convnet5", None)
    assert (own_epochs("convnet1", 12_800), own_epochs("convnet5", 12_800)) == (32, 48)


def test_the_sample_profile_needs_no_data_and_little_time():
    config = make_config("sample")
    assert (config.download.source, config.download.images_per_class) == ("sample", 100)
    assert (config.train.model, config.train.epochs, config.train.require_gpu) == ("compact", 6, False)
    assert config.classes == STUDY_CLASSES


def test_the_best_profile_trains_the_compact_model_on_the_studys_classes():
    config = make_config("best")
    assert (config.download.source, config.download.images_per_class, config.train.model) == ("folder", 800, "compact")
    assert config.classes == STUDY_CLASSES
    assert config.augment.classes_to_augment == 5
    assert config.train.arms == ("longer", "collect", "collect-all", "targeted")


def test_no_two_stages_have_a_setting_of_one_name():
    names = [f.name for stage in STAGES for f in dataclasses.fields(getattr(PROFILES["seed"], stage))]
    assert [name for name, count in Counter([*names, "classes", "force"]).items() if count > 1] == []
    assert set(setting_names()) == {*names, "classes", "force"}


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_means_as_the_profile_says(profile):
    assert make_config(profile, dict.fromkeys(setting_names())) == PROFILES[profile]


@pytest.mark.parametrize("nothing", ["", [], "[]"])
def test_the_lists_of_a_profile_can_be_emptied(nothing):
    assert make_config("study", {"more_models": nothing}).train.more_models == ()
    assert make_config("study", {"arms": nothing}).train.arms == ("longer", "targeted")  # which are always there
    assert make_config("best", {"denied_transforms": nothing}).augment.denied_transforms == ()
    assert make_config("best", {"classes": nothing}).classes == ()  # all that the folder has
    manual = {"strategy": "manual", "augment_classes": nothing}
    with pytest.raises(ConfigError, match="augment_classes: expected classes with strategy 'manual'"):
        make_config("best", manual)
    with pytest.raises(ConfigError, match=r"classes: expected at least two.*only a folder can be asked for all"):
        make_config("best", {"source": "synset-archives", "classes": nothing})


def test_a_setting_that_a_profile_gives_can_be_left_to_the_program():
    assert PROFILES["sample"].train.epochs and make_config("sample", {"epochs": ""}).train.epochs is None
    assert make_config("seed", {"retrain_model": ""}).train.retrain_model == ""


@pytest.mark.parametrize("name", ["batch_size", "accuracy_goal", "horizontal_flip", "source", "precision"])
def test_a_setting_that_needs_a_value_cannot_be_emptied(name):
    with pytest.raises(ConfigError, match=f"{name}: .*received ''"):
        make_config("best", {name: ""})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("accuracy_goal", 0, 0.0),
        ("accuracy_goal", "0.6", 0.6),
        ("epochs", "3", 3),
        ("horizontal_flip", False, False),
        ("vertical_flip", "false", False),
        ("require_gpu", "true", True),
        ("validation_share", 0.25, 0.25),
        ("location", "s3://bucket/x", "s3://bucket/x"),
        ("force", "train", "train"),
        ("seed", 0, 0),
    ],
)
def test_an_override_replaces_the_profiles_value_and_no_other(name, value, expected):
    config = make_config("seed", {name: value})
    stage = setting_names()[name]
    assert getattr(getattr(config, stage) if stage else config, name) == expected
    changed = {name: getattr(getattr(PROFILES["seed"], stage) if stage else PROFILES["seed"], name)}
    restored = (
        dataclasses.replace(config, **{stage: dataclasses.replace(getattr(config, stage), **changed)})
        if (stage)
        else dataclasses.replace(config, **changed)
    )
    assert restored == PROFILES["seed"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", "web"),
        ("images_per_class", 0),
        ("images_per_class", "many"),
        ("images_per_class", 1.5),
        ("download_threads", 0),
        ("connect_timeout_s", 0),
        ("read_timeout_s", -1),
        ("total_timeout_s", float("inf")),
        ("attempts", 11),
        ("max_redirects", -1),
        ("max_bytes", 10),
        ("max_pixels", 0),
        ("min_side_px", 0),
        ("max_aspect", 0.5),
        ("rows_px", 8),
        ("columns_px", 4096),
        ("validation_share", 1.0),
        ("validation_share", float("nan")),
        ("test_share", -0.1),
        ("min_images_per_class", 0),
        ("denied_transforms", 5),
        ("model", "convnet9"),
        ("epochs", 0),
        ("retrain_epochs", -3),
        ("train_minutes", 0),
        ("batch_size", "128.5"),
        ("precision", "float16"),
        ("require_gpu", "perhaps"),
        ("seed", -1),
        ("accuracy_goal", 41),
        ("accuracy_goal", "50 %"),
        ("accuracy_goal", float("nan")),
        ("classes_to_augment", 0),
        ("pictures_to_add", 0),
        ("rotation_deg", 181),
        ("zoom_share", 1.0),
        ("horizontal_flip", 7),
        ("force", "everything"),
    ],
)
def test_a_bad_value_is_refused_naming_the_setting_and_what_was_received(name, value):
    with pytest.raises(ConfigError) as caught:
        make_config("seed", {name: value})
    assert name in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    "location", ["https://me:5ec7e7@host/x", "https://me@host/x", "s3://key:5ec7e7@bucket/x", "https://:5ec7e7@host"]
)
def test_a_location_with_a_user_name_or_a_password_is_refused_without_repeating_it(location):
    with pytest.raises(ConfigError, match=r"location: expected no user name or password") as caught:
        make_config("best", {"location": location})
    assert "5ec7e7" not in str(caught.value) and location not in str(caught.value)


@pytest.mark.parametrize(
    "location", ["/data/me@home", "data/a@b", "~/x", "s3://bucket/a@b", "https://host/x?sig=a@b", "C:\\data", "[x]"]
)
def test_a_location_with_an_at_sign_elsewhere_is_taken(location):
    assert make_config("best", {"location": location}).download.location == location


def test_a_location_that_is_no_url_is_refused_by_the_settings_name():
    with pytest.raises(ConfigError, match="location"):
        make_config("best", {"location": "http://[x"})


def test_a_misspelt_setting_is_refused_with_those_that_are_spelt_alike():
    with pytest.raises(ConfigError, match=r"^epoch: no such setting; did you mean epochs\b[^,]*\?$"):
        make_config("seed", {"epoch": 3})


def test_an_unknown_setting_is_refused_with_the_settings_there_are():
    with pytest.raises(
        ConfigError, match=r"^gpu_memory: no such setting; the settings are accept_imagenet_terms, .*zoom_share"
    ):
        make_config("seed", {"gpu_memory": 3})


def test_an_unknown_profile_is_refused_with_the_profiles_there_are():
    with pytest.raises(ConfigError, match=r"'thesis'.*sample, seed, study, best"):
        make_config("thesis")


def test_fewer_pictures_than_a_class_needs_are_not_asked_for():
    with pytest.raises(ConfigError, match=r"^min_images_per_class: expected at most 30, which is images_per_class.*50"):
        make_config("best", {"images_per_class": 30, "min_images_per_class": 50})
    few = make_config("best", {"images_per_class": 10})
    assert (few.preprocess.need(10), few.preprocess.need(800)) == (10, 20)
    assert make_config("best", {"min_images_per_class": 30}).preprocess.need(800) == 30


def test_a_run_of_before_that_lowered_it_unsaid_is_read():
    stored = json.loads(to_json(make_config("best", {"images_per_class": 10, "min_images_per_class": 10})))
    stored["preprocess"]["min_images_per_class"] = 20
    assert from_json(json.dumps(stored)).preprocess.min_images_per_class == 10
    with pytest.raises(ConfigError, match="min_images_per_class"):
        from_json(stored)


@pytest.mark.parametrize(
    ("profile", "settings", "said"),
    [
        ("best", {"images_per_class": 1}, "expected at least 3, one for each side of the split .*received 1"),
        ("study", {"images_per_class": 1}, "expected at least 2, one for each side of the split .*received 1"),
        ("seed", {"images_per_class": 4, "classes": "a,b"}, "test_share 0.1 and .* 0.1 of 8.*Set .* to 22 or more"),
        ("best", {"validation_share": 0.00001}, "the validation side would get 1e-05 of 16000.*Set .* to 23026"),
    ],
)
def test_fewer_pictures_than_the_shares_need_are_refused_with_how_many(profile, settings, said):
    with pytest.raises(ConfigError, match=f"^images_per_class: .*{said}"):
        make_config(profile, settings)


def test_with_the_advised_number_of_pictures_a_side_is_hardly_ever_empty():
    random = np.random.default_rng(0)
    for classes in (2, 20):
        settings = make_config("seed").preprocess
        count = settings.advised_images(classes) * classes
        empty = [(random.random(count) < settings.test_share).sum() == 0 for _ in range(2000)]
        assert np.mean(empty) < 0.02


def test_shares_that_leave_no_training_pictures_are_refused():
    with pytest.raises(ConfigError, match=r"validation_share \+ test_share is 1"):
        make_config("seed", {"validation_share": 0.5, "test_share": 0.5})


@pytest.mark.parametrize("rows, columns", [(36, 45), (68, 36)])
def test_a_size_that_the_model_cannot_take_is_refused_before_anything_is_downloaded(rows, columns):
    with pytest.raises(ConfigError, match=f"convnet1.*37.*{rows}x{columns}"):
        make_config("seed", {"rows_px": rows, "columns_px": columns})


@pytest.mark.parametrize("profile", PROFILES)
def test_settings_survive_their_json(profile):
    others = {"source": "folder", "classes": ["cobra", "Motorbikes"], "force": "train"}
    config = make_config(profile, {"accuracy_goal": 0.37, **others})
    assert from_json(to_json(config)) == config


@pytest.mark.parametrize(
    ("profile", "settings"),
    [
        *((profile, {}) for profile in PROFILES),
        ("sample", {"epochs": "", "classes": "cow, crane (n02012849)", "seed": 5}),
        ("best", {"connection": "mine", "location": "/a b/ü", "train_minutes": 3, "min_images_per_class": 30}),
        ("best", {"denied_transforms": "acropolis: zoom", "learning_curve": True, "more_models": "convnet1"}),
    ],
)
def test_a_runs_settings_are_given_to_another_as_json(profile, settings):
    config = make_config(profile, settings)
    for text in (shared_settings(config), to_json(config)):
        given = read_settings(text, where="x")
        assert make_config(given.pop("profile"), given) == config


def test_classes_with_ids_of_their_own_and_what_is_said_of_them_are_given_to_another_run():
    offered = tuple(classes_called(["vache (laitière)", "Cat", "cat", "n02510455", "n02012849"]).values())
    given = {"source": "folder", "classes": [], "strategy": "manual", "augment_classes": ["vache (laitière)", "crane"]}
    first = with_classes(make_config("best", given | {"denied_transforms": ["Cat: zoom"]}), offered)
    assert all("-" in entry for entry in (first.augment.augment_classes[0], *first.augment.denied_transforms))
    again = read_settings(shared_settings(first), where="x")
    assert with_classes(make_config(again.pop("profile"), again), offered) == first


@pytest.mark.parametrize("location", ["https://host/x?sig=5ec7e7", "s3://bucket/x?token=5ec7e7"])
def test_what_is_given_to_another_run_has_no_secret_and_nothing_that_the_form_refuses(location):
    private = {"location": location, "allowed_private_hosts": ["10.0.0.1"], "force": "train"}
    text = shared_settings(make_config("best", private))
    assert "5ec7e7" not in text and "10.0.0.1" not in text
    assert not {"location", "allowed_private_hosts", "force"} & json.loads(text).keys()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"x"', "null", "[" * 100_000, b"\xff\xfe\x00", b"\xc3("])
def test_settings_that_are_no_json_object_are_refused_with_where_they_stand(text):
    with pytest.raises(ConfigError, match=r'^--settings f: expected (a )?JSON.* such as {"epochs": 3}, found'):
        read_settings(text, where="--settings f")


def test_an_unknown_field_in_the_json_is_refused():
    with pytest.raises(ConfigError, match="surprise"):
        from_json(to_json(PROFILES["seed"]).replace('"force"', '"surprise"'))


@pytest.mark.parametrize(
    "value", ["cobra, n02403454", "cobra\nn02403454\n", ["n01747885", "cow"], ("COBRA", " cow "), "cobra,,cow,"]
)
def test_classes_are_a_list_or_a_text_with_commas_or_lines(value):
    assert [c.class_id for c in parse_classes(value, source="folder")] == ["n01747885", "n02403454"]
    assert [c.class_id for c in make_config("seed", {"classes": value}).classes] == ["n01747885", "n02403454"]


def test_names_are_wordnets_where_the_source_knows_classes_by_wnid():
    found = make_config("sample", {"classes": "bonobo, zebra, PALM_TREE"}).classes
    assert [(c.class_id, c.name) for c in found] == [
        ("n02482650", "pygmy chimpanzee"),
        ("n02391049", "zebra"),
        ("n12582231", "palm"),
    ]


def test_names_are_the_folders_own_where_the_source_is_a_folder():
    found = make_config("seed", {"classes": ["bonobo", "cow", "n07753592"]}).classes
    assert [(c.class_id, c.name) for c in found] == [
        ("bonobo", "bonobo"),
        ("n02403454", "cow"),
        ("n07753592", "banana"),
    ]


@pytest.mark.parametrize(("profile", "source"), [("seed", "sample"), ("sample", None), ("seed", "synset-archives")])
def test_an_ambiguous_name_is_refused_where_the_source_is_no_folder(profile, source):
    with pytest.raises(ConfigError, match=r"^classes: 'crane' is the name of 2 classes.*n02012849 crane: "):
        make_config(profile, {"classes": ["cobra", "crane"], "source": source})


@pytest.mark.parametrize("source", ["sample", "folder", "synset-archives", "url-list"])
def test_the_names_that_a_profile_shows_are_understood(source):
    names = [c.name for c in STUDY_CLASSES]
    assert make_config("best", {"source": source, "classes": names}).classes == STUDY_CLASSES


@pytest.mark.parametrize("order", [1, -1])
def test_the_source_that_was_asked_for_decides_in_any_order_of_the_settings(order):
    overrides = dict([("classes", ["Motorbikes", "cow"]), ("source", "folder")][::order])
    assert [c.class_id for c in make_config("sample", overrides).classes] == ["Motorbikes", "n02403454"]


def test_a_class_by_name_and_by_wnid_is_named_twice():
    with pytest.raises(ConfigError, match="n02482650 named more than once"):
        make_config("sample", {"classes": "bonobo, n02482650"})


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["cobra"], "one class"),
        (["cobra", "cow", "n01747885"], "n01747885 named more than once"),
        (["cobra", "../../etc"], r"'\.\./\.\./etc'"),
        (["cobra", "a\0b"], r"'a\\x00b'"),
        (["cobra", "x" * 256], "x" * 255),
        (["cobra", ".dog"], r"'\.dog'"),
    ],
)
def test_f52_classes_that_cannot_be_are_refused_by_name(classes, said):
    with pytest.raises(ConfigError, match=f"classes.*{said}"):
        make_config("seed", {"classes": classes})


@pytest.mark.parametrize("value", [" , ,", ["", " "], 7, {"cobra": 1}])
def test_f52_what_names_no_class_is_refused_and_not_taken_for_no_list(value):
    with pytest.raises(ConfigError, match=f"classes: expected.*received {re.escape(repr(value))}"):
        make_config("seed", {"classes": value})


def test_f51_more_classes_cannot_be_needed_than_the_run_has():
    with pytest.raises(ConfigError, match="min_classes: expected at most the run's 20 classes, received 21"):
        make_config("sample", {"min_classes": 21})
    assert make_config("sample", {"min_classes": 20}).preprocess.min_classes == 20


def test_the_study_profile_does_all_that_the_study_did_by_its_own_protocol():
    config = PROFILES["study"]
    assert config.train.models == ("convnet1", "convnet2", "convnet3", "convnet4")
    assert [own_epochs(m, 12_800) for m in config.train.models] == [32, 48, 64, 84]
    assert config.train.arms == ("longer", "targeted", "more", "correlated")
    assert (config.preprocess.test_steers, config.preprocess.test_share, config.preprocess.validation_share) == (
        True,
        0.2,
        0.0,
    )
    assert not config.augment.denied_transforms


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "correlated", "arms": "correlated"}, "arms: with strategy 'correlated'"),
        ({"arms": "targeted,targeted"}, "arms: expected each once"),
        ({"more_models": "compact"}, "more_models: expected each once"),
        ({"tune_candidates": 1}, "tune_candidates: expected 0 .no tuning. or 2 and more"),
        ({"validation_share": 0.0}, "validation_share: expected above 0"),
        ({"test_share": 0.0}, "test_share: expected above 0"),
        ({"tune_candidates": 4, "test_steers": True, "validation_share": 0}, "tune_candidates: .* test_steers"),
        ({"width": 0.5, "more_models": "convnet1"}, "width: acts on 'compact' alone; .* that trains convnet1"),
        ({"tune_candidates": 4, "model": "convnet1"}, "tune_candidates: acts on 'compact' alone"),
        ({"weight_decay": 0.0, "retrain_model": "convnet5"}, "weight_decay: acts on 'compact' alone"),
        ({"learning_curve": True, "seeds": 1}, "learning_curve: one training of each size says nothing"),
        (
            {"learning_curve": True, "seeds": 2, "test_steers": True, "validation_share": 0},
            "learning_curve: .* with test_steers these are the test pictures",
        ),
        ({"arms": "clean"}, "arms: 'clean' leaves out .* set label_check_folds to 2"),
        ({"arms": "mix,soften", "retrain_model": "convnet5"}, "arms: mix, soften change how 'compact' .* convnet5"),
        ({"label_check_folds": 1}, "label_check_folds: expected 0 .none. or 2 and more"),
        ({"seeds": 2, "final_models": 3}, "final_models: expected at most 2, as many as seeds"),
        ({"strategy": "manual"}, "augment_classes: expected classes with strategy 'manual'"),
        ({"augment_classes": "cobra"}, "augment_classes: expected classes with strategy 'manual'"),
        (
            {"strategy": "manual", "augment_classes": "zebra"},
            "augment_classes: expected classes of the run, received n02391049",
        ),
        ({"strategy": "manual", "augment_classes": "cow, nonsense"}, "nonsense"),
        ({"denied_transforms": "cobra"}, "denied_transforms: expected 'class: transform"),
        ({"denied_transforms": "cobra: melt"}, "denied_transforms: expected 'class: transform"),
        ({"test_steers": True}, "test_steers: then the test pictures validate"),
        ({"rounds": 4}, "train.rounds"),
    ],
)
def test_settings_of_the_repair_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        make_config("sample", settings)


def test_classes_of_the_repair_are_given_by_name_and_kept_by_wnid():
    config = make_config("sample", {"strategy": "manual", "augment_classes": "giant panda, n01747885"})
    assert config.augment.augment_classes == ("n02510455", "n01747885")
    denied = make_config("sample", {"denied_transforms": "acropolis: vertical_flip rotation, palm: zoom"}).augment
    assert denied.denied("n02676938") == {"vertical_flip", "rotation"}
    assert (denied.denied("n12582231"), denied.denied("n02510455")) == ({"zoom"}, frozenset())


# What the repair changes


def test_a_class_is_denied_what_its_entries_name_and_other_classes_nothing():
    settings = make_config(
        "seed", {"denied_transforms": "acropolis: vertical_flip rotation, n12582231:colour, acropolis: shear"}
    ).augment
    assert settings.denied("n02676938") == {"vertical_flip", "rotation", "shear"}
    assert settings.denied("n12582231") == {"colour"}
    assert settings.denied("n01747885") == frozenset()


def test_the_best_profile_turns_no_building_animal_or_vehicle_on_its_head():
    denied = {c.name for c in STUDY_CLASSES if "vertical_flip" in make_config("best").augment.denied(c.class_id)}
    assert {"acropolis", "armchair", "cow", "delivery truck", "giant panda", "palm"} <= denied
    assert not denied & {"jellyfish", "cobra", "aircraft", "computer keyboard"}
    assert make_config("study").augment.denied_transforms == ()  # the study flipped all


@pytest.mark.parametrize(
    "entry", ["acropolis", "acropolis:", "acropolis: spin", "acropolis: rotation spin", ": rotation", "xqzzy: rotation"]
)
def test_a_denial_of_no_class_or_of_no_transform_is_refused(entry):
    with pytest.raises(ConfigError, match=r"denied_transforms|classes"):
        make_config("sample", {"denied_transforms": entry})


@pytest.mark.parametrize(
    "overrides",
    [{"strategy": "manual"}, {"augment_classes": "cobra"}, {"strategy": "confused", "augment_classes": ["cobra"]}],
)
def test_classes_to_augment_are_named_with_the_strategy_manual_and_with_no_other(overrides):
    with pytest.raises(ConfigError, match="augment_classes: expected classes with strategy 'manual'"):
        make_config("seed", overrides)


def test_named_classes_to_augment_are_among_the_runs():
    manual = {"strategy": "manual", "augment_classes": "n02082791", "source": "synset-archives"}
    with pytest.raises(ConfigError, match=r"augment_classes: expected classes of the run, received n02082791"):
        make_config("seed", manual)
    with pytest.raises(
        ConfigError, match="augment_classes: expected classes of the run, received dog; the run has cat"
    ):
        make_config("seed", {"strategy": "manual", "augment_classes": "dog", "source": "folder", "classes": "cat,cow"})


def test_named_classes_that_the_profile_lacks_are_looked_for_in_the_folder():
    config = make_config("seed", {"strategy": "manual", "augment_classes": "cobra, my dog", "source": "folder"})
    assert (config.classes, config.augment.augment_classes) == ((), ("n01747885", "my dog"))
    config = make_config("seed", {"strategy": "manual", "augment_classes": "cobra", "source": "folder"})
    assert config.classes == STUDY_CLASSES


def test_the_control_and_the_studys_repair_are_always_among_the_arms():
    assert make_config("sample", {"arms": "untargeted, collect"}).train.arms == (
        "longer", "collect", "targeted", "untargeted"
    )  # fmt: skip
    assert make_config("sample", {"arms": ["targeted", "longer"]}).train.arms == ("longer", "targeted")


def test_the_controls_earlier_name_still_means_it():
    assert make_config("sample", {"arms": "none"}).train.arms == ("longer", "targeted")
    assert Trial(model="compact", seed=0, arm="none", dataset="d").arm == "longer"


def test_a_denied_transform_of_a_class_that_the_source_lacks_is_refused_once_its_classes_are_known():
    config = make_config("best", {"denied_transforms": "acropolsi: vertical_flip"})
    with pytest.raises(ConfigError, match="denied_transforms: expected classes of the run, received acropolsi"):
        with_classes(config, STUDY_CLASSES[:3])
    assert with_classes(make_config("best"), STUDY_CLASSES[:3]).classes == STUDY_CLASSES[:3]


def test_names_of_a_folders_classes_are_understood_once_they_are_known():
    given = {"source": "folder", "location": "/x", "strategy": "manual", "augment_classes": "barn"}
    config = make_config("best", given | {"denied_transforms": "Barn: vertical_flip"})
    classes = (find_class("n02793495"), find_class("n03902125"))
    settled = with_classes(config, classes).augment
    assert (settled.augment_classes, settled.denied_transforms) == (("n02793495",), ("n02793495: vertical_flip",))
    with pytest.raises(
        ConfigError, match=r"augment_classes: expected classes of the run, received ox; the run has barn"
    ):
        with_classes(make_config("best", given | {"augment_classes": "ox"}), classes)


@pytest.mark.parametrize(
    "text",
    ["collect,\nuntargeted,", "collect\nuntargeted", "collect, untargeted", '["collect", "untargeted"]'],
)
def test_a_list_of_words_is_a_text_with_commas_or_lines_or_a_json_list(text):
    wanted = make_config("best", {"arms": ["collect", "untargeted"]}).train.arms
    assert make_config("best", {"arms": text}).train.arms == wanted


def test_classes_one_a_line_may_end_with_a_comma():
    assert [c.name for c in parse_classes("salt, pepper,\nsugar,", source="folder")] == ["salt, pepper", "sugar"]


def test_brackets_without_end_are_a_name():
    with pytest.raises(ConfigError, match="classes"):
        make_config("best", {"classes": "[" * 9000})


@pytest.mark.parametrize("setting", ["augment_classes", "denied_transforms"])
def test_of_classes_that_differ_in_case_the_one_that_is_written_is_meant(setting):
    names = {"augment_classes": ["Cat"], "denied_transforms": ["Cat: zoom"]}
    given = {"classes": ["Cat", "cat", "dog"], setting: names[setting]}
    given |= {"strategy": "manual"} if setting == "augment_classes" else {}
    config = make_config("best", given)
    classes = tuple(classes_called(["Cat", "cat", "dog"]).values())
    ids = {c.name: c.class_id for c in classes}
    (placed, *_) = set(getattr(with_classes(config, classes).augment, setting)) - set(
        make_config("best").augment.denied_transforms
    )
    assert placed.partition(":")[0] == ids["Cat"]
