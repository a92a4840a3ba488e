"""The engine against the naive interpreter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nexort.engine import AverageRule, build_plan, execute
from nexort.engine import plan as plan_module
from nexort.engine.averages import draw_permutations
from nexort.errors import ComputationFault
from nexort.graph import Contract, DenseOperator
from nexort.passes import outer_sums

from . import naive
from .build import GivenMeaning, contraction, draws, entrywise, f, graph_of, vec, x0, x1, x2
from .programs import PROGRAMS, average


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("is_factored", [True, False])
@pytest.mark.parametrize("n", [7, 70])
def test_engine_agrees_with_the_naive_interpreter(name: str, n: int, is_factored: bool) -> None:
    graph = PROGRAMS[name]()
    initial = draws(graph, n)
    expected = naive.evaluate(graph, n, initial)
    plan = build_plan(graph, length=n, outer_sums=outer_sums(graph) if is_factored else ())
    found = execute(plan, GivenMeaning(n, initial))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-11, err_msg=key)


def test_tensors_that_are_only_contracted_are_never_formed() -> None:
    graph = PROGRAMS["linear_tensors"]()
    plan = build_plan(graph, length=8, outer_sums=outer_sums(graph))
    assert not plan.levels.large
    assert not plan.levels.roots


def test_distinct_averages_leave_out_coincidences() -> None:
    x, z = vec("x"), vec("z")
    n = 9
    pair = entrywise(f("tanh", x0 + 2 * x1), (x, "I"), (x, "J"), out="IJ")
    triple = entrywise(f("tanh", x0 * x1 + x2), (x, "I"), (x, "J"), (z, "K"), out="IJK")
    outer = contraction((x, "I"), (z, "J"), out="IJ")
    graph = graph_of(
        a=contraction((pair, "IJ"), (z, "J"), out="I"),
        b=average(pair, 0, 1),
        c=average(triple, 1, 2),
        d=contraction((outer, "IJ"), (x, "J"), out="I"),
        e=contraction((outer, "IJ"), (pair, "IJ"), out=""),
    )
    rule = AverageRule(is_distinct=True)
    initial = draws(graph, n)
    found = execute(build_plan(graph, length=n, outer_sums={outer}, rule=rule), GivenMeaning(n, initial, rule=rule))
    xs, zs = initial["x", ()], initial["z", ()]
    i, j, k = np.ix_(range(n), range(n), range(n))
    t = np.tanh(xs[i] * xs[j] + zs[k]) * ((i != j) & (i != k) & (j != k))
    p = np.tanh(xs[:, None] + 2 * xs) * (1 - np.eye(n))
    np.testing.assert_allclose(found["a"], p @ zs / (n - 1))
    np.testing.assert_allclose(found["b"], p.sum() / n / (n - 1))
    np.testing.assert_allclose(found["c"], t.sum((1, 2)) / (n - 1) / (n - 2))
    np.testing.assert_allclose(found["d"], xs * (zs @ xs) / n)
    np.testing.assert_allclose(found["e"], (p * np.outer(xs, zs)).sum() / n / (n - 1))


def test_indices_that_no_operand_shares_are_distinct_too() -> None:
    """Brute force over all triples, of which those with two equal indices are left out."""
    x, z, n = vec("x"), vec("z"), 9
    t = entrywise(f("tanh", x0 + 2 * x1), (x, "I"), (z, "J"), out="IJ")
    s = entrywise(f("sin", x0 * x1 + x1), (x, "I"), (x, "J"), out="IJ")
    graph = graph_of(
        a=contraction((t, "IJ"), (s, "JK"), out="I"),
        b=contraction((t, "IJ"), (s, "JK"), out=""),
        c=contraction((t, "IJ"), (s, "JK"), (z, "K"), (x, "I"), out=""),
        e=contraction((contraction((t, "IJ"), (s, "JK"), out="IK"), "II"), (z, "I"), out=""),
    )
    rule = AverageRule(is_distinct=True)
    initial = draws(graph, n)
    found = execute(build_plan(graph, length=n, rule=rule), GivenMeaning(n, initial, rule=rule))
    xs, zs = initial["x", ()], initial["z", ()]
    i, j, k = np.ix_(range(n), range(n), range(n))
    terms = np.tanh(xs[i] + 2 * zs[j]) * np.sin(xs[j] * xs[k] + xs[k]) * ((i != j) & (i != k) & (j != k))
    np.testing.assert_allclose(found["a"], terms.sum((1, 2)) / (n - 1) / (n - 2))
    np.testing.assert_allclose(found["b"], terms.sum() / n / (n - 1) / (n - 2))
    np.testing.assert_allclose(found["c"], (terms * zs[k] * xs[i]).sum() / n / (n - 1) / (n - 2))
    # T_ij S_ji
    loops = np.tanh(xs[:, None] + 2 * zs) * np.sin(np.outer(xs, xs) + xs[:, None])
    diagonal = (loops * (1 - np.eye(n))).sum(1) / (n - 1)
    np.testing.assert_allclose(found["e"], diagonal @ zs / n)


@pytest.mark.parametrize("n", [6, 40])
def test_pairs_that_no_operand_shares_are_left_out_of_random_pairs(n: int) -> None:
    """One round at every k = π(j) is a sum over n − 2 terms (j, π(j)), both distinct from i."""
    x, z = vec("x"), vec("z")
    t = entrywise(f("tanh", x0 + 2 * x1), (x, "I"), (z, "J"), out="IJ")
    s = entrywise(f("sin", x0 * x1 + x1), (x, "I"), (x, "J"), out="IJ")
    graph = graph_of(a=contraction((t, "IJ"), (s, "JK"), out="I"))
    initial = draws(graph, n)
    rule = AverageRule(is_distinct=True, pair_above=100, rounds=3)
    found = execute(build_plan(graph, length=n, rule=rule), GivenMeaning(n, initial, rule=rule))
    xs, zs = initial["x", ()], initial["z", ()]
    total = np.zeros(n)
    for round_ in range(3):
        (pair,) = draw_permutations(np.random.default_rng(round_), 1, n)
        i, j = np.ix_(range(n), range(n))
        k = pair[j]
        total += (np.tanh(xs[i] + 2 * zs[j]) * np.sin(xs[j] * xs[k] + xs[k]) * ((i != j) & (i != k))).sum(1)
    np.testing.assert_allclose(found["a"], total / (3 * (n - 2)))


def test_random_pairs_estimate_the_distinct_average() -> None:
    n = 40
    x, z = vec("x"), vec("z")
    triple = entrywise(f("tanh", x0 * x1 + x2), (x, "I"), (x, "J"), (z, "K"), out="IJK")
    graph = graph_of(y=average(triple, 1, 2), s=average(triple, 0, 1, 2), r=average(triple, 0, 2))
    initial = draws(graph, n)
    exact, paired = AverageRule(is_distinct=True), AverageRule(is_distinct=True, pair_above=100, rounds=400)
    first = execute(build_plan(graph, length=n, rule=exact), GivenMeaning(n, initial, rule=exact))
    second = execute(build_plan(graph, length=n, rule=paired), GivenMeaning(n, initial, rule=paired))
    for name, value in first.items():
        # terms lie in (-1, 1): the standard error of the pairs is below (400 · 38)^-1/2
        np.testing.assert_allclose(second[name], value, atol=5 / np.sqrt(400 * 38))


def test_permutations_of_pairs_never_agree() -> None:
    permutations = draw_permutations(np.random.default_rng(0), 3, 11)
    everything = np.stack([np.arange(11), *permutations])
    assert all(len(set(column)) == 4 for column in everything.T)
    assert all(sorted(row) == list(range(11)) for row in everything)


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_do_not_depend_on_the_number_of_threads(name: str) -> None:
    graph, n = PROGRAMS[name](), 90
    plan = build_plan(graph, length=n, outer_sums=outer_sums(graph))
    initial = draws(graph, n)
    one, three = (execute(plan, GivenMeaning(n, initial, "float32"), threads=k) for k in (1, 3))
    for key, value in one.items():
        np.testing.assert_array_equal(three[key], value)


def test_a_value_that_is_not_finite_stops_the_run_and_says_where() -> None:
    x = vec("x")
    bad = replace(entrywise(f("log", x0 * x1), (x, "I"), (x, "J"), out="IJ"), passes=(("t", 12),))
    graph = graph_of(s=replace(average(bad, 0, 1), passes=(("t", 12),)))
    with pytest.raises(ComputationFault, match=r"not finite, t = 12"):
        execute(build_plan(graph, length=5), GivenMeaning(5, draws(graph, 5)))


@pytest.mark.parametrize("name", PROGRAMS)
def test_tiles_cut_along_every_axis_give_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for constant, value in {"TILE_ENTRIES": 200, "LEAST_ROWS": 3, "LEAST_COLUMNS": 5, "CHUNKS": 2}.items():
        monkeypatch.setattr(plan_module, constant, value)
    graph, n = PROGRAMS[name](), 23
    initial = draws(graph, n)
    expected = naive.evaluate(graph, n, initial)
    found = execute(build_plan(graph, length=n, outer_sums=outer_sums(graph)), GivenMeaning(n, initial))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-11, err_msg=key)


def test_a_polynomial_of_a_tensor_is_one_product_per_tile() -> None:
    graph = PROGRAMS["polynomial_of_a_tensor"]()
    plan = build_plan(graph, length=8, outer_sums=outer_sums(graph))
    assert not any(isinstance(node, Contract) for node in plan.levels.large)


def test_the_fault_of_a_vector_shows_the_ranges_of_what_it_was_made_of() -> None:
    graph = graph_of(s=entrywise(f("log", x0), (vec("x"), "I"), out="I"))
    with pytest.raises(ComputationFault) as caught:
        execute(build_plan(graph, length=50), GivenMeaning(50, draws(graph, 50)))
    assert "of 50 entries are nan or infinite" in caught.value.message
    assert caught.value.hint.startswith("the operands lie in [-")


def test_progress_is_told_each_step_and_may_interrupt() -> None:
    graph, n = PROGRAMS["adam"](), 20
    plan, meaning = build_plan(graph, length=n), GivenMeaning(n, draws(graph, n))
    seen: list[tuple[int, int]] = []
    execute(plan, meaning, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k + 1, len(plan.steps)) for k in range(len(plan.steps))]

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(plan, meaning, progress=interrupt)


def test_an_update_is_written_over_the_old_matrix() -> None:
    plan = build_plan(PROGRAMS["adam"](), length=100)
    over = {type(new).__name__ for step in plan.overwritten for new in step}
    assert "DenseOperator" in over
    formed = [node for node in plan.graph.order if isinstance(node, DenseOperator)]
    assert sum(node in step for step in plan.overwritten for node in formed) == len(formed)
