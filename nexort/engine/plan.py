"""From a lowered graph to a schedule: steps in order, what each frees, and what a sweep overwrites.

Accepts a lowered graph.  Promises that operands come before users, that an array is freed after the last step that
reads it, and that a sweep overwrites an array only if nothing reads it later and each tile reads its own rows only.
Steps that are to run several times come last, and leave alone what the others made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from nexort.engine.averages import AverageRule, tied_count
from nexort.engine.blocks import BlockOp, Coord, block_op, bound_count, identity_coords
from nexort.engine.factoring import choose_factored
from nexort.engine.faults import find_guarded
from nexort.engine.groups import Groups
from nexort.engine.levels import Levels, find_levels, is_view, rank
from nexort.engine.sweep import TileProgram, aligned_loads, build_tile_program, largest_block, last_reads
from nexort.graph import Graph, InitialMatrix, Node, Select, Stack

TILE_ENTRIES = 1 << 19
"""Entries of the largest block of a tile: a few such blocks fit the cache that cores share."""
LEAST_ROWS, MOST_ROWS, LEAST_COLUMNS = 64, 512, 256
"""Bounds of a tile along its axes: products of fewer rows waste BLAS."""
CHUNKS = 32
"""Least number of units of work of a sweep, where it has so many rows: balances any number of threads."""
LEAST_ENTRIES = 1 << 18
"""Entries of a tile below which it is not cut further: a smaller one takes longer to start than to compute."""


@dataclass(frozen=True, slots=True)
class NodeStep:
    """One node on whole arrays (scalars, vectors, initial values, matrix products)."""

    node: Node

    @property
    def produced(self) -> tuple[Node, ...]:
        return (self.node,)

    @property
    def read(self) -> tuple[Node, ...]:
        return self.node.operands


@dataclass(frozen=True, slots=True)
class SweepStep:
    """A set of large values evaluated together, tile by tile."""

    roots: tuple[BlockOp, ...]
    program: TileProgram
    level: int

    @property
    def produced(self) -> tuple[Node, ...]:
        return tuple(op.node for op in self.roots)

    @property
    def read(self) -> tuple[Node, ...]:
        return tuple(dict.fromkeys(load.node for load in self.program.loads))


Step: TypeAlias = NodeStep | SweepStep


@dataclass(frozen=True, slots=True)
class Plan:
    """`freed[k]` are the values that nothing reads after step k; `overwritten[k]` maps a root of sweep k to the array
    that it is written over.  The steps from `shared` on may be run again on what those before it left."""

    graph: Graph
    levels: Levels
    steps: tuple[Step, ...]
    freed: tuple[tuple[Node, ...], ...]
    overwritten: tuple[dict[Node, Node], ...]
    shared: int
    outer: frozenset[Node] = field(default=frozenset())
    guarded: frozenset[Node] = field(default=frozenset())
    """Branches of `where`: finite only where they are chosen."""
    _whole: dict[Node, BlockOp] = field(default_factory=dict, compare=False, repr=False)

    def whole_op(self, node: Node) -> BlockOp:
        """How a node of order 0 or 1 is computed on whole arrays: found once, for all trials and replicates."""
        op = self._whole.get(node)
        if op is None:
            order = node.type.order
            bound = tuple(Coord(order + k) for k in range(bound_count(node)))
            op = self._whole[node] = block_op(node, identity_coords(order), bound)
        return op

    @property
    def has_pairs(self) -> bool:
        """Whether some average draws random pairs of copies."""
        return any(tied_count(op) for op in self.levels.roots.values())


def build_plan(
    graph: Graph,
    *,
    length: int,
    outer_sums: Iterable[Node] = (),
    rule: AverageRule | None = None,
    varying: frozenset[Node] = frozenset(),
) -> Plan:
    """The schedule of a lowered graph at width `length`; `outer_sums` are its tensors that are sums of outer products.

    `rule` must be the one of the meaning that runs the plan.  The values in `varying`, which must hold their users too,
    are made by the last steps.
    """
    outer, rule = frozenset(outer_sums), rule or AverageRule()
    factored = choose_factored(graph, outer)
    levels = find_levels(graph, factored, lambda free, bound: rule.is_paired(free, bound, length), varying)
    ordered = _order_steps(levels, _make_steps(levels))
    steps = [step for step in ordered if varying.isdisjoint(step.produced)]
    shared = len(steps)
    steps += [step for step in ordered if not varying.isdisjoint(step.produced)]
    freed = _find_freed(levels, steps, shared)
    overwritten = tuple(
        _find_overwritten(levels, step, free) if isinstance(step, SweepStep) else {}
        for step, free in zip(steps, freed, strict=True)
    )
    return Plan(graph, levels, tuple(steps), freed, overwritten, shared, outer, find_guarded(graph))


def _make_steps(levels: Levels) -> list[Step]:
    steps: list[Step] = []
    for node in levels.graph.order:
        if node not in levels.large and node not in levels.roots:
            steps.append(NodeStep(node))
    steps.extend(_make_sweeps(levels))
    return steps


def _make_sweeps(levels: Levels) -> list[SweepStep]:
    """Roots of one level and rank that share large values make one sweep."""
    groups = Groups()
    keys = {node: (levels.level[node], rank(op)) for node, op in levels.roots.items()}
    for node, op in levels.roots.items():
        key = keys[node]
        # random pairs are its own: another root must not change its draws
        reached = () if tied_count(op) else _reach(levels, op)
        groups.join((node, *key), ((value, *key) for value in reached))
    members: dict[object, list[BlockOp]] = {}
    for node, op in levels.roots.items():
        members.setdefault(groups.find((node, *keys[node])), []).append(op)
    return [_make_sweep(levels, roots) for roots in members.values()]


def _make_sweep(levels: Levels, roots: list[BlockOp]) -> SweepStep:
    mine = {op.node for op in roots}

    def is_loaded(node: Node) -> bool:
        return node not in levels.large or (node in levels.stored and node not in mine)

    return SweepStep(tuple(roots), build_tile_program(roots, is_loaded, levels.factored), levels.level[roots[0].node])


def _reach(levels: Levels, op: BlockOp) -> set[Node]:
    """The large values that a root touches in its sweep, and the matrices it reads."""
    seen: set[Node] = set()
    stack = [op.node]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        for operand in node.operands:
            if operand.type.is_operator:
                seen.add(operand)
            if operand in levels.large and operand not in levels.stored:
                stack.append(operand)
            elif operand in levels.large:
                seen.add(operand)
    return seen


def _order_steps(levels: Levels, steps: list[Step]) -> list[Step]:
    """Depth first from the outputs, each sweep after the steps that read what it may overwrite."""
    maker = {node: k for k, step in enumerate(steps) for node in step.produced}
    # matrices are drawn as late as they can be
    reads = [sorted(step.read, key=lambda node: base_matrix(node) is not None) for step in steps]
    before: list[dict[int, None]] = [
        dict.fromkeys(maker[node] for node in read if maker[node] != k) for k, read in enumerate(reads)
    ]
    readers: dict[Node, list[int]] = {}
    for k, step in enumerate(steps):
        for node in step.read:
            readers.setdefault(node, []).append(k)
    for k, step in enumerate(steps):
        if isinstance(step, SweepStep) and any(op.node in levels.large for op in step.roots):
            for node in _matrices(aligned_loads(step.program)):
                before[k].update(dict.fromkeys(r for r in readers[node] if _precedes(levels, steps[r], step)))
    order: dict[int, None] = {}
    for result in levels.graph.results:
        _visit(maker[result], before, order)
    return [steps[k] for k in order]


def _matrices(nodes: Iterable[Node]) -> list[Node]:
    return [node for node in nodes if node.type.order >= 2]


def _precedes(levels: Levels, reader: Step, sweep: SweepStep) -> bool:
    """Whether a step that reads an array can come before the sweep of this level: it does not depend on it."""
    if isinstance(reader, SweepStep):
        return reader.level < sweep.level or (reader.level == sweep.level and reader.program.rank > sweep.program.rank)
    return levels.level[reader.node] <= sweep.level


def _visit(start: int, before: list[dict[int, None]], order: dict[int, None]) -> None:
    stack = [(start, iter(before[start]))]
    active = {start}
    while stack:
        k, pending = stack[-1]
        if k in order:
            stack.pop()
            continue
        following = next((other for other in pending if other not in order and other not in active), None)
        if following is None:
            order[k] = None
            active.discard(k)
            stack.pop()
        else:
            active.add(following)
            stack.append((following, iter(before[following])))


def _find_freed(levels: Levels, steps: list[Step], shared: int) -> tuple[tuple[Node, ...], ...]:
    last: dict[Node, int] = {}
    for k, step in enumerate(steps):
        last.update(dict.fromkeys((*step.produced, *step.read), k))
    for node in reversed(levels.graph.order):
        if node in levels.factored or (is_view(node) and isinstance(node, Select)):
            # a factored value holds the arrays that it is made of, a view that of which it is a part
            last.update((operand, max(last[operand], last[node])) for operand in node.operands)
    freed: list[list[Node]] = [[] for _ in steps]
    kept = set(levels.graph.results)
    made = {node for step in steps[:shared] for node in step.produced}
    for node, k in last.items():
        if node not in kept and (k < shared or node not in made):
            freed[k].append(node)
    return tuple(tuple(nodes) for nodes in freed)


def _find_overwritten(levels: Levels, step: SweepStep, freed: Iterable[Node]) -> dict[Node, Node]:
    """A dead array for each stored root of the same shape, where no tile needs it after the root is written."""
    reads = last_reads(step.program)
    aligned = aligned_loads(step.program)
    position = {i.action.node: k for k, i in enumerate(step.program.instructions) if i.is_root}
    dead = [node for node in _matrices(freed) if node in aligned and _is_owned(levels, node)]
    chosen: dict[Node, Node] = {}
    for op in step.roots:
        root = op.node
        if root.type.order < 2 or rank(op) > root.type.order:
            continue
        fits = [node for node in dead if _has_shape(node, root) and reads[node] <= position[root]]
        if fits:
            # the array read last before, of those that the root is made of if there are any: Adam's m over m, W over W
            read = step.program.arrays_of(position[root])
            chosen[root] = max(fits, key=lambda node: (node in read, reads[node]))
            dead.remove(chosen[root])
    return chosen


def _has_shape(node: Node, other: Node) -> bool:
    return (node.type.shape, node.type.order) == (other.type.shape, other.type.order)


def _is_owned(levels: Levels, node: Node) -> bool:
    """Whether the node is an array of its own: not factors, nor a view of another's array."""
    if isinstance(node, Select) and is_view(node):
        base = node.operands[0]
        return isinstance(base, InitialMatrix) and is_read_by_elements(levels.graph, base)
    return not isinstance(node, Stack) and node not in levels.factored


