"""A champion's entry that leads out of the home or to no model stops no run, and each command says it."""

import shutil

import pytest

from imagenet_tasks.artifacts.champions import KEY, choose_champion, open_model
from imagenet_tasks.commands.main import main
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.workflow.run import Run

OUTSIDE = ["../../x", "/etc", "..", "a/b", "a\0b", "x" * 65, "\N{LATIN SMALL LETTER E WITH ACUTE}"]


def champion_of(home, name: str) -> dict:
    """What the report's task says became of a run's best model."""
    records = {r["task"]: r for r in Run(home.store, "dag", name).task_records()}
    assert records["write_report"]["state"] == "success"
    return home.store.read_json(Run(home.store, "dag", name).key("report/report.json"))["champion"]


def command(home, capsys, *arguments: str) -> str:
    """What a command that fails says."""
    assert main([*arguments, "--home", str(home.store.root)]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def lead(home, to: str, *, field: str = "model") -> str:
    """Lets the one champion's entry name this as its model's fingerprint, or its dataset's; returns the entry's key."""
    entries = home.store.read_json(KEY)
    (key,) = entries
    if field == "model":
        entries[key]["model"]["fingerprint"] = to
    else:
        entries[key]["dataset"] = to
    home.store.write_json(KEY, entries)
    return key


@pytest.mark.parametrize("field", ["model", "dataset"])
def test_a_champion_that_leads_out_of_the_home_stops_no_run_and_is_said_by_each_command(home, figures, capsys, field):
    assert home.run("first") == figures
    for name in OUTSIDE:
        key = lead(home, name, field=field)
        for arguments in (["predict", "x.jpg"], ["prune"]):
            said = command(home, capsys, *arguments)
            assert said.startswith(f"error: ArtifactError: {home.store.path(KEY)}, {key}: not a Champion")
            assert "Restore it, or delete it" in said
        assert "Nothing was removed" in said
    lead(home, OUTSIDE[0], field=field)
    assert home.run("second") == figures
    settled = champion_of(home, "second")
    assert settled["outcome"] == "not settled" and "Restore it, or delete it" in settled["why"]


def test_a_champion_whose_model_is_gone_is_made_again_by_the_next_run_and_prune_goes_on(home, figures, capsys):
    assert home.run("first") == figures
    champion = choose_champion(home.store)
    shutil.rmtree(str(home.store.path(champion.model.folder)))
    with pytest.raises(ArtifactError, match=r"found none\. .*It is the champion's network: the next run of these"):
        open_model(home.store, champion)
    assert main(["prune", "--home", str(home.store.root)]) == 0
    assert "There is nothing to remove" in capsys.readouterr().out
    assert home.run("second") == figures
    assert open_model(home.store, choose_champion(home.store)).is_file()
