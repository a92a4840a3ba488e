"""Programs whose inputs do not meet: which axes of a graph are the rows of one table, and the graph of some rows.

A kernel K[a, b] depends on the inputs a and b only.  So it is where an axis is never summed, stacked, indexed, or that
of an initial vector or matrix: the graph of some rows then gives the outputs of the program at these rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from nexort.graph import (
    Average,
    Contract,
    Data,
    Graph,
    InitialMatrix,
    InitialScalar,
    InitialVector,
    Map,
    MatMul,
    Node,
    Reduce,
    Select,
    Stack,
    build_graph,
)

Axis = tuple[Node, int]


@dataclass(frozen=True, slots=True)
class Rows:
    """`length` rows: `axes` are those of all nodes along which they lie."""

    length: int
    axes: frozenset[Axis]

    def along(self, node: Node) -> tuple[int, ...]:
        return tuple(k for k in range(len(node.type.shape)) if (node, k) in self.axes)


def find_rows(graph: Graph) -> Rows | None:
    """The longest rows on which every output has at most two axes, of a lowered graph; None if there are none."""
    classes = _Classes()
    broken: list[Axis] = []
    for node in graph.order:
        for link in _links(node):
            if len(link) == 2:
                classes.join(*link)
            else:
                broken += link
    spoiled = {classes.root(axis) for axis in broken}
    members: dict[Axis, set[Axis]] = {}
    for node in graph.order:
        for k in range(len(node.type.shape)):
            members.setdefault(classes.root((node, k)), set()).add((node, k))
    found: list[Rows] = []
    for root, axes in members.items():
        lengths = {node.type.shape[k] for node, k in axes}
        counts = Counter(node for node, _ in axes if node in graph.results)
        if root not in spoiled and len(lengths) == 1 and counts and max(counts.values()) <= 2:
            found.append(Rows(lengths.pop(), frozenset(axes)))
    return max(found, key=lambda rows: rows.length, default=None)


def restrict(graph: Graph, rows: Rows, chosen: np.ndarray) -> Graph:
    """The graph of the chosen rows."""
    new: dict[Node, Node] = {}
    for node in graph.order:
        twin = node.with_operands(new[operand] for operand in node.operands)
        axes = rows.along(node)
        if axes:
            shape = tuple(len(chosen) if k in axes else length for k, length in enumerate(node.type.shape))
            twin = replace(twin, type=replace(node.type, shape=shape))
            if isinstance(twin, Data):
                array = twin.array
                for k in axes:
                    array = array.take(chosen, axis=k)
                twin = replace(twin, array=array, digest=blake2b(array.tobytes(), digest_size=16).digest())
        new[node] = twin
    return build_graph(replace(output, nodes=tuple(new[node] for node in output.nodes)) for output in graph.outputs)


class _Classes:
    """Axes that must be restricted together (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[Axis, Axis] = {}

    def root(self, axis: Axis) -> Axis:
        while (parent := self._parents.get(axis, axis)) != axis:
            self._parents[axis] = axis = self._parents.get(parent, parent)
        return axis

    def join(self, first: Axis, second: Axis) -> None:
        self._parents[self.root(first)] = self.root(second)


def _links(node: Node) -> Iterator[Sequence[Axis]]:
    """Pairs of axes that are one, and single axes that must stay whole."""
    rank = len(node.type.shape)
    match node:
        case Map() | Contract() | MatMul():
            for operand, axes in zip(node.operands, node.axes, strict=True):
                for k, at in enumerate(axes.static):
                    yield ((operand, k), (node, at)) if at < rank else ((operand, k),)
        case Reduce():
            yield from _kept(node, [k for k in range(len(node.operands[0].type.shape)) if k not in node.axes])
            yield from (((node.operands[0], k),) for k in node.axes)
        case Select():
            yield from _kept(node, [k for k, at in enumerate(node.index) if at is None])
            yield from (((node.operands[0], k),) for k, at in enumerate(node.index) if at is not None)
        case Stack():
            yield ((node, node.axis),)
            for operand in node.operands:
                for k in range(rank - 1):
                    yield (operand, k), (node, k + (k >= node.axis))
        case Average():
            yield from _kept(node, range(rank))
        case Data():
            pass
        case InitialVector() | InitialMatrix() | InitialScalar():
            yield from (((node, k),) for k in range(rank))
        case _:
            yield from (((node, k),) for k in range(rank))
            yield from (((operand, k),) for operand in node.operands for k in range(len(operand.type.shape)))


def _kept(node: Node, axes: Sequence[int]) -> Iterator[tuple[Axis, Axis]]:
    (operand,) = node.operands
    for position, k in enumerate(axes):
        yield (operand, k), (node, position)
