"""What the report says of the models that were put together."""

import dataclasses

import pytest
from report_page import report

from imagenet_tasks.artifacts.final import FinalFigures, FinalModel


def with_final(inputs, interval):
    figures = FinalFigures(pictures=40, one=0.5, final=0.52, difference=0.02, interval=interval)
    final = FinalModel(
        fingerprint="f", models=inputs.kept.evaluation.models[:2], validation=figures, test=figures, one_ms=0.5,
        final_ms=2.0, batch=64, device_name="A processor", rows_px=16, columns_px=16, class_ids=("a", "b"),
    )  # fmt: skip
    return dataclasses.replace(inputs, final=final)


@pytest.mark.parametrize(("low", "said"), [(0.01, "better than one of them alone"), (-0.01, "no difference from one")])
def test_it_stands_beside_one_model_with_its_cost(build_run, low, said):
    inputs = with_final(build_run(seeds=2, before=0.3 + low), (low, 0.03))  # runs of no other test
    _, page, figures = report(inputs)
    text = page.text_of["final"]
    assert said in text and "takes 4.0 times as long" in text and "targeted, compact, seeds 0, 1" in text
    assert figures["final"]["test"]["final"] == 0.52 and figures["fingerprints"]["Final model"] == "final_models/f"
    assert "final" not in report(build_run())[1].text_of


def test_the_path_has_the_step_where_it_was_taken(build_run):
    _, _, figures = report(with_final(build_run(seeds=2, before=0.31), (0.01, 0.03)))
    assert [step["name"] for step in figures["path"]][-2:] == ["Put the models together", "Report"]