def is_read_by_elements(graph: Graph, node: Node) -> bool:
    """Whether a family of matrices is read element by element only: then each element is drawn on its own."""
    return bool(node.type.shape) and all(isinstance(user, Select) for user in graph.users[node])


def base_matrix(node: Node) -> InitialMatrix | None:
    while isinstance(node, Select):
        node = node.operands[0]
    return node if isinstance(node, InitialMatrix) else None


def tile_extents(program: TileProgram, length: int) -> tuple[int, ...]:
    """Extent of each grid axis in a tile: whole axes, cut from the first on until the largest block is small."""
    extents = [length] * program.rank
    for grid in range(program.rank):
        floor = min(length, LEAST_ROWS if grid < program.rank - 1 else LEAST_COLUMNS)
        while largest_block(program, tuple(extents)) > TILE_ENTRIES and extents[grid] > floor:
            extents[grid] = max(floor, (extents[grid] + 1) // 2)
    least = -(-LEAST_ENTRIES // max(1, largest_block(program, (1, *extents[1:]))))
    extents[0] = min(extents[0], max(least, -(-length // CHUNKS)), MOST_ROWS)
    return tuple(extents)


def chunk_rows(length: int, tile_rows: int) -> int:
    """Rows of one unit of work: some tiles, about `CHUNKS` units in all."""
    tiles = -(-length // tile_rows)
    return tile_rows * max(1, tiles // CHUNKS)
