"""Programs as text to estimates of their limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from nexort.elaborate import elaborate
from nexort.graph import Graph
from nexort.limit import REDUCTIONS, Estimate, LimitRun, estimate_limit
from nexort.source import Source
from nexort.syntax import parse

Numbers = Mapping[str, float]
Arrays = Mapping[str, np.ndarray]


def graph_of(text: str, *, params: Numbers | None = None, data: Arrays | None = None) -> Graph:
    return elaborate(parse(Source("p.nx", text)), settings=params or {}, data=data)


def limit(
    text: str,
    *,
    samples: int = 4096,
    replicates: int = 8,
    seed: int = 0,
    params: Numbers | None = None,
    data: Arrays | None = None,
    reduce: Collection[str] = REDUCTIONS,
) -> dict[str, Estimate]:
    run = LimitRun(graph_of(text, params=params, data=data), samples=samples, seed=seed, reduce=reduce)
    runs = [run.replicate(k) for k in range(replicates)]
    return {name: estimate_limit([one[name] for one in runs], samples) for name in runs[0]}


def assert_limit(found: Estimate, truth: object, *, allowance: float = 1e-9) -> None:
    """Within 4.5 standard errors of the truth (and a stated bias), with error bars small enough to see a fault."""
    expected = np.asarray(truth, dtype=float)
    assert found.value.shape == expected.shape
    size = np.maximum(1, np.abs(expected))
    assert np.all(found.stderr < 0.02 * size), found.stderr
    gap = np.abs(found.value - expected)
    assert np.all(gap < 4.5 * found.stderr + allowance), (found.value, expected, found.stderr)
