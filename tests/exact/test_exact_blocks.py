"""Kernels in blocks of rows: the same numbers, within the stated memory, and what is kept when time is over."""

from __future__ import annotations

import tracemalloc
from itertools import combinations

import numpy as np
import pytest

from nexort.elaborate import elaborate
from nexort.errors import NexortError
from nexort.exact import StoppedError, blocks, evaluate_exactly, plan_memory
from nexort.exact.blocks import lines
from nexort.exact.rows import find_rows, restrict
from nexort.graph import Graph
from nexort.passes import lower_for_limit
from nexort.source import Source
from nexort.syntax import parse

from .programs import perceptron


def inputs(count: int) -> np.ndarray:
    xi = np.random.default_rng(3).standard_normal((count, 4))
    return xi * (np.linspace(0.5, 2, count) / np.linalg.norm(xi, axis=1))[:, None]


def graph(text: str, count: int = 60) -> Graph:
    data = {"xi": inputs(count)} if "data xi" in text else None
    return elaborate(parse(Source("p.nx", text)), data=data, meaning="limit")


TEXT = perceptron("relu(z)", 2) + "\noutput <x[0, a] | x[0, a]> as S[a]\noutput <v | v> as one"


@pytest.mark.parametrize("q", [2, 3, 5, 7])
def test_lines_meet_every_pair_once(q: int) -> None:
    found = [frozenset(pair) for line in lines(q) for pair in combinations(line, 2)]
    assert len(found) == len(set(found)) == q**2 * (q**2 - 1) // 2


@pytest.mark.parametrize("phi", ["relu(z)", "tanh(z)"])
@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_give_the_whole(phi: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    program = graph(TEXT.replace("relu(z)", phi))
    whole = evaluate_exactly(program)
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(blocks, "LARGEST", 25)
    found = evaluate_exactly(program, lambda k, n: told.append((k, n)), threads=threads)
    assert told[-1] == (12, 12)  # q = 3: rows in 9 parts, on 12 lines
    assert found.keys() == whole.keys() == {"K", "T", "S", "one"}
    for name, value in whole.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "data xi[M, d]\nvector u[d]\nh[a] = sum[k](xi[a, k] * u[k])\noutput avg(sum[a](h[a])^2) as total",
        "data xi[M, d]\nvector u[d], w[M]\nh[a] = w[a] + sum[k](xi[a, k] * u[k])\noutput <h[a] | h[b]> as K[a, b]",
        "data xi[M, d]\nvector u[d]\nh[a] = sum[k](xi[a, k] * u[k])\noutput <h[a] | h[b]> / avg(h[0]^2) as K[a, b]",
        "data xi[M, d]\nvector u[d]\nh[a] = sum[k](xi[a, k] * u[k])\nmatrix W[M]\noutput <W[a] @ h[a] | h[a]> as K[a]",
        "data xi[M, d]\nvector u[d]\nh[a] = sum[k](xi[a, k] * u[k])\noutput avg(h[a] * h[b] * h[c]) as K[a, b, c]",
    ],
)
def test_rows_that_meet_are_evaluated_whole(text: str) -> None:
    """Summed, in the shape of initial vectors or matrices, indexed, and in three places of an output."""
    rows = find_rows(lower_for_limit(graph(text, 5)))
    assert rows is None or rows.length != 5


def test_the_graph_of_some_rows() -> None:
    lowered = lower_for_limit(graph(TEXT))
    rows = find_rows(lowered)
    assert rows is not None and rows.length == 60
    chosen = np.array([3, 10, 59])
    found = evaluate_exactly(restrict(lowered, rows, chosen))
    whole = evaluate_exactly(lowered)
    np.testing.assert_allclose(found["T"], whole["T"][np.ix_(chosen, chosen)], rtol=1e-13)
    np.testing.assert_allclose(found["S"], whole["S"][chosen], rtol=1e-13)


@pytest.mark.parametrize(("phi", "layers"), [("relu(z)", 1), ("relu(z)", 4), ("gelu(z)", 2), ("erf(z)", 3)])
def test_the_memory_is_estimated(phi: str, layers: int) -> None:
    program = lower_for_limit(graph(perceptron(phi, layers), 300))
    evaluate_exactly(graph(perceptron(phi, layers), 3))  # loads libraries
    stated = plan_memory(program, 1).bytes
    tracemalloc.start()
    try:
        evaluate_exactly(program)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken < stated < 3 * taken


def test_blocks_fit_into_the_memory_that_is_allowed() -> None:
    program = lower_for_limit(graph(TEXT, 300))
    whole = plan_memory(program, 1)
    part = plan_memory(program, 1, whole.bytes / 3)
    assert whole.order == 1 and part.order > 1 and part.bytes <= whole.bytes / 3
    with pytest.raises(NexortError) as caught:
        evaluate_exactly(program, max_memory=1e6)
    assert "in its smallest blocks, needs about" in caught.value.message and "1 MB may be taken" in caught.value.message


def test_what_is_computed_is_kept_when_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoppedError) as caught:
        evaluate_exactly(graph(TEXT), max_seconds=0)
    assert not caught.value.is_interrupt and np.isnan(caught.value.values["K"]).all()
    monkeypatch.setattr(blocks, "LARGEST", 25)
    whole = evaluate_exactly(graph(TEXT))

    def interrupt(done: int, total: int) -> None:
        if done == total - 2:
            raise KeyboardInterrupt

    with pytest.raises(StoppedError) as caught:
        evaluate_exactly(graph(TEXT), interrupt, threads=1)
    found = caught.value.values["T"]
    is_known = ~np.isnan(found)
    assert caught.value.is_interrupt and 0.6 < is_known.mean() < 1
    np.testing.assert_allclose(found[is_known], whole["T"][is_known], rtol=1e-13)


def test_interrupts_between_statements() -> None:
    text = "vector x\nfor t in 0..3:\n    x = tanh(x)\n    output avg(x^2) as m\n"

    def interrupt(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(StoppedError) as caught:
        evaluate_exactly(graph(text), interrupt)
    found = caught.value.values["m"]
    assert np.isfinite(found[:2]).all() and np.isnan(found[2])
