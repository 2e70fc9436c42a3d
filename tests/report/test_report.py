import json
import math
from dataclasses import replace

import pytest
from report_page import class_of, report

from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.report import settings, wording
from imagenet_tasks.report.stage import write_report
from imagenet_tasks.settings.profiles import shared_settings

HOSTILE = "</script></title></style><img src=x onerror=alert(1)>"
ADDRESSES = {"src", "href", "xlink:href", "action", "formaction", "data", "poster", "srcset", "background"}


def test_a_gain_is_said_with_the_numbers_of_the_comparison(build_run):
    inputs = build_run(before=0.3, after=0.8, seeds=2)
    result, page, figures = report(inputs)
    folder = inputs.kept.evaluation.folder
    comparison = json.loads(inputs.run.store.open_file(folder, "comparison.json").read_bytes())
    test, control = comparison["test"], comparison["control"]
    assert result["verdict"] == control["verdict"] == "helped"
    assert "The repair helped" in page.text
    assert (result["test_before"], result["test_after"]) == (test["before"], test["after"])
    assert page.text_of["test-before"] == wording.percent(test["before"])
    assert page.text_of["test-control"] == wording.percent(control["before"])
    assert page.text_of["test-after"] == wording.percent(test["after"])
    assert page.text_of["test-difference"].startswith(wording.points(control["difference"]))
    numbers = test.keys() - {"verdict", "per_class"}
    assert {k: figures["verdict"]["test"][k] for k in numbers} == {k: test[k] for k in numbers}
    assert figures["verdict"]["gain"] == {k: v for k, v in control.items() if k != "per_class"}
    (low, high), (seeds_low, seeds_high) = control["interval"], control["seed_interval"]
    assert result["headline"] == (
        f"Test accuracy {100 * test['before']:.1f} % -> {100 * test['after']:.1f} % (targeted); against training "
        f"longer {100 * control['difference']:+.1f} points (mean of 2 seeds, 95 % interval {100 * low:+.1f} to "
        f"{100 * high:+.1f} over pictures, {100 * seeds_low:+.1f} to {100 * seeds_high:+.1f} over seeds): helped"
    )
    assert result["chosen"] == [c.class_id for c in inputs.kept.plan.targeted] and result["arm"] == "targeted"


def test_a_loss_is_said_as_plainly(build_run):
    """Better on validation, which chose it, and worse on test."""
    result, page, _ = report(build_run(before=0.8, after=0.9, tested=0.3, seeds=2))
    assert result["verdict"] == "hurt"
    assert "The repair hurt" in page.text
    assert "Keep the model that was trained longer" in page.text


def test_no_difference_shown_claims_neither(build_run):
    result, page, _ = report(build_run(before=0.5, after=0.54, seeds=2))
    assert result["verdict"] == "no difference shown"
    assert "No difference shown" in page.text
    assert "It is not shown that the repair helped" in page.text


def test_where_no_repair_did_better_on_validation_that_is_the_verdict(build_run):
    result, page, _ = report(build_run(before=0.5, after=0.5, seeds=2, arms=(("more", 0.4),)))
    assert result["verdict"] == "nothing helped" and result["arm"] == "longer"
    assert "No repair helped" in page.text
    assert "Changed copies and twice as many changed copies were tried for the confused classes" in page.text
    assert "neither beat the control, which trained equally long with nothing added" in page.text
    assert "Test accuracy" in result["headline"] and result["headline"].endswith(": nothing helped")


