"""Groups of samples: the samples of every ket are cut into groups, and a tensor pairs samples of one group only.

A tensor of two width axes costs the square of the samples, an average over the samples of a ket only their number.
But most of the error of a limit is that of averages over samples (inner products, coordinates, dots, outputs), and
little that of the copies which an entry T_αβ is averaged over: every α has them, and what is left is averaged again.
So kets have K = G b samples in G groups of b, and a tensor is G blocks of b² entries; for the work of N² entries, K b
= N², and kets have N/b times more samples.  Errors of copies are independent from group to group.

| | over |
|---|---|
| avg{j}(T{i,j} z{j}) | the b samples in the group of i |
| ⟨x⎸y⟩, avg(x), W @ x | all K samples |
| avg{i,j}(T{i,j}) | pairs within a group, all groups |

Accepts a lowered graph for which `has_group_work`.  Promises a graph with the same outputs, in which vectors and
tensors have one more static axis, the first, of groups.  What is shared is the bias of order 1/b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
"""Samples of a group at least: what is averaged within groups has a bias of order 1/b.  Of two networks in training,
the bias at b = 128 was below what 16 replicates could tell (docs/variance.md)."""


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
    return Sizes(min(factor, samples // length) * samples // length, length)


@dataclass(frozen=True)
class GroupGraph:
    """`origin` has the node of the graph without groups for each node that the meaning is asked for."""

    graph: Graph
    origin: dict[Node, Node]
    count: int


def has_group_work(graph: Graph) -> bool:
    """Whether groups save work and change nothing that is exact: tensors are averaged over copies, outer sums not."""
    if graph.is_random or any(node.type.order for out in graph.outputs for node in out.nodes):
        return False
    outer = outer_sums(graph)
    averaged = [
        x
        for node in graph.order
        if (isinstance(node, Average) or (isinstance(node, Contract) and node.averaged))
        for x in node.operands
        if x.type.order >= 2
    ]
    return bool(averaged) and not any(x in outer for x in averaged)


def build_groups(graph: Graph, count: int) -> GroupGraph:
    builder = _Builder(count)
    for node in graph.order:
        builder.add(node)
    outputs = [replace(out, nodes=tuple(builder.new[node] for node in out.nodes)) for out in graph.outputs]
    return GroupGraph(build_graph(outputs), builder.origin, count)


class _Builder:
    def __init__(self, count: int) -> None:
        self._count = count
        self.new: dict[Node, Node] = {}
        self.origin: dict[Node, Node] = {}
        self._grouped: set[Node] = set()

    def add(self, node: Node) -> None:
        operands = [self.new[operand] for operand in node.operands]
        made = self.new[node] = self._make(node, operands)
        if made.type.order and not made.type.is_operator and len(made.type.shape) > len(node.type.shape):
            self._grouped.add(made)
        self.origin[made] = node

    def _make(self, node: Node, operands: Sequence[Node]) -> Node:
        is_grouped = any(x in self._grouped for x in operands)
        wide = replace(node.type, shape=(self._count, *node.type.shape))
        match node:
            case InitialVector():
                return replace(node, type=wide)
            case MatMul():
                places = [_moved(axes, x in self._grouped) for axes, x in zip(node.axes, operands, strict=True)]
                return replace(node, type=wide, operands=tuple(operands), axes=tuple(places))  # pyright: ignore[reportArgumentType]
            case _ if not is_grouped or node.type.is_operator:
                return node.with_operands(operands)
            case Map():
                places = [_moved(axes, x in self._grouped) for axes, x in zip(node.axes, operands, strict=True)]
                return replace(node, type=wide, operands=tuple(operands), axes=tuple(places))
            case Contract():
                return self._contract(node, operands)
            case Average():
                made = replace(node, type=wide, operands=tuple(operands))
                if node.type.order:
                    return made
                return Reduce(
                    type=node.type,
                    operands=(made,),
                    kind="mean",
                    axes=(0,),
                    span=node.span,
                    passes=node.passes,
                    serial=node.serial,
                )
            case Reduce():
                return replace(node, type=wide, operands=tuple(operands), axes=tuple(axis + 1 for axis in node.axes))
            case Select():
                return replace(node, type=wide, operands=tuple(operands), index=(None, *node.index))
            case Stack():
                parts = (self._spread(x, old.type) for x, old in zip(operands, node.operands, strict=True))
                return replace(node, type=wide, operands=tuple(parts), axis=node.axis + 1)
            case _:
                return replace(node, type=wide, operands=tuple(operands))

    def _contract(self, node: Contract, operands: Sequence[Node]) -> Node:
        """Width axes that a tensor links, and all free ones, are in one group; others are averaged over all groups."""
        parts = list(zip(operands, node.axes, strict=True))
        linked = _linked_axes(node)
        is_wide = node.type.order > 0 and any(x in self._grouped and linked[axes.width[0]] == 0 for x, axes in parts)
        shape = (self._count, *node.type.shape) if is_wide else node.type.shape
        summed = list(node.summed)
        label = {0: 0} if is_wide else {}
        places: list[Axes] = []
        for x, axes in parts:
            static = tuple(axis + is_wide for axis in axes.static)
            if x in self._grouped:
                first = linked[axes.width[0]]
                if first not in label:
                    label[first] = len(shape) + len(summed)
                    summed.append(self._count)
                static = (label[first], *static)
            places.append(Axes(static, axes.width))
        extra = len(summed) - len(node.summed)
        mean = [Number(value=float(self._count) ** -extra, type=SCALAR)] if extra else []
        return replace(
            node,
            type=replace(node.type, shape=shape),
            operands=(*operands, *mean),
            axes=(*places, *(Axes() for _ in mean)),
            summed=tuple(summed),
        )

    def _spread(self, node: Node, narrow: Type) -> Node:
        if node in self._grouped:
            return node
        whole = Axes(tuple(range(1, 1 + len(narrow.shape))), tuple(range(narrow.order)))
        wide = replace(narrow, shape=(self._count, *narrow.shape))
        copies = Map(type=wide, operands=(node,), fn=primitive("identity"), axes=(whole,), span=node.span)
        self._grouped.add(copies)
        return copies


def _linked_axes(node: Contract) -> list[int]:
    """For each width axis of the product the first one that it is linked with: by a tensor, or both free."""
    first = list(range(node.type.order + node.averaged))
    for axes in (tuple(range(node.type.order)), *(axes.width for axes in node.axes)):
        joined = {first[k] for k in axes}
        first = [min(joined) if k in joined else k for k in first]
    return first


def _moved(axes: Axes, has_groups: bool) -> Axes:
    return Axes((*((0,) if has_groups else ()), *(axis + 1 for axis in axes.static)), axes.width)


class GroupMeaning:
    """The engine's protocol `Meaning` for a graph of groups: kets of all samples, seen group by group."""

    def __init__(self, groups: GroupGraph, kets: KetMeaning, rule: AverageRule) -> None:
        self._origin = groups.origin
        self._count = groups.count
        self._kets = kets
        self.length = kets.length // groups.count
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
        whole = self._merge(argument) if argument.ndim > len(narrow.shape) + 1 else np.tile(argument, self._count)
        return self._split(self._kets.matmul(origin, matrix, whole, workers))

    def _split(self, kets: Array) -> Array:
        """(…, N) as (G, …, N/G)."""
        return np.ascontiguousarray(np.moveaxis(kets.reshape(*kets.shape[:-1], self._count, self.length), -2, 0))

    def _merge(self, groups: Array) -> Array:
        moved = np.moveaxis(groups, 0, -2)
        return moved.reshape(*moved.shape[:-2], self._count * self.length)
