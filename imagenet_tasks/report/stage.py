"""The stage `write_report`."""

import json
from typing import Any

from imagenet_tasks.artifacts.json_file import VERSION_FIELD
from imagenet_tasks.artifacts.report import Report
from imagenet_tasks.report.inputs import ReportInputs
from imagenet_tasks.settings.training import COLLECTING

HTML, JSON = "report/report.html", Report.KEY


def write_report(inputs: ReportInputs) -> dict[str, Any]:
    """Writes report/report.html and report/report.json of the run.

    Args:
        inputs: the run's artifacts; they are read, never changed.

    Returns:
        The figures that matter as small plain JSON: 'headline', 'verdict', 'branch' (the path that the run took),
        accuracies (None where not tried), on test with intervals; of the difference that the verdict speaks of
        'interval', 'seed_interval' and 'p_value', and 'test_control', what it is a difference to; 'chosen' (the kept
        round's classes), 'arm' (its best), 'rounds' and 'seeds' (how many), 'kept_round', 'lost' (classes,
        significantly), 'arms' (the names of those trained), and the storage keys of both files.

    Raises:
        ArtifactError: where an artifact is missing or damaged, or the figures are not what `Report` describes, which is
            a bug of this stage.
    """
    from imagenet_tasks.report import pictures
    from imagenet_tasks.report.figures import collect
    from imagenet_tasks.report.files import Files
    from imagenet_tasks.report.page import render

    run, store, dataset, kept = inputs.run, inputs.run.store, inputs.dataset, inputs.kept
    files = Files(store)
    figures = collect(inputs, files)
    content = {VERSION_FIELD: Report.SCHEMA_VERSION} | figures
    Report.from_json(json.dumps(content, allow_nan=False).encode(), where=JSON)
    training = files.places(dataset).get("train", [])
    samples = pictures.class_samples(dataset, training)
    changes = pictures.augmentation_samples(store, training, kept.arrays_of("targeted") if kept else ())
    new = next((added for arm in COLLECTING if kept and (added := kept.of(arm))), ())
    collected = pictures.new_samples(store, new)
    shown = pictures.places_in(figures) + [place for places in samples.values() for place in places]
    shown += [group["original"] for groups in changes.values() for group in groups]
    page = render(
        figures,
        inputs.config,
        samples=samples,
        changes=changes,
        collected=collected,
        pictures=pictures.addresses(store, dataset, shown),
        task_places={c.class_id: place // inputs.classes_per_task for place, c in enumerate(inputs.config.classes)},
    )
    store.write_json(run.key(JSON), content)
    store.write_bytes(run.key(HTML), page.encode(errors="replace"))
    verdict = figures["verdict"]
    validation, test = verdict["validation"], verdict["test"]
    judged = verdict["gain"] or test
    return {
        "profile": inputs.config.profile, "branch": "augment" if kept else "report",
        "below_goal": inputs.decision.below, "verdict": verdict["word"],
        "headline": verdict["headline"], "validation_before": validation["before"],
        "validation_after": validation["after"], "test_before": test["before"], "test_after": test["after"],
        "chosen": [c.class_id for c in kept.plan.targeted] if kept else [], "rounds": len(inputs.rounds),
        "kept_round": kept.number if kept else None, "lost": verdict["collateral"] or [],
        "test_before_interval": test["before_interval"], "test_after_interval": test["after_interval"],
        "interval": judged["interval"], "seed_interval": judged["seed_interval"], "p_value": judged["p_value"],
        "arm": verdict["chosen"] or "", "test_control": verdict["gain"] and verdict["gain"]["before"],
        "seeds": len(inputs.baseline.models), "arms": sorted({row["arm"] for row in figures["repair"]["arms"]}),
        "report": run.key(HTML), "report_json": run.key(JSON),
    }  # fmt: skip
