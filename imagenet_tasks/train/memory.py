"""How much memory a training's pictures may take: what the machine and the control group leave, or what is set."""

import os
from collections.abc import Iterator
from pathlib import Path

from imagenet_tasks.errors import ConfigError

# Held in memory, the training pictures take up to four times their size, measured: all of them, those in the order of
# an epoch, and the backend's copies of these. The rest is left to the network.
SHARE = 0.2
SETTING = "IMAGENET_MEMORY_GB"
# Where a version of the control groups is, and its names for the limit, what is used, and the cached files among that.
VERSION_1 = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
VERSION_2 = "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"


def allowed_bytes() -> int:
    """Returns how much a training's pictures may take, counted once: IMAGENET_MEMORY_GB, else a share of what is free.

    Raises:
        ConfigError: where the setting is no number above 0.
    """
    text = os.environ.get(SETTING)
    if not text:
        return int(SHARE * free_bytes())
    try:
        allowed = int(float(text) * 1e9)
    except (ValueError, OverflowError):
        allowed = 0
    if allowed < 1:
        raise ConfigError(f"{SETTING}: expected a number of gigabytes above 0, received {text!r}")
    return allowed


def free_bytes(root: Path = Path("/")) -> int:
    """Returns the memory that this process can still take: the least that the machine or a control group leaves.

    Args:
        root: where proc/ and sys/ are; another one in tests.
    """
    return max(0, min([_free_of_machine(root), *_free_of_groups(root)]))


def _free_of_machine(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:  # no Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _free_of_groups(root: Path) -> Iterator[int]:
    """Yields what each control group around this process leaves, version 2 or 1; none where there is no limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, limit, used, cached = VERSION_1 if controllers else VERSION_2
        # A container may see its own group as the top one while the path is still that of the host.
        inner = root / top / path.lstrip("/")
        for group in [inner, *inner.parents]:
            if not group.is_relative_to(root / top):
                break
            try:
                most, taken = (group / limit).read_text().strip(), int((group / used).read_text())
                stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            except (OSError, ValueError):
                continue
            if most != "max":
                yield int(most) - taken + int(stat.get(cached, 0))  # the kernel gives up cached files first
