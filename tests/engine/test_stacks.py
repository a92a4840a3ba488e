"""Stacks of growing sequences, and factored sums over many steps."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.engine import build_plan, contract, execute, factors
from nexort.engine.stacks import Stacks
from nexort.graph import Graph, Node
from nexort.passes import outer_sums

from . import naive
from .build import GivenMeaning, contraction, draws, entrywise, f, graph_of, num, vec, x0, x1


def test_stacks_are_stacks_whatever_came_before() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((2, 3)) for _ in range(12)]
    stacks, seen = Stacks(), []
    for chosen in ([0], [0, 1], [0, 1, 2, 3, 4], [0, 1], [0, 2, 3], [0, 2, 3, 4, 5, 6, 7], [0, 1, 2], [5], [5, 0, 1]):
        parts = [arrays[k] for k in chosen]
        seen.append((stacks.stack(parts), np.stack(parts)))
    for found, expected in seen:
        np.testing.assert_array_equal(found, expected)


def test_a_sequence_that_grows_is_not_copied_anew() -> None:
    arrays = [np.full(3, k) for k in range(20)]
    stacks = Stacks()
    long = stacks.stack(arrays)
    assert np.may_share_memory(stacks.stack(arrays[:7]), long)


def momentum(steps: int) -> Graph:
    """Two accumulated sums of outer products of other vectors each step, one of them of the other."""
    v, u = vec("v"), vec("u", 2)
    m: Node = num(0.0)
    d: Node = num(0.0)
    outputs: list[Node] = []
    for t in range(steps):
        x = entrywise(f("tanh", x0 + t / 10), (u, "aI"), out="aI")
        y = entrywise(f("sin", x0 + x1 * t), (v, "I"), (u, "aI"), out="aI")
        g = contraction((x, "aI"), (y, "aJ"), out="IJ")
        m = entrywise(x0 + x1, (m, "IJ"), (g, "IJ"), out="IJ") if t else g
        m = entrywise(x0 * x1, (num(0.9), ""), (m, "IJ"), out="IJ")
        d = entrywise(x0 - x1, (d, "IJ"), (m, "IJ"), out="IJ") if t else m
        v = contraction((d, "IJ"), (v, "J"), out="I")
        w = contraction((d, "JI"), (u, "aJ"), out="aI")
        v = entrywise(f("tanh", x0 + x1), (v, "I"), (v, "I"), out="I")
        outputs.append(contraction((v, "I"), (w, "aI"), out="a"))
    return graph_of(o=outputs, s=contraction((d, "IJ"), (m, "JI"), out=""))


def test_sums_over_many_steps_agree_with_the_naive_interpreter() -> None:
    graph = momentum(12)
    initial = draws(graph, 9)
    expected = naive.evaluate(graph, 9, initial)
    found = execute(build_plan(graph, length=9, outer_sums=outer_sums(graph)), GivenMeaning(9, initial))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-11)


def test_the_number_of_products_is_linear_in_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def products(steps: int) -> int:
        calls: list[int] = []
        monkeypatch.setattr(
            factors, "contract", lambda *args, **options: (calls.append(1), contract(*args, **options))[1]
        )
        graph = momentum(steps)
        plan = build_plan(graph, length=8, outer_sums=outer_sums(graph))
        execute(plan, GivenMeaning(8, draws(graph, 8)), threads=1)
        assert calls
        return len(calls)

    assert products(40) < 2.5 * products(20)
