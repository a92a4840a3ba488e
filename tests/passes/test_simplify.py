"""Simplification: the same values from fewer nodes."""

import numpy as np
import pytest
from builders import PLACE, add, array, at, avg, call, check, graph_of, kinds, matrix, mul, number, total, vector

from nexort.graph import Alias, Number, Output, Select, Type, build_graph
from nexort.graph.terms import Term, data, reduce_over, select, stack, stop, transpose
from nexort.passes import simplify
from nexort.symbolic import power

X, Y, H = vector("x"), vector("y", width="j"), vector("h", "a")


def simple(*terms):
    graph = graph_of(*terms)
    return check(graph, simplify(graph))


def result(term):
    return simple(term).results[0]


def test_constants_are_folded():
    assert result(add(number(1.0), mul(number(2.0), number(3.0)))).value == 7
    assert result(total(mul(array("p", "ak"), array("q", "a")), "ak")).type == Type()
    assert kinds(simple(mul(array("p", "ak"), at(array("q", "ka"), "kb")))) == []
    assert kinds(simple(reduce_over("mean", array("p", "ak"), {"k": 2}, PLACE))) == []


def test_a_result_that_is_not_finite_is_left_to_the_run():
    node = result(call("div", number(1.0), number(0.0)))
    assert not isinstance(node, Number)


def test_large_constants_are_left_alone():
    big = Term(data("big", np.ones(1500)), ("a",))
    assert kinds(simple(mul(big, at(big, "b")))) == ["Map"]


@pytest.mark.parametrize(
    "term",
    [
        mul(X, number(1.0)),
        add(number(0.0), X),
        call("sub", X, 0.0),
        call("div", X, 1.0),
        call("neg", call("neg", X)),
        call("identity", X),
        call("sub", number(0.0), call("neg", X)),
        call("pow", X, 1.0),
        stop(X, PLACE),
    ],
)
def test_trivial_algebra_vanishes(term):
    assert result(term) is X.node


def test_what_changes_the_type_stays():
    assert kinds(simple(mul(mul(X, number(1.0)), mul(number(1.0), Y)))) == ["Map"]
    assert result(at(call("identity", at(H, "a")), "b")).type.shape == (3,)


def test_zero_times_a_vector_stays():
    assert kinds(simple(mul(X, number(0.0)))) == ["Map"]


def test_a_constant_exponent_makes_a_power():
    assert result(call("pow", X, 2.0)).fn is power(2)


def test_equal_nodes_are_merged_and_draws_are_not():
    graph = simple(add(call("tanh", X), call("tanh", X)), avg(mul(X, X), "i"))
    assert kinds(graph) == ["Average", "Map", "Map", "Map"]
    other = vector("x2")
    assert len([x for x in simple(add(X, other)).order if x.type.order == 1]) == 3


def test_alias_goes():
    node = Alias(type=X.node.type, operands=(X.node,))
    assert result(Term(node, (), ("i",))) is X.node


def test_transpose_of_a_transpose():
    flipped = transpose(matrix("W"), PLACE).node
    twice = transpose(Term(flipped, (), (0, 1)), PLACE).node
    graph = build_graph([Output(name="o", loops=(), nodes=(twice,))])
    assert [type(x).__name__ for x in simplify(graph).order] == ["InitialMatrix"]


def test_elements_of_families():
    family = stack([X.node, call("tanh", X).node], 0, PLACE)
    element = Select(type=X.node.type, operands=(family,), index=(1,))
    assert kinds(simple(Term(element, (), ("i",)))) == ["Map"]
    grid = vector("g", "ak")
    twice = select(select(grid, {0: 2}, PLACE), {0: 1}, PLACE)
    assert result(twice).index == (2, 1)
    assert result(select(array("p", "ak"), {0: 1, 1: 0}, PLACE)).type == Type()
    parts = [select(grid, {1: k}, PLACE).node for k in range(2)]
    assert result(Term(stack(parts, 1, PLACE), ("a", "k"), ("i",))) is grid.node
    again = Term(stack(parts[::-1], 1, PLACE), ("a", "k"), ("i",))
    assert kinds(simple(again)) == ["Select", "Select", "Stack"]


def test_identity_maps_are_read_through():
    flipped = at(call("identity", at(mul(X, Y), width="ji")), width="ij")
    assert kinds(simple(call("tanh", flipped))) == ["Map", "Map"]


def test_simplify_is_idempotent():
    graph = simple(add(mul(X, number(2.0)), avg(mul(X, X), "i")))
    assert simplify(graph).order == graph.order
