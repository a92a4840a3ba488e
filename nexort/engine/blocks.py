"""Evaluation of one node on one block of its entries: the meaning of every array operation, written once.

A *block* of a node fixes, for each of its width axes, a coordinate: a grid axis of the surrounding loop nest, read
through a permutation or not.  The block array has the static axes of the node first, then one axis per distinct grid
axis, in increasing order.  So a transposed read T{j,i} is coordinates (1, 0), a diagonal T{i,i} is (0, 0), and a
vector or a whole array is a block that spans everything.

Accepts nodes of a lowered graph except MatMul and the initial values.  Does not decide what to evaluate, or where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import TypeAlias

import numpy as np

from nexort.engine.arrays import Array, Labels, Operand, contract, contraction_flops, deliver, spread
from nexort.engine.buffers import Buffers
from nexort.graph import Average, Axes, Contract, DenseOperator, Map, Node, Reduce, Select, Stack
from nexort.symbolic import kernel

WIDTH = 1 << 20
"""Label of grid axis 0; the labels of static axes count from 0."""


@dataclass(frozen=True, slots=True, order=True)
class Coord:
    """Grid axis `grid`, read at its indices, or at `permutations[permutation - 1]` of them."""

    grid: int
    permutation: int = 0


Coords: TypeAlias = tuple[Coord, ...]


def identity_coords(order: int) -> Coords:
    return tuple(Coord(k) for k in range(order))


def grids_of(coords: Coords) -> tuple[int, ...]:
    return tuple(sorted({coord.grid for coord in coords}))


def labels_of(static: Sequence[int], coords: Coords) -> Labels:
    return (*static, *(WIDTH + grid for grid in grids_of(coords)))


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a block lies: the width, the range of each grid axis, the permutations, and where memory comes from."""

    length: int
    dtype: np.dtype[np.floating]
    ranges: tuple[slice, ...]
    buffers: Buffers
    permutations: tuple[Array, ...] = ()

    def extent(self, grid: int) -> int:
        part = self.ranges[grid]
        return part.stop - part.start

    def shape(self, node: Node, coords: Coords) -> tuple[int, ...]:
        return (*node.type.shape, *(self.extent(grid) for grid in grids_of(coords)))

    def indices(self, coord: Coord) -> slice | Array:
        """The indices along the width axis that a coordinate reads."""
        part = self.ranges[coord.grid]
        return self.permutations[coord.permutation - 1][part] if coord.permutation else part

    def type_of(self, coords: Coords) -> np.dtype[np.floating]:
        """Scalars are float64 whatever the run's dtype: they are few, and sums end in them."""
        return self.dtype if coords else np.dtype(np.float64)


@dataclass(frozen=True, slots=True)
class BlockOp:
    """A node at coordinates, with the coordinates and labels of its operands and of the result."""

    node: Node
    coords: Coords
    bound: Coords
    inputs: tuple[tuple[Node, Coords], ...]
    labels: tuple[Labels, ...]
    out: Labels


def block_op(node: Node, coords: Coords, bound: Coords = ()) -> BlockOp:
    """How to compute `node` at `coords`; `bound` are the coordinates of the width axes that it averages over."""
    axes = operand_axes(node)
    full = product_coords(node, coords, bound)
    inputs = tuple(
        (operand, tuple(full[w] for w in place.width)) for operand, place in zip(node.operands, axes, strict=True)
    )
    labels = tuple(labels_of(place.static, at) for place, (_, at) in zip(axes, inputs, strict=True))
    return BlockOp(node, coords, bound, inputs, labels, labels_of(range(len(node.type.shape)), coords))


def product_coords(node: Node, coords: Coords, bound: Coords) -> Coords:
    """Coordinates of the width axes that the operands' axes refer to: the free ones and the bound ones."""
    if isinstance(node, Average):
        free, extra = iter(coords), iter(bound)
        order = node.operands[0].type.order
        return tuple(next(extra) if k in node.axes else next(free) for k in range(order))
    return coords + bound


def bound_count(node: Node) -> int:
    match node:
        case Average():
            return len(node.axes)
        case Contract():
            return node.averaged
        case _:
            return 0


def operand_axes(node: Node) -> tuple[Axes, ...]:
    """Where each operand's axes lie, in the result (Map, DenseOperator) or in the product (Contract, Average)."""
    match node:
        case Map() | Contract():
            return node.axes
        case DenseOperator():
            return tuple(
                Axes(axes.static, axes.width or tuple(range(operand.type.order)))
                for operand, axes in zip(node.operands, node.axes, strict=True)
            )
        case _:
            return tuple(
                Axes(tuple(range(len(operand.type.shape))), tuple(range(operand.type.order)))
                for operand in node.operands
            )


def read_block(array: Array, node: Node, coords: Coords, frame: Frame) -> Array:
    """The block of a stored array: a view, or a copy where a permutation is read or the type changes."""
    statics = len(node.type.shape)
    if _is_plain(coords):
        return array[(..., *(frame.ranges[coord.grid] for coord in coords))]
    if len(grids_of(coords)) < len(coords) and any(coord.permutation for coord in coords):
        return _read_points(array, statics, coords, frame)
    for axis, coord in enumerate(coords):
        index = frame.indices(coord)
        if isinstance(index, slice):
            if index != slice(0, frame.length):
                array = array[(slice(None),) * (statics + axis) + (index,)]
        else:
            array = np.take(array, index, axis=statics + axis)
    labels = (*range(statics), *(WIDTH + coord.grid for coord in coords))
    out = labels_of(range(statics), coords)
    return array if labels == out else spread(array, labels, out)


