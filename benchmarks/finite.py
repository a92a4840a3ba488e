"""Row `finite`: a training step at width n against PyTorch, and the memory of each."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.machine import has_torch, measure

TITLES = ("contender", "s / step", "times nexort", "peak GB", "of it libraries")
LABELS = {
    "nexort": "nexort run",
    "written out": "PyTorch, Adam written out (a)",
    "fused": "PyTorch, fused Adam (b)",
}


def measure_finite(threads: int, *, is_smoke: bool) -> dict[str, Any]:
    """Each contender in turn, some rounds over, each time in a process of its own; the fastest of its rounds counts.

    Other work on the machine only ever adds to a time.
    """
    width, first, last, rounds = (512, 2, 4, 1) if is_smoke else (7000, 2, 7, 5)
    names = list(LABELS) if has_torch() else ["nexort"]
    arguments = [str(number) for number in (width, first, last, threads)]
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            measured[name].append(measure("benchmarks.contender", [name, *arguments]))
    contenders = {
        name: {
            "seconds": min(result["seconds"] for result in results),
            "peak": max(result["peak"] for result in results),
            "before": median(result["before"] for result in results),
            "rounds": results,
        }
        for name, results in measured.items()
    }
    return {"width": width, "steps": [first, last], "contenders": contenders}


def finite_table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    contenders = result["contenders"]
    ours = contenders["nexort"]
    rows: list[tuple[str, ...]] = [TITLES]
    for name, label in LABELS.items():
        if name not in contenders:
            rows.append((label, "PyTorch is not installed: pip install '.[peers]'", "", "", ""))
            continue
        theirs = contenders[name]
        rows.append(
            (
                label,
                f"{theirs['seconds']:.3g}",
                f"{theirs['seconds'] / ours['seconds']:.2f}",
                f"{theirs['peak'] / 1e9:.2f}",
                f"{theirs['before'] / 1e9:.2f}",
            )
        )
    return rows


def finite_notes(result: dict[str, Any]) -> str:
    return f"width {result['width']}, 104 inputs, float32; target: (a) at least 2.5 times nexort, (b) at least 1 time"
