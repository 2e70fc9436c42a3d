"""Pictures/s, CPU and memory of downloading, ours beside img2dataset and the study's plain loop: `make bench-download`.

All three fetch the same JPEGs from a server on loopback, in turn and in one run, with 0 and 100 ms until an answer, and
with 20 % faults: 404, a page instead of a picture, a connection closed early, a cut JPEG. Speed and CPU (user and
system, without the server's) are those of the work itself; the columns behind `whole` are those of the program
with its start, its imports above all. img2dataset comes twice: by default it encodes each picture anew; `raw` keeps the
bytes as ours does. The files go to memory (/dev/shm) where there is such a folder: for some seconds after files were
deleted a disk's file system can make new ones several times slower, which would hit whichever program comes next. The
pictures come from a folder (--pictures DIR, any *.jpg below it), else they are drawn: 500x375, quality 90, with noise,
about 110 kB. img2dataset is installed below .local/ when first needed. Linux only.
"""

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.download_server import fault_of, numbered

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".local" / "bench-download"
IMG2DATASET = "img2dataset==1.47.0"
MEMORY = Path("/dev/shm")
PICTURES = 300
TOOLS = ("ours", "img2dataset", "img2dataset-raw", "plain")
ATTEMPTS = 2
SHARD_DIGITS, PLACE_DIGITS = 5, 4  # of img2dataset's file names


@dataclass(frozen=True)
class Case:
    """One line of the table. The plain loop has its eight processes, whatever `threads` says."""

    latency_ms: int
    faults_percent: int
    threads: int


@dataclass(kw_only=True)
class Spent:
    """What one run of a program took, and what it brought."""

    wall_s: float  # of the work
    cpu_s: float  # of the work
    start_s: float  # before and after it
    start_cpu_s: float
    peak_mb: float
    server_cpu_s: float
    good: int = 0
    let_through: Counter[str] = field(default_factory=Counter)


def draw(folder: Path) -> None:
    """Draws the pictures once."""
    import numpy as np
    from PIL import Image

    from imagenet_tasks.sample.drawings import draw_picture, random_numbers
    from imagenet_tasks.settings.classes import STUDY_CLASSES

    if len(list(folder.glob("*.jpg"))) == PICTURES:
        return
    print(f"drawing {PICTURES} pictures")
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(PICTURES):
        rng = random_numbers("bench-download", index)
        drawn = draw_picture(STUDY_CLASSES[index % len(STUDY_CLASSES)].name, rng).convert("RGB").resize((500, 375))
        noise = rng.normal(0, rng.uniform(13, 30), (375, 500, 1)) + rng.normal(0, 4, (375, 500, 3))
        pixels = (np.asarray(drawn) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:04d}.jpg", quality=90)


def install_img2dataset() -> Path:
    """Returns the Python of a virtual environment with img2dataset."""
    venv = ROOT / ".local" / "img2dataset"
    python = venv / "bin" / "python"
    if not (venv / "installed").exists():
        print(f"installing {IMG2DATASET} below .local/")
        uv = str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(venv)], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), IMG2DATASET], check=True)
        (venv / "installed").touch()
    return python


