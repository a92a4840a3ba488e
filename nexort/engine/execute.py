"""Running a plan: steps in order, sweeps on threads, every result looked at for numbers that are not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from threading import Lock
from typing import Any, Protocol, TypeAlias

import numpy as np

from nexort.engine.arrays import Array, Operand
from nexort.engine.averages import (
    AverageRule,
    divide_by_terms,
    draw_permutations,
    is_distinct_average,
    tied_count,
    without_coincidences,
)
from nexort.engine.blocks import (
    BlockOp,
    Coord,
    Frame,
    block_op,
    bound_count,
    compute_block,
    identity_coords,
    read_block,
    writes_destination,
)
from nexort.engine.buffers import Buffers
from nexort.engine.factors import Factors, contract_factors, factor_node, prepare, tile_of
from nexort.engine.faults import check_finite
from nexort.engine.plan import NodeStep, Plan, SweepStep, chunk_rows, is_read_by_elements, tile_extents
from nexort.engine.sweep import Instruction, Load, TileProgram
from nexort.engine.workers import OrderedSum, Workers, single_threaded_blas
from nexort.graph import (
    Data,
    Fluctuation,
    InitialMatrix,
    InitialScalar,
    InitialVector,
    Map,
    MatMul,
    Node,
    Number,
    Output,
    Select,
    WidthNumber,
)

Progress: TypeAlias = Callable[[int, int], None]
Values: TypeAlias = Mapping[Node, Any]
"""Arrays, operators and factors by node."""

VECTOR_ENTRIES = 1 << 17
"""Entries of the parts in which entrywise functions of vectors are computed."""


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


def execute(
    plan: Plan,
    meaning: Meaning,
    *,
    shared: Values | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
) -> dict[str, Array]:
    """The outputs of the plan's graph by name, float64, of shape loops + static shape (+ width, for a vector).

    shared    what `execute_shared` left, so that the first `plan.shared` steps need not run; it is not changed
    progress  progress(steps done, steps in all)

    Raises ComputationFault where a value is not finite.  The results do not depend on `threads`.
    """
    steps = range(0 if shared is None else plan.shared, len(plan.steps))
    values = _run_steps(plan, meaning, steps, dict(shared or {}), progress, threads)
    return {output.name: collect_output(output, values) for output in plan.graph.outputs}


def execute_shared(
    plan: Plan, meaning: Meaning, *, progress: Progress | None = None, threads: int | None = None
) -> Values:
    """The values of the first `plan.shared` steps that later ones read, or that are results."""
    return _run_steps(plan, meaning, range(plan.shared), {}, progress, threads)


def _run_steps(
    plan: Plan,
    meaning: Meaning,
    steps: range,
    values: dict[Node, Any],
    progress: Progress | None,
    threads: int | None,
) -> dict[Node, Any]:
    if not steps:
        return values
    with Workers(threads) as workers, single_threaded_blas(), np.errstate(all="ignore"):
        run = Run(plan, meaning, workers, values)
        for done, k in enumerate(steps, 1):
            step = plan.steps[k]
            if isinstance(step, NodeStep):
                _run_node(run, step.node)
            else:
                _run_sweep(run, step, plan.overwritten[k])
            for node in plan.freed[k]:
                run.values.pop(node, None)
            if progress is not None:
                progress(done, len(steps))
        return run.values


def collect_output(output: Output, values: Values) -> Array:
    """An output from its nodes, float64."""
    parts = [np.asarray(values[node], dtype=np.float64) for node in output.nodes]
    return np.stack(parts).reshape((*output.loops, *parts[0].shape)) if parts else np.zeros(output.loops)


def _run_node(run: Run, node: Node) -> None:
    run.values[node] = value = _node_value(run, node)
    if isinstance(value, np.ndarray) and not node.type.is_operator and node not in run.plan.guarded:
        check_finite(node, value, [run.values.get(operand) for operand in node.operands])


def _node_value(run: Run, node: Node) -> Any:
    match node:
        case Number():
            return np.float64(node.value)
        case WidthNumber():
            return np.float64(run.meaning.width_number(node))
        case Data():
            return node.array
        case InitialScalar():
            return run.meaning.initial_scalar(node)
        case Fluctuation():
            return run.meaning.fluctuation(node, run.values[node.operands[0]])
        case InitialVector():
            return run.meaning.initial_vector(node)
        case InitialMatrix():
            return None if is_read_by_elements(run.plan.graph, node) else run.meaning.initial_matrix(node, run.workers)
        case Select() if node.type.is_operator:
            base = run.values.get(node.operands[0])
            if base is None:
                return run.meaning.initial_matrix(node, run.workers)
            return base[tuple(slice(None) if k is None else k for k in node.index)]
        case MatMul():
            matrix, argument = (run.values[operand] for operand in node.operands)
            return run.meaning.matmul(node, matrix, argument, run.workers)
        case _:
            values = [run.values[operand] for operand in node.operands]
            if node in run.plan.levels.factored:
                return factor_node(node, values, run.meaning.length)
            if any(isinstance(value, Factors) for value in values):
                return contract_factors(node, values, run.meaning.length)
            return _whole(run, node)


def _whole(run: Run, node: Node) -> Array:
    """A node of order 0 or 1 on whole arrays."""
    order, count, length = node.type.order, bound_count(node), run.meaning.length
    op = block_op(node, identity_coords(order), tuple(Coord(order + k) for k in range(count)))
    whole = [slice(0, length)] * (order + count)
    if isinstance(node, Map) and order == 1:
        return _map_in_parts(run, op)
    buffers = run.borrow()
    result = _evaluate(run, op, run.frame(whole, buffers), None)
    run.give_back(buffers)
    return np.asarray(np.divide(result, float(length) ** count) if count else result)


def _map_in_parts(run: Run, op: BlockOp) -> Array:
    """An entrywise function of vectors, in parts that fit the cache, on all threads."""
    length = run.meaning.length
    out = np.empty((*op.node.type.shape, length), run.meaning.dtype)
    size = max(256, VECTOR_ENTRIES // max(1, prod(op.node.type.shape)))
    parts = [slice(start, min(start + size, length)) for start in range(0, length, size)]

    def part(k: int) -> None:
        buffers = run.borrow()
        frame = run.frame([parts[k]], buffers)
        _evaluate(run, op, frame, read_block(out, op.node, op.coords, frame))
        run.give_back(buffers)

    run.workers.for_each(part, len(parts))
    return out


def _evaluate(run: Run, op: BlockOp, frame: Frame, destination: Array | None) -> Array:
    """A node whose operands are arrays in memory."""
    blocks = [read_block(np.asarray(run.values[x]), x, at, frame) for x, at in op.inputs]
    if destination is None and writes_destination(op.node):
        destination = np.empty(frame.shape(op.node, op.coords), frame.type_of(op.coords))
    return compute_block(op, blocks, frame, destination)


@dataclass(frozen=True, slots=True)
class _Targets:
    """Where the roots of a sweep go: stored arrays, sums by rows, and sums that every chunk adds to.

    `rounds` has the permutations of each round of random pairs; one round without any where there are no pairs.
    `prepared` are the factored tensors whose entries the tiles read.
    """

    arrays: dict[Node, Array]
    shared: dict[Node, OrderedSum]
    rounds: tuple[tuple[Array, ...], ...]
    prepared: dict[Node, Factors]


def _run_sweep(run: Run, step: SweepStep, overwritten: dict[Node, Node]) -> None:
    length = run.meaning.length
    targets = _make_targets(run, step, overwritten)
    extents = tile_extents(step.program, length)
    rows = chunk_rows(length, extents[0])
    chunks = [slice(start, min(start + rows, length)) for start in range(0, length, rows)]
    run.workers.for_each(lambda k: _run_chunk(run, step, targets, extents, chunks[k], k), len(chunks))
    for op in step.roots:
        array = targets.arrays[op.node]
        divide_by_terms(op, array, length, is_distinct=run.is_distinct(op), rounds=len(targets.rounds))
        run.values[op.node] = array if array.ndim else np.float64(array)
    used = {slot for i in step.program.instructions for slot in i.inputs}
    for k, instruction in enumerate(step.program.instructions):
        node = instruction.action.node
        is_checked = instruction.is_root and node not in run.plan.guarded
        if is_checked and (k not in used or bound_count(node)):
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
    return _Targets(arrays, shared, _draw_rounds(run, step), prepared)


def _draw_rounds(run: Run, step: SweepStep) -> tuple[tuple[Array, ...], ...]:
    """A sweep with random pairs has one root."""
    root = step.roots[0]
    count = tied_count(root)
    if not count:
        return ((),)
    generators = (run.meaning.pairing(root.node, k) for k in range(run.meaning.average_rule.rounds))
    return tuple(draw_permutations(generator, count, run.meaning.length) for generator in generators)


def _is_shared(op: BlockOp) -> bool:
    """Whether every chunk of rows adds to the whole result."""
    return bool(op.bound) and all(coord.grid != 0 for coord in op.coords)


def _run_chunk(
    run: Run, step: SweepStep, targets: _Targets, extents: tuple[int, ...], rows: slice, number: int
) -> None:
    partial = {node: np.zeros_like(total.total) for node, total in targets.shared.items()}
    buffers = run.borrow()
    mine = replace(targets, arrays=targets.arrays | partial)
    for ranges in _tiles(rows, extents, run.meaning.length):
        if run.workers.is_stopping:
            return
        for permutations in targets.rounds:
            _run_tile(run, step.program, mine, run.frame(ranges, buffers, permutations))
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


def _run_tile(run: Run, program: TileProgram, targets: _Targets, frame: Frame) -> None:
    slots: list[Array] = []
    for instruction in program.instructions:
        slots.append(_run_instruction(run, instruction, slots, targets, frame))
        for slot in instruction.released:
            frame.buffers.give(slots[slot])


def _run_instruction(run: Run, instruction: Instruction, slots: list[Array], targets: _Targets, frame: Frame) -> Array:
    action = instruction.action
    if isinstance(action, Load):
        if action.node in targets.prepared:
            block = frame.buffers.take(frame.shape(action.node, action.coords), frame.dtype)
            return tile_of(targets.prepared[action.node], action.node, action.coords, frame, block)
        return read_block(np.asarray(run.values[action.node]), action.node, action.coords, frame)
    blocks = [slots[k] for k in instruction.inputs]
    node = action.node
    if not instruction.is_root:
        destination = None
        if writes_destination(node):
            destination = frame.buffers.take(frame.shape(node, action.coords), frame.type_of(action.coords))
        return compute_block(action, blocks, frame, destination)
    target = read_block(targets.arrays[node], node, action.coords, frame)
    if not action.bound:
        return compute_block(action, blocks, frame, target)
    masks: list[Operand] = []
    if run.is_distinct(action):
        blocks, masks = without_coincidences(action, blocks, frame)
    np.add(target, compute_block(action, blocks, frame, None, masks), out=target)
    return target
