"""The value of one node from the values of its operands, on JAX arrays: `engine.blocks`, on another kind of array.

Node types, coordinates and labels are the engine's; only the arithmetic is written again.  What a node's structure does
not fix (constants of functions, indices of a family's elements) comes as `Lifted` arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from nexort.accelerated.contraction import Operand, contract
from nexort.accelerated.kernels import Structure, apply_function, function_constants, function_structure
from nexort.accelerated.lazy import jax, jnp
from nexort.engine import WIDTH, BlockOp, Coords, grids_of, labels_of, spread
from nexort.graph import Average, Contract, DenseOperator, Map, Node, Reduce, Select, Stack

SCALAR = "float64"
"""The dtype of what has no width axis: such values are few, and sums end in them."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The width, the dtype of the run, and how long each grid axis of a block is."""

    length: int
    dtype: Any
    extents: tuple[int, ...]

    def type_of(self, coords: Coords) -> Any:
        return self.dtype if coords else SCALAR

    def shape(self, op: BlockOp) -> tuple[int, ...]:
        return (*op.node.type.shape, *(self.extents[grid] for grid in grids_of(op.coords)))


def node_structure(node: Node) -> Structure:
    """What two nodes have in common that are computed alike."""
    kind, type_ = type(node).__name__, node.type
    match node:
        case Map():
            return (kind, type_, function_structure(node.fn), node.axes)
        case Select():
            return (kind, type_, tuple(k is None for k in node.index))
        case _:
            return (kind, type_, node.signature)


def node_numbers(node: Node) -> tuple[float, ...]:
    """The constants that `compute` takes for a node."""
    return function_constants(node.fn) if isinstance(node, Map) else ()


def node_indices(node: Node) -> tuple[int, ...]:
    """The indices that `compute` takes for a node."""
    return tuple(k for k in node.index if k is not None) if isinstance(node, Select) else ()


@dataclass(frozen=True, slots=True)
class Lifted:
    """The numbers and indices of the nodes of a segment, as arguments of its compiled function.

    `places` tells where those of a node begin.
    """

    numbers: Any
    indices: Any
    places: Mapping[Node, int]

    def numbers_of(self, node: Node) -> list[Any]:
        start = self.places.get(node, 0)
        return [self.numbers[start + k] for k in range(len(node_numbers(node)))]

    def indices_of(self, node: Node) -> list[Any]:
        start = self.places.get(node, 0)
        return [self.indices[start + k] for k in range(len(node_indices(node)))]


def compute(op: BlockOp, blocks: Sequence[Any], masks: Sequence[Operand], frame: Frame, lifted: Lifted) -> Any:
    """The value of `op`, of axes op.out; sums over bound width axes are not yet divided.

    `masks` are further factors of a contraction.
    """
    node = op.node
    match node:
        case Map():
            views = [_argument(block, labels, op, frame) for block, labels in zip(blocks, op.labels, strict=True)]
            constants = lifted.numbers_of(node)
            value = apply_function(node.fn, views, constants, frame.type_of(op.coords))
            return _as_block(value, op, frame)
        case Reduce():
            return {"sum": blocks[0].sum, "mean": blocks[0].mean, "max": blocks[0].max}[node.kind](axis=node.axes)
        case Average():
            axes = tuple(k for k, label in enumerate(op.labels[0]) if label not in op.out)
            return blocks[0].sum(axis=axes, dtype=frame.type_of(op.coords))
        case Contract():
            return _contraction(op, node, blocks, masks, frame)
        case DenseOperator():
            return _dense(op, blocks, frame)
        case Select():
            return _element(blocks[0], node, lifted.indices_of(node))
        case Stack():
            return jnp.stack(blocks, axis=node.axis)
        case _:
            raise AssertionError(f"no block rule for {type(node).__name__}")


def _argument(block: Any, labels: Any, op: BlockOp, frame: Frame) -> Any:
    """A block beside the others: a number stays one, in float64."""
    return spread(block, labels, op.out).astype(frame.type_of(op.coords)) if block.ndim else block


def _as_block(value: Any, op: BlockOp, frame: Frame) -> Any:
    """With all axes of the result in full."""
    return jnp.broadcast_to(jnp.asarray(value, frame.type_of(op.coords)), frame.shape(op))


def _contraction(op: BlockOp, node: Contract, blocks: Sequence[Any], masks: Sequence[Operand], frame: Frame) -> Any:
    operands = [
        (block.astype(frame.dtype) if op.coords or at else block, labels)
        for block, labels, (_, at) in zip(blocks, op.labels, op.inputs, strict=True)
    ]
    value = contract([*operands, *masks], op.out, is_wide=not op.coords)
    # lengths of the summed static axes that no operand has
    present = {label for labels in op.labels for label in labels}
    missing = prod(size for k, size in enumerate(node.summed, len(node.type.shape)) if k not in present)
    return _as_block(value * missing if missing != 1 else value, op, frame)


def _dense(op: BlockOp, blocks: Sequence[Any], frame: Frame) -> Any:
    """Σ c · M + (1/n) Σ c · T."""
    total = None
    for k in range(0, len(blocks), 2):
        scale = 1.0 if op.inputs[k + 1][0].type.is_operator else 1.0 / frame.length
        weight = spread(blocks[k] * scale, op.labels[k], op.out).astype(frame.dtype)
        term = weight * spread(blocks[k + 1], op.labels[k + 1], op.out)
        total = term if total is None else total + term
    return _as_block(total, op, frame)


def _element(block: Any, node: Select, indices: Sequence[Any]) -> Any:
    fixed = [axis for axis, k in enumerate(node.index) if k is not None]
    for axis, index in reversed(list(zip(fixed, indices, strict=True))):
        block = jax.lax.dynamic_index_in_dim(block, index, axis, keepdims=False)
    return block


def to_node_axes(value: Any, op: BlockOp) -> Any:
    """From the axes of a block (grid axes in increasing order) to those of the node."""
    statics = range(len(op.node.type.shape))
    return spread(value, labels_of(statics, op.coords), (*statics, *(WIDTH + coord.grid for coord in op.coords)))
