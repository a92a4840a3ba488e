"""Width spaces of a graph: which width axes share their samples (a union-find over width axes).

Accepts any graph; promises, for every width axis of every node and both axes of every initial matrix, the number of its
space.  Axes are of one space when an entrywise function, a product or an average reads them at the same place, and a
matrix W has one space of outputs (which are the arguments of Wᵀ) and one of arguments (the outputs of Wᵀ).  The
elements of a family of matrices have spaces of their own; those of a family of vectors share one.  Joining more axes
than necessary would be right too, and cost columns only.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from nexort.graph import (
    Apply,
    Average,
    Contract,
    DenseOperator,
    Graph,
    InitialMatrix,
    Map,
    MatMul,
    Node,
    OperatorProduct,
    OperatorSum,
    Select,
    Stack,
    Transpose,
)

if TYPE_CHECKING:
    from nexort.engine import Array

OUTPUTS, INPUTS = 0, 1
"""The axes of an operator: W @ x has the space of axis 0, x that of axis 1."""

Axis: TypeAlias = tuple[Node, int] | tuple[Node, int, int]
"""(node, width axis), or (initial matrix, element, OUTPUTS or INPUTS)."""


class UnionFind:
    """Disjoint sets; `find` names a set by its member that was added first."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}
        self._age: dict[Hashable, int] = {}

    def find(self, item: Hashable) -> Hashable:
        if item not in self._parent:
            self._parent[item] = item
            self._age[item] = len(self._age)
        root = item
        while self._parent[root] is not root:
            root = self._parent[root]
        while self._parent[item] is not root:
            self._parent[item], item = root, self._parent[item]
        return root

    def join(self, first: Hashable, second: Hashable) -> None:
        a, b = self.find(first), self.find(second)
        if a is not b:
            older, younger = (a, b) if self._age[a] < self._age[b] else (b, a)
            self._parent[younger] = older


@dataclass(frozen=True)
class WidthClasses:
    """The spaces of a graph's width axes, numbered in order of first appearance."""

    _sets: UnionFind
    _numbers: dict[Hashable, int]

    def space(self, node: Node, axis: int = 0) -> int:
        """The number of the space of width axis `axis` of a vector or tensor."""
        return self._number((node, axis))

    def matrix_space(self, matrix: InitialMatrix, element: int, axis: int) -> int:
        """The number of the space of outputs or inputs of one element (C order) of a matrix family."""
        return self._number((matrix, element, axis))

    def _number(self, axis: Axis) -> int:
        return self._numbers.setdefault(self._sets.find(axis), len(self._numbers))


def find_width_classes(graph: Graph) -> WidthClasses:
    sets = UnionFind()
    for node in graph.order:
        for first, second in _meetings(node):
            sets.join(first, second)
    return WidthClasses(sets, {})


def matrix_elements(operator: Node) -> tuple[InitialMatrix, Array] | None:
    """(initial matrix, which of its elements in C order, of the operator's static shape), through selections."""
    if isinstance(operator, InitialMatrix):
        count = int(np.prod(operator.type.shape, dtype=int))
        return operator, np.arange(count).reshape(operator.type.shape)
    if isinstance(operator, Select):
        found = matrix_elements(operator.operands[0])
        if found is None:
            return None
        index = tuple(slice(None) if k is None else k for k in operator.index)
        return found[0], np.asarray(found[1][index])
    return None


def _axes_of(node: Node, axis: int) -> list[Axis]:
    """Width axis `axis` of a node; of an initial matrix or a selection of one, that of each of its elements."""
    found = matrix_elements(node) if node.type.is_operator else None
    return [(node, axis)] if found is None else [(found[0], int(e), axis) for e in found[1].flat]


def _all_meet(*groups: list[Axis]) -> Iterable[tuple[Axis, Axis]]:
    axes = [axis for group in groups for axis in group]
    return ((axes[0], axis) for axis in axes[1:])


def _meetings(node: Node) -> Iterable[tuple[Axis, Axis]]:
    """Pairs of width axes that the node reads, or makes, over the same samples."""
    match node:
        case Map() | Contract():
            yield from _meetings_along_axes(node)
        case Average():
            kept = [k for k in range(node.operands[0].type.order) if k not in node.axes]
            for k, axis in enumerate(kept):
                yield (node, k), (node.operands[0], axis)
        case Apply() | MatMul():
            operator, argument = node.operands
            flip = isinstance(node, MatMul) and node.is_transposed
            outputs, inputs = (INPUTS, OUTPUTS) if flip else (OUTPUTS, INPUTS)
            yield from _all_meet([(node, 0)], _axes_of(operator, outputs))
            yield from _all_meet([(argument, 0)], _axes_of(operator, inputs))
        case OperatorSum() | DenseOperator():
            for term, axes in zip(node.operands[1::2], node.axes[1::2], strict=True):
                order = axes.width or (OUTPUTS, INPUTS)
                for k in (0, 1):
                    yield from _all_meet([(node, order[k])], _axes_of(term, k))
        case OperatorProduct():
            left, right = node.operands
            yield from _all_meet([(node, OUTPUTS)], _axes_of(left, OUTPUTS))
            yield from _all_meet([(node, INPUTS)], _axes_of(right, INPUTS))
            yield from _all_meet(_axes_of(left, INPUTS), _axes_of(right, OUTPUTS))
        case Transpose():
            for k in (0, 1):
                yield from _all_meet([(node, 1 - k)], _axes_of(node.operands[0], k))
        case Select() | Stack() if not (node.type.is_operator and matrix_elements(node) is not None):
            yield from _meetings_in_place(node)
        case _ if node.operands and not isinstance(node, Select | Stack):
            yield from _meetings_in_place(node)
        case _:
            pass


def _meetings_in_place(node: Node) -> Iterable[tuple[Axis, Axis]]:
    """Width axes stay where they are: Reduce, Select, Stack, Alias, Stop."""
    for operand in node.operands:
        for k in range(node.type.order):
            yield from _all_meet([(node, k)], _axes_of(operand, k))


def _meetings_along_axes(node: Map | Contract) -> Iterable[tuple[Axis, Axis]]:
    """Width axis k of an operand lies on axis `width[k]` of the result (or of a product that is then averaged)."""
    first: dict[int, Axis] = {k: (node, k) for k in range(node.type.order)}
    for operand, axes in zip(node.operands, node.axes, strict=True):
        for k, axis in enumerate(axes.width):
            meets = first.setdefault(axis, (operand, k))
            yield meets, (operand, k)
