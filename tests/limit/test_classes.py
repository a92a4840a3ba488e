"""Width spaces of hand-built graphs."""

from __future__ import annotations

from nexort.graph import VECTOR, Graph, InitialMatrix, InitialVector, Output, Select, Type, build_graph
from nexort.graph.terms import Place, Term, apply_operator, average_over, combine, transpose
from nexort.limit.classes import INPUTS, OUTPUTS, find_width_classes
from nexort.symbolic import primitive

HERE = Place()
OPERATOR = Type((), 2, is_operator=True)


def vector(name: str) -> Term:
    return Term(InitialVector(type=VECTOR, name=name), (), ("i",))


def matrix(name: str) -> Term:
    return Term(InitialMatrix(type=OPERATOR, name=name), (), (0, 1))


def graph_of(*terms: Term) -> Graph:
    return build_graph(Output(name=f"s{k}", loops=(), nodes=(term.node,)) for k, term in enumerate(terms))


def product(*terms: Term) -> Term:
    return combine(primitive("mul"), terms, HERE)


def test_a_matrix_joins_outputs_with_arguments_of_its_transpose_only() -> None:
    x, v, W = vector("x"), vector("v"), matrix("W")
    h = apply_operator(W, x, "i", HERE)
    back = apply_operator(transpose(W, HERE), v, "i", HERE)
    classes = find_width_classes(graph_of(h, back))
    assert classes.space(h.node) == classes.space(v.node) == classes.matrix_space(W.node, 0, OUTPUTS)
    assert classes.space(back.node) == classes.space(x.node) == classes.matrix_space(W.node, 0, INPUTS)
    assert classes.space(h.node) != classes.space(x.node)


def test_an_entrywise_function_and_an_average_join() -> None:
    x, y, W = vector("x"), vector("y"), matrix("W")
    meet = average_over(product(apply_operator(W, x, "i", HERE), y), ["i"], HERE)
    classes = find_width_classes(graph_of(meet, apply_operator(W, product(x, y), "i", HERE)))
    assert classes.space(x.node) == classes.space(y.node) == classes.matrix_space(W.node, 0, OUTPUTS)


def test_a_tensor_joins_axis_by_axis() -> None:
    x, y, z = vector("x"), vector("y"), vector("z")
    T = product(Term(x.node, (), ("i",)), Term(y.node, (), ("j",)))
    Tz = average_over(product(T, Term(z.node, (), ("j",))), ["j"], HERE)
    classes = find_width_classes(graph_of(Tz))
    assert classes.space(Tz.node) == classes.space(x.node) == classes.space(T.node, 0)
    assert classes.space(y.node) == classes.space(z.node) == classes.space(T.node, 1)
    assert classes.space(x.node) != classes.space(y.node)


def test_elements_of_a_matrix_family_have_spaces_of_their_own() -> None:
    family = InitialMatrix(type=Type((2,), 2, is_operator=True), name="A")
    A = [Term(Select(type=OPERATOR, operands=(family,), index=(k,)), (), (0, 1)) for k in (0, 1)]
    x = vector("x")
    h = apply_operator(A[0], x, "i", HERE)
    g = apply_operator(A[1], h, "i", HERE)
    classes = find_width_classes(graph_of(g))
    assert len({classes.space(t.node) for t in (x, h, g)}) == 3
    assert classes.matrix_space(family, 1, INPUTS) == classes.space(h.node)
