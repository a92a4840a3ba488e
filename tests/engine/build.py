"""Graphs built by hand for the tests, and a plain meaning: arrays given by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from nexort.engine import AverageRule, Workers, multiply_matrix
from nexort.graph import (
    SCALAR,
    Axes,
    Contract,
    DenseOperator,
    Graph,
    InitialMatrix,
    InitialVector,
    Map,
    MatMul,
    Node,
    Number,
    Output,
    Type,
    WidthNumber,
    build_graph,
)
from nexort.symbolic import Expr, Fn, argument, call, value_at_width

x0, x1, x2, x3 = (argument(k) for k in range(4))
OPERATOR = Type(order=2, is_operator=True)


def fn(expr: Expr, arity: int) -> Fn:
    return Fn.of(expr, arity)


def f(name: str, *args: Any) -> Expr:
    return call(name, list(args))


def num(value: float) -> Number:
    return Number(type=SCALAR, value=value)


def vec(name: str, *shape: int) -> InitialVector:
    return InitialVector(type=Type(shape, 1), name=name)


def mat(name: str, *shape: int) -> InitialMatrix:
    return InitialMatrix(type=Type(shape, 2, is_operator=True), name=name)


def entrywise(expr: Expr, *operands: tuple[Node, str], out: str) -> Map:
    """Map with axes in letters: lower case static, upper case width, e.g. ((x, "aI"), (y, "J"), out="aIJ")."""
    sizes = sizes_of(operands)
    static, width = split(out)
    return Map(
        type=Type(tuple(sizes[s] for s in static), len(width)),
        operands=tuple(node for node, _ in operands),
        fn=fn(expr, len(operands)),
        axes=tuple(axes_of(labels, static, width) for _, labels in operands),
    )


def contraction(*operands: tuple[Node, str], out: str) -> Contract:
    sizes = sizes_of(operands)
    static, width = split(out)
    letters = dict.fromkeys("".join(labels for _, labels in operands))
    summed = [s for s in letters if s.islower() and s not in static]
    averaged = [w for w in letters if w.isupper() and w not in width]
    full_static, full_width = [*static, *summed], [*width, *averaged]
    return Contract(
        type=Type(tuple(sizes[s] for s in static), len(width)),
        operands=tuple(node for node, _ in operands),
        axes=tuple(axes_of(labels, full_static, full_width) for _, labels in operands),
        summed=tuple(sizes[s] for s in summed),
        averaged=len(averaged),
    )


def split(labels: str) -> tuple[list[str], list[str]]:
    return [c for c in labels if c.islower()], [c for c in labels if c.isupper()]


def sizes_of(operands: Any) -> dict[str, int]:
    return {s: size for node, labels in operands for s, size in zip(split(labels)[0], node.type.shape, strict=True)}


def axes_of(labels: str, static: list[str], width: list[str]) -> Axes:
    s, w = split(labels)
    return Axes(tuple(static.index(c) for c in s), tuple(width.index(c) for c in w))


def matmul(matrix: Node, vector: Node, *, is_transposed: bool = False) -> MatMul:
    axes = (Axes(), Axes(tuple(range(len(vector.type.shape)))))
    return MatMul(type=vector.type, operands=(matrix, vector), is_transposed=is_transposed, axes=axes)


def dense(*terms: tuple[Node, Node]) -> DenseOperator:
    flat = tuple(part for pair in terms for part in pair)
    return DenseOperator(type=OPERATOR, operands=flat, axes=tuple(Axes() for _ in flat))


def graph_of(**outputs: Node | list[Node]) -> Graph:
    return build_graph(
        Output(
            name=name,
            loops=(len(nodes),) if isinstance(nodes, list) else (),
            nodes=tuple(nodes) if isinstance(nodes, list) else (nodes,),
        )
        for name, nodes in outputs.items()
    )


def draws(graph: Graph, n: int, seed: int = 0) -> dict[tuple[str, Any], Any]:
    rng = np.random.default_rng(seed)
    initial: dict[tuple[str, Any], Any] = {}
    for node in graph.order:
        match node:
            case InitialVector():
                initial[node.name, node.passes] = rng.standard_normal((*node.type.shape, n))
            case InitialMatrix():
                initial[node.name, node.passes] = rng.standard_normal((*node.type.shape, n, n)) / np.sqrt(n)
            case _:
                pass
    return initial


class GivenMeaning:
    """Width n with the initial arrays given."""

    def __init__(self, n: int, initial: dict[tuple[str, Any], Any], dtype: str = "float64", rule: Any = None) -> None:
        self.length = n
        self.dtype = np.dtype(dtype)
        self.initial = initial
        self.average_rule = rule or AverageRule()

    def width_number(self, node: WidthNumber) -> float:
        return value_at_width(node.expression, self.length)

    def pairing(self, node: Node, round_: int) -> np.random.Generator:
        return np.random.default_rng(round_)

    def initial_vector(self, node: InitialVector) -> Any:
        return self.initial[node.name, node.passes].astype(self.dtype)

    def initial_matrix(self, node: Any, workers: Workers) -> Any:
        if isinstance(node, InitialMatrix):
            return self.initial[node.name, node.passes].astype(self.dtype)
        return self.initial_matrix(node.operands[0], workers)[
            tuple(slice(None) if k is None else k for k in node.index)
        ].copy()

    def matmul(self, node: MatMul, matrix: Any, argument: Any, workers: Workers) -> Any:
        flat = argument.reshape(-1, self.length)
        out = np.empty_like(flat)
        multiply_matrix(matrix, flat, out, is_transposed=node.is_transposed, for_each=workers.for_each)
        return out.reshape(argument.shape)