def test_where_no_repair_helped_the_best_of_them_stands_beside_the_control(build_run):
    inputs = build_run(before=0.5, after=0.48, seeds=2, arms=(("more", 0.4),))
    _, page, figures = report(inputs)
    path = inputs.run.store.open_file(inputs.kept.evaluation.folder, "comparison.json")
    against = json.loads(path.read_bytes())["against"]["targeted"]["test"]  # the control minus the repair
    best = figures["verdict"]["best_repair"]
    assert figures["verdict"]["gain"] is None and best["arm"] == "targeted"
    assert (best["before"], best["after"], best["difference"]) == (
        against["after"], against["before"], -against["difference"],
    )  # fmt: skip
    assert best["interval"] == [-against["interval"][1], -against["interval"][0]]
    assert page.text_of["test-control"] == wording.percent(best["before"])
    assert page.text_of["test-after"] == wording.percent(best["after"])
    assert page.text_of["test-difference"].startswith(wording.points(best["difference"]))
    assert not any(attributes.get("class") == "value is-after" for _, attributes in page.elements)
    assert figures["verdict"]["doubt"][0].startswith("The best repair did worse than the control: over seeds")
    assert "The chosen classes" in page.text and "repaired class" not in page.text


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((-0.05, 0.02), "No gain is shown: over pictures the 95\u00a0% interval of the difference includes 0."),
        ((-0.05, -0.02), "The best repair did worse than the control: over pictures the whole 95\u00a0% interval"),
        ((0.02, 0.05), "On these test pictures the best repair did better than the control, but they decide nothing."),
    ],
)
def test_whether_a_repair_that_validation_did_not_choose_is_better_is_answered_first(bounds, said):
    best = {"interval": bounds, "seed_interval": None}
    verdict = {"gain": None, "word": "nothing helped", "test_steers": "", "best_repair": best}
    assert wording.doubt(verdict)[0].startswith(said)


def test_the_interval_of_the_difference_says_what_it_is_over(build_run):
    for seeds, over in ((1, "over pictures:"), (2, "over 2 seeds:")):
        _, page, _ = report(build_run(before=0.3, after=0.8, seeds=seeds))
        assert f"95\u00a0% interval {over}" in page.text_of["verdict"]


def test_the_validation_recall_of_a_class_is_the_mean_over_the_seeds_as_its_recall_on_test_is(build_run):
    inputs = build_run(before=0.3, after=0.8, seeds=3, spread=0.2)
    _, page, figures = report(inputs)
    path = inputs.run.store.open_file(inputs.kept.evaluation.folder, "comparison.json")
    compared = json.loads(path.read_bytes())
    for row in figures["classes"]:
        for split, name in (("test", "recall"), ("validation", "validation_recall")):
            both = compared[split]["per_class"][row["label"]]
            assert (row["before"][name], row["after"][name]) == (both["before"], both["after"])
    heads = next(row for row in page.rows if "Validation" in row)
    assert heads[-2:] == ["Precision, seed 0", "F1, seed 0"]


def test_the_goal_is_compared_with_the_same_digits_in_the_path_and_in_its_paragraph(build_run):
    inputs = build_run(before=0.3, after=0.8)
    shown = wording.percent(inputs.baseline.validation_accuracy)
    _, page, _ = report(inputs)
    assert f"Validation accuracy {shown} is below the goal" in page.text_of["path"]
    assert f"validation {shown} < goal" in page.text_of["path"]


def test_one_training_of_each_is_never_enough_to_tell(build_run):
    result, page, figures = report(build_run(before=0.3, after=0.9))
    assert result["verdict"] == "not enough to tell" and figures["verdict"]["gain"]["p_value"] < 0.001
    assert "One training each: not enough to tell" in page.text
    assert "another seed may differ by more: set seeds to 3 or more" in page.text


def test_the_chosen_classes_and_the_smallest_gain_that_could_be_shown_stand_at_the_top(build_run):
    _, page, figures = report(build_run(before=0.3, after=0.8, seeds=2))
    f1, smallest = figures["verdict"]["repaired"]["f1"], figures["verdict"]["gain"]["smallest_gain"]
    assert f"F1 of the 2\u00a0chosen classes: {wording.percent(f1['before'])} for the control" in page.text
    assert f1["interval"][0] > 0 and wording.span(f1["interval"]) in page.text
    assert (
        f"A gain of {wording.number(100 * smallest, 1)} points would be shown in four cases out of five"
        in page.text_of["doubt"]
    )


