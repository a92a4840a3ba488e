"""The memory of an evaluation, and evaluations in blocks of rows where the whole would be too large or too slow.

M rows are cut into q² parts, the points of the affine plane over the integers modulo a prime q.  An evaluation takes
the q parts on a line, M/q rows.  Two points lie on one line, so q² + q evaluations meet every pair of parts, and the
pairs that are evaluated more than once, those inside a part, are a fraction 1/q: blocks cost almost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from nexort.exact.rows import Rows, find_rows, restrict
from nexort.graph import Contract, Graph, InitialVector, Map, MatMul, Node, Output, Reduce
from nexort.symbolic import kernel

LARGEST = 640
"""More rows are evaluated in blocks: arrays of their pairs leave the cache."""
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)
WORKING = 20
"""Arrays of the largest product of two families that an expectation holds at once."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Evaluations of `graph` (lowered) at some of its rows; one of all of it where `rows` is None."""

    graph: Graph
    rows: Rows | None
    order: int
    """The prime q, 1 for a single evaluation."""
    threads: int

    @property
    def parts(self) -> list[np.ndarray]:
        """The chosen rows of each evaluation."""
        assert self.rows is not None
        points = np.array_split(np.arange(self.rows.length), self.order**2)
        return [np.sort(np.concatenate([points[k] for k in line])) for line in lines(self.order)]

    @property
    def evaluations(self) -> int:
        return 1 if self.order == 1 else self.order * (self.order + 1)

    @property
    def inputs(self) -> int:
        """Rows of an evaluation, at most."""
        assert self.rows is not None
        return -(-self.rows.length // self.order**2) * self.order

    @property
    def bytes(self) -> float:
        """The memory at most: results, and what each thread works with."""
        if self.rows is None or self.order == 1:
            return estimate_bytes(self.graph)
        part = restrict(self.graph, self.rows, np.arange(min(self.inputs, self.rows.length)))
        results = sum(8 * prod(node.type.shape) for node in self.graph.results)
        return results + self.threads * estimate_bytes(part)


def lines(q: int) -> Iterator[list[int]]:
    """The lines of the affine plane of prime order q, each q of the points 0 … q² − 1."""
    for slope in range(q):
        for shift in range(q):
            yield [x * q + (slope * x + shift) % q for x in range(q)]
    for x in range(q):
        yield [x * q + y for y in range(q)]


def plan_blocks(graph: Graph, threads: int, most: float | None) -> Blocks:
    """Blocks for a lowered graph that fit into `most` bytes; the smallest there are if none do."""
    rows = find_rows(graph)
    whole = Blocks(graph, rows, 1, threads)
    if rows is None or (rows.length <= LARGEST and (most is None or whole.bytes <= most)):
        return whole
    plan = whole
    for q in PRIMES:
        if q**2 > rows.length:
            break
        plan = Blocks(graph, rows, q, threads)
        if rows.length / q <= LARGEST and (most is None or plan.bytes <= most):
            break
    return plan


def estimate_bytes(graph: Graph) -> float:
    """What an evaluation of a lowered graph holds at its largest: numbers, covariances of hats, what it works with."""
    numbers = sum(prod(node.type.shape) for node in graph.order if not node.type.order)
    met: dict[tuple[object, bool], int] = {}
    leaves = covariances = largest = weights = 0
    for node in graph.order:
        count = prod(node.type.shape)
        match node:
            case InitialVector():
                leaves += count
            case MatMul():
                key = (node.operands[0], node.is_transposed)
                covariances += count * (count + met.get(key, 0))
                met[key] = met.get(key, 0) + count
                largest = max(largest, count**2)
                leaves += count
            case Contract():
                largest = max(largest, count * _summed_with_kets(node))
            case _:
                largest = max(largest, count)
        if node.type.order and _adds_kets(node):
            weights += count * leaves
    return 8 * (numbers + covariances + WORKING * largest + weights)


def _summed_with_kets(node: Contract) -> int:
    """The length of the sums that remain when numbers are summed first."""
    rank = len(node.type.shape)
    kets = [axes for operand, axes in zip(node.operands, node.axes, strict=True) if operand.type.order]
    return prod(node.summed) if any(at >= rank for axes in kets for at in axes.static) else 1


def _adds_kets(node: Node) -> bool:
    """Whether the result may have weights on all leaves so far: others are leaves, or functions of what there is."""
    if isinstance(node, Map):
        return any(step.op in ("add", "subtract") for step in kernel(node.fn).instructions)
    return isinstance(node, Contract | Reduce)


def place_block(output: Output, value: np.ndarray, part: np.ndarray, chosen: np.ndarray, rows: Rows) -> None:
    """Writes the output at the chosen rows into its whole value, of shape loops + static shape."""
    axes = rows.along(output.nodes[0]) if output.nodes else ()
    index: list[np.ndarray | slice] = [slice(None)] * value.ndim
    for position, k in enumerate(axes):
        shape = [1] * len(axes)
        shape[position] = len(chosen)
        index[len(output.loops) + k] = chosen.reshape(shape)
    value[tuple(index)] = part
