"""What a plan will cost at one width, before anything is allocated: memory, arithmetic, a rough time.

Memory follows the schedule: what is alive after each step, and what the step itself needs.  Time counts entrywise
operations and traffic; an operation of a matrix product is PRODUCT_DISCOUNT times cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from nexort.engine.blocks import BlockOp, Coord, block_flops, block_op, bound_count, identity_coords
from nexort.engine.levels import PRODUCT_DISCOUNT
from nexort.engine.plan import NodeStep, Plan, SweepStep, base_matrix, is_read_by_elements, tile_extents
from nexort.engine.sweep import peak_entries
from nexort.graph import Average, Contract, DenseOperator, InitialMatrix, Map, MatMul, Node, Reduce, Select

ENTRYWISE_RATE = 5e9
"""float32 additions per second and thread, in cache."""
MEMORY_RATE = 1e10
"""Bytes per second."""
STEP_OVERHEAD = 2e-5
KERNEL_SLOTS = 3
"""Temporaries of an entrywise kernel, on average."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take at one width: peak `bytes` of arrays, arithmetic `flops`, rough `seconds`."""

    bytes: int
    flops: int
    seconds: float
    steps: int


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of one step: operations, the same with products discounted, bytes moved, temporary bytes."""

    flops: int = 0
    work: float = 0.0
    moved: int = 0
    spare: int = 0


def estimate_plan(plan: Plan, *, length: int, itemsize: int, threads: int) -> Estimate:
    """Peak memory, arithmetic and a rough time at width `length`."""
    live = peak = flops = 0
    seconds = 0.0
    held: dict[Node, int] = {}
    for step, freed, over in zip(plan.steps, plan.freed, plan.overwritten, strict=True):
        for node in step.produced:
            taken = over.get(node)
            before = 0 if taken is None else held.pop(taken)
            held[node] = before or _own_bytes(plan, node, length, itemsize)
            live += held[node] - before
        cost = (
            _sweep_cost(step, length, itemsize, threads)
            if isinstance(step, SweepStep)
            else _node_cost(plan, step, length, itemsize)
        )
        peak = max(peak, live + cost.spare)
        flops += cost.flops
        rate = ENTRYWISE_RATE * threads * 4 / itemsize
        seconds += max(cost.work / rate, cost.moved / MEMORY_RATE) + STEP_OVERHEAD
        live -= sum(held.pop(node, 0) for node in freed)
    return Estimate(peak, flops, seconds, len(plan.steps))


def value_bytes(node: Node, length: int, itemsize: int) -> int:
    width = itemsize * length**node.type.order if node.type.order else 8
    return prod(node.type.shape) * width


def _own_bytes(plan: Plan, node: Node, length: int, itemsize: int) -> int:
    """Memory that a value adds: none for a view, copies of its vectors in stacks for a factored product."""
    if node in plan.levels.factored:
        vectors = [x for x in node.operands if isinstance(node, Contract) and x.type.order == 1]
        return 3 * sum(value_bytes(x, length, itemsize) for x in vectors) // 2
    if isinstance(node, InitialMatrix) and is_read_by_elements(plan.graph, node):
        return 0
    if isinstance(node, Select):
        base = base_matrix(node)
        return value_bytes(node, length, itemsize) if base is not None and is_read_by_elements(plan.graph, base) else 0
    return value_bytes(node, length, itemsize)


def _node_cost(plan: Plan, step: NodeStep, length: int, itemsize: int) -> _Cost:
    node = step.node
    if node in plan.levels.factored:
        return _Cost()
    moved = sum(value_bytes(x, length, itemsize) for x in (node, *node.operands))
    match node:
        case MatMul():
            flops = 2 * length**2 * prod(node.type.shape)
            return _Cost(flops, flops / PRODUCT_DISCOUNT, moved, value_bytes(node, length, itemsize) // 4)
        case InitialMatrix() | Select() if node.type.is_operator:
            return _Cost(0, 40.0 * _own_bytes(plan, node, length, itemsize) / itemsize, moved, 0)
        case Map() | Reduce() | Average() | Contract() if not any(x in plan.levels.factored for x in node.operands):
            bound = tuple(Coord(node.type.order + k) for k in range(bound_count(node)))
            op = block_op(node, identity_coords(node.type.order), bound)
            flops = block_flops(op, [length] * (node.type.order + len(bound)))
            spare = value_bytes(node, length, itemsize) if isinstance(node, Contract) else 0
            return _Cost(flops, _work(op, flops), moved, spare)
        case _:
            return _Cost(0, 0.0, moved, 0)


def _work(op: BlockOp, flops: int) -> float:
    return flops / PRODUCT_DISCOUNT if isinstance(op.node, Contract) else float(flops)


def _sweep_cost(step: SweepStep, length: int, itemsize: int, threads: int) -> _Cost:
    extents = tile_extents(step.program, length)
    tiles = prod(length / extent for extent in extents)
    each = [(op, block_flops(op, extents)) for op in step.program.operations]
    flops = int(tiles * sum(count for _, count in each))
    work = tiles * sum(_work(op, count) for op, count in each)
    moved = sum(value_bytes(x, length, itemsize) for x in (*step.read, *step.produced) if x.type.order > 1)
    shared = sum(value_bytes(op.node, length, itemsize) for op in step.roots if op.bound and Coord(0) not in op.coords)
    largest = max(
        (prod(op.node.type.shape) * prod(extents[c.grid] for c in set(op.coords)) for op, _ in each), default=0
    )
    kernels = KERNEL_SLOTS * largest if any(isinstance(op.node, Map | DenseOperator) for op, _ in each) else 0
    spare = threads * (itemsize * (peak_entries(step.program, extents) + kernels) + shared)
    return _Cost(flops, work, moved, spare)
