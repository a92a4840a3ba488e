"""Straight-line programs for the tiles of a sweep.

A tile program lists, in an order of evaluation, the blocks that the roots need: reads of arrays in memory, and block
operations, entrywise ones in fused runs.  Its values live in numbered slots; a block is handed back after the last
instruction that reads it, and a value inside a run has none, so a tile touches little memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

from nexort.engine.blocks import (
    BlockOp,
    Coords,
    block_flops,
    block_op,
    bound_count,
    grids_of,
    identity_coords,
    writes_destination,
)
from nexort.engine.fused import FusedRun, find_runs, order_in_runs
from nexort.engine.instructions import Action, Instruction, Load
from nexort.graph import Node
from nexort.symbolic import Kernel

MOST_KERNELS = 16
"""Kernels that a tile program keeps: numbers may be drawn anew in every trial."""


@dataclass(frozen=True)
class TileProgram:
    instructions: tuple[Instruction, ...]
    rank: int
    """Number of grid axes."""
    runs: tuple[FusedRun, ...] = ()
    _kernels: dict[tuple[int, int, bytes], Kernel] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def units(self) -> tuple[int | FusedRun, ...]:
        """The instructions in order, by number, those of a fused run as one."""
        units: list[int | FusedRun] = []
        start = 0
        for run in self.runs:
            units += [*range(start, run.start), run]
            start = run.stop
        return (*units, *range(start, len(self.instructions)))

    def released(self, unit: int | FusedRun) -> tuple[int, ...]:
        """Slots whose blocks nothing reads after the unit."""
        if isinstance(unit, int):
            return self.instructions[unit].released
        slots = [slot for k in range(unit.start, unit.stop) for slot in self.instructions[k].released]
        return tuple(slot for slot in slots if not unit.start <= slot < unit.stop or slot in unit.results)

    def kernel(self, run: FusedRun, numbers: Mapping[int, float], length: int) -> Kernel:
        """The kernel of a fused run for these numbers, made once where all trials or replicates have the same."""
        # as bytes, 0 and −0 are two numbers
        key = (run.start, length, array("d", numbers.values()).tobytes())
        found = self._kernels.get(key)
        if found is None:
            if len(self._kernels) >= MOST_KERNELS:
                self._kernels.clear()
            found = self._kernels[key] = run.compile(self.instructions, numbers, length)
        return found

    @property
    def loads(self) -> tuple[Load, ...]:
        return tuple(i.action for i in self.instructions if isinstance(i.action, Load))

    @property
    def operations(self) -> tuple[BlockOp, ...]:
        return tuple(i.action for i in self.instructions if isinstance(i.action, BlockOp))

    @cached_property
    def last_roots(self) -> tuple[Node, ...]:
        """The roots in which a number that is not finite shows: what no other value of the sweep reads, and sums."""
        used = {slot for instruction in self.instructions for slot in instruction.inputs}
        roots = [(k, x.action.node) for k, x in enumerate(self.instructions) if x.is_root]
        return tuple(node for k, node in roots if k not in used or bound_count(node))

    def arrays_of(self, slot: int) -> set[Node]:
        """The arrays in memory that a value is made of."""
        seen: set[int] = set()
        pending = [slot]
        while pending:
            k = pending.pop()
            if k not in seen:
                seen.add(k)
                pending.extend(self.instructions[k].inputs)
        return {action.node for action in (self.instructions[k].action for k in seen) if isinstance(action, Load)}

    def flops(self, extents: tuple[int, ...]) -> int:
        return sum(block_flops(op, extents) for op in self.operations)


@dataclass(slots=True)
class _Builder:
    is_loaded: Callable[[Node], bool]
    roots: dict[tuple[Node, Coords], BlockOp]
    slots: dict[tuple[Node, Coords], int]
    instructions: list[Instruction]

    def visit(self, start: BlockOp) -> None:
        """Add the instructions for a root, operands first (iterative: chains may be long)."""
        stack: list[tuple[Node, Coords, BlockOp | None]] = [(start.node, start.coords, start)]
        while stack:
            node, coords, op = stack[-1]
            key = (node, coords)
            if key in self.slots:
                stack.pop()
                continue
            op = op or self.roots.get(key)
            if op is None and self.is_loaded(node):
                self._emit(key, Load(node, coords), (), is_root=False)
                stack.pop()
                continue
            op = op or block_op(node, coords)
            missing = [read for read in op.inputs if read not in self.slots]
            if missing:
                stack.extend((operand, at, None) for operand, at in reversed(missing))
                continue
            inputs = tuple(self.slots[read] for read in op.inputs)
            self._emit(key, op, inputs, is_root=key in self.roots and self.roots[key] is op)
            stack.pop()

    def _emit(self, key: tuple[Node, Coords], action: Action, inputs: tuple[int, ...], *, is_root: bool) -> None:
        self.slots[key] = len(self.instructions)
        self.instructions.append(Instruction(action, inputs, is_root))


def build_tile_program(
    roots: Iterable[BlockOp], is_loaded: Callable[[Node], bool], factored: frozenset[Node] = frozenset()
) -> TileProgram:
    """The program that evaluates the roots; `is_loaded` tells which other nodes are in memory, as arrays or, if
    `factored`, as factors."""
    roots = list(roots)
    keyed = {(op.node, op.coords): op for op in roots}
    builder = _Builder(is_loaded, keyed, {}, [])
    for op in roots:
        builder.visit(op)
    units = order_in_runs(builder.instructions)
    place = {k: position for position, k in enumerate(k for unit in units for k in unit)}
    ordered = [builder.instructions[k] for k in place]
    ordered = [replace(x, inputs=tuple(place[i] for i in x.inputs)) for x in ordered]
    released: dict[int, list[int]] = {}
    for slot, k in _last_uses(ordered).items():
        if _is_recyclable(ordered[slot], factored):
            released.setdefault(k, []).append(slot)
    instructions = tuple(replace(x, released=tuple(released.get(k, ()))) for k, x in enumerate(ordered))
    used = [coord.grid for op in roots for coord in (*op.coords, *op.bound)]
    runs = find_runs(instructions, [[place[k] for k in unit] for unit in units])
    return TileProgram(instructions, max(used, default=-1) + 1, runs)


def _last_uses(instructions: Sequence[Instruction]) -> dict[int, int]:
    """For each slot that is read, the last instruction that reads it, or a view of it."""
    last: dict[int, int] = {}
    for k, instruction in reversed(list(enumerate(instructions))):
        # what is not written into an array of its own may be a view of what it reads
        is_view = isinstance(instruction.action, BlockOp) and not writes_destination(instruction.action.node)
        end = last.get(k, k) if is_view else k
        last.update((slot, max(end, last.get(slot, end))) for slot in instruction.inputs)
    return last


def _is_recyclable(instruction: Instruction, factored: frozenset[Node]) -> bool:
    """Whether the block is an array of its own, used again after its last reader."""
    if isinstance(instruction.action, Load):
        return instruction.action.node in factored
    return writes_destination(instruction.action.node) and not instruction.is_root


def last_reads(program: TileProgram) -> dict[Node, int]:
    """For each array in memory, the last instruction that may look at it."""
    reads: dict[Node, int] = {}
    views: dict[int, set[Node]] = {}
    for k, instruction in enumerate(program.instructions):
        action = instruction.action
        if isinstance(action, Load):
            views[k] = {action.node}
            continue
        seen = {node for slot in instruction.inputs for node in views.get(slot, ())}
        reads.update(dict.fromkeys(seen, k))
        if not writes_destination(action.node):
            # a Select may be a view of what it reads
            views[k] = seen
    return reads


def aligned_loads(program: TileProgram) -> set[Node]:
    """Arrays that every tile reads in its own rows only, so that the tile may overwrite them."""
    aligned = {load.node for load in program.loads}
    for load in program.loads:
        if load.coords != identity_coords(len(load.coords)):
            aligned.discard(load.node)
    return aligned


def largest_block(program: TileProgram, extents: tuple[int, ...]) -> int:
    """Entries of the largest block in a tile of these extents."""
    return max((block_entries(op.node, op.coords, extents) for op in program.operations), default=0)


def block_entries(node: Node, coords: Coords, extents: tuple[int, ...]) -> int:
    return prod(node.type.shape) * prod(extents[grid] for grid in grids_of(coords))


def peak_entries(program: TileProgram, extents: tuple[int, ...], temporary: Callable[[BlockOp | FusedRun], int]) -> int:
    """Entries of the blocks that a tile holds at once, at most; an operation or a fused run needs `temporary` more."""
    live = peak = 0
    sizes: dict[int, int] = {}
    for unit in program.units:
        for slot in (unit,) if isinstance(unit, int) else unit.results:
            instruction = program.instructions[slot]
            action = instruction.action
            owned = isinstance(action, BlockOp) and writes_destination(action.node) and not instruction.is_root
            sizes[slot] = block_entries(action.node, action.coords, extents) if owned else 0
            live += sizes[slot]
        action = program.instructions[unit].action if isinstance(unit, int) else unit
        peak = max(peak, live + (0 if isinstance(action, Load) else temporary(action)))
        live -= sum(sizes[slot] for slot in program.released(unit))
    return peak
