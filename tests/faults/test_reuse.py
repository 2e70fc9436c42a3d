"""What a run reuses as its result is what was made."""

import shutil

import pytest

from imagenet_tasks.errors import ChecksumMismatch


@pytest.mark.parametrize("name", ["model.keras", "probabilities_validation.npy", "probabilities_test.npy"])
def test_f33_a_run_that_would_reuse_a_changed_model_says_which_file_and_ends_as_before_once_it_is_deleted(
    home, figures, name
):
    assert home.run("first") == figures
    model = next(m for m in home.store.path("models").iterdir() if (m / name).exists())
    (model / name).write_bytes(b"other bytes")
    with pytest.raises(ChecksumMismatch, match=rf"{name}: expected SHA-256 \w+, received \w+\. .*{model.name} and"):
        home.run("second")
    shutil.rmtree(str(model))
    assert home.run("second") == figures
