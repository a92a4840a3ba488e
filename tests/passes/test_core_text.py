"""The printed core program."""

import re
from textwrap import dedent

import pytest
from builders import PLACE, SIZES, add, array, at, avg, call, graph_of, matrix, mul, number, total, vector

from nexort.graph.terms import Term, add_operators, apply_operator, select, transpose
from nexort.passes import lower_text

X, V, Q = vector("x"), vector("v"), vector("q")
W = matrix("W")
U, H = vector("u", "k"), vector("h", "a")
XI = array("xi", "ak")


def layer(operator, argument):
    return apply_operator(operator, argument, "i", PLACE)


def program():
    h1 = total(mul(XI, U), "k")
    gradient = total(mul(array("chi", "a"), H, at(h1, width="j")), "a")
    update = call("max", gradient, call("tanh", gradient))
    updated = add_operators([(number(1.0), W), (number(-2.0), Term(update.node, (), (0, 1)))], PLACE)
    h2 = layer(updated, call("relu", h1))
    back = layer(transpose(W, PLACE), X)
    return graph_of(avg(mul(V, call("relu", h2)), "i"), avg(mul(back, X), "i"), number(3.0), avg(update, "ij"))


def test_statements():
    assert lower_text(program(), paper=False) == dedent("""\
        vector v
        matrix W
        data xi[3, 2]
        vector u[2]
        x1[a] = Nonlin(sum[b](xi[a, b] * u[b]))
        x2[a] = Nonlin(relu(x1[a]))
        h1[a] = MatMul(W, x2[a])
        data chi[3]
        vector h[3]
        T1{i,j} = Tensor(sum[a](chi[a] * h[a]{i} * x1[a]{j}))
        T2{i,j} = Tensor(max(T1{i,j}, tanh(T1{i,j})))
        x3[a]{i} = TensorMoment{j}(T2{i,j} * x2[a]{j})
        s1[a] = Moment(v * relu(h1[a] - 2 * x3[a]))
        vector x
        h2 = MatMul(W', x)
        s2 = Moment(h2 * x)
        c1 = Moment(3)
        s3 = TensorMoment{i,j}(T2{i,j})
        output o0 = s1
        output o1 = s2
        output o2 = c1
        output o3 = s3
        """)


def test_the_paper_has_three_operations():
    text = lower_text(program(), paper=True)
    statements = [line.split(" = ")[1] for line in text.splitlines() if " = " in line and "output" not in line]
    assert {re.split(r"[({]", statement)[0] for statement in statements} == {"MatMul", "OuterNonlin", "Avg"}
    assert "s3 = Avg(OuterNonlin{i,j}(T2{i,j}))" in text
    assert "x3[a]{i} = OuterNonlin{j}(T2{i,j} * x2[a]{j})" in text


def test_elements_and_names_in_use():
    graph = graph_of(avg(mul(select(H, {0: 2}, PLACE), vector("x1")), "i"), call("tanh", mul(X, V)))
    text = lower_text(graph, paper=False)
    assert "Moment(h[2] * x1)" in text and "x2 = Nonlin(tanh(x * v))" in text.replace("v * x", "x * v")


@pytest.mark.parametrize("steps", [300])
def test_deep_chains_are_cut(steps):
    value = X
    for _ in range(steps):
        value = call("tanh", add(value, Q))
    text = lower_text(graph_of(avg(value, "i")), paper=False)
    assert max(map(len, text.splitlines())) < 400
    assert SIZES["a"] == 3