def test_without_a_repair_each_section_of_the_second_model_says_so(build_run):
    result, page, figures = report(build_run(before=0.6, after=None))
    assert (result["branch"], result["verdict"], result["chosen"]) == ("report", "not tried", [])
    assert result["test_after"] is result["validation_after"] is None
    assert page.text.count("so no repair was tried") == 1  # the next step
    assert page.text.count("No repair was tried, so") == 4  # curves, classes, confusion, compared with
    assert "after" not in figures["models"]
    assert figures["augmentation"] is None
    assert "no repair tried" in result["headline"]


@pytest.mark.parametrize("after", [0.8, None])
def test_a_hostile_class_name_is_text_everywhere(build_run, after):
    _, page, _ = report(build_run(names=(HOSTILE, "$x_{$", "<!--", "palm & 'co\"", "猫"), after=after))
    assert HOSTILE in page.text
    assert "猫" in page.text
    assert not page.open
    assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]
    assert all(attributes["src"].startswith("data:image/jpeg;") for tag, attributes in page.elements if tag == "img")


@pytest.mark.parametrize("after", [0.8, None])
def test_the_page_runs_nothing_and_asks_nobody(build_run, after):
    _, page, _ = report(build_run(after=after))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "object", "embed", "link", "form", "base"}
    for tag, attributes in page.elements:
        for name in ADDRESSES & attributes.keys():
            assert attributes[name].startswith(("data:", "#")), (tag, name, attributes[name][:80])
        assert "url(" not in attributes.get("style", "")
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_ids_are_unique_and_all_references_lead_to_one(build_run):
    _, page, _ = report(build_run(names=tuple(f"class {i}" for i in range(35))))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = {a["href"][1:] for _, a in page.elements if a.get("href", "").startswith("#")}
    references |= {a["clip-path"][5:-1] for _, a in page.elements if "clip-path" in a}
    labelled = {name for _, a in page.elements for name in a.get("aria-labelledby", "").split()}
    assert references | labelled <= set(ids)
    assert all(a.get("alt") for tag, a in page.elements if tag == "img")
    charts = [a for tag, a in page.elements if tag == "svg" and a.get("class") == "chart"]
    assert charts
    assert all("aria-labelledby" in chart for chart in charts)


def test_what_cannot_be_said_is_a_dash(build_run):
    inputs = build_run(names=("cow", "cobra", "palm"), never_answered=0, without_test="palm")
    _, page, figures = report(inputs)
    by_name = {row["name"]: row for row in figures["classes"]}
    assert by_name["palm"]["before"]["recall"] is by_name["palm"]["change"] is None
    assert by_name["cow"]["before"]["precision"] is None
    palm = next(row for row in page.rows if class_of(row) == "palm" and len(row) == 13)
    assert palm[1:] == ["0", *[wording.DASH] * 4, "1", *palm[7:10], *[wording.DASH] * 3]
    cow = next(row for row in page.rows if class_of(row) == "cow" and len(row) == 13)
    assert cow[7:] == [wording.DASH] * 3 + [wording.percent(0.0)] * 2 + [wording.points(0.0)]


def test_the_json_holds_the_figures_that_the_page_shows(build_run):
    result, page, figures = report(build_run())
    assert figures["verdict"]["headline"] == result["headline"]
    assert figures["verdict"]["sentence"] in page.text
    shown = {class_of(row): row for row in page.rows if len(row) == 13}
    for row in figures["classes"]:
        expected = [
            wording.number(row["support"]), wording.percent(row["before"]["validation_recall"]),
            wording.percent(row["before"]["recall"]), wording.percent(row["after"]["recall"]),
            wording.points(row["change"]), wording.p_number(row["p_adjusted"]),
            wording.percent(row["before"]["precision"]),
        ]  # fmt: skip
        assert shown[row["name"]][1:8] == expected
    totals = figures["data"]["totals"]
    assert totals["rejected"] == {"gone": 21, "timeout": 9}
    assert (totals["listed"], totals["asked"], totals["accepted"]) == (180, 150, 120)
    assert sum(totals[split] for split in ("train", "validation", "test")) == 120
    groups = {group["task"]: group for group in figures["tasks"]["groups"]}
    assert (groups["download_class"]["count"], groups["download_class"]["reused"]) == (3, 3)


