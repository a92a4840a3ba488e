"""Straight-line programs for the tiles of a sweep.

A tile program lists, in an order of evaluation, the blocks that the roots need: reads of arrays in memory, and block
operations.  Its values live in numbered slots; a block is handed back after the last instruction that reads it, so a
tile touches little memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod

from nexort.engine.blocks import (
    BlockOp,
    Coords,
    block_flops,
    block_op,
    grids_of,
    identity_coords,
    writes_destination,
)
from nexort.graph import Node


@dataclass(frozen=True, slots=True)
class Load:
    """A read of an array in memory."""

    node: Node
    coords: Coords


@dataclass(frozen=True, slots=True)
class Instruction:
    """Slot k of a tile program is the value of instruction k. `released` are slots that nothing reads after it."""

    action: Load | BlockOp
    inputs: tuple[int, ...]
    released: tuple[int, ...]
    is_root: bool


@dataclass(frozen=True, slots=True)
class TileProgram:
    instructions: tuple[Instruction, ...]
    rank: int
    """Number of grid axes."""

    @property
    def loads(self) -> tuple[Load, ...]:
        return tuple(i.action for i in self.instructions if isinstance(i.action, Load))

    @property
    def operations(self) -> tuple[BlockOp, ...]:
        return tuple(i.action for i in self.instructions if isinstance(i.action, BlockOp))

    def flops(self, extents: tuple[int, ...]) -> int:
        return sum(block_flops(op, extents) for op in self.operations)


@dataclass(slots=True)
class _Builder:
    is_loaded: Callable[[Node], bool]
    roots: dict[tuple[Node, Coords], BlockOp]
    slots: dict[tuple[Node, Coords], int]
    actions: list[tuple[Load | BlockOp, tuple[int, ...], bool]]

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

    def _emit(
        self, key: tuple[Node, Coords], action: Load | BlockOp, inputs: tuple[int, ...], *, is_root: bool
    ) -> None:
        self.slots[key] = len(self.actions)
        self.actions.append((action, inputs, is_root))


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
    last = _last_uses(builder)
    released: dict[int, list[int]] = {}
    for slot, k in last.items():
        if _is_recyclable(builder.actions[slot], factored):
            released.setdefault(k, []).append(slot)
    instructions = tuple(
        Instruction(action, inputs, tuple(released.get(k, ())), is_root)
        for k, (action, inputs, is_root) in enumerate(builder.actions)
    )
    used = [coord.grid for op in roots for coord in (*op.coords, *op.bound)]
    return TileProgram(instructions, max(used, default=-1) + 1)


def _last_uses(builder: _Builder) -> dict[int, int]:
    """For each slot that is read, the last instruction that reads it, or a view of it."""
    last: dict[int, int] = {}
    for k, (action, inputs, _) in reversed(list(enumerate(builder.actions))):
        # what is not written into an array of its own may be a view of what it reads
        is_view = isinstance(action, BlockOp) and not writes_destination(action.node)
        end = last.get(k, k) if is_view else k
        last.update((slot, max(end, last.get(slot, end))) for slot in inputs)
    return last


def _is_recyclable(entry: tuple[Load | BlockOp, tuple[int, ...], bool], factored: frozenset[Node]) -> bool:
    """Whether the block is an array of its own, used again after its last reader."""
    action, _, is_root = entry
    if isinstance(action, Load):
        return action.node in factored
    return writes_destination(action.node) and not is_root


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


def peak_entries(program: TileProgram, extents: tuple[int, ...], temporary: Callable[[BlockOp], int]) -> int:
    """Entries of the blocks that a tile holds at once, at most; an operation itself needs `temporary` more."""
    live = peak = 0
    sizes: list[int] = []
    for instruction in program.instructions:
        action = instruction.action
        owned = isinstance(action, BlockOp) and writes_destination(action.node) and not instruction.is_root
        sizes.append(block_entries(action.node, action.coords, extents) if owned else 0)
        live += sizes[-1]
        peak = max(peak, live + (temporary(action) if isinstance(action, BlockOp) else 0))
        live -= sum(sizes[slot] for slot in instruction.released)
    return peak
