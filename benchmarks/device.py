"""Row `device`: a training step on JAX against PyTorch, both on the GPU where there is one, else on the CPU.

Run as a module, one contender: `python -m benchmarks.device NAME KIND SIZE FIRST LAST THREADS` prints its seconds per
step, (time of LAST steps - time of FIRST steps)/(LAST - FIRST), after a run of each that compiles and loads everything.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.contender import run_fused, run_written_out
from benchmarks.machine import PROGRAM, has_torch, hold_to_threads, measure, package_version

TITLES = ("contender", "size", "s / step", "times nexort", "first run")
LABELS = {
    "nexort": "nexort run, JAX",
    "written out": "PyTorch, Adam written out",
    "fused": "PyTorch, fused Adam",
    "limit": "nexort limit, JAX, one replicate",
}
SIZES = {"gpu": (16384, 2, 12), "cpu": (7000, 2, 7)}
LIMIT_SIZES = {"gpu": (16384, 2, 7), "cpu": (4096, 2, 5)}
SMOKE = (1024, 2, 4)


def measure_device(threads: int, *, is_smoke: bool) -> dict[str, Any]:
    """Each contender in a process of its own, the fastest of some rounds; the limit beside a network of its size."""
    if package_version("jax") is None:
        return {"kind": "cpu", "contenders": {}}
    kind = measure("benchmarks.device", ["kind"])["kind"]
    names = [name for name in LABELS if has_torch() or name in ("nexort", "limit")]
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(1 if is_smoke else 3):
        for name in names:
            sizes = SMOKE if is_smoke else (LIMIT_SIZES if name == "limit" else SIZES)[kind]
            found = measure("benchmarks.device", [name, kind, *map(str, sizes), str(threads)])
            measured[name].append({**found, "size": sizes[0]})
    return {
        "kind": kind,
        "contenders": {
            name: {**min(results, key=lambda result: result["seconds"]), "rounds": results}
            for name, results in measured.items()
        },
    }


def device_table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    contenders = result["contenders"]
    rows: list[tuple[str, ...]] = [TITLES]
    for name, label in LABELS.items():
        if name not in contenders:
            missing = "'.[jax]'" if name in ("nexort", "limit") else "'.[peers]'"
            rows.append((label, f"not installed: pip install {missing}", "", "", ""))
            continue
        found = contenders[name]
        ratio = found["seconds"] / contenders["nexort"]["seconds"]
        rows.append(
            (label, str(found["size"]), f"{found['seconds']:.3g}", f"{ratio:.2f}", f"{found['first run']:.1f} s")
        )
    return rows


def device_notes(result: dict[str, Any]) -> str:
    return f"JAX and PyTorch on the {result['kind'].upper()}, 104 inputs, float32; compiling is in the first run only"


def _run_nexort(size: int, steps: tuple[int, int]) -> list[float]:
    import nexort

    def trial(count: int) -> object:
        return nexort.load(PROGRAM, T=count).run(size, trials=1, **_options())

    return [_time(trial, count) for count in steps]


def _run_limit(size: int, steps: tuple[int, int]) -> list[float]:
    import nexort

    def replicate(count: int) -> object:
        return nexort.load(PROGRAM, T=count).limit(size, replicates=1, method="particles", **_options())

    return [_time(replicate, count) for count in steps]


def _options() -> dict[str, Any]:
    return {"dtype": "float32", "device": sys.argv[2], "engine": "jax"}


def _run_torch(run: Callable[[int, tuple[int, ...]], list[float]]) -> Callable[[int, tuple[int, int]], list[float]]:
    def timed(size: int, steps: tuple[int, int]) -> list[float]:
        import torch

        torch.set_default_device("cuda" if sys.argv[2] == "gpu" else "cpu")
        return run(size, steps)

    return timed


CONTENDERS: dict[str, Callable[[int, tuple[int, int]], list[float]]] = {
    "nexort": _run_nexort,
    "written out": _run_torch(run_written_out),
    "fused": _run_torch(run_fused),
    "limit": _run_limit,
}


def _time(work: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def main() -> None:
    if sys.argv[1] == "kind":
        import jax

        print(json.dumps({"kind": "gpu" if jax.default_backend() == "gpu" else "cpu"}))
        return
    name, (size, first, last, threads) = sys.argv[1], map(int, sys.argv[3:7])
    if sys.argv[2] == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
        hold_to_threads(threads)
    run = CONTENDERS[name]
    warm = _time(run, size, (first, last))
    early, late = run(size, (first, last))
    print(json.dumps({"seconds": (late - early) / (last - first), "first run": warm}))


if __name__ == "__main__":
    main()
