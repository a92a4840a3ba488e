"""Row `compile`: from the text of a program with T training steps to the plans of both backends."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from benchmarks.machine import PROGRAM, measure

TITLES = ("steps", "parse", "elaborate", "plan of run", "text to plan", "plan of limit", "nodes")


def measure_compile(threads: int, *, is_smoke: bool) -> dict[str, Any]:
    """Each number of steps in a process of its own, the best of some."""
    steps, rounds = ((5, 10), 1) if is_smoke else ((100, 200), 3)
    del threads  # compiling is serial
    measured = {str(count): _best(count, rounds) for count in steps}
    first, second = (sum(measured[str(count)][stage] for stage in _TO_PLAN) for count in steps)
    return {"steps": measured, "ratio": second / first}


_TO_PLAN = ("parse", "elaborate", "run")


def _best(steps: int, rounds: int) -> dict[str, Any]:
    results = [measure("benchmarks.compiling", [str(steps)]) for _ in range(rounds)]
    return min(results, key=lambda result: sum(result[stage] for stage in _TO_PLAN))


def compile_table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [TITLES]
    for count, times in result["steps"].items():
        total = sum(times[stage] for stage in _TO_PLAN)
        seconds = (times["parse"], times["elaborate"], times["run"], total, times["limit"])
        rows.append((f"T = {count}", *(f"{time:.2f} s" for time in seconds), str(times["nodes"])))
    return rows


def compile_notes(result: dict[str, Any]) -> str:
    low, high = result["steps"]
    target = "text to plan under 2 s at T = 100, and twice the steps in at most 2.2 times the time"
    return f"from T = {low} to T = {high}: {result['ratio']:.2f} times the time; target: {target}"


def main() -> None:
    """Seconds of each stage, after a first program has loaded the libraries."""
    from nexort import api, elaborate, syntax
    from nexort.finite import FiniteRun
    from nexort.limit import LimitRun

    steps = int(sys.argv[1])
    source = api.read_source(str(PROGRAM))
    warm = elaborate.elaborate(syntax.parse(source), settings={"T": 1})
    FiniteRun(warm, width=16)
    LimitRun(warm, samples=16)
    times = [time.perf_counter()]
    tree = syntax.parse(source)
    times.append(time.perf_counter())
    graph = elaborate.elaborate(tree, settings={"T": steps})
    times.append(time.perf_counter())
    FiniteRun(graph, width=7000)
    times.append(time.perf_counter())
    LimitRun(graph)
    times.append(time.perf_counter())
    names = ("parse", "elaborate", "run", "limit")
    seconds = {name: end - start for name, start, end in zip(names, times, times[1:], strict=False)}
    print(json.dumps({**seconds, "nodes": len(graph.order)}))


if __name__ == "__main__":
    main()
