"""Running a sweep: its tile program on every tile, on threads.

What does not change from tile to tile is made once: the kernels of fused runs, in which the numbers are constants, and
views of what has no width axis.  Values that live on are looked at for numbers that are not finite while a tile is in
the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from nexort.engine.arrays import Array, Operand, spread
from nexort.engine.averages import divide_by_terms, without_coincidences
from nexort.engine.blocks import BlockOp, Frame, bound_count, compute_block, narrow, read_block, writes_destination
from nexort.engine.buffers import Buffers
from nexort.engine.factors import Factors, prepare, tile_of
from nexort.engine.faults import check_finite, is_finite
from nexort.engine.fused import FusedRun
from nexort.engine.instructions import Load
from nexort.engine.plan import SweepStep, chunk_rows, tile_extents
from nexort.engine.state import Run, draw_rounds
from nexort.engine.sweep import TileProgram
from nexort.engine.workers import OrderedSum
from nexort.graph import Node
from nexort.symbolic import Kernel


@dataclass(frozen=True, slots=True)
class _Targets:
    """Where the roots of a sweep go: stored arrays, sums by rows, and sums that every chunk adds to.

    `rounds` has the permutations of each round of random pairs; one round without any where there are no pairs.
    `prepared` are the factored tensors whose entries the tiles read.  `faulty` are stored arrays with an entry that is
    not finite.
    """

    arrays: dict[Node, Array]
    shared: dict[Node, OrderedSum]
    rounds: tuple[tuple[Array, ...], ...]
    prepared: dict[Node, Factors]
    faulty: set[Node] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _FusedKernel:
    """A fused run with its kernel; `fixed` are the arguments that are the same in every tile (None for the others)."""

    run: FusedRun
    kernel: Kernel
    fixed: tuple[Array | None, ...]
    released: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Sweep:
    """What the tiles of a sweep share."""

    run: Run
    program: TileProgram
    units: tuple[int | _FusedKernel, ...]
    fixed: tuple[Array | None, ...]
    """Slots of what is the same in every tile."""
    checked: frozenset[Node]
    """Stored arrays that are looked at tile by tile."""


def run_sweep(run: Run, step: SweepStep, overwritten: dict[Node, Node]) -> None:
    length = run.meaning.length
    targets = _make_targets(run, step, overwritten)
    last = [node for node in step.program.last_roots if node not in run.plan.guarded]
    sweep = _make_sweep(run, step.program, frozenset(node for node in last if not bound_count(node)))
    extents = tile_extents(step.program, length)
    # only sums that all chunks add to ask for larger ones
    rows = chunk_rows(length, extents[0]) if targets.shared else extents[0]
    chunks = [slice(start, min(start + rows, length)) for start in range(0, length, rows)]
    run.workers.for_each(lambda k: _run_chunk(sweep, targets, extents, chunks[k], k), len(chunks))
    for op in step.roots:
        array = targets.arrays[op.node]
        divide_by_terms(op, array, length, is_distinct=run.is_distinct(op), rounds=len(targets.rounds))
        run.values[op.node] = array if array.ndim else np.float64(array)
    for node in last:
        if bound_count(node) or node in targets.faulty:
            inputs = [run.values.get(x) for x in node.operands]
            check_finite(node, run.values[node], inputs, for_each=run.workers.for_each)


def _make_targets(run: Run, step: SweepStep, overwritten: dict[Node, Node]) -> _Targets:
    arrays: dict[Node, Array] = {}
    shared: dict[Node, OrderedSum] = {}
    frame = run.frame([slice(0, run.meaning.length)] * step.program.rank, Buffers())
    for op in step.roots:
        shape = (*op.node.type.shape, *([run.meaning.length] * op.node.type.order))
        dtype = frame.type_of(op.coords)
        if op.node in overwritten:
            arrays[op.node] = run.values[overwritten[op.node]]
        elif op.bound:
            arrays[op.node] = np.zeros(shape, dtype)
        else:
            arrays[op.node] = np.empty(shape, dtype)
        if _is_shared(op):
            shared[op.node] = OrderedSum(arrays[op.node])
    factored = [node for node in step.read if isinstance(run.values[node], Factors)]
    prepared = {node: prepare(run.values[node], run.meaning.dtype) for node in factored}
    return _Targets(arrays, shared, draw_rounds(run.meaning, step), prepared)


def _is_shared(op: BlockOp) -> bool:
    """Whether every chunk of rows adds to the whole result."""
    return bool(op.bound) and all(coord.grid != 0 for coord in op.coords)


def _make_sweep(run: Run, program: TileProgram, checked: frozenset[Node]) -> _Sweep:
    fixed = tuple(
        np.asarray(run.values[i.action.node]) if isinstance(i.action, Load) and not i.action.coords else None
        for i in program.instructions
    )
    units = tuple(
        unit if isinstance(unit, int) else _make_kernel(run, program, unit, fixed)
        for unit in program.units
        if not (isinstance(unit, int) and fixed[unit] is not None)
    )
    return _Sweep(run, program, units, fixed, checked)


def _make_kernel(run: Run, program: TileProgram, fused: FusedRun, fixed: Sequence[Array | None]) -> _FusedKernel:
    numbers = {slot: float(run.values[program.instructions[slot].action.node]) for slot in fused.numbers}
    arguments: list[Array | None] = []
    for slot, labels in fused.arrays:
        array = fixed[slot]
        arguments.append(None if array is None else narrow(spread(array, labels, fused.out), run.meaning.dtype))
    kernel = program.kernel(fused, numbers, run.meaning.length)
    return _FusedKernel(fused, kernel, tuple(arguments), program.released(fused))


def _run_chunk(sweep: _Sweep, targets: _Targets, extents: tuple[int, ...], rows: slice, number: int) -> None:
    run = sweep.run
    partial = {node: np.zeros_like(total.total) for node, total in targets.shared.items()}
    buffers = run.borrow()
    mine = replace(targets, arrays=targets.arrays | partial)
    for ranges in _tiles(rows, extents, run.meaning.length):
        if run.workers.is_stopping:
            return
        for permutations in targets.rounds:
            _run_tile(sweep, mine, run.frame(ranges, buffers, permutations))
    run.give_back(buffers)
    for node, part in partial.items():
        targets.shared[node].add(number, part)


def _tiles(rows: slice, extents: tuple[int, ...], length: int) -> Iterator[tuple[slice, ...]]:
    """The tiles of a chunk, the last grid axis fastest."""
    bounds = [(rows.start, rows.stop), *((0, length) for _ in extents[1:])]
    counts = [-(-(stop - start) // extent) for (start, stop), extent in zip(bounds, extents, strict=True)]
    for flat in range(prod(counts)):
        ranges: list[slice] = []
        for (start, stop), extent, count in reversed(list(zip(bounds, extents, counts, strict=True))):
            flat, k = divmod(flat, count)
            ranges.append(slice(start + k * extent, min(start + (k + 1) * extent, stop)))
        yield tuple(reversed(ranges))


def _run_tile(sweep: _Sweep, targets: _Targets, frame: Frame) -> None:
    slots: list[Any] = list(sweep.fixed)
    for unit in sweep.units:
        if isinstance(unit, int):
            slots[unit] = _run_instruction(sweep, unit, slots, targets, frame)
            released = sweep.program.instructions[unit].released
        else:
            _run_fused(sweep, unit, slots, targets, frame)
            released = unit.released
        for slot in released:
            frame.buffers.give(slots[slot])


def _run_fused(sweep: _Sweep, unit: _FusedKernel, slots: list[Any], targets: _Targets, frame: Frame) -> None:
    """All results of a fused run on a tile; blocks that nothing reads afterwards are overwritten."""
    arguments: list[Array] = []
    for (slot, labels), fixed in zip(unit.run.arrays, unit.fixed, strict=True):
        if fixed is not None:
            arguments.append(fixed)
        elif labels == unit.run.out:
            arguments.append(narrow(slots[slot], frame.dtype))
        else:
            arguments.append(narrow(spread(slots[slot], labels, unit.run.out), frame.dtype))
    for slot in unit.run.results:
        slots[slot] = _destination(sweep, slot, targets, frame)
    outs = [slots[slot] for slot in unit.run.results]
    unit.kernel.run_all(arguments, outs, frame.buffers.scratch, unit.run.spare)
    for slot, out in zip(unit.run.results, outs, strict=True):
        _look_at(sweep, slot, out, targets)


def _destination(sweep: _Sweep, slot: int, targets: _Targets, frame: Frame) -> Array:
    """The tile of a root's array, or a block to be handed back."""
    instruction = sweep.program.instructions[slot]
    node, coords = instruction.action.node, instruction.action.coords
    if instruction.is_root:
        return read_block(targets.arrays[node], node, coords, frame)
    return frame.buffers.take(frame.shape(node, coords), frame.type_of(coords))


