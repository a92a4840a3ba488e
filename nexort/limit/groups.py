"""Groups of samples: the samples of every ket are cut into groups, and a tensor pairs samples of one group only.

A tensor of two width axes costs the square of the samples, an average over the samples of a ket only their number.
But most of the error of a limit is that of averages over samples (inner products, coordinates, dots, outputs), and
little that of the copies which an entry T_αβ is averaged over: every α has them, and what is left is averaged again.
So kets have K = G b samples in G groups of b, and a tensor is G blocks of b² entries; for the work of N² entries, K b
= N², and kets have N/b times more samples.  Errors of copies are independent from group to group.

Groups come in pairs: the copies of a sample of one group are the samples of the other.  So no copy is the sample
itself, and averages over copies have no bias of order 1/b from that, with random points or a net.  The entry T_αβ has α
in group g and β in its partner g', also where it is read as T'_βα: then β is in g' and α in (g')' = g.

| | over |
|---|---|
| avg{j}(T{i,j} z{j}) | the b samples in the partner of the group of i |
| ⟨x⎸y⟩, avg(x), W @ x | all K samples |
| avg{i,j}(T{i,j}) | pairs from a group and its partner, all groups |

Where two indices cannot always be in partners (a diagonal T{i,i}, three indices), all are in one group, and the copies
of a sample are those of its own group.

Accepts a lowered graph for which `has_group_work`.  Promises a graph with the same outputs, in which vectors and
tensors have more static axes, the first ones: (G/2, 2) for pairs of groups, (G) for single ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from nexort.engine import Array, AverageRule, Workers
from nexort.graph import (
    Average,
    Axes,
    Contract,
    Fluctuation,
    Graph,
    InitialScalar,
    InitialVector,
    Map,
    MatMul,
    Node,
    Number,
    Reduce,
    Select,
    Stack,
    WidthNumber,
    build_graph,
)
from nexort.graph.types import SCALAR, Type
from nexort.limit.meaning import KetMeaning
from nexort.limit.width import width_limit
from nexort.passes import outer_sums
from nexort.symbolic import primitive

LEAST_GROUP = 256
"""Samples of a group at least: functions of averages over copies have a bias of order 1/b.  Of two networks in
training, the bias at b = 128 was below what 16 replicates could tell (docs/variance.md)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """`groups` groups of `length` samples each."""

    groups: int
    length: int

    @property
    def samples(self) -> int:
        """Of a ket."""
        return self.groups * self.length


