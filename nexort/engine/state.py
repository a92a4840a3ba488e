"""What a run needs to know and keep: the meaning of a width axis, and the values that are alive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

import numpy as np

from nexort.engine.arrays import Array
from nexort.engine.averages import AverageRule, is_distinct_average
from nexort.engine.blocks import BlockOp, Frame
from nexort.engine.buffers import Buffers
from nexort.engine.plan import Plan
from nexort.engine.workers import Workers
from nexort.graph import Fluctuation, InitialScalar, InitialVector, MatMul, Node, WidthNumber


class Meaning(Protocol):
    """What a width axis, an initial value and a matrix product are: neurons, or samples of kets."""

    @property
    def length(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[np.floating]: ...

    @property
    def average_rule(self) -> AverageRule:
        """The rule that the plan was built with."""
        ...

    def pairing(self, node: Node, round_: int) -> np.random.Generator:
        """The generator of the random pairs of an average (used only where the rule pairs)."""
        ...

    def width_number(self, node: WidthNumber) -> float: ...

    def initial_scalar(self, node: InitialScalar) -> Array:
        """(shape…), float64"""
        ...

    def fluctuation(self, node: Fluctuation, vector: Array) -> Array:
        """(shape…), float64, for the vector (shape…, length)"""
        ...

    def initial_vector(self, node: InitialVector) -> Array:
        """(shape…, length)"""
        ...

    def initial_matrix(self, node: Node, workers: Workers) -> Any:
        """The value of an InitialMatrix or of a Select of one: an array (shape…, n, n), or None."""
        ...

    def matmul(self, node: MatMul, matrix: Any, argument: Array, workers: Workers) -> Array:
        """matrix @ argument, of shape (node.type.shape…, length)."""
        ...


@dataclass(slots=True)
class Run:
    """The values of a run that are alive."""

    plan: Plan
    meaning: Meaning
    workers: Workers
    values: dict[Node, Any] = field(default_factory=dict)
    spare: list[Buffers] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def borrow(self) -> Buffers:
        with self.lock:
            return self.spare.pop() if self.spare else Buffers()

    def give_back(self, buffers: Buffers) -> None:
        with self.lock:
            self.spare.append(buffers)

    def frame(self, ranges: Sequence[slice], buffers: Buffers, permutations: tuple[Array, ...] = ()) -> Frame:
        return Frame(self.meaning.length, self.meaning.dtype, tuple(ranges), buffers, permutations)

    def is_distinct(self, op: BlockOp) -> bool:
        return is_distinct_average(op, self.meaning.average_rule, self.plan.outer)
