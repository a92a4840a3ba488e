"""Row `scaling`: how time and memory grow with width or samples, inputs, and steps; each point in a process of its own.

The program is `programs/train_mlp.nx` with one matrix (two hidden layers, tanh, Adam on all weights, maximal update
parametrization).  A point is one trial of `run` in float32, or one replicate of `limit` in float64, from its graph on;
from the text to the graph is shown apart.

`python -m benchmarks.scaling FIGURES.json PICTURE.png` draws what a run of the row measured (needs matplotlib).
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, hold_to_threads, measure, peak_bytes

PROGRAM = ROOT / "programs" / "train_mlp.nx"
AXES = ("size", "inputs", "steps")
"""The width of `run`, the samples of `limit`; inputs and steps of both."""
TITLES = ("command", "grows", "to", "text to graph", "compute", "peak GB", "power of time", "power of memory")


@dataclass(frozen=True, kw_only=True)
class Point:
    command: str
    axis: str
    size: int
    inputs: int
    steps: int

    @property
    def value(self) -> int:
        return getattr(self, self.axis)


SERIES = {
    ("run", "size"): (Point(command="run", axis="size", size=1024, inputs=16, steps=5), 5),
    ("run", "inputs"): (Point(command="run", axis="inputs", size=1024, inputs=64, steps=3), 5),
    ("run", "steps"): (Point(command="run", axis="steps", size=512, inputs=4, steps=62), 5),
    ("limit", "size"): (Point(command="limit", axis="size", size=512, inputs=16, steps=5), 5),
    ("limit", "inputs"): (Point(command="limit", axis="inputs", size=4096, inputs=8, steps=3), 5),
    ("limit", "steps"): (Point(command="limit", axis="steps", size=4096, inputs=1, steps=62), 5),
}
"""The first point of each series, and how many, each with twice the value of the one before."""


def measure_scaling(threads: int, *, is_smoke: bool) -> dict[str, Any]:
    points: list[dict[str, Any]] = []
    for point in _points(is_smoke):
        arguments = [point.command, str(point.size), str(point.inputs), str(point.steps), str(threads)]
        points.append({**asdict(point), "value": point.value, **measure("benchmarks.scaling", arguments)})
    return {"points": points}


def _points(is_smoke: bool) -> Iterator[Point]:
    for (command, axis), (first, count) in SERIES.items():
        if is_smoke and axis != "steps":
            continue
        for k in range(2 if is_smoke else count):
            values = (
                {"size": 64, "inputs": 2, "steps": 3} if is_smoke else {name: getattr(first, name) for name in AXES}
            )
            yield Point(command=command, axis=axis, **{**values, axis: values[axis] << k})


def scaling_table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """A line for each series: its last point, and the powers over its last doubling."""
    rows: list[tuple[str, ...]] = [TITLES]
    for command, axis in dict.fromkeys((p["command"], p["axis"]) for p in result["points"]):
        before, last = [p for p in result["points"] if (p["command"], p["axis"]) == (command, axis)][-2:]
        rows.append(
            (
                command,
                axis if axis != "size" else {"run": "width", "limit": "samples"}[command],
                str(last["value"]),
                f"{last['compile']:.2f} s",
                f"{last['compute']:.2f} s",
                f"{last['peak'] / 1e9:.2f}",
                f"{math.log2(last['compute'] / before['compute']):.1f}",
                f"{math.log2(last['peak'] / before['peak']):.1f}",
            )
        )
    return rows


def scaling_notes(result: dict[str, Any]) -> str:
    return f"{len(result['points'])} points; the last of each series, and powers over its last doubling"


def draw(result: dict[str, Any], path: Path) -> None:
    """Time of both commands against each axis, on logarithmic scales."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained", dpi=150)
    panels = figure.subplots(2, len(AXES), sharey="row")
    for row, command in zip(panels, ("run", "limit"), strict=True):
        for panel, axis in zip(row, AXES, strict=True):
            points = [p for p in result["points"] if (p["command"], p["axis"]) == (command, axis)]
            first = points[0]
            panel.loglog([p["value"] for p in points], [p["compute"] for p in points], "o-", color="#0072b2")
            panel.loglog([p["value"] for p in points], [p["compile"] for p in points], "s:", color="#999999", ms=4)
            fixed = ", ".join(_describe(command, name, first[name]) for name in AXES if name != axis)
            panel.set_xlabel(_noun(command, axis))
            panel.set_xticks([p["value"] for p in points], [str(p["value"]) for p in points])
            panel.minorticks_off()
            panel.set_title(fixed, fontsize=9)
            panel.grid(which="both", color="#eeeeee")
        row[0].set_ylabel(f"{command}: seconds")
    panels[0][0].legend(["compute", "text to graph"], frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _describe(command: str, axis: str, value: int) -> str:
    noun = _noun(command, axis)
    return f"width {value}" if noun == "width" else f"{value} {noun[: -1 if value == 1 else None]}"


def _noun(command: str, axis: str) -> str:
    return {"run": "width", "limit": "samples"}[command] if axis == "size" else axis


def compute(command: str, size: int, inputs: int, steps: int) -> dict[str, float]:
    """Seconds to the graph and from it, and the process's peak."""
    import nexort

    def program(inputs: int, steps: int) -> nexort.Program:
        return nexort.load(PROGRAM, L=1, M=inputs, T=steps)

    def run(each: nexort.Program, size: int) -> Any:
        if command == "run":
            return each.run(size, trials=1, dtype="float32")
        return each.limit(size, replicates=1)

    run(program(1, 1), 64)  # loads the libraries
    start = time.perf_counter()
    each = program(inputs, steps)
    _ = each.graph if command == "run" else each.limit_graph
    compiled = time.perf_counter()
    run(each, size)
    return {"compile": compiled - start, "compute": time.perf_counter() - compiled, "peak": peak_bytes()}


def main() -> None:
    if len(sys.argv) == 3:
        figures = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        draw(figures["rows"]["scaling"], Path(sys.argv[2]))
        return
    command, *numbers = sys.argv[1:]
    size, inputs, steps, threads = map(int, numbers)
    hold_to_threads(threads)
    print(json.dumps(compute(command, size, inputs, steps)))


if __name__ == "__main__":
    main()