def group_sizes(samples: int, columns: int) -> Sizes:
    """For the work of `samples`² entries or less, at columns of all matrices of at most so many.

    Groups of N/16 or more: tensors have N²/2 entries or fewer.  Products with matrices cost (columns) times the samples
    of a ket, so that kets have 8 N samples where columns are few, fewer where they are many, and N where they may be
    more than N.
    """
    length = 2 * max(samples // 32, LEAST_GROUP // 2)  # even: groups are halved
    share = columns / samples
    factor = 8 if share <= 1 / 8 else 3 if share <= 1 / 2 else 2 if share <= 1 else 1
    if samples < 2 * LEAST_GROUP or factor == 1:
        return Sizes(1, samples)
    groups = min(factor, samples // length) * samples // length
    return Sizes(groups - groups % 2, length)


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


def has_group_work(graph: Graph) -> bool:
    """Whether groups save work and change nothing that is exact: tensors are averaged over copies, outer sums not."""
    if graph.is_random or any(node.type.order for out in graph.outputs for node in out.nodes):
        return False
    averaged, outer = _averaged_tensors(graph), outer_sums(graph)
    return bool(averaged) and averaged.isdisjoint(outer)


def has_copies(graph: Graph) -> bool:
    """Whether anything is averaged over copies, which an outer sum is not."""
    return not _averaged_tensors(graph) <= outer_sums(graph)


def _averaged_tensors(graph: Graph) -> set[Node]:
    return {
        x
        for node in graph.order
        if isinstance(node, Average) or (isinstance(node, Contract) and node.averaged)
        for x in node.operands
        if x.type.order >= 2
    }


def build_groups(graph: Graph, count: int) -> GroupGraph:
    """`count` groups, in pairs where the count is even and the graph allows."""
    builder = _Builder((count // 2, 2) if count % 2 == 0 and _can_pair(graph) else (count,))
    for node in graph.order:
        builder.add(node)
    outputs = [replace(out, nodes=tuple(builder.new[node] for node in out.nodes)) for out in graph.outputs]
    return GroupGraph(build_graph(outputs), builder.origin, builder.shape)


def _can_pair(graph: Graph) -> bool:
    """Whether the indices of every operation can be in partners: no three of a tensor, no two equal ones."""
    return all(
        node.type.order <= 2 and _places_of(node, has_partners=True) is not None
        for node in graph.order
        if not node.type.is_operator
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Of a width axis: its set of linked axes, named by the first of them, and whether it is in the partner's group."""

    root: int
    is_partner: bool


def _places_of(node: Node, *, has_partners: bool) -> tuple[_Place, ...] | None:
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
    places: dict[int, _Place] = {}
    for root in range(count):
        pending = [(root, _Place(root, False))]
        while pending:
            axis, place = pending.pop()
            found = places.setdefault(axis, place)
            if found is place:
                pending += [(other, _Place(root, has_partners != place.is_partner)) for other in linked[axis]]
            elif found.root == root and found.is_partner != place.is_partner:
                return None
    return tuple(places[axis] for axis in range(count))


class _Builder:
    """The static axes of groups come first; a tensor's are those of the group of its first index."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.new: dict[Node, Node] = {}
        self.origin: dict[Node, Node] = {}
        self._depth = len(shape)
        self._grouped: set[Node] = set()
        self._partners: dict[Node, Node] = {}

    def add(self, node: Node) -> None:
        operands = [self.new[operand] for operand in node.operands]
        made = self.new[node] = self._make(node, operands)
        if made.type.order and not made.type.is_operator and len(made.type.shape) > len(node.type.shape):
            self._grouped.add(made)
        self.origin[made] = node

    def _make(self, node: Node, operands: Sequence[Node]) -> Node:
        is_grouped = any(x in self._grouped for x in operands)
        depth = self._depth
        wide = replace(node.type, shape=(*self.shape, *node.type.shape))
        match node:
            case InitialVector():
                return replace(node, type=wide)
            case MatMul():
                places = [self._moved(axes, x) for axes, x in zip(node.axes, operands, strict=True)]
                return replace(node, type=wide, operands=tuple(operands), axes=tuple(places))  # pyright: ignore[reportArgumentType]
            case _ if not is_grouped or node.type.is_operator:
                return node.with_operands(operands)
            case Map():
                places = self._places(node)
                operands = self._in_groups(places, node, operands)
                moved = [self._moved(axes, x) for axes, x in zip(node.axes, operands, strict=True)]
                made = replace(node, type=wide, operands=tuple(operands), axes=tuple(moved))
                return self._exchanged(made) if places[0].is_partner else made
            case Contract():
                return self._contract(node, operands)
            case Average():
                made = replace(node, type=wide, operands=tuple(operands))
                if node.type.order:
                    # what is left of a tensor without its first index is in the group of its second one
                    return self._exchanged(made) if depth == 2 and 0 in node.axes else made
                return Reduce(
                    type=node.type,
                    operands=(made,),
                    kind="mean",
                    axes=tuple(range(depth)),
                    span=node.span,
                    passes=node.passes,
                    serial=node.serial,
                )
            case Reduce():
                axes = tuple(axis + depth for axis in node.axes)
                return replace(node, type=wide, operands=tuple(operands), axes=axes)
            case Select():
                return replace(node, type=wide, operands=tuple(operands), index=((None,) * depth + node.index))
            case Stack():
                parts = (self._spread(x, old.type) for x, old in zip(operands, node.operands, strict=True))
                return replace(node, type=wide, operands=tuple(parts), axis=node.axis + depth)
            case _:
                return replace(node, type=wide, operands=tuple(operands))

    def _places(self, node: Map | Contract) -> tuple[_Place, ...]:
        """Of linked axes, those are in the partner's group with which fewer tensors are to be exchanged."""
        places = _places_of(node, has_partners=self._depth == 2)
        assert places is not None
        tensors = [axes.width[0] for axes in node.axes if len(axes.width) > 1]
        tensors += [0] if node.type.order > 1 else []
        votes = Counter(places[axis].root for axis in tensors if places[axis].is_partner)
        votes.subtract(places[axis].root for axis in tensors if not places[axis].is_partner)
        return tuple(replace(x, is_partner=x.is_partner != (votes[x.root] > 0)) for x in places)

    def _in_groups(self, places: Sequence[_Place], node: Map | Contract, operands: Sequence[Node]) -> list[Node]:
        """The operands, those whose first index is in the partner's group with their groups exchanged."""
        return [
            self._exchanged(x) if x in self._grouped and places[axes.width[0]].is_partner else x
            for x, axes in zip(operands, node.axes, strict=True)
        ]

    def _exchanged(self, node: Node) -> Node:
        """The same entries with the groups of each pair exchanged."""
        if node not in self._partners:
            shape = (self.shape[0], *node.type.shape[2:])
            rest = (None,) * len(node.type.shape[2:])
            halves = (
                Select(type=replace(node.type, shape=shape), operands=(node,), index=(None, k, *rest)) for k in (1, 0)
            )
            self._partners[node] = Stack(type=node.type, operands=tuple(halves), axis=1)
            self._grouped.add(self._partners[node])
        return self._partners[node]

    def _contract(self, node: Contract, operands: Sequence[Node]) -> Node:
        """Width axes that a tensor links, and all free ones, are in one pair; others are averaged over all groups."""
        places = self._places(node)
        operands = self._in_groups(places, node, operands)
        parts = list(zip(operands, node.axes, strict=True))
        roots = [places[axes.width[0]].root if x in self._grouped else None for x, axes in parts]
        is_wide = node.type.order > 0 and 0 in roots
        depth = self._depth if is_wide else 0
        shape = (*self.shape[:depth], *node.type.shape)
        summed = list(node.summed)
        labels = {0: tuple(range(depth))} if is_wide else {}
        moved: list[Axes] = []
        for (_, axes), root in zip(parts, roots, strict=True):
            static = tuple(axis + depth for axis in axes.static)
            if root is not None:
                if root not in labels:
                    first = len(shape) + len(summed)
                    labels[root] = tuple(range(first, first + self._depth))
                    summed += self.shape
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
        return self._exchanged(made) if is_wide and places[0].is_partner else made

    def _spread(self, node: Node, narrow: Type) -> Node:
        if node in self._grouped:
            return node
        depth = self._depth
        whole = Axes(tuple(range(depth, depth + len(narrow.shape))), tuple(range(narrow.order)))
        wide = replace(narrow, shape=(*self.shape, *narrow.shape))
        copies = Map(type=wide, operands=(node,), fn=primitive("identity"), axes=(whole,), span=node.span)
        self._grouped.add(copies)
        return copies

    def _moved(self, axes: Axes, operand: Node) -> Axes:
        groups = tuple(range(self._depth)) if operand in self._grouped else ()
        return Axes((*groups, *(axis + self._depth for axis in axes.static)), axes.width)


class GroupMeaning:
    """The engine's protocol `Meaning` for a graph of groups: kets of all samples, seen group by group."""

    def __init__(self, groups: GroupGraph, kets: KetMeaning, rule: AverageRule) -> None:
        self._origin = groups.origin
        self._shape = groups.shape
        self._kets = kets
        self.length = kets.length // prod(groups.shape)
        self.dtype: np.dtype[Any] = kets.dtype
        self.average_rule = rule

    def pairing(self, node: Node, round_: int) -> np.random.Generator:
        raise AssertionError("no groups where copies are paired at random")

    def width_number(self, node: WidthNumber) -> float:
        return width_limit(node)

    def initial_scalar(self, node: InitialScalar) -> Array:
        return self._kets.initial_scalar(node)

    def fluctuation(self, node: Fluctuation, vector: Array) -> Array:
        raise AssertionError("no groups where the limit is random")

    def initial_vector(self, node: InitialVector) -> Array:
        origin = self._origin[node]
        assert isinstance(origin, InitialVector)
        return self._split(self._kets.initial_vector(origin))

    def initial_matrix(self, node: Node, workers: Workers) -> Array:
        return self._kets.initial_matrix(node, workers)

    def matmul(self, node: MatMul, matrix: Array, argument: Array, workers: Workers) -> Array:
        origin = self._origin[node]
        assert isinstance(origin, MatMul)
        narrow = origin.operands[1].type
        has_groups = argument.ndim > len(narrow.shape) + 1
        whole = self._merge(argument) if has_groups else np.tile(argument, prod(self._shape))
        return self._split(self._kets.matmul(origin, matrix, whole, workers))

    def _split(self, kets: Array) -> Array:
        """(…, N) as (groups…, …, N/G)."""
        depth, parts = len(self._shape), kets.reshape(*kets.shape[:-1], *self._shape, self.length)
        places = range(parts.ndim - 1 - depth, parts.ndim - 1)
        return np.ascontiguousarray(np.moveaxis(parts, places, range(depth)))

    def _merge(self, groups: Array) -> Array:
        depth = len(self._shape)
        moved = np.moveaxis(groups, range(depth), range(groups.ndim - 1 - depth, groups.ndim - 1))
        return moved.reshape(*moved.shape[: groups.ndim - 1 - depth], -1)
