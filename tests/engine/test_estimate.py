"""Estimated against measured memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from nexort.engine import build_plan, estimate_plan, execute
from nexort.engine.streams import Streams
from nexort.finite import Neurons
from nexort.graph import Graph
from nexort.passes import outer_sums

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
