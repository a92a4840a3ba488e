"""Estimated against measured memory and arithmetic."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nexort.elaborate import elaborate
from nexort.engine import Streams, arrays, build_plan, estimate_plan, execute
from nexort.finite import FiniteRun, Neurons, backend
from nexort.graph import Graph
from nexort.passes import outer_sums
from nexort.source import Source
from nexort.symbolic import Kernel
from nexort.syntax import parse

from .programs import adam, normalized_update, tensor_times_vector, transposed_state


def measured_peak(graph: Graph, n: int, threads: int) -> tuple[int, int]:
    plan = build_plan(graph, length=n, outer_sums=outer_sums(graph))
    meaning = Neurons(length=n, dtype=np.dtype("float64"), init="gaussian", streams=Streams(0))
    tracemalloc.start()
    try:
        execute(plan, meaning, threads=threads)
        return tracemalloc.get_traced_memory()[1], estimate_plan(plan, length=n, itemsize=8, threads=threads).bytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("make", [lambda: adam(4, 8), transposed_state, normalized_update, tensor_times_vector])
def test_peak_memory_is_estimated_within_a_quarter(make: Callable[[], Graph]) -> None:
    peak, estimate = measured_peak(make(), 1500, 1)
    assert 0.75 * peak < estimate < 1.25 * peak


def test_an_adam_step_holds_little_more_than_its_three_matrices() -> None:
    n = 1500
    peak, _ = measured_peak(adam(4, 8), n, 1)
    assert peak < 1.3 * 3 * 8 * n**2


SHIPPED = Path(__file__).parents[2] / "programs"
ADAM = (SHIPPED / "adam_mup.nx").read_text()
MOMENTUM = re.sub(r"adam\((grad\(loss, [^)]*\)), beta2=0.99, eps=1e-4\)", r"momentum(\1)", ADAM)
ORDER_3 = "vector x, y\nw{i} = avg{j,k}(tanh(x{i} * x{j} + y{k}))\noutput <w|y> as o\n"
MATRIX_PRODUCT = "vector x, y\nT{i,j} = tanh(x{i} * y{j})\nG{i,j} = avg{k}(T{i,k} * T{j,k}^2)\noutput <x|G|y> as o\n"
ROUNDS_OF_MOMENTUM = """
vector x[2], v
m = 0
for t in 0..20:
    z[a] = tanh(x[a] + 0.1 * t * v)
    m{i,j} = 0.9 * m{i,j} + sum[a](z[a]{i} * x[a]{j})
    x[a] = x[a] + 0.01 * (m @ x[a])
    v = tanh(m' @ v)
output <x[a]|v> as o[a]
"""


def compiled(text: str, width: int, **settings: float) -> FiniteRun:
    return FiniteRun(elaborate(parse(Source("<text>", text)), settings=settings), width=width, threads=1)


@pytest.mark.parametrize(
    ("text", "settings", "width"),
    [
        (ADAM, {"T": 3}, 300),
        (MOMENTUM, {"T": 4}, 300),
        (ORDER_3, {}, 150),
        (MATRIX_PRODUCT, {}, 300),
        ((SHIPPED / "muon.nx").read_text(), {}, 200),
        (ROUNDS_OF_MOMENTUM, {}, 400),
    ],
    ids=["adam", "momentum", "order 3", "two free axes and one bound", "muon", "factored sums"],
)
def test_arithmetic_is_estimated_within_a_factor_of_two(
    text: str, settings: dict[str, float], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = 0

    def counted(owner: Any, name: str, count: Callable[..., int]) -> None:
        original = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            nonlocal done
            result = original(*args, **options)
            done += count(result, *args)
            return result

        monkeypatch.setattr(owner, name, call)

    counted(arrays, "_multiply_pair", lambda _, left, right, *rest: 2 * prod(arrays.sizes_of([left, right]).values()))
    counted(backend, "multiply_matrix", lambda _, matrix, argument, *rest: 2 * matrix.size * len(argument))
    counted(Kernel, "run_all", lambda _, self, arrays, outs, *rest: outs[0].size * self.flops)
    run = compiled(text, width, **settings)
    run.trial(0)
    assert 0.5 < run.estimate.flops / done < 2


def test_the_estimate_names_the_average_over_three_axes() -> None:
    text = "vector x, y\nu = tanh(x * y)\nw{i} = avg{j,k}(tanh(u{i} * x{j} + y{k}))\noutput <w|y> as o\n"
    estimate = compiled(text, 500).estimate
    assert estimate.heaviest is not None and estimate.heaviest.span is not None
    assert estimate.share > 0.9
    assert estimate.heaviest.span.text == "tanh(u{i} * x{j} + y{k})"


PEAK = """
import json, sys
from pathlib import Path
from nexort.elaborate import elaborate
from nexort.finite import FiniteRun
from nexort.source import Source
from nexort.syntax import parse

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

width, dtype, steps = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
graph = elaborate(parse(Source("<text>", sys.stdin.read())), settings={"T": steps})
FiniteRun(graph, width=64, dtype=dtype).trial(0)
before = peak()
run = FiniteRun(graph, width=width, dtype=dtype)
run.trial(0)
print(json.dumps([peak() - before, run.estimate.bytes]))
"""
"""Prints by how much the memory of a process grew, and the estimate."""

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def process_peak(text: str, width: int, dtype: str, steps: int) -> tuple[int, int]:
    command = [sys.executable, "-c", PEAK, str(width), dtype, str(steps)]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=True, cwd=SHIPPED.parent)
    peak, estimate = json.loads(done.stdout)
    return peak, estimate


def adam_arrays(width: int, itemsize: int) -> int:
    """What must live in a step of Adam with two trained layers: W, m, v, and some multi-vectors of 104 inputs."""
    return itemsize * (3 * width**2 + 4 * 104 * width)


@ON_LINUX
def test_memory_of_the_process_is_estimated_within_a_quarter() -> None:
    peak, estimate = process_peak(ADAM, 2500, "float32", 3)
    assert 0.75 * peak < estimate < 1.25 * peak
    assert peak < 1.3 * adam_arrays(2500, 4)


@ON_LINUX
@pytest.mark.long
def test_adam_at_width_7000_holds_little_more_than_its_arrays() -> None:
    peak, estimate = process_peak(ADAM, 7000, "float32", 3)
    assert 0.75 * peak < estimate < 1.25 * peak
    assert peak < 1.3 * adam_arrays(7000, 4)
