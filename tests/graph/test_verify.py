"""The verifier accepts what is well formed and names what is not."""

from dataclasses import replace

import numpy as np
import pytest

from nexort.graph import (
    SCALAR,
    VECTOR,
    Apply,
    Average,
    Axes,
    Contract,
    Data,
    Fluctuation,
    Graph,
    InitialMatrix,
    InitialScalar,
    InitialVector,
    Map,
    MatMul,
    Number,
    OperatorProduct,
    OperatorSum,
    Output,
    Reduce,
    Select,
    Stack,
    Stop,
    Transpose,
    Type,
    build_graph,
)
from nexort.graph.terms import data
from nexort.graph.verify import GraphError, verify_acyclic, verify_graph
from nexort.symbolic import primitive

X = InitialVector(type=VECTOR, name="x")
H = InitialVector(type=Type((3,), 1), name="h")
OPERATOR = Type((), 2, is_operator=True)
W = InitialMatrix(type=OPERATOR, name="W")
ONE = Number(type=SCALAR, value=1.0)
D = data("d", np.zeros((3, 2)))
ROW, J, ALL, NONE = Axes((), (0,)), Axes((), (1,)), Axes((0,), (0,)), Axes()
MUL, TANH = primitive("mul"), primitive("tanh")
OUTER = Map(type=Type((), 2), operands=(X, X), fn=MUL, axes=(ROW, J))

GOOD = [
    OUTER,
    Map(type=H.type, operands=(H, X), fn=MUL, axes=(ALL, ROW)),
    Map(type=VECTOR, operands=(OUTER,), fn=TANH, axes=(Axes((), (0, 0)),)),
    Reduce(type=Type((2,)), operands=(D,), kind="sum", axes=(0,)),
    Average(type=VECTOR, operands=(OUTER,), axes=(0,)),
    Contract(type=SCALAR, operands=(H, H), axes=(ALL, ALL), summed=(3,), averaged=1),
    Apply(type=H.type, operands=(W, H), axes=(NONE, Axes((0,)))),
    Apply(type=VECTOR, operands=(OUTER, X), axes=(NONE, NONE)),
    MatMul(type=VECTOR, operands=(W, X), axes=(NONE, NONE), is_transposed=True),
    OperatorSum(type=OPERATOR, operands=(ONE, W, ONE, OUTER), axes=(NONE,) * 4),
    OperatorProduct(type=OPERATOR, operands=(W, OUTER), axes=(NONE, NONE)),
    Transpose(type=OPERATOR, operands=(W,)),
    Select(type=Type((3,)), operands=(D,), index=(None, 1)),
    Stack(type=Type((2,), 1), operands=(X, X), axis=0),
    Stop(type=VECTOR, operands=(X,)),
    InitialScalar(type=Type((3,)), name="s"),
    Fluctuation(type=Type((3,)), operands=(H,), name="v"),
]

BAD = [
    (Map(type=VECTOR, operands=(X,), fn=MUL, axes=(ROW,)), "2 arguments, 1 operands"),
    (Map(type=VECTOR, operands=(W,), fn=TANH, axes=(Axes((), (0, 0)),)), "operand is an operator"),
    (Map(type=Type((2,), 1), operands=(H,), fn=TANH, axes=(ALL,)), "length 3 on one of length 2"),
    (Map(type=VECTOR, operands=(X,), fn=TANH, axes=(J,)), "width axis"),
    (Map(type=VECTOR, operands=(X,), fn=TANH, axes=(NONE,)), "not all placed"),
    (Reduce(type=Type((3,)), operands=(D,), kind="sum", axes=(0,)), "does not follow"),
    (Reduce(type=Type((3,)), operands=(D,), kind="sum", axes=(5,)), "does not exist"),
    (Average(type=SCALAR, operands=(OUTER,), axes=(0,)), "does not follow"),
    (Average(type=SCALAR, operands=(W,), axes=(0, 1)), "operator"),
    (Contract(type=SCALAR, operands=(X,), axes=(ROW,), averaged=2), "averaged axis"),
    (Contract(type=SCALAR, operands=(X,), axes=(ROW,), summed=(3,), averaged=1), "summed axis"),
    (Apply(type=VECTOR, operands=(X, X), axes=(NONE, NONE)), "first operand"),
    (Apply(type=VECTOR, operands=(W, OUTER), axes=(NONE, NONE)), "second operand"),
    (MatMul(type=VECTOR, operands=(OUTER, X), axes=(NONE, NONE), is_transposed=False), "no matrix"),
    (OperatorSum(type=OPERATOR, operands=(X, W), axes=(NONE,) * 2), "coefficient is no scalar"),
    (OperatorSum(type=OPERATOR, operands=(ONE, X), axes=(NONE,) * 2), "no operator or order-2"),
    (OperatorProduct(type=OPERATOR, operands=(W, X), axes=(NONE, NONE)), "takes two operators"),
    (Transpose(type=OUTER.type, operands=(OUTER,)), "takes an operator"),
    (Select(type=Type((3,)), operands=(D,), index=(None, 2)), "outside 0..2"),
    (Select(type=Type((2,)), operands=(D,), index=(None, 1)), "does not follow"),
    (Stack(type=Type((2,), 1), operands=(X, H), axis=0), "two types"),
    (Stop(type=SCALAR, operands=(X,)), "type has changed"),
    (Data(type=Type((3,)), name="d", array=np.zeros(2), digest=b""), "static shape"),
    (Number(type=VECTOR, value=1.0), "scalar"),
    (InitialScalar(type=VECTOR, name="s"), "not a scalar"),
    (Fluctuation(type=SCALAR, operands=(OUTER,), name="v"), "no vector"),
    (Fluctuation(type=SCALAR, operands=(H,), name="v"), "does not follow"),
]


def graph_of(node):
    return build_graph([Output(name="o", loops=(), nodes=(node,))])


@pytest.mark.parametrize("node", GOOD, ids=lambda node: type(node).__name__)
def test_well_formed(node):
    verify_graph(graph_of(node))
    verify_acyclic(graph_of(node))


@pytest.mark.parametrize(("node", "reason"), BAD, ids=lambda x: x if isinstance(x, str) else type(x).__name__)
def test_ill_formed(node, reason):
    with pytest.raises(GraphError, match=reason) as caught:
        verify_graph(graph_of(node))
    assert caught.value.node is node
    assert type(node).__name__ in str(caught.value)


def test_lowered_graphs_hold_no_operators():
    graph = graph_of(Apply(type=VECTOR, operands=(W, X), axes=(NONE, NONE)))
    verify_graph(graph, stage="elaborated")
    with pytest.raises(GraphError, match="left over"):
        verify_graph(graph, stage="lowered")
    verify_graph(graph_of(GOOD[8]), stage="lowered")


def test_order_and_outputs():
    graph = graph_of(OUTER)
    with pytest.raises(GraphError, match="precede"):
        verify_graph(Graph(graph.outputs, graph.order[::-1]))
    with pytest.raises(GraphError, match="not in the order"):
        verify_graph(Graph(graph.outputs, graph.order[:-1]))
    with pytest.raises(AssertionError, match="loops"):
        verify_graph(replace(graph, outputs=(replace(graph.outputs[0], loops=(2,)),)))
    with pytest.raises(GraphError, match="two types"):
        verify_graph(build_graph([Output(name="o", loops=(2,), nodes=(X, H))]))
