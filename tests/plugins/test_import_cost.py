"""What every task process pays for the plugin."""

import json
import subprocess
import sys

HEAVY = (
    "keras", "tensorflow", "numpy", "PIL", "sklearn", "scipy", "matplotlib", "requests", "fastapi", "starlette",
    "airflow.api_fastapi",
)  # fmt: skip
SCRIPT = """
import json, sys, time
from airflow import plugins_manager
before, started = set(sys.modules), time.perf_counter()
plugins, errors = plugins_manager._get_plugins()
took = time.perf_counter() - started
assert any(plugin.name == "imagenet_report" for plugin in plugins), errors
print(json.dumps({"new": sorted(set(sys.modules) - before), "took_s": took}))
"""


def test_loading_the_plugin_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert not [name for name in loaded["new"] for heavy in HEAVY if name == heavy or name.startswith(f"{heavy}.")]
    assert loaded["took_s"] < 1
