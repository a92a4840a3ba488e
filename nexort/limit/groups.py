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
of a sample are those of its own group.  `limit.group_graph` makes the graph of this for one for which `has_group_work`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from nexort.engine import Array, AverageRule, Workers
from nexort.graph import (
    Average,
    Contract,
    Fluctuation,
    Graph,
    InitialScalar,
    InitialVector,
    MatMul,
    Node,
    WidthNumber,
)
from nexort.limit.group_graph import GroupGraph
from nexort.limit.meaning import KetMeaning
from nexort.limit.products import ForEach, run_in_turn
from nexort.limit.width import width_limit
from nexort.passes import outer_sums

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


class GroupMeaning:
    """The engine's protocol `Meaning` for a graph of groups: kets of all samples, seen group by group."""

    def __init__(self, groups: GroupGraph, kets: KetMeaning) -> None:
        self._origin = groups.origin
        self._shape = groups.shape
        self._kets = kets
        self.length = kets.length // prod(groups.shape)
        self.dtype: np.dtype[Any] = kets.dtype
        self.average_rule: AverageRule = kets.average_rule

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
        whole = self._merge(argument, workers.for_each) if has_groups else np.tile(argument, prod(self._shape))
        return self._split(self._kets.matmul(origin, matrix, whole, workers), workers.for_each)

    def _split(self, kets: Array, for_each: ForEach = run_in_turn) -> Array:
        """(…, N) as (groups…, …, N/G)."""
        groups = np.empty((prod(self._shape), *kets.shape[:-1], self.length), kets.dtype)

        def copy(g: int) -> None:
            groups[g] = kets[..., g * self.length : (g + 1) * self.length]

        for_each(copy, len(groups))
        return groups.reshape(*self._shape, *groups.shape[1:])

    def _merge(self, groups: Array, for_each: ForEach) -> Array:
        """(groups…, …, N/G) as (…, N)."""
        depth = len(self._shape)
        parts = groups.reshape(-1, *groups.shape[depth:])
        kets = np.empty((*parts.shape[1:-1], len(parts) * self.length), groups.dtype)

        def copy(g: int) -> None:
            kets[..., g * self.length : (g + 1) * self.length] = parts[g]

        for_each(copy, len(parts))
        return kets
