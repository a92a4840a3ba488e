"""The graph of a limit with its samples in groups (`limit.groups`).

Accepts a lowered graph for which `has_group_work`.  Promises a graph with the same outputs, in which vectors and
tensors have more static axes, the first ones: (G/2, 2) for pairs of groups, (G) for single ones.  Those of a tensor are
the group of its first index; where an index is to be in the other group of its pair, the last axis is reversed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from nexort.graph import (
    Average,
    Axes,
    Contract,
    Graph,
    InitialVector,
    Map,
    MatMul,
    Node,
    Number,
    Reduce,
    Select,
    Stack,
    build_graph,
)
from nexort.graph.types import SCALAR
from nexort.limit.leading import LeadingAxes


@dataclass(frozen=True)
class GroupGraph:
    """`origin` has the node of the graph without groups for each node that the meaning is asked for."""

    graph: Graph
    origin: dict[Node, Node]
    shape: tuple[int, ...]
    """(G/2, 2) for pairs of groups, (G) for single ones."""

    @property
    def pairs(self) -> int:
        """0 for single groups."""
        return self.shape[0] if len(self.shape) == 2 else 0


def build_groups(graph: Graph, count: int) -> GroupGraph:
    """`count` groups, in pairs where the count is even and the graph allows."""
    builder = _Builder((count // 2, 2) if count % 2 == 0 and _can_pair(graph) else (count,))
    for node in graph.order:
        builder.add(node)
    outputs = [replace(out, nodes=tuple(builder.new[node] for node in out.nodes)) for out in graph.outputs]
    return GroupGraph(build_graph(outputs), builder.origin, builder.groups.shape)


def _can_pair(graph: Graph) -> bool:
    """Whether the indices of every operation can be in partners: no three of a tensor, no two equal ones."""
    return all(
        node.type.order <= 2 and _slots_of(node, has_partners=True) is not None
        for node in graph.order
        if not node.type.is_operator
    )


@dataclass(frozen=True, slots=True)
class _Slot:
    """Of a width axis: its set of linked axes, named by the first of them, and whether it is in the partner's group."""

    root: int
    is_partner: bool


def _slots_of(node: Node, *, has_partners: bool) -> tuple[_Slot, ...] | None:
    """For each width axis of a Map or Contract; axes are linked by a tensor that has both, and all free ones.

    None where linked axes cannot be in two groups, the axes of each tensor in both.
    """
    if not isinstance(node, Map | Contract):
        return ()
    count = node.type.order + (node.averaged if isinstance(node, Contract) else 0)
    linked: list[set[int]] = [set() for _ in range(count)]
    for axes in (tuple(range(node.type.order)), *(axes.width for axes in node.axes)):
        for a, b in pairwise(axes):
            linked[a].add(b)
            linked[b].add(a)
    slots: dict[int, _Slot] = {}
    for root in range(count):
        pending = [(root, _Slot(root, False))]
        while pending:
            axis, slot = pending.pop()
            found = slots.setdefault(axis, slot)
            if found is slot:
                pending += [(other, _Slot(root, has_partners != slot.is_partner)) for other in linked[axis]]
            elif found.root == root and found.is_partner != slot.is_partner:
                return None
    return tuple(slots[axis] for axis in range(count))