@pytest.mark.parametrize("after", [0.8, None])
def test_f51_classes_that_were_left_out_are_said_beside_the_verdict_and_in_the_headline(build_run, after):
    result, page, figures = report(
        build_run(names=("cow", "cobra", "palm"), after=after, short="cobra", failed="an <anchor>")
    )
    said = "2 of 4 classes were left out: cobra (3 pictures, 20 needed), an <anchor> (not prepared)"
    assert said in page.text_of["left-out"] and said in page.text_of["verdict"]
    assert result["headline"].endswith(said)
    assert [row["name"] for row in sorted(figures["classes"], key=lambda r: r["label"])] == ["cow", "palm"]
    rows = {row[0]: row[1:] for row in page.rows if len(row) == 4}
    assert rows["cobra n00000001"] == ["3", "20", "gone\u00a07, timeout\u00a03"]
    assert rows["an <anchor> n00099999"][:2] == [wording.DASH] * 2


def test_where_all_classes_are_there_nothing_is_said_of_any_left_out(build_run):
    result, page, figures = report(build_run())
    assert "left-out" not in page.text_of and "left out:" not in page.text + result["headline"]
    assert figures["data"]["left_out"] == []


@pytest.mark.parametrize("count", [1, 12])
def test_however_many_classes_are_left_out_the_sentence_stays_short(count):
    classes = [{"name": f"class {i}", "have": i, "need": 20} for i in range(count)]
    text = wording.left_out(classes, 20)
    if count == 1:
        assert text == "1 of 20 classes was left out: class 0 (0 pictures, 20 needed)"
    else:
        assert text.startswith("12 of 20 classes were left out: class 0") and text.endswith(", 2 more")


def test_near_duplicates_are_counted_by_class_and_the_largest_groups_listed(build_run):
    _, page, figures = report(build_run(names=("cow", "cobra", "palm"), copies=3))
    near = figures["data"]["near_duplicates"]
    assert near == {"pictures": 9, "groups": 1, "groups_across_classes": 1}
    assert "9\u00a0pictures have a near-duplicate, in 1\u00a0group of which 1 spans several classes" in page.text
    rows = [row for row in page.rows if len(row) == 6 and row[0] == "cow"]
    assert rows == [["cow", "0", "0", "3", "3", "0"]]
    group = figures["data"]["largest_groups"][0]
    assert ["9\u00a0pictures", group["split"], "n00000000, n00000001, n00000002"] in page.rows


def test_hosts_and_accepted_terms_are_said(build_run):
    _, page, figures = report(build_run(terms=True))
    assert figures["data"]["hosts"] == {"flickr": [90, 108], "other": [30, 42]}
    assert "90 of 108 URLs of Flickr gave a picture" in page.text and "accepted ImageNet's terms" in page.text


def test_a_class_with_fewer_pictures_than_wanted_is_a_warning(build_run):
    inputs = build_run(before=0.35)
    first = inputs.selections[0]
    short = first.model_copy(update={"accepted": first.wanted - 5})
    _, page, figures = report(replace(inputs, selections=(short, *inputs.selections[1:])))
    sentence = f"cow: {short.accepted} of {short.wanted} pictures; rejected of 60 candidates: gone 7, timeout 3"
    assert sentence in figures["data"]["warnings"] and sentence in page.text


def test_a_shortage_says_what_was_seen_of_one_candidate(build_run):
    """So the byte from which on an archive is damaged is told."""
    inputs = build_run(before=0.36)
    first = inputs.selections[0]
    seen = "<fox>.tar#(damaged at byte 512): damaged or cut at byte 512: its first 3 files are used"
    short = first.model_copy(update={"accepted": first.wanted - 5, "example": seen})
    _, page, figures = report(replace(inputs, selections=(short, *inputs.selections[1:])))
    assert f"rejected of {short.listed} candidates: gone 7, timeout 3; such as {seen}" in page.text
    assert any(warning.endswith(f"; such as {seen}") for warning in figures["data"]["warnings"])