@contextlib.contextmanager
def serving(pictures: Path) -> Iterator[tuple[str, int]]:
    """Yields the address and the process of a server that ends with this block."""
    command = [sys.executable, "-m", "benchmarks.download_server", str(pictures)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin and server.stdout
        try:
            yield server.stdout.readline().strip(), server.pid
        finally:
            server.stdin.close()
            server.wait()


def command_of(
    tool: str, base: str, folder: Path, urls: Path, good: int, threads: int, python: Path | None
) -> list[str]:
    """Returns how a program is started."""
    if tool == "ours":
        return [sys.executable, "-m", "benchmarks.download_ours", base, str(folder), str(good), str(threads)]
    if tool == "plain":
        return [sys.executable, "-m", "benchmarks.download_plain", str(urls), str(folder)]
    assert python
    how = "raw" if tool.endswith("raw") else "defaults"
    return [str(python), "benchmarks/download_img2dataset.py", str(urls), str(folder), str(threads), str(ATTEMPTS), how]


def cpu_of(process: int) -> float:
    """Returns the seconds of user and system time of a running process (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree_mb(process: int) -> float:
    """Returns the memory of a process and all below it, what they share counted once (Linux)."""
    total_kb, waiting = 0, [process]
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(OSError, ValueError):  # it ended meanwhile
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total_kb += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total_kb / 1024


def measured(command: list[str], server: int, log: Path) -> Spent:
    """Runs a program to its end and returns what it and its children took."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment["NO_ALBUMENTATIONS_UPDATE"] = "1"  # img2dataset's library asks the network when it is imported
    environment["BENCH_SPENT"] = str(log.with_suffix(".json"))
    ended, peak_mb = threading.Event(), 0.0
    server_before_s, started_s = cpu_of(server), time.perf_counter()
    with log.open("w") as file:
        program = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)

        def watch() -> None:
            nonlocal peak_mb
            while not ended.wait(0.1):
                peak_mb = max(peak_mb, tree_mb(program.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, status, used = os.wait4(program.pid, 0)
        wall_s = time.perf_counter() - started_s
        program.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        watcher.join()
    if program.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {program.returncode}:\n{log.read_text()[-2000:]}")
    work = json.loads(log.with_suffix(".json").read_text())
    return Spent(
        **work,
        start_s=wall_s - work["wall_s"],
        start_cpu_s=used.ru_utime + used.ru_stime - work["cpu_s"],
        peak_mb=max(peak_mb, used.ru_maxrss / 1024),
        server_cpu_s=cpu_of(server) - server_before_s,
    )


def look_through(folder: Path, expected: dict[str, int], faults_percent: int) -> tuple[int, Counter[str]]:
    """Returns how many good pictures lie in a folder, each counted once, and what else was kept as a picture.

    A picture that was encoded anew is told by its place in the list, which img2dataset names its files by.
    """
    good, others = set(), Counter[str]()
    for path in (p for p in folder.rglob("*") if p.suffix in {".jpg", ".png", ".webp", ".bmp"}):
        data = path.read_bytes()
        number = expected.get(hashlib.sha256(data).hexdigest())
        if number is None and path.stem.isdigit() and len(path.stem) == SHARD_DIGITS + PLACE_DIGITS:
            number = int(path.stem[SHARD_DIGITS:])
        if number is not None and fault_of(number, faults_percent) is None:
            good.add(number)
        elif data.startswith(b"<"):
            others["page"] += 1
        else:
            others["cut" if data.startswith(b"\xff\xd8") else "other"] += 1
    return len(good), others


def run(
    tool: str,
    case: Case,
    count: int,
    server: tuple[str, int],
    expected: dict[str, int],
    python: Path | None,
    target: Path,
) -> Spent:
    """Runs one program once in a fresh folder."""
    base = f"{server[0]}/n{count}-l{case.latency_ms}-f{case.faults_percent}"
    with tempfile.TemporaryDirectory(dir=target, prefix="bench-download-") as name:
        folder, urls = Path(name) / "pictures", Path(name) / "urls.txt"
        urls.write_text("".join(f"{base}/p/{number:06d}.jpg\n" for number in range(count)))
        good = sum(fault_of(number, case.faults_percent) is None for number in range(count))
        command = command_of(tool, base, folder, urls, good, case.threads, python)
        spent = measured(command, server[1], WORK / f"{tool}.log")
        spent.good, spent.let_through = look_through(folder, expected, case.faults_percent)
    return spent


def medians(runs: list[Spent]) -> dict[str, float]:
    """Returns the figures of the table."""
    return {
        "per_s": statistics.median(r.good / r.wall_s for r in runs),
        "cpu_ms": statistics.median(1000 * r.cpu_s / r.good for r in runs),
        "whole_per_s": statistics.median(r.good / (r.wall_s + r.start_s) for r in runs),
        "whole_cpu_ms": statistics.median(1000 * (r.cpu_s + r.start_cpu_s) / r.good for r in runs),
        "peak_mb": statistics.median(r.peak_mb for r in runs),
        "server_cpu_ms": statistics.median(1000 * r.server_cpu_s / r.good for r in runs),
    }


def main() -> None:
    """Prints a line per case and program, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, help="a folder of JPEGs to serve instead of drawn ones")
    parser.add_argument("--count", type=int, default=1500, help="pictures per run")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--latency-ms", default="0,100")
    parser.add_argument("--faults", default="0,20", help="percent")
    parser.add_argument("--threads", default="16,64")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--target", type=Path, default=MEMORY if MEMORY.is_dir() else WORK, help="where the files go")
    parser.add_argument("--json", type=Path, help="also write all figures there")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    pictures = options.pictures or WORK / "pictures"
    if not options.pictures:
        draw(pictures)
    tools = [tool for tool in TOOLS if tool in options.tools.split(",")]
    python = install_img2dataset() if any(tool.startswith("img2dataset") for tool in tools) else None
    served = [path.read_bytes() for path in sorted(pictures.rglob("*.jp*g"))]
    expected = {
        hashlib.sha256(numbered(served[number % len(served)], number)).hexdigest(): number
        for number in range(options.count)
    }
    average_kb = sum(map(len, served)) / len(served) / 1000
    print(f"{options.count} pictures of {average_kb:.0f} kB on average, {os.cpu_count()} cores", flush=True)
    cases = [
        Case(int(latency), int(faults), int(threads))
        for latency, faults, threads in itertools.product(
            options.latency_ms.split(","), options.faults.split(","), options.threads.split(",")
        )
    ]
    runs: dict[tuple[Case, str], list[Spent]] = {}
    with serving(pictures) as server:
        for _ in range(options.repeats):  # turn about, so that a busy moment of the machine hits all
            for case in cases:
                for tool in tools:
                    once = Case(case.latency_ms, case.faults_percent, 8) if tool == "plain" else case
                    if tool == "plain" and case.threads != cases[0].threads:
                        continue
                    spent = run(tool, once, options.count, server, expected, python, options.target)
                    runs.setdefault((once, tool), []).append(spent)
                    print(
                        f"{once} {tool}: {spent.wall_s:.1f} s, CPU {spent.cpu_s:.2f} s",
                        file=sys.stderr,
                        flush=True,
                    )
    show(cases, tools, runs)
    if options.json:
        lines = [{"tool": tool, **vars(c), **vars(spent)} for (c, tool), spents in runs.items() for spent in spents]
        options.json.write_text(json.dumps(lines, indent=1))


def show(cases: list[Case], tools: list[str], runs: dict[tuple[Case, str], list[Spent]]) -> None:
    """Prints the table."""
    table = Table(box=SIMPLE, pad_edge=False)
    for name in ("latency", "faults", "program", "at once"):
        table.add_column(name, no_wrap=True)
    numbers = "good\n/s;CPU\nms;its CPU\n/ ours;its time\n/ ours;good;pages\nkept;cut\nkept;peak\nMB"
    numbers += ";whole:\ngood/s;CPU\nms;its CPU\n/ ours;its time\n/ ours;server\nms"
    for name in numbers.split(";"):
        table.add_column(name, justify="right", no_wrap=True)
    for case in cases:
        own = medians(runs[case, "ours"]) if "ours" in tools else None
        for tool in tools:
            once = Case(case.latency_ms, case.faults_percent, 8) if tool == "plain" else case
            figures, spent = medians(runs[once, tool]), runs[once, tool][0]
            table.add_row(
                f"{case.latency_ms} ms", f"{case.faults_percent} %", tool,
                f"{once.threads} {'processes' if tool == 'plain' else 'threads'}",
                f"{figures['per_s']:.0f}", f"{figures['cpu_ms']:.2f}",
                f"{figures['cpu_ms'] / own['cpu_ms']:.2f}" if own else "",
                f"{own['per_s'] / figures['per_s']:.2f}" if own else "",
                str(spent.good), str(spent.let_through["page"]),
                str(spent.let_through["cut"] + spent.let_through["other"]),
                f"{figures['peak_mb']:.0f}", f"{figures['whole_per_s']:.0f}", f"{figures['whole_cpu_ms']:.2f}",
                f"{figures['whole_cpu_ms'] / own['whole_cpu_ms']:.2f}" if own else "",
                f"{own['whole_per_s'] / figures['whole_per_s']:.2f}" if own else "",
                f"{figures['server_cpu_ms']:.2f}",
                end_section=tool == tools[-1],
            )  # fmt: skip
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