class _Builder:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.new: dict[Node, Node] = {}
        self.origin: dict[Node, Node] = {}
        self.groups = LeadingAxes(shape)
        self._partners: dict[Node, Node] = {}

    def add(self, node: Node) -> None:
        operands = [self.new[operand] for operand in node.operands]
        made = self.new[node] = self._make(node, operands)
        if made.type.order and not made.type.is_operator and len(made.type.shape) > len(node.type.shape):
            self.groups.add(made)
        self.origin[made] = node

    def _make(self, node: Node, operands: Sequence[Node]) -> Node:
        groups = self.groups
        match node:
            case InitialVector() | MatMul():
                return groups.apply(node, operands)
            case _ if node.type.is_operator or not any(x in groups for x in operands):
                return node.with_operands(operands)
            case Map():
                slots = self._slots(node)
                made = groups.apply(node, self._in_groups(slots, node, operands))
                return self._exchanged(made) if slots[0].is_partner else made
            case Contract():
                return self._contract(node, operands)
            case Average():
                made = groups.apply(node, operands)
                if node.type.order:
                    # what is left of a tensor without its first index is in the group of its second one
                    return self._exchanged(made) if groups.depth == 2 and 0 in node.axes else made
                return Reduce(
                    type=node.type,
                    operands=(made,),
                    kind="mean",
                    axes=tuple(range(groups.depth)),
                    span=node.span,
                    passes=node.passes,
                    serial=node.serial,
                )
            case _:
                return groups.apply(node, operands)

    def _slots(self, node: Map | Contract) -> tuple[_Slot, ...]:
        """Of linked axes, those are in the partner's group with which fewer tensors are to be exchanged."""
        slots = _slots_of(node, has_partners=self.groups.depth == 2)
        assert slots is not None
        tensors = [axes.width[0] for axes in node.axes if len(axes.width) > 1]
        tensors += [0] if node.type.order > 1 else []
        votes = Counter(slots[axis].root for axis in tensors if slots[axis].is_partner)
        votes.subtract(slots[axis].root for axis in tensors if not slots[axis].is_partner)
        return tuple(replace(x, is_partner=x.is_partner != (votes[x.root] > 0)) for x in slots)

    def _in_groups(self, slots: Sequence[_Slot], node: Map | Contract, operands: Sequence[Node]) -> list[Node]:
        """The operands, those whose first index is in the partner's group with their groups exchanged."""
        return [
            self._exchanged(x) if x in self.groups and slots[axes.width[0]].is_partner else x
            for x, axes in zip(operands, node.axes, strict=True)
        ]

    def _exchanged(self, node: Node) -> Node:
        """The same entries with the groups of each pair exchanged."""
        if node not in self._partners:
            shape = (self.groups.shape[0], *node.type.shape[2:])
            rest = (None,) * len(node.type.shape[2:])
            halves = (
                Select(type=replace(node.type, shape=shape), operands=(node,), index=(None, k, *rest)) for k in (1, 0)
            )
            self._partners[node] = Stack(type=node.type, operands=tuple(halves), axis=1)
            self.groups.add(self._partners[node])
        return self._partners[node]

    def _contract(self, node: Contract, operands: Sequence[Node]) -> Node:
        """Width axes that a tensor links, and all free ones, are in one pair; others are averaged over all groups."""
        slots = self._slots(node)
        operands = self._in_groups(slots, node, operands)
        parts = list(zip(operands, node.axes, strict=True))
        roots = [slots[axes.width[0]].root if x in self.groups else None for x, axes in parts]
        is_wide = node.type.order > 0 and 0 in roots
        depth = self.groups.depth if is_wide else 0
        shape = (*self.groups.shape[:depth], *node.type.shape)
        summed = list(node.summed)
        labels = {0: tuple(range(depth))} if is_wide else {}
        moved: list[Axes] = []
        for (_, axes), root in zip(parts, roots, strict=True):
            static = tuple(axis + depth for axis in axes.static)
            if root is not None:
                if root not in labels:
                    first = len(shape) + len(summed)
                    labels[root] = tuple(range(first, first + self.groups.depth))
                    summed += self.groups.shape
                static = (*labels[root], *static)
            moved.append(Axes(static, axes.width))
        terms = prod(summed[len(node.summed) :])
        mean = [Number(value=1.0 / terms, type=SCALAR)] if terms > 1 else []
        made = replace(
            node,
            type=replace(node.type, shape=shape),
            operands=(*operands, *mean),
            axes=(*moved, *(Axes() for _ in mean)),
            summed=tuple(summed),
        )
        return self._exchanged(made) if is_wide and slots[0].is_partner else made