def _look_at(sweep: _Sweep, slot: int, block: Array, targets: _Targets) -> None:
    instruction = sweep.program.instructions[slot]
    if instruction.is_root and instruction.action.node in sweep.checked and not is_finite(block):
        targets.faulty.add(instruction.action.node)


def _run_instruction(sweep: _Sweep, k: int, slots: list[Any], targets: _Targets, frame: Frame) -> Array:
    instruction = sweep.program.instructions[k]
    action = instruction.action
    if isinstance(action, Load):
        if action.node in targets.prepared:
            block = frame.buffers.take(frame.shape(action.node, action.coords), frame.dtype)
            return tile_of(targets.prepared[action.node], action.node, action.coords, frame, block)
        return read_block(np.asarray(sweep.run.values[action.node]), action.node, action.coords, frame)
    blocks = [slots[i] for i in instruction.inputs]
    if not action.bound:
        is_written = instruction.is_root or writes_destination(action.node)
        block = compute_block(action, blocks, frame, _destination(sweep, k, targets, frame) if is_written else None)
        _look_at(sweep, k, block, targets)
        return block
    target = _destination(sweep, k, targets, frame)
    masks: list[Operand] = []
    if sweep.run.is_distinct(action):
        blocks, masks = without_coincidences(action, blocks, frame)
    np.add(target, compute_block(action, blocks, frame, None, masks), out=target)
    return target
