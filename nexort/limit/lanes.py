"""Several replicates in one run: a graph with one more static axis, the first, whose elements are replicates (lanes).

A replicate with few samples spends its time on starting operations, not on computing; with the replicates on an axis
of the arrays each operation starts once for all of them.  Nothing is shared but the program: every lane has its own
kets, keyed by its replicate, its own columns and its own averages.

Accepts a lowered graph without random limits.  Promises a graph with the same outputs, each with the axis of lanes
after those of its loops.  Numbers, data and operators, the same in every replicate, have no such axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nexort.engine import Array, AverageRule, Workers
from nexort.graph import Fluctuation, Graph, InitialScalar, InitialVector, MatMul, Node, WidthNumber, build_graph
from nexort.limit.leading import LeadingAxes
from nexort.limit.meaning import KetMeaning
from nexort.limit.width import width_limit

ENTRIES = 1 << 20
"""Entries that an n × n array of all lanes may have: a few such arrays fit the cache that cores share."""
MOST_LANES = 16


def lane_count(replicates: int, samples: int) -> int:
    """How many replicates to run at once: as many as fit `ENTRIES`, the same number in each run."""
    most = min(MOST_LANES, max(1, ENTRIES // samples**2))
    runs = -(-replicates // most)
    return -(-replicates // max(1, runs))


@dataclass(frozen=True)
class LaneGraph:
    """`origin` has the node of the graph of one replicate for each node that the meaning is asked for."""

    graph: Graph
    origin: dict[Node, Node]
    count: int


def build_lanes(graph: Graph, count: int) -> LaneGraph:
    """The graph of `count` replicates at once."""
    new: dict[Node, Node] = {}
    origin: dict[Node, Node] = {}
    lanes = LeadingAxes((count,))
    for node in graph.order:
        operands = [new[operand] for operand in node.operands]
        if isinstance(node, InitialVector | MatMul) or (
            any(x in lanes for x in operands) and not node.type.is_operator
        ):
            new[node] = lanes.add(lanes.apply(node, operands))
            origin[new[node]] = node
        else:
            new[node] = node.with_operands(operands)
    outputs = [
        replace(out, nodes=tuple(lanes.spread(new[node], node.type) for node in out.nodes)) for out in graph.outputs
    ]
    return LaneGraph(build_graph(outputs), origin, count)


class LaneMeaning:
    """The engine's protocol `Meaning` for a graph of lanes: each lane asks its own replicate."""

    def __init__(self, lanes: LaneGraph, replicates: Sequence[KetMeaning]) -> None:
        self._origin = lanes.origin
        self._replicates = replicates
        self.length = replicates[0].length
        self.dtype: np.dtype[Any] = replicates[0].dtype
        self.average_rule: AverageRule = replicates[0].average_rule

    def pairing(self, node: Node, round_: int) -> np.random.Generator:
        raise AssertionError("replicates that pair copies at random run one by one")

    def width_number(self, node: WidthNumber) -> float:
        return width_limit(node)

    def initial_scalar(self, node: InitialScalar) -> Array:
        assert node.variance == 0, "replicates of a random limit run one by one"
        return self._replicates[0].initial_scalar(node)

    def fluctuation(self, node: Fluctuation, vector: Array) -> Array:
        raise AssertionError("replicates of a random limit run one by one")

    def initial_vector(self, node: InitialVector) -> Array:
        origin = self._origin[node]
        assert isinstance(origin, InitialVector)
        return np.stack([replicate.initial_vector(origin) for replicate in self._replicates])

    def initial_matrix(self, node: Node, workers: Workers) -> Array:
        return self._replicates[0].initial_matrix(node, workers)

    def matmul(self, node: MatMul, matrix: Array, argument: Array, workers: Workers) -> Array:
        origin = self._origin[node]
        assert isinstance(origin, MatMul)
        result = np.empty((*node.type.shape, self.length), self.dtype)
        has_lanes = argument.ndim > len(origin.operands[1].type.shape) + 1

        def lane(k: int) -> None:
            result[k] = self._replicates[k].matmul(origin, matrix, argument[k] if has_lanes else argument, None)

        workers.for_each(lane, len(self._replicates))
        return result
