"""Sums of outer products that are held as their factors, never as n × n arrays.

A value T{i,j} = Σ_k weight_k · (product of small arrays) is a list of *blocks*, each an unevaluated contraction: arrays
with labels, of which ROW and COL are the width axes of T, 0, 1, … its static axes, and any other label is summed.
T @ z puts z into each block and contracts, cheapest pair first: ⎸x⟩⟨y⎸z⟩.  Blocks of the same arrays are merged, so
gradient descent with momentum over t steps keeps t blocks, and blocks of one form are contracted together.

Where entries are needed all the same, a tile of them is one product per block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from nexort.engine.arrays import Array, Labels, Operand, contract, spread
from nexort.engine.blocks import (
    WIDTH,
    Coord,
    Coords,
    Frame,
    bound_count,
    identity_coords,
    labels_of,
    operand_axes,
    product_coords,
)
from nexort.engine.stacks import Stacks
from nexort.graph import Axes, Contract, Map, Node, Reduce, Select, Stack
from nexort.symbolic import primitive

ROW, COL = WIDTH, WIDTH + 1
FRESH = 1 << 24
BATCH = FRESH + (1 << 23)
"""The summed label of blocks that are contracted together."""

_ADD, _SUB, _NEG = primitive("add"), primitive("sub"), primitive("neg")
_MUL, _DIV = primitive("mul"), primitive("div")


@dataclass(frozen=True, slots=True)
class Block:
    """weight · Σ over the labels other than ROW, COL and the static ones of the product of the operands."""

    weight: float
    operands: tuple[Operand, ...]

    def relabel(self, names: Mapping[int, int]) -> Block:
        names = {old: new for old, new in names.items() if old != new}
        if not names:
            return self
        return Block(
            self.weight, tuple((array, tuple(names.get(x, x) for x in labels)) for array, labels in self.operands)
        )

    def scaled(self, factor: float) -> Block:
        return Block(factor * self.weight, self.operands)

    @property
    def fresh(self) -> tuple[int, ...]:
        """The summed labels, in order of appearance."""
        return tuple(dict.fromkeys([x for _, labels in self.operands for x in labels if x >= FRESH]))

    @property
    def wide(self) -> tuple[Operand, ...]:
        """The operands that have a width axis."""
        return tuple((a, labels) for a, labels in self.operands if ROW in labels or COL in labels)

    @property
    def coefficients(self) -> tuple[Operand, ...]:
        return tuple((a, labels) for a, labels in self.operands if ROW not in labels and COL not in labels)

    @property
    def form(self) -> tuple[Any, ...]:
        """What blocks have in common that differ in their arrays only."""
        return tuple([(labels, a.shape, a.dtype) for a, labels in _tidy(self).operands])

    @property
    def key(self) -> tuple[Any, ...]:
        """What blocks that can be merged have in common: the arrays ⎸x⟩ and ⟨y⎸, and where their static axes lie."""
        return tuple([(id(a), tuple([x if x < FRESH else None for x in labels])) for a, labels in self.wide])


@dataclass(frozen=True, slots=True)
class Factors:
    """The value of a factored tensor; `stacks` are those of the tensors that it was made of."""

    blocks: tuple[Block, ...]
    stacks: Stacks

    def batched(self) -> Factors:
        """The same with all blocks of one form as one, so that a contraction is a few large products."""
        groups: dict[tuple[Any, ...], list[Block]] = {}
        for block in self.blocks:
            groups.setdefault(block.form, []).append(block)
        return Factors(tuple(_batch_blocks(group, self.stacks) for group in groups.values()), self.stacks)


def _batch_blocks(group: Sequence[Block], stacks: Stacks) -> Block:
    """The sum of blocks of one form: each operand along a new summed label, unless it is the same in all."""
    if len(group) == 1:
        return group[0]
    group = [_tidy(block) for block in group]
    weights = np.array([block.weight for block in group])
    operands: list[Operand] = [(weights, (BATCH,))]
    for k, (first, labels) in enumerate(group[0].operands):
        arrays = [block.operands[k][0] for block in group]
        if all(array is first for array in arrays):
            operands.append((first, labels))
        else:
            is_wide = ROW in labels or COL in labels
            operands.append((stacks.stack(arrays) if is_wide else np.stack(arrays), (BATCH, *labels)))
    return _tidy(Block(1.0, tuple(operands)))


def merge_blocks(blocks: Iterable[Block], stacks: Stacks) -> Factors:
    """Blocks of the same wide arrays become one, with the sum of the coefficients."""
    merged: dict[tuple[Any, ...], Block] = {}
    for block in blocks:
        known = merged.get(block.key)
        merged[block.key] = block if known is None else _add_blocks(known, block)
    return Factors(tuple(block for block in merged.values() if block.weight != 0), stacks)


def _add_blocks(left: Block, right: Block) -> Block:
    """The sum of two blocks of one key: weights if all else is equal, else coefficient arrays C of ⎸x⟩ C ⟨y⎸."""
    if _names(left) == _names(right):
        return replace(left, weight=left.weight + right.weight)
    wide, (first, labels), (second, others) = _apart(left), _coefficient(left), _coefficient(right)
    out = (*sorted(x for x in {*labels, *others} if x < FRESH), *sorted(x for x in {*labels, *others} if x >= FRESH))
    total = left.weight * spread(first, labels, out) + right.weight * spread(second, others, out)
    return Block(1.0, (*wide, (total, out)))


def _names(block: Block) -> tuple[Any, ...]:
    names = {label: FRESH + k for k, label in enumerate(block.fresh)}
    return tuple((id(a), tuple(names.get(x, x) for x in labels)) for a, labels in block.operands)


def _apart(block: Block) -> tuple[Operand, ...]:
    """The wide operands with a summed label of its own on each axis, numbered from FRESH."""
    count = iter(range(1 << 20))
    return tuple((a, tuple(x if x < FRESH else FRESH + next(count) for x in labels)) for a, labels in block.wide)


def _coefficient(block: Block) -> Operand:
    """C over the labels that `_apart` gives; a label that two wide axes shared makes it diagonal in them."""
    linked: dict[int, list[int]] = {}
    sizes: dict[int, int] = {}
    for (array, labels), (_, names) in zip(block.wide, _apart(block), strict=True):
        for label, name, size in zip(labels, names, array.shape, strict=True):
            sizes[name] = size
            if label >= FRESH:
                linked.setdefault(label, []).append(name)
    moved = FRESH + (1 << 22)
    operands = [(a, tuple(x if x < FRESH else x + moved for x in labels)) for a, labels in block.coefficients]
    for label, names in linked.items():
        operands.extend((np.eye(sizes[name]), (label + moved, name)) for name in names)
    static = {x for _, labels in operands for x in labels if x < FRESH}
    out = (*sorted(static), *sorted(name for names in linked.values() for name in names))
    return (contract(operands, out) if operands else np.ones(())), out


def tile_of(factors: Factors, node: Node, coords: Coords, frame: Frame, destination: Array) -> Array:
    """The entries of a factored tensor on a tile."""
    ranges = {ROW: frame.indices(coords[0]), COL: frame.indices(coords[1])}
    names = {ROW: WIDTH + coords[0].grid, COL: WIDTH + coords[1].grid}
    out = labels_of(range(len(node.type.shape)), coords)
    destination[...] = 0
    for k, block in enumerate(factors.blocks):
        cut = [
            (
                array[tuple(ranges.get(x, slice(None)) for x in labels)] if ROW in labels or COL in labels else array,
                labels,
            )
            for array, labels in block.operands
        ]
        operands = [(_narrow(array, frame.dtype), tuple(names.get(x, x) for x in labels)) for array, labels in cut]
        if k == 0:
            contract(operands, out, destination=destination) if operands else destination.fill(1.0)
            if block.weight != 1:
                np.multiply(destination, block.weight, out=destination)
        else:
            part = contract(operands, out) if operands else np.ones(())
            np.add(destination, part * block.weight, out=destination, casting="same_kind")
    return destination


def prepare(factors: Factors, dtype: Any) -> Factors:
    """The factors with every coefficient multiplied into one side, for reading entries: ⎸x⟩ (C ⟨y⎸)."""
    blocks: list[Block] = []
    for block in factors.batched().blocks:
        narrow = Block(block.weight, tuple((_narrow(a, dtype), labels) for a, labels in block.operands))
        columns = [(a, labels) for a, labels in narrow.operands if ROW not in labels]
        rows = tuple((a, labels) for a, labels in narrow.operands if ROW in labels)
        if len(columns) > 1 and rows:
            needed = {x for _, labels in rows for x in labels} | {COL}
            found = tuple(dict.fromkeys(x for _, labels in columns for x in labels))
            out = tuple(x for x in (*(x for x in found if x != COL), COL) if x in found and (x in needed or x < FRESH))
            narrow = Block(block.weight, (*rows, (contract(columns, out), out)))
        blocks.append(narrow)
    return Factors(tuple(blocks), factors.stacks)


def factor_node(node: Node, values: Sequence[Any], length: int) -> Factors:
    """The factored value of a node from the values of its operands (arrays, or Factors)."""
    stacks = next((value.stacks for value in values if isinstance(value, Factors)), None) or Stacks()
    return merge_blocks(_node_blocks(node, values, length), stacks)


def _node_blocks(node: Node, values: Sequence[Any], length: int) -> Iterable[Block]:
    match node:
        case Contract():
            return _product_blocks(node, values, length)
        case Map():
            return _map_blocks(node, values)
        case Reduce():
            return [_reduce_block(node, block) for block in values[0].blocks]
        case Select():
            return [_select_block(node, block) for block in values[0].blocks]
        case Stack():
            return _stack_blocks(node, values)
        case _:
            raise AssertionError(f"{type(node).__name__} has no factors")


def contract_factors(node: Node, values: Sequence[Any], length: int) -> Array:
    """A Contract or Average of order 0 or 1 whose large operands are factored."""
    order = node.type.order
    statics = len(node.type.shape)
    out = (*range(statics), *(WIDTH + k for k in range(order)))
    shape = (*node.type.shape, *([length] * order))
    total = np.zeros(shape, np.float64 if order == 0 else _dtype_of(values))
    values = [value.batched() if isinstance(value, Factors) else value for value in values]
    for block in _product_blocks(node, values, length):
        part = contract(block.operands, out, is_wide=order == 0) if block.operands else np.ones(())
        np.add(total, part * block.weight, out=total, casting="same_kind")
    return total


def _dtype_of(values: Sequence[Any]) -> Any:
    """float32 if a vector among the values is: scalars are always float64."""
    for value in values:
        arrays = [a for block in value.blocks for a, _ in block.operands] if isinstance(value, Factors) else [value]
        if any(np.asarray(array).dtype == np.float32 for array in arrays):
            return np.dtype(np.float32)
    return np.dtype(np.float64)


def _product_blocks(node: Node, values: Sequence[Any], length: int) -> list[Block]:
    """The blocks of a product of vectors, scalars and factored tensors, divided by n per averaged axis."""
    count, order = bound_count(node), node.type.order
    full = product_coords(node, identity_coords(order), tuple(Coord(order + k) for k in range(count)))
    choices = [
        _operand_blocks(value, axes, tuple(full[w].grid for w in axes.width))
        for value, axes in zip(values, operand_axes(node), strict=True)
    ]
    dtype = _dtype_of(values)
    bound = [WIDTH + order + k for k in range(count)]
    summed = dict(enumerate(node.summed, len(node.type.shape))) if isinstance(node, Contract) else {}
    blocks: list[Block] = []
    for parts in product(*choices):
        block = _multiply(parts)
        present = {x for _, labels in block.operands for x in labels}
        weight = block.weight
        for label in bound:
            weight /= length if label in present else 1
        for label, size in summed.items():
            weight *= 1 if label in present else size
        hidden = {label: FRESH + (1 << 20) + k for k, label in enumerate((*bound, *summed))}
        operands = tuple((_narrow(array, dtype), labels) for array, labels in block.operands)
        blocks.append(_multiply((Block(weight, operands).relabel(hidden),)))
    return blocks


def _narrow(array: Array, dtype: Any) -> Array:
    return array if array.dtype == dtype or not array.ndim else array.astype(dtype)


def _operand_blocks(value: Any, axes: Axes, widths: tuple[int, ...]) -> list[Block]:
    """The blocks of one operand, labelled by the axes of the product."""
    if isinstance(value, Factors):
        names = dict(enumerate(axes.static)) | {WIDTH + k: WIDTH + w for k, w in enumerate(widths)}
        return [block.relabel(names) for block in value.blocks]
    array = np.asarray(value)
    if array.ndim == 0:
        return [Block(float(array), ())]
    return [Block(1.0, ((array, (*axes.static, *(WIDTH + w for w in widths))),))]


def _multiply(parts: Sequence[Block]) -> Block:
    """The product; summed labels numbered from FRESH."""
    weight, operands, count = 1.0, tuple[Operand, ...](), 0
    for part in parts:
        weight *= part.weight
        names = {label: FRESH + count + k for k, label in enumerate(part.fresh)}
        count += len(names)
        operands += part.relabel(names).operands
    return Block(weight, operands)


def _map_blocks(node: Map, values: Sequence[Any]) -> list[Block]:
    parts = [_operand_blocks(value, axes, axes.width) for value, axes in zip(values, node.axes, strict=True)]
    if node.fn is _NEG:
        return [block.scaled(-1) for block in parts[0]]
    if node.fn is _SUB:
        return parts[0] + [block.scaled(-1) for block in parts[1]]
    if node.fn is _DIV:
        return [_multiply((block, _reciprocal(parts[1][0]))) for block in parts[0]]
    if node.fn is _MUL:
        return [_multiply(pair) for pair in product(*parts)]
    return [block for part in parts for block in part]


def _reciprocal(block: Block) -> Block:
    if not block.operands:
        return Block(float(np.divide(1.0, block.weight)), ())
    ((array, labels),) = block.operands
    return Block(1.0, ((1.0 / array, labels),))


def _reduce_block(node: Reduce, block: Block) -> Block:
    shape = node.operands[0].type.shape
    kept = [k for k in range(len(shape)) if k not in node.axes]
    names = {label: FRESH + (1 << 21) + label for label in node.axes} | {k: place for place, k in enumerate(kept)}
    present = {x for _, labels in block.operands for x in labels}
    weight = block.weight
    for axis in node.axes:
        weight *= 1 if axis in present else shape[axis]
        weight /= shape[axis] if node.kind == "mean" else 1
    return _tidy(replace(block, weight=weight).relabel(names))


def _tidy(block: Block) -> Block:
    """The summed labels numbered from FRESH."""
    return _multiply((block,))


def _select_block(node: Select, block: Block) -> Block:
    kept = [k for k, index in enumerate(node.index) if index is None]
    names = {k: place for place, k in enumerate(kept)}
    fixed = {k: index for k, index in enumerate(node.index) if index is not None}
    operands: list[Operand] = []
    weight = block.weight
    for array, labels in block.operands:
        cut = array[tuple(fixed.get(x, slice(None)) for x in labels)]
        left: Labels = tuple(x for x in labels if x not in fixed)
        if left:
            operands.append((cut if left != labels else array, left))
        else:
            weight *= float(cut)
    return Block(weight, tuple(operands)).relabel(names)


def _stack_blocks(node: Stack, values: Sequence[Factors]) -> list[Block]:
    """Each part times the indicator of its place along the new axis."""
    size = len(values)
    names = {k: k + (k >= node.axis) for k in range(len(node.type.shape))}
    blocks: list[Block] = []
    for k, value in enumerate(values):
        place = np.zeros(size)
        place[k] = 1
        for block in value.blocks:
            moved = block.relabel(names)
            blocks.append(replace(moved, operands=(*moved.operands, (place, (node.axis,)))))
    return blocks
