"""Who may see what, by which method, and that no address leads out of a run's own folder."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from conftest_plugins import DAG_ID, RUN_ID, address  # type: ignore[import-not-found]
