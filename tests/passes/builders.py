"""Short names for building small graphs by hand, and the pass pipelines under test."""

import numpy as np
from dense import evaluate

from nexort.graph import Graph, InitialMatrix, InitialVector, Output, Type, build_graph
from nexort.graph.terms import Place, Term, arrange, average_over, combine, data, number, reduce_over
from nexort.graph.verify import verify_acyclic, verify_graph
from nexort.passes import contract, lower_operators, simplify
from nexort.symbolic import primitive

PLACE = Place()
SIZES = {"a": 3, "b": 3, "c": 3, "k": 2, "l": 2}


def vector(name, labels="", width="i"):
    shape = tuple(SIZES[label] for label in labels)
    return Term(InitialVector(type=Type(shape, 1), name=name), tuple(labels), (width,))


def matrix(name, labels=""):
    shape = tuple(SIZES[label] for label in labels)
    return Term(InitialMatrix(type=Type(shape, 2, is_operator=True), name=name), tuple(labels), (0, 1))


def array(name, labels):
    shape = tuple(SIZES[label] for label in labels)
    values = np.random.default_rng([9, *map(ord, name)]).normal(size=shape)
    return Term(data(name, values), tuple(labels))


def at(term, static=None, width=None):
    """The term with other labels, given as strings of one-letter labels."""
    return Term(
        term.node,
        term.static if static is None else tuple(static),
        term.width if width is None else tuple(width),
    )


def call(name, *terms):
    return combine(primitive(name), [x if isinstance(x, Term) else number(x) for x in terms], PLACE)


def mul(first, *others):
    for other in others:
        first = call("mul", first, other)
    return first


def add(first, *others):
    for other in others:
        first = call("add", first, other)
    return first


def avg(term, width):
    return average_over(term, tuple(width), PLACE)


def total(term, labels):
    return reduce_over("sum", term, {label: SIZES[label] for label in labels}, PLACE)


def graph_of(*terms) -> Graph:
    """A graph whose outputs are the terms, axes in the order of their sorted labels."""
    outputs = []
    for k, term in enumerate(terms):
        node = arrange(term, sorted(set(term.static)), sorted(set(term.width)), PLACE)
        outputs.append(Output(name=f"o{k}", loops=(), nodes=(node,)))
    return build_graph(outputs)


def check(before: Graph, after: Graph) -> Graph:
    """Both graphs are well formed and have the same values; returns the second."""
    for graph in (before, after):
        verify_graph(graph)
        verify_acyclic(graph)
    for x, y in zip(evaluate(before), evaluate(after), strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-9, atol=1e-9)
    return after


def contracted(*terms) -> Graph:
    """simplify, contract, simplify, with every stage checked."""
    graph = graph_of(*terms)
    for stage in (simplify, contract, simplify):
        graph = check(graph, stage(graph))
    return graph


def lowered(*terms) -> Graph:
    """The whole way to a graph without operators, with every stage checked."""
    graph = contracted(*terms)
    graph = check(graph, lower_operators(graph))
    graph = check(graph, simplify(graph))
    verify_graph(graph, stage="lowered")
    return graph


def kinds(graph: Graph, order: int | None = None) -> list[str]:
    """The operations of the graph (those of a given width order), without leaves."""
    leaves = ("Number", "Data", "InitialVector", "InitialMatrix")
    names = [type(x).__name__ for x in graph.order if order is None or x.type.order == order]
    return sorted(name for name in names if name not in leaves)