@lru_cache(maxsize=1024)
def _is_plain(coords: Coords) -> bool:
    """Whether a block is a slice: no permutations, grid axes in increasing order."""
    grids = [coord.grid for coord in coords]
    return all(not coord.permutation for coord in coords) and all(a < b for a, b in pairwise(grids))


def _read_points(array: Array, statics: int, coords: Coords, frame: Frame) -> Array:
    """The entries at tuples of indices, where several axes follow one grid axis."""
    grids = grids_of(coords)
    places = tuple(
        index_array(frame, coord).reshape([-1 if grid == coord.grid else 1 for grid in grids]) for coord in coords
    )
    return array[(slice(None),) * statics + places]


def compute_block(
    op: BlockOp, blocks: Sequence[Array], frame: Frame, destination: Array | None, masks: Sequence[Operand] = ()
) -> Array:
    """The value of `op` from the blocks of its operands; sums over bound width axes are not yet divided.

    `masks` are further factors of a contraction.
    """
    match op.node:
        case Map():
            return _map_block(op, blocks, frame, destination)
        case Reduce():
            return _reduce_block(op, blocks[0], destination)
        case Average():
            return _average_block(op, blocks[0], frame, destination)
        case Contract():
            return _contract_block(op, blocks, frame, destination, masks)
        case Select():
            return deliver(blocks[0][tuple(slice(None) if k is None else k for k in op.node.index)], destination)
        case Stack():
            return deliver(np.stack(blocks, axis=op.node.axis), destination)
        case _:
            raise AssertionError(f"no block rule for {type(op.node).__name__}")


def _map_block(op: BlockOp, blocks: Sequence[Array], frame: Frame, destination: Array | None) -> Array:
    assert isinstance(op.node, Map)
    dtype = frame.type_of(op.coords)
    shape = frame.shape(op.node, op.coords)
    out = np.empty(shape, dtype) if destination is None else destination
    views = [
        narrow(spread(block, labels, op.out), dtype) if block.ndim else block
        for block, labels in zip(blocks, op.labels, strict=True)
    ]
    kernel(op.node.fn).run(views, out, frame.buffers.scratch)
    return out


def narrow(array: Array, dtype: np.dtype[np.floating]) -> Array:
    return array if array.dtype == dtype else array.astype(dtype)


def _reduce_block(op: BlockOp, block: Array, destination: Array | None) -> Array:
    assert isinstance(op.node, Reduce)
    match op.node.kind:
        case "sum":
            return deliver(block.sum(axis=op.node.axes), destination)
        case "mean":
            return deliver(block.mean(axis=op.node.axes), destination)
        case "max":
            return deliver(block.max(axis=op.node.axes), destination)


def _average_block(op: BlockOp, block: Array, frame: Frame, destination: Array | None) -> Array:
    axes = tuple(k for k, label in enumerate(op.labels[0]) if label not in op.out)
    return deliver(block.sum(axis=axes, dtype=frame.type_of(op.coords)), destination)


def _contract_block(
    op: BlockOp, blocks: Sequence[Array], frame: Frame, destination: Array | None, masks: Sequence[Operand]
) -> Array:
    assert isinstance(op.node, Contract)
    dtype = frame.type_of(op.coords)
    operands: list[Operand] = [
        (narrow(block, frame.dtype) if op.coords or at else block, labels)
        for block, labels, (_, at) in zip(blocks, op.labels, op.inputs, strict=True)
    ]
    factor = _missing_factor(op, op.node)
    shape = frame.shape(op.node, op.coords)
    result = contract([*operands, *masks], op.out, is_wide=not op.coords, destination=destination)
    if factor != 1:
        result = np.multiply(result, factor, out=destination)
    if result.shape != shape:
        result = np.broadcast_to(result, shape)
    return narrow(result, dtype)


def _missing_factor(op: BlockOp, node: Contract) -> int:
    """Lengths of the summed static axes that no operand has."""
    present = {label for labels in op.labels for label in labels}
    first = len(node.type.shape)
    return prod(length for k, length in enumerate(node.summed, first) if k not in present)


def block_flops(op: BlockOp, extents: Sequence[int]) -> int:
    """Operations of one block whose grid axes have these extents."""
    sizes: dict[int, int] = {WIDTH + grid: extent for grid, extent in enumerate(extents)}
    for (node, _), labels in zip(op.inputs, op.labels, strict=True):
        sizes.update(zip(labels, node.type.shape, strict=False))
    sizes.update(zip(op.out, op.node.type.shape, strict=False))
    entries = prod(sizes[label] for label in op.out)
    match op.node:
        case Map():
            return entries * kernel(op.node.fn).flops
        case Contract():
            return contraction_flops(op.labels, op.out, sizes)
        case DenseOperator():
            return entries * len(op.inputs)
        case Average() | Reduce():
            return prod(sizes[label] for label in op.labels[0])
        case _:
            return 0


def clear_coincidences(array: Array, labels: Labels, first: Coord, second: Coord, frame: Frame) -> None:
    """Set to 0 the entries of a block where two coordinates on different grid axes have the same index."""
    a, b = (index_array(frame, coord) for coord in (first, second))
    _, rows, columns = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    moved = np.moveaxis(array, (labels.index(WIDTH + first.grid), labels.index(WIDTH + second.grid)), (0, 1))
    moved[rows, columns] = 0


def index_array(frame: Frame, coord: Coord) -> Array:
    index = frame.indices(coord)
    return np.arange(index.start, index.stop) if isinstance(index, slice) else index


def writes_destination(node: Node) -> bool:
    """Whether the node is computed straight into a given array (the others make a small array or a view)."""
    return isinstance(node, Map | Contract | DenseOperator)
