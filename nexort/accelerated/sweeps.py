"""Sweeps on JAX arrays.

A sweep that leaves an n × n array behind (a training update) is computed on whole arrays: XLA makes one kernel of all
entrywise work, writes over the old array, and forms one n × n array for each product of vectors that it reads.  One
that leaves less (an average, a product with a nonlinear tensor) or has three width axes goes through tiles of rows,
so that its blocks stay small.

Tiles of an update were tried: XLA on the CPU copies the arrays that a loop updates, several times the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nexort.accelerated.blocks import Frame, Lifted, compute, to_node_axes
from nexort.accelerated.contraction import Operand
from nexort.accelerated.lazy import jax, jnp
from nexort.engine import (
    WIDTH,
    BlockOp,
    Coord,
    Load,
    SweepStep,
    block_entries,
    coinciding_pairs,
    grids_of,
    labels_of,
    take_diagonals,
    term_count,
)
from nexort.graph import Node

Arrays = Mapping[Node, Any]
Pairs = Sequence[Sequence[Any]]
"""The permutations of each round of random pairs; one round without any where there are none."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows a tile has: `size` from `start` on, in each of the equal parts that the devices hold."""

    start: Any
    size: int
    parts: int

    def of(self, array: Any, axis: int) -> Any:
        """The rows of the tile along an axis of length n."""
        shape = array.shape
        split = array.reshape((*shape[:axis], self.parts, shape[axis] // self.parts, *shape[axis + 1 :]))
        cut = jax.lax.dynamic_slice_in_dim(split, self.start, self.size, axis + 1)
        return cut.reshape((*shape[:axis], self.parts * self.size, *shape[axis + 1 :]))


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep of a plan and how its averages are taken; `tile_entries` bounds the blocks of a tile, `parts` is the
    number of devices."""

    step: SweepStep
    length: int
    dtype: Any
    parts: int
    tile_entries: int
    is_distinct: Callable[[BlockOp], bool]

    def run(self, arrays: Arrays, pairs: Pairs, lifted: Lifted) -> dict[Node, Any]:
        """The roots of the sweep."""
        sums = self._sums(arrays, pairs, lifted)
        return {op.node: self._average(op, sums[op.node], len(pairs)) for op in self.step.roots}

    @property
    def tile_rows(self) -> int:
        """Rows of a tile on each device: all of them where the sweep is not cut."""
        rows, program = self.length // self.parts, self.step.program
        if program.rank < 3 and any(op.node.type.order > 1 for op in self.step.roots):
            return rows
        extents = (self.parts, *([self.length] * (program.rank - 1)))
        largest = max(block_entries(op.node, op.coords, extents) for op in program.operations)
        return min(rows, max(1, self.parts * self.tile_entries // largest))

    def _sums(self, arrays: Arrays, pairs: Pairs, lifted: Lifted) -> dict[Node, Any]:
        """The roots, averages not yet divided."""
        rows, size = self.length // self.parts, self.tile_rows
        if size >= rows:
            return self._tile(arrays, pairs, lifted, None)
        parts = [self._loop(arrays, pairs, lifted, size, rows // size)]
        if rows % size:
            last = self._tile(arrays, pairs, lifted, Rows(rows - rows % size, rows % size, self.parts))
            parts.append({op.node: self._split(op, last[op.node]) for op in self.step.roots})
        return {op.node: self._joined(op, [part[op.node] for part in parts]) for op in self.step.roots}

    def _loop(self, arrays: Arrays, pairs: Pairs, lifted: Lifted, size: int, count: int) -> dict[Node, Any]:
        """The tiles of equal size: sums over them, or their rows, (…, devices, tiles · size, …)."""
        adding = [op for op in self.step.roots if not _has_rows(op)]
        making = [op for op in self.step.roots if _has_rows(op)]

        def body(totals: list[Any], k: Any) -> tuple[list[Any], list[Any]]:
            tile = self._tile(arrays, pairs, lifted, Rows(k * size, size, self.parts))
            sums = [total + tile[op.node] for total, op in zip(totals, adding, strict=True)]
            return sums, [self._split(op, tile[op.node]) for op in making]

        frame = self._frame(None)
        start = [jnp.zeros(frame.shape(op), frame.type_of(op.coords)) for op in adding]
        totals, stacks = jax.lax.scan(body, start, jnp.arange(count))
        found = {op.node: total for op, total in zip(adding, totals, strict=True)}
        for op, stack in zip(making, stacks, strict=True):
            axis = _row_axis(op)
            shape = stack.shape[1:]
            rows = jnp.moveaxis(stack, 0, axis + 1)
            found[op.node] = rows.reshape((*shape[: axis + 1], count * size, *shape[axis + 2 :]))
        return found

    def _split(self, op: BlockOp, value: Any) -> Any:
        """The rows of a tile by device, (…, devices, rows, …)."""
        if not _has_rows(op):
            return value
        axis, shape = _row_axis(op), value.shape
        return value.reshape((*shape[:axis], self.parts, shape[axis] // self.parts, *shape[axis + 1 :]))

    def _joined(self, op: BlockOp, parts: Sequence[Any]) -> Any:
        """The whole root from what the tiles made of it."""
        if not _has_rows(op):
            return sum(parts[1:], parts[0])
        rows = jnp.concatenate(parts, axis=_row_axis(op) + 1)
        return rows.reshape(self._frame(None).shape(op))

    def _tile(self, arrays: Arrays, pairs: Pairs, lifted: Lifted, rows: Rows | None) -> dict[Node, Any]:
        """The roots on one tile, summed over the rounds of random pairs."""
        rounds = [self._round(arrays, permutations, lifted, rows) for permutations in pairs]
        return {node: sum((other[node] for other in rounds[1:]), value) for node, value in rounds[0].items()}

    def _round(self, arrays: Arrays, permutations: Sequence[Any], lifted: Lifted, rows: Rows | None) -> dict[Node, Any]:
        slots: list[Any] = []
        roots: dict[Node, Any] = {}
        frame = self._frame(rows)
        for instruction in self.step.program.instructions:
            action = instruction.action
            if isinstance(action, Load):
                slots.append(self._read(arrays[action.node], action, permutations, rows))
                continue
            blocks, masks = [slots[k] for k in instruction.inputs], list[Operand]()
            if self.is_distinct(action):
                blocks, masks = self._without_coincidences(action, blocks, permutations, rows)
            slots.append(compute(action, blocks, masks, frame, lifted))
            if instruction.is_root:
                roots[action.node] = slots[-1]
        return roots

    def _frame(self, rows: Rows | None) -> Frame:
        extents = [self.length] * self.step.program.rank
        if rows is not None:
            extents[0] = rows.parts * rows.size
        return Frame(self.length, self.dtype, tuple(extents))

    def _indices(self, coord: Coord, permutations: Sequence[Any], rows: Rows | None) -> Any:
        """The indices along a width axis that a coordinate reads in the tile."""
        index = permutations[coord.permutation - 1] if coord.permutation else jnp.arange(self.length)
        return rows.of(index, 0) if rows is not None and coord.grid == 0 else index

    def _read(self, array: Any, load: Load, permutations: Sequence[Any], rows: Rows | None) -> Any:
        """The block of an array, of the axes of a block of the tile."""
        statics = len(load.node.type.shape)
        for axis, coord in enumerate(load.coords, statics):
            if coord.permutation:
                array = array.take(permutations[coord.permutation - 1], axis=axis)
        labels = (*range(statics), *(WIDTH + coord.grid for coord in load.coords))
        array, labels = take_diagonals(array, labels)
        if rows is not None and WIDTH in labels:
            array = rows.of(array, labels.index(WIDTH))
        out = labels_of(range(statics), load.coords)
        return array.transpose([labels.index(label) for label in out])

    def _without_coincidences(
        self, op: BlockOp, blocks: Sequence[Any], permutations: Sequence[Any], rows: Rows | None
    ) -> tuple[list[Any], list[Operand]]:
        """The blocks, and further factors, of the sum of the terms whose bound indices equal no other index."""
        blocks, masks = list(blocks), list[Operand]()
        for first, second in coinciding_pairs(op):
            a, b = sorted((first, second))
            differs = self._indices(a, permutations, rows)[:, None] != self._indices(b, permutations, rows)[None, :]
            labels = (WIDTH + a.grid, WIDTH + b.grid)
            place = next((k for k, own in enumerate(op.labels) if set(labels) <= set(own)), None)
            if place is None:
                masks.append((differs.astype(self.dtype), labels))
                continue
            own = op.labels[place]
            shape = [blocks[place].shape[k] if label in labels else 1 for k, label in enumerate(own)]
            blocks[place] = jnp.where(differs.reshape(shape), blocks[place], 0)
        return blocks, masks

    def _average(self, op: BlockOp, total: Any, rounds: int) -> Any:
        """From sums to averages, with the axes of the node."""
        value = to_node_axes(total, op)
        is_distinct = self.is_distinct(op)
        count = term_count(op, self.length, is_distinct=is_distinct, rounds=rounds)
        if not is_distinct or len(op.coords) != 2:
            return value / count if count != 1 else value
        # on the diagonal of a result of order 2 fewer terms are left out
        fewer = term_count(op, self.length, is_distinct=True, rounds=rounds, equal=1)
        index = jnp.arange(self.length)
        return value / jnp.where(index[:, None] == index, fewer, count).astype(value.dtype)


def _has_rows(op: BlockOp) -> bool:
    """Whether a tile makes rows of the root, and not a sum over rows."""
    return 0 in grids_of(op.coords)


def _row_axis(op: BlockOp) -> int:
    """The axis of the rows in a block: that of grid axis 0, the first after the static axes."""
    return len(op.node.type.shape)
