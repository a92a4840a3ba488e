"""Programs at width n: draws, lowering of operators, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.errors import ComputationFault
from nexort.finite import FiniteRun, lower_graph
from nexort.graph import VECTOR, DenseOperator, Graph, InitialMatrix, InitialVector, MatMul, Output, Type, build_graph
from nexort.graph.terms import (
    Place,
    Term,
    add_operators,
    apply_operator,
    average_over,
    combine,
    multiply_operators,
    number,
    transpose,
)
from nexort.symbolic import primitive

HERE = Place()


def vector(name: str) -> Term:
    return Term(InitialVector(type=VECTOR, name=name), (), ("i",))


def matrix(name: str, variance: float = 1.0) -> Term:
    node = InitialMatrix(type=Type(order=2, is_operator=True), name=name, variance=variance)
    return Term(node, (), (0, 1))


def apply(operator: Term, argument: Term) -> Term:
    return apply_operator(operator, argument, "i", HERE)


def inner(x: Term, y: Term) -> Term:
    return average_over(combine(primitive("mul"), (x, y), HERE), ["i"], HERE)


def outer(x: Term, y: Term, name: str = "mul") -> Term:
    return combine(primitive(name), (x, Term(y.node, y.static, ("j",))), HERE)


def sign_outer(x: Term, y: Term) -> Term:
    return combine(primitive("sign"), (outer(x, y),), HERE)


def graph_of(**outputs: Term) -> Graph:
    return build_graph(Output(name=name, loops=(), nodes=(term.node,)) for name, term in outputs.items())


def run(graph: Graph, width: int, **options: object) -> dict[str, np.ndarray]:
    return FiniteRun(graph, width=width, **options).trial(0)  # pyright: ignore[reportArgumentType]


def probe(operator: Term) -> Graph:
    """Outputs from which the tests know the operator's action on x."""
    x = vector("x")
    return graph_of(x=x, y=apply(operator, x), z=apply(transpose(operator, HERE), x))


def entries(name: str, width: int, **options: object) -> np.ndarray:
    """The n × n array of a matrix, from its action on the unit vectors that sign(x) picks apart is not needed:
    draws are keyed by name, so another run shows the same matrix."""
    from nexort.engine import Streams, Workers
    from nexort.finite import Neurons

    meaning = Neurons(length=width, dtype=np.dtype("float64"), init="gaussian", streams=Streams(0, 0), **options)  # pyright: ignore
    with Workers(1) as workers:
        return meaning.initial_matrix(matrix(name).node, workers)


def test_operators_act_as_their_arrays() -> None:
    w, v = matrix("W"), matrix("V")
    x, y = vector("x"), vector("y")
    t = sign_outer(x, y)
    n = 30
    a, b = entries("W", n), entries("V", n)
    update = add_operators([(number(0.9), w), (number(-0.5), t)], HERE)
    mixed = add_operators([(number(2.0), transpose(w, HERE)), (number(1.0), update), (number(-1.0), v)], HERE)
    composed = multiply_operators(add_operators([(number(1.0), w), (number(1.0), v)], HERE), update, HERE)
    both = graph_of(x=x, y=y)
    seen = run(both, n)
    s = np.sign(np.outer(seen["x"], seen["y"])) / n
    updated = 0.9 * a - 0.5 * s
    for operator, array in (
        (update, updated),
        (mixed, 2 * a.T + updated - b),
        (composed, (a + b) @ updated),
    ):
        found = run(probe(operator), n)
        np.testing.assert_allclose(found["y"], array @ found["x"], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found["z"], array.T @ found["x"], rtol=1e-10, atol=1e-12)


def test_sums_of_matrices_are_applied_in_turn_and_updates_are_formed() -> None:
    w = matrix("W")
    symmetric = add_operators([(number(0.5), w), (number(0.5), transpose(w, HERE))], HERE)
    lowered = lower_graph(probe(symmetric))
    assert not any(isinstance(node, DenseOperator) for node in lowered.order)
    assert sum(isinstance(node, MatMul) for node in lowered.order) == 2
    update = add_operators([(number(1.0), w), (number(-0.1), sign_outer(vector("x"), vector("y")))], HERE)
    lowered = lower_graph(probe(update))
    assert sum(isinstance(node, DenseOperator) for node in lowered.order) == 1


@pytest.mark.parametrize("init", ["gaussian", "rademacher", "uniform"])
def test_entries_have_mean_zero_and_variance_over_n(init: str) -> None:
    x, w = vector("x"), matrix("W", variance=4.0)
    n = 400
    found = run(graph_of(x=x, y=apply(w, x)), n, init=init)
    scale = np.sqrt(4.0 * np.mean(found["x"] ** 2))
    # n independent entries of y, each nearly normal
    assert abs(np.mean(found["y"])) < 5 * scale / np.sqrt(n)
    assert abs(np.mean(found["y"] ** 2) / scale**2 - 1) < 5 * np.sqrt(2 / n)


def test_draws_are_keyed_by_name_trial_and_seed() -> None:
    x, w, v = vector("x"), matrix("W"), matrix("V")
    alone = FiniteRun(graph_of(y=apply(w, x)), width=20)
    more = FiniteRun(graph_of(z=apply(v, apply(w, vector("u"))), y=apply(w, x)), width=20)
    np.testing.assert_array_equal(alone.trial(3)["y"], more.trial(3)["y"])
    assert not np.array_equal(alone.trial(0)["y"], alone.trial(1)["y"])
    other = FiniteRun(graph_of(y=apply(w, x)), width=20, seed=1)
    assert not np.array_equal(alone.trial(0)["y"], other.trial(0)["y"])


def test_float32_sees_the_same_draws() -> None:
    graph = graph_of(s=inner(vector("x"), apply(matrix("W"), vector("x"))))
    assert run(graph, 300, dtype="float32")["s"] == pytest.approx(run(graph, 300)["s"], abs=1e-6)


def test_a_run_that_does_not_fit_is_refused_before_allocation() -> None:
    graph = graph_of(y=inner(vector("x"), apply(matrix("W"), vector("x"))))
    with pytest.raises(ComputationFault, match=r"at width 10000000 this program needs about 800 TB of memory"):
        FiniteRun(graph, width=10**7).trial(0)
