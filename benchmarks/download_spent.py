"""What a piece of work inside a program took, for the program that measures it. Standard library alone."""

import contextlib
import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


@contextlib.contextmanager
def spending() -> Iterator[None]:
    """Writes wall and CPU time of the block, children that ended in it too, to the file that BENCH_SPENT names."""
    cpu_s, wall_s = _cpu_s(), time.perf_counter()
    yield
    spent = {"wall_s": time.perf_counter() - wall_s, "cpu_s": _cpu_s() - cpu_s}
    Path(os.environ["BENCH_SPENT"]).write_text(json.dumps(spent))
