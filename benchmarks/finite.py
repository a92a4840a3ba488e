"""Row `finite`: a training step at width n against PyTorch, and the memory of each."""

from __future__ import annotations

import os
from statistics import median
from typing import Any

from benchmarks.machine import has_torch, measure

TITLES = ("contender", "s / step", "times nexort", "peak GB", "of it libraries")
UNPINNED = "nexort, BLAS of this processor"
LABELS = {
    "nexort": "nexort run",
    UNPINNED: "nexort run, BLAS not held to a processor",
    "written out": "PyTorch, Adam written out (a)",
    "fused": "PyTorch, fused Adam (b)",
}


PINS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that hold OpenBLAS to the kernels of one processor on every processor; some workplaces set them, so that
results repeat.  They reach NumPy and not PyTorch's library."""


def find_pins() -> dict[str, str]:
    return {name: os.environ[name] for name in PINS if name in os.environ}


def measure_finite(threads: int, *, is_smoke: bool) -> dict[str, Any]:
    """Each contender in turn, some rounds over, each time in a process of its own; the fastest of its rounds counts.

    Other work on the machine only ever adds to a time.  Where the environment holds OpenBLAS to a processor, `nexort
    run` is measured with that and without.
    """
    width, first, last, rounds = (512, 2, 4, 1) if is_smoke else (7000, 2, 7, 5)
    pins = find_pins()
    names = [name for name in LABELS if (name != UNPINNED or pins) and (name.startswith("nexort") or has_torch())]
    arguments = [str(number) for number in (width, first, last, threads)]
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            contender, dropped = ("nexort", PINS) if name == UNPINNED else (name, ())
            measured[name].append(measure("benchmarks.contender", [contender, *arguments], without=dropped))
    contenders = {
        name: {
            "seconds": min(result["seconds"] for result in results),
            "peak": max(result["peak"] for result in results),
            "before": median(result["before"] for result in results),
            "rounds": results,
        }
        for name, results in measured.items()
    }
    return {"width": width, "steps": [first, last], "pins": pins, "contenders": contenders}


def finite_table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    contenders = result["contenders"]
    ours = contenders["nexort"]
    rows: list[tuple[str, ...]] = [TITLES]
    for name, label in LABELS.items():
        if name == UNPINNED and name not in contenders:
            continue
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
    held = ", ".join(f"{name}={value}" for name, value in result["pins"].items())
    note = f"width {result['width']}, 104 inputs, float32; target: (a) at least 2.5 times nexort, (b) at least 1 time"
    return f"{note}; {held} in the environment" if held else note
