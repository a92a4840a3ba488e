"""Segments as compiled functions of arrays, kept by structure for all runs of this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from nexort.accelerated.blocks import Frame, Lifted, compute, to_node_axes
from nexort.accelerated.contraction import contract
from nexort.accelerated.devices import Layout
from nexort.accelerated.lazy import jax, jnp
from nexort.accelerated.segments import Segment
from nexort.accelerated.sweeps import Sweep
from nexort.engine import (
    WIDTH,
    AverageRule,
    BlockOp,
    NodeStep,
    Plan,
    bound_count,
    is_distinct_average,
)
from nexort.graph import MatMul, Node

COUNTED = 1 << 20
"""Entries of an array whose faults are counted at once."""
KEPT = 512
"""Compiled functions that are kept; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class Program:
    """A segment of a plan at one width and dtype, on some devices.

    donated  positions of the inputs that the results are written over
    pairs    for each sweep, its rounds of random pairs and the permutations in each
    """

    plan: Plan
    segment: Segment
    layout: Layout
    dtype: str
    rule: AverageRule
    donated: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def key(self) -> tuple[Any, ...]:
        distinct = tuple(self._is_distinct(op) for op in self._averages())
        mesh, tile = self.layout.mesh, self.layout.accelerator.tile_entries
        return (self.segment.structure, mesh, self.layout.length, self.dtype, tile, distinct, self.donated, self.pairs)

    def _averages(self) -> list[BlockOp]:
        sweeps = [step for step in self.segment.steps if not isinstance(step, NodeStep)]
        return [op for step in sweeps for op in step.program.operations]

    def _is_distinct(self, op: BlockOp) -> bool:
        return is_distinct_average(op, self.rule, self.plan.outer)

    def compile(self) -> Any:
        """The compiled function (inputs, numbers, indices, permutations) → (outputs, faults of what is checked)."""
        layout, segment = self.layout, self.segment

        def shape_of(node: Node) -> Any:
            dtype = self.dtype if node.type.order else "float64"
            return jax.ShapeDtypeStruct(layout.shape(node.type), dtype, sharding=layout.sharding(node.type))

        small = layout.numbers(0.0, "float64").sharding
        function = jax.jit(
            self._trace,
            donate_argnums=tuple(range(len(self.donated))),
            out_shardings=([layout.sharding(node.type) for node in segment.outputs], small),
        )
        given = [shape_of(node) for node in segment.inputs]
        kept = [given[k] for k in range(len(given)) if k not in self.donated]
        permutations = [
            [[jax.ShapeDtypeStruct((layout.length,), "int32", sharding=small)] * count] * rounds
            for rounds, count in self.pairs
        ]
        rest = (
            kept,
            jax.ShapeDtypeStruct((len(segment.numbers),), "float64", sharding=small),
            jax.ShapeDtypeStruct((len(segment.indices),), "int32", sharding=small),
            permutations,
        )
        return function.lower(*(given[k] for k in self.donated), *rest).compile()

    def _trace(self, *arguments: Any) -> tuple[list[Any], Any]:
        *donated, kept, numbers, indices, permutations = arguments
        given = dict(zip(self.donated, donated, strict=True))
        rest = iter(kept)
        values = {node: given[k] if k in given else next(rest) for k, node in enumerate(self.segment.inputs)}
        lifted = Lifted(numbers, indices, self.segment.places)
        rounds = iter(permutations)
        for step in self.segment.steps:
            if isinstance(step, NodeStep):
                values[step.node] = self._node(step.node, values, lifted)
                continue
            layout = self.layout
            sweep = Sweep(
                step, layout.length, self.dtype, layout.count, layout.accelerator.tile_entries, self._is_distinct
            )
            values.update(sweep.run(values, next(rounds), lifted))
        faults = [_count_faults(values[node]) for node in self.segment.checked]
        outputs = [values[node] for node in self.segment.outputs]
        return outputs, jnp.stack(faults) if faults else jnp.zeros(0, "int32")

    def _node(self, node: Node, values: dict[Node, Any], lifted: Lifted) -> Any:
        """A node of order 0 or 1, or an operator, on whole arrays."""
        operands = [values[x] for x in node.operands]
        if isinstance(node, MatMul):
            return self._matmul(node, operands)
        op, count = self.plan.whole_op(node), bound_count(node)
        frame = Frame(self.layout.length, self.dtype, (self.layout.length,) * (node.type.order + count))
        value = to_node_axes(compute(op, operands, (), frame, lifted), op)
        return value / float(self.layout.length) ** count if count else value

    def _matmul(self, node: MatMul, operands: Sequence[Any]) -> Any:
        """W x or Wᵀ x for every element of a family."""
        row, column = WIDTH, WIDTH + 1
        matrix, argument = node.axes
        axes = (column, row) if node.is_transposed else (row, column)
        labels = [(*matrix.static, *axes), (*argument.static, column)]
        out = (*range(len(node.type.shape)), row)
        value = contract(list(zip(operands, labels, strict=True)), out)
        return jnp.broadcast_to(value, self.layout.shape(node.type))


def _count_faults(value: Any) -> Any:
    """Entries that are not finite; of a large array 1 if its sum is not, which takes no second array of its size."""
    if value.size <= COUNTED:
        return jnp.sum(~jnp.isfinite(value), dtype="int32")
    return (~jnp.isfinite(value.sum())).astype("int32")


_compiled: dict[tuple[Any, ...], Any] = {}
_lock = Lock()


def compiled(program: Program) -> Any:
    """The compiled function of a segment: an old one where one of its structure is known."""
    key = program.key
    function = _compiled.get(key)
    if function is None:
        function = program.compile()
        with _lock:
            _compiled[key] = function
            while len(_compiled) > KEPT:
                _compiled.pop(next(iter(_compiled)))
    return function
