"""Row `start`: how long `nexort --help` takes."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import Any

from benchmarks.machine import ROOT

COMMANDS = {"nexort --help": ["-m", "nexort", "--help"], "python -c pass": ["-c", "pass"]}
TITLES = ("command", "median", "fastest")


def measure_start(threads: int, *, is_smoke: bool) -> dict[str, Any]:
    """Wall time of new processes, the interpreter's own start for comparison."""
    del threads
    rounds = 3 if is_smoke else 20
    return {name: _times(arguments, rounds) for name, arguments in COMMANDS.items()}


def _times(arguments: list[str], rounds: int) -> list[float]:
    seconds: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return seconds


def start_table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = [(name, f"{median(times):.3f} s", f"{min(times):.3f} s") for name, times in result.items()]
    return [TITLES, *rows]


def start_notes(result: dict[str, Any]) -> str:
    del result
    return "target: under 0.3 s"
