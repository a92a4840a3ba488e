"""Static axes before all others, of some nodes of a graph: those of replicates (`lanes`) or groups of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nexort.graph import Axes, Contract, InitialVector, Map, MatMul, Node, Reduce, Select, Stack
from nexort.graph.types import Type
from nexort.symbolic import primitive


class LeadingAxes:
    """Axes of lengths `shape`; a node is `in` them if it has them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.depth = len(shape)
        self._members: set[Node] = set()

    def __contains__(self, node: Node) -> bool:
        return node in self._members

    def add(self, node: Node) -> Node:
        self._members.add(node)
        return node

    def widen(self, narrow: Type) -> Type:
        return replace(narrow, shape=(*self.shape, *narrow.shape))

    def apply(self, node: Node, operands: Sequence[Node]) -> Node:
        """The same operation for each index along the axes, on operands of which some have them."""
        wide = self.widen(node.type)
        match node:
            case InitialVector():
                return replace(node, type=wide)
            case Map() | Contract() | MatMul():
                places = [self.move(axes, x) for axes, x in zip(node.axes, operands, strict=True)]
                return replace(node, type=wide, operands=tuple(operands), axes=tuple(places))  # pyright: ignore[reportArgumentType]
            case Reduce():
                axes = tuple(axis + self.depth for axis in node.axes)
                return replace(node, type=wide, operands=tuple(operands), axes=axes)
            case Select():
                index = (*(None for _ in self.shape), *node.index)
                return replace(node, type=wide, operands=tuple(operands), index=index)
            case Stack():
                parts = (self.spread(x, old.type) for x, old in zip(operands, node.operands, strict=True))
                return replace(node, type=wide, operands=tuple(parts), axis=node.axis + self.depth)
            case _:
                return replace(node, type=wide, operands=tuple(operands))

    def move(self, axes: Axes, operand: Node) -> Axes:
        """The place of an operand in a result that has the axes."""
        leading = tuple(range(self.depth)) if operand in self else ()
        return Axes((*leading, *(axis + self.depth for axis in axes.static)), axes.width)

    def spread(self, node: Node, narrow: Type) -> Node:
        """The node with the axes, repeated along them where it has none."""
        if node in self:
            return node
        whole = Axes(tuple(range(self.depth, self.depth + len(narrow.shape))), tuple(range(narrow.order)))
        fn = primitive("identity")
        return self.add(Map(type=self.widen(narrow), operands=(node,), fn=fn, axes=(whole,), span=node.span))
