"""What a plan will cost at one width, before anything is allocated: memory, arithmetic, a rough time.

Memory follows the schedule: what is alive after each step, and what the step itself needs.  Time counts entrywise
operations and traffic; an operation of a matrix product is PRODUCT_DISCOUNT times cheaper.  An average of N³ terms
(two free axes and one bound, or three bound) counts as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from nexort.engine.blocks import BlockOp, Coord, block_flops, bound_count
from nexort.engine.factoring import term_counts
from nexort.engine.fused import FusedRun
from nexort.engine.levels import PRODUCT_DISCOUNT
from nexort.engine.plan import NodeStep, Plan, Step, SweepStep, base_matrix, is_read_by_elements, tile_extents
from nexort.engine.sweep import TileProgram, block_entries, peak_entries
from nexort.graph import Average, Contract, InitialMatrix, Map, MatMul, Node, Reduce, Select

ENTRYWISE_RATE = 5e9
"""float32 additions per second and thread, in cache."""
MEMORY_RATE = 1e10
"""Bytes per second."""
STEP_OVERHEAD = 4e-5


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take at one width: peak `bytes` of arrays, arithmetic `flops`, rough `seconds`.

    `heaviest` is the value that takes the largest part of the time, `share` that part of it (0 to 1).
    `repeated_seconds` is the part of the steps that may be run again on what the others made.
    """

    bytes: int
    flops: int
    seconds: float
    steps: int
    heaviest: Node | None = None
    share: float = 0.0
    repeated_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of one step: operations, the same with products discounted, bytes moved, temporary bytes, the dearest value."""

    flops: int = 0
    work: float = 0.0
    moved: int = 0
    spare: int = 0
    heaviest: Node | None = None


def estimate_plan(plan: Plan, *, length: int, itemsize: int, threads: int, has_matrices: bool = True) -> Estimate:
    """Peak memory, arithmetic and a rough time at width `length`.

    Without `has_matrices` an operator is no array: its products and its memory are the caller's to count.
    """
    costs = _Costs(plan, length, itemsize, threads, has_matrices, term_counts(plan.graph, plan.levels.factored))
    live = peak = flops = 0
    seconds = longest = repeated = 0.0
    heaviest: Node | None = None
    held: dict[Node, int] = {}
    for k, (step, freed, over) in enumerate(zip(plan.steps, plan.freed, plan.overwritten, strict=True)):
        for node in step.produced:
            taken = over.get(node)
            before = 0 if taken is None else held.pop(taken)
            held[node] = before or costs.own_bytes(node)
            live += held[node] - before
        cost = costs.of_step(step)
        peak = max(peak, live + cost.spare)
        flops += cost.flops
        rate = ENTRYWISE_RATE * threads * 4 / itemsize
        time = max(cost.work / rate, cost.moved / MEMORY_RATE) + STEP_OVERHEAD
        seconds += time
        repeated += time if k >= plan.shared else 0.0
        if time > longest:
            longest, heaviest = time, cost.heaviest
        live -= sum(held.pop(node, 0) for node in freed)
    share = longest / seconds if seconds else 0.0
    return Estimate(peak, flops, seconds, len(plan.steps), heaviest, share, repeated)


def value_bytes(node: Node, length: int, itemsize: int) -> int:
    width = itemsize * length**node.type.order if node.type.order else 8
    return prod(node.type.shape) * width


@dataclass(frozen=True, slots=True)
class _Costs:
    """The costs of the steps of a plan; `terms` are the numbers of outer products of the factored tensors."""

    plan: Plan
    length: int
    itemsize: int
    threads: int
    has_matrices: bool
    terms: dict[Node, int]

    def bytes_of(self, node: Node) -> int:
        return value_bytes(node, self.length, self.itemsize)

    def own_bytes(self, node: Node) -> int:
        """Memory that a value adds: none for a view, copies of its vectors in stacks for a factored product."""
        if node in self.plan.levels.factored:
            vectors = [x for x in node.operands if isinstance(node, Contract) and x.type.order == 1]
            return sum(self.bytes_of(x) for x in vectors)
        if node.type.is_operator and not self.has_matrices:
            return 0
        if isinstance(node, InitialMatrix) and is_read_by_elements(self.plan.graph, node):
            return 0
        if isinstance(node, Select):
            base = base_matrix(node)
            return self.bytes_of(node) if base is not None and is_read_by_elements(self.plan.graph, base) else 0
        return self.bytes_of(node)

    def of_step(self, step: Step) -> _Cost:
        return self._of_sweep(step) if isinstance(step, SweepStep) else self._of_node(step)

    def _of_node(self, step: NodeStep) -> _Cost:
        node = step.node
        factored = self.plan.levels.factored
        moved = sum(self.bytes_of(x) for x in (node, *node.operands) if x not in factored)
        match node:
            case _ if node in factored:
                return _Cost()
            case MatMul():
                flops = 2 * self.length**2 * prod(node.type.shape) if self.has_matrices else 0
                moved = moved if self.has_matrices else 0
                return _Cost(flops, flops / PRODUCT_DISCOUNT, moved, self.bytes_of(node) // 4, node)
            case InitialMatrix() | Select() if node.type.is_operator:
                return _Cost(0, 40.0 * self.own_bytes(node) / self.itemsize, self.own_bytes(node), 0, node)
            case Contract() | Average() if any(x in factored for x in node.operands):
                flops = self._factored_flops(node)
                return _Cost(flops, flops / PRODUCT_DISCOUNT, moved, self.bytes_of(node), node)
            case Map() | Reduce() | Average() | Contract():
                op = self.plan.whole_op(node)
                flops = block_flops(op, [self.length] * (node.type.order + bound_count(node)))
                spare = self.bytes_of(node) if isinstance(node, Contract) else 0
                return _Cost(flops, _work(op, flops), moved, spare, node)
            case _:
                return _Cost(0, 0.0, moved, 0, node)

    def _factored_flops(self, node: Contract | Average) -> int:
        """A product with each side of every outer product, for each entry of a family."""
        terms = prod(self.terms[x] for x in node.operands if x in self.terms)
        summed = node.summed if isinstance(node, Contract) else ()
        return 4 * terms * self.length * prod(node.type.shape) * prod(summed)

    def _of_sweep(self, step: SweepStep) -> _Cost:
        extents = tile_extents(step.program, self.length)
        tiles = prod(self.length / extent for extent in extents)
        each = [(op, block_flops(op, extents)) for op in step.program.operations]
        read = sum(self._read_flops(load.node) for load in step.program.loads)
        flops = int(tiles * sum(count for _, count in each)) + read
        work = tiles * sum(_work(op, count) for op, count in each) + read / PRODUCT_DISCOUNT
        moved = sum(self.bytes_of(x) for x in self._arrays(step) if x.type.order > 1)
        shared = sum(self.bytes_of(op.node) for op in step.roots if op.bound and Coord(0) not in op.coords)
        entries = peak_entries(step.program, extents, lambda unit: _temporary_entries(step.program, unit, extents))
        spare = self.threads * (self.itemsize * entries + shared)
        heaviest = max(each, key=lambda pair: _work(*pair))[0].node
        return _Cost(flops, work, moved, spare, heaviest)

    def _arrays(self, step: SweepStep) -> list[Node]:
        return [x for x in (*step.read, *step.produced) if x not in self.terms]

    def _read_flops(self, node: Node) -> int:
        """Of making the entries of a factored tensor, in tiles."""
        return 2 * self.terms.get(node, 0) * self.length**2 * prod(node.type.shape)


def _temporary_entries(program: TileProgram, unit: BlockOp | FusedRun, extents: tuple[int, ...]) -> int:
    """Of a fused run, the temporaries of its kernel; of a partial sum in a tile, the result, and the smaller operands,
    laid out like the largest for the product."""
    if isinstance(unit, FusedRun):
        node, coords = program.instructions[unit.start].action.node, program.instructions[unit.start].action.coords
        return unit.temporaries(program.instructions) * block_entries(node, coords, extents)
    if not unit.bound:
        return 0
    inputs = [block_entries(node, at, extents) for node, at in unit.inputs]
    return block_entries(unit.node, unit.coords, extents) + sum(inputs) - max(inputs)


def _work(op: BlockOp, flops: int) -> float:
    return flops / PRODUCT_DISCOUNT if isinstance(op.node, Contract) else float(flops)
