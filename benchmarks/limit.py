"""Row `limit`: the error of `limit --samples N --replicates 1` against that of one network of width N, and their times.

Errors are root mean squares over inputs and over seeds of the distance from a limit that was computed once, more
accurately (`settings`).  Both in float32, in turn, each seed of each in a process of its own.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import hold_to_threads, measure
from benchmarks.settings import SETTINGS, answer

if TYPE_CHECKING:
    import nexort

TITLES = ("setting", "step", "limit", "network", "ratio", "error of the answer")
SHOWN = {"reference": (1, 2, 4, 6, 8, 10), "smooth": (1, 5, 10, 15, 20)}


def measure_limit(threads: int, *, is_smoke: bool) -> dict[str, Any]:
    size, seeds = (1280, 1) if is_smoke else (4096, 8)
    settings: dict[str, Any] = {}
    for name, setting in SETTINGS.items():
        found: dict[str, list[dict[str, Any]]] = {"limit": [], "network": []}
        for seed in range(seeds):
            for what, results in found.items():
                results.append(measure("benchmarks.limit", [what, name, str(size), str(seed), str(threads)]))
        squares = {what: np.mean([each["squares"] for each in results], axis=0) for what, results in found.items()}
        ratios = np.sqrt(squares["limit"] / squares["network"])
        settings[name] = {
            "errors": {what: np.sqrt(square).tolist() for what, square in squares.items()},
            "answer": answer(name)[1].tolist(),
            "ratios": ratios.tolist(),
            "ratio": float(np.sqrt(squares["limit"].sum() / squares["network"].sum())),
            "target": setting.target,
            "seconds": {what: min(each["seconds"] for each in results) for what, results in found.items()},
        }
    return {"size": size, "seeds": seeds, "settings": settings}


def limit_table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [TITLES]
    for name, found in result["settings"].items():
        for step in SHOWN[name]:
            k = SETTINGS[name].steps.index(step)
            errors = (f"{found['errors'][what][k]:.4f}" for what in ("limit", "network"))
            rows.append((name, str(step), *errors, f"1/{1 / found['ratios'][k]:.1f}", f"{found['answer'][k]:.4f}"))
    return rows


def limit_notes(result: dict[str, Any]) -> str:
    lines = [f"{result['size']} samples against width {result['size']}, {result['seeds']} seeds, float32"]
    for name, found in result["settings"].items():
        seconds = found["seconds"]
        lines.append(
            f"{name}: 1/{1 / found['ratio']:.1f} of the network's error (target 1/{1 / found['target']:.0f}) in "
            f"{seconds['limit'] / seconds['network']:.1f} times its {seconds['network']:.2f} s (target 3 times)"
        )
    return "; ".join(lines)


def main() -> None:
    """One seed of one contender: its squared errors by step and its seconds."""
    what, name, size, seed, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    hold_to_threads(threads)
    setting = SETTINGS[name]

    def compute(program: nexort.Program, size: int) -> np.ndarray:
        if what == "limit":
            return program.limit(samples=size, replicates=1, seed=seed, dtype="float32", method="particles")["f"].value
        return program.run(size, trials=1, seed=seed, dtype="float32")["f"].mean

    program = setting.load()
    compute(setting.load(steps=2), 512)  # libraries are loaded, functions compiled
    start = time.perf_counter()
    f = compute(program, size)
    seconds = time.perf_counter() - start
    expected, _ = answer(name)
    squares = np.mean(np.square(f[list(setting.steps)] - expected), axis=-1)
    print(json.dumps({"squares": squares.tolist(), "seconds": seconds}))


if __name__ == "__main__":
    main()
