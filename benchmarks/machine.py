"""Processes to measure in, and what the machine is."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Collection, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "programs" / "adam_mup.nx"
PACKAGES = ("numpy", "scipy", "sympy", "networkx", "lark", "torch", "jax")


def describe_machine(threads: int) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := package_version(name)) is not None},
    }


def package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def available_cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def hold_to_threads(threads: int) -> None:
    """Keep this process, and what it starts, to so many cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, available_cores()[:threads])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)


def peak_bytes() -> int:
    """The largest resident memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(module: str, arguments: Sequence[str], *, without: Collection[str] = ()) -> dict[str, Any]:
    """Run `python -m module` in a process of its own, some variables of the environment left out; the last line that it
    prints is JSON."""
    environment = {name: value for name, value in os.environ.items() if name not in without}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def has_torch() -> bool:
    return package_version("torch") is not None
