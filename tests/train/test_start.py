"""What a training takes along at its start."""

import subprocess
import sys

SCRIPT = """
import sys
from imagenet_tasks.train import load_keras
load_keras()
print(sorted({"sklearn", "matplotlib", "jax"} & sys.modules.keys()))
import imagenet_tasks.train.stage
from matplotlib import pyplot
from sklearn.metrics import confusion_matrix
print("both can be imported afterwards")
"""


def test_keras_starts_without_packages_that_no_training_uses_and_leaves_them_to_others():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.splitlines() == ["[]", "both can be imported afterwards"]
