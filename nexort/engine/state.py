"""What a run needs to know and keep: the meaning of a width axis, and the values that are alive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol, TypeAlias

import numpy as np

from nexort.engine.arrays import Array
from nexort.engine.averages import AverageRule, draw_permutations, is_distinct_average, tied_count
from nexort.engine.blocks import BlockOp, Frame
from nexort.engine.buffers import Buffers
from nexort.engine.plan import Plan, SweepStep, is_read_by_elements
from nexort.engine.workers import Workers
from nexort.graph import (
    Data,
    Fluctuation,
    InitialMatrix,
    InitialScalar,
    InitialVector,
    MatMul,
    Node,
    Number,
    Select,
    WidthNumber,
)


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


Values: TypeAlias = Mapping[Node, Any]
"""Arrays, operators and factors by node."""


def is_given(node: Node) -> bool:
    """Whether it is known from the start, or the meaning of the width axis makes it."""
    if isinstance(node, Select):
        return node.type.is_operator
    given = Number | WidthNumber | Data | InitialScalar | Fluctuation | InitialVector | InitialMatrix | MatMul
    return isinstance(node, given)


def given_value(plan: Plan, meaning: Meaning, node: Node, values: Values, workers: Workers) -> Any:
    """The value of a node that `is_given`; `values` has those of its operands."""
    match node:
        case Number():
            return np.float64(node.value)
        case WidthNumber():
            return np.float64(meaning.width_number(node))
        case Data():
            return node.array
        case InitialScalar():
            return meaning.initial_scalar(node)
        case Fluctuation():
            return meaning.fluctuation(node, np.asarray(values[node.operands[0]]))
        case InitialVector():
            return meaning.initial_vector(node)
        case InitialMatrix():
            return None if is_read_by_elements(plan.graph, node) else meaning.initial_matrix(node, workers)
        case Select():
            base = values.get(node.operands[0])
            if base is None:
                return meaning.initial_matrix(node, workers)
            return base[tuple(slice(None) if k is None else k for k in node.index)]
        case MatMul():
            matrix, argument = (values[operand] for operand in node.operands)
            return meaning.matmul(node, matrix, np.asarray(argument), workers)
        case _:
            raise AssertionError(f"{type(node).__name__} is computed from its operands")


def draw_rounds(meaning: Meaning, step: SweepStep) -> tuple[tuple[Array, ...], ...]:
    """The permutations of each round of random pairs; one round without any where the sweep has no pairs."""
    # a sweep with random pairs has one root
    root = step.roots[0]
    count = tied_count(root)
    if not count:
        return ((),)
    generators = (meaning.pairing(root.node, k) for k in range(meaning.average_rule.rounds))
    return tuple(draw_permutations(generator, count, meaning.length) for generator in generators)


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