def test_drawn_pictures_are_named_as_such(build_run):
    _, page, _ = report(build_run(source="sample"))
    assert "say nothing about ImageNet" in page.text


def test_real_pictures_are_not_called_drawn(build_run):
    _, page, _ = report(build_run(source="folder"))
    assert "say nothing about ImageNet" not in page.text


@pytest.mark.parametrize("count", [2, 20, 200])
def test_few_and_many_classes_fit(build_run, count):
    inputs = build_run(names=tuple(f"a class with a long name {i}" for i in range(count)))
    trainings = 2 * 3  # accuracy and loss of the baseline, the control and the repair
    result, page, figures = report(inputs)
    assert len(inputs.run.store.read_bytes(result["report"])) < 15_000_000
    # The difference, two of curves, three matrices, the funnel, and 30 classes in each of those of recall.
    assert len(page.charts) == 7 + trainings + -(-count // 30)
    assert len(figures["classes"]) == count
    shown = [row for row in page.rows if len(row) == 13 and "a class with a long name" in row[0]]
    assert len(shown) == count


def test_a_repair_without_its_evaluation_is_an_error_and_not_half_a_report(build_run):
    inputs = replace(build_run(), rounds=())
    with pytest.raises(ArtifactError, match="evaluate_augmented"):
        write_report(inputs)


def test_the_command_repeats_the_run_and_shows_no_secret(build_run):
    inputs = build_run(names=("cow", "cobra"))
    config = replace(inputs.config, download=replace(inputs.config.download, location="https://host/p q?sig=5ec7e7"))
    command = settings.command(config)
    assert command.startswith(
        "python -m imagenet_tasks run --profile best --source folder --location 'https://host/p q"
    )
    assert "sig" not in command
    assert "5ec7e7" not in command
    shown = json.dumps(settings.setting_rows(config)) + json.dumps(settings.settings_by_stage(config))
    assert "5ec7e7" not in shown
    assert "--set classes=n00000000,n00000001" in command
    assert "--set images_per_class=40" in command
    assert "epochs" not in command  # as the profile says


def test_the_settings_are_shown_as_json_to_be_given_to_another_run(build_run):
    inputs = build_run(names=("cow", "<b>"))
    _, page, _ = report(inputs)
    assert page.text_of["shared-settings"] == shared_settings(inputs.config)


def test_the_command_empties_what_the_profile_gives(build_run):
    config = build_run().config
    command = settings.command(replace(config, augment=replace(config.augment, denied_transforms=())))
    assert "--set denied_transforms= " in f"{command} "
    assert settings.said(None) == ""


@pytest.mark.parametrize(
    ("share", "text"), [(None, "–"), (0.0, "0.0 %"), (1.0, "100.0 %"), (0.30987, "31.0 %")]
)  # fmt: skip
def test_shares_are_percentages(share, text):
    assert wording.percent(share).replace(wording.NBSP, " ") == text


@pytest.mark.parametrize(
    ("difference", "text"), [(None, "–"), (0.0744, "+7.4"), (-0.0744, "−7.4"), (-0.0001, "0.0"), (0.0, "0.0")]
)  # fmt: skip
def test_differences_are_signed_points_without_a_negative_zero(difference, text):
    assert wording.points(difference) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.01, "< 0.1 s"), (3.21, "3.2 s"), (59.6, "1 min 00 s"), (78, "1 min 18 s"), (7260, "2 h 01 min")],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds, text):
    assert wording.duration(seconds).replace(wording.NBSP, " ") == text


def test_a_p_value_below_the_limit_never_reads_as_the_limit():
    assert wording.p_value(0.0496).endswith("0.0496")
    assert wording.p_value(math.ulp(1.0)).endswith("0.001")
