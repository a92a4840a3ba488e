"""Entrywise operations of a tile, run together.

Entrywise functions and updates of matrices that read one another entry by entry, with nothing else between, become one
`FusedRun`: one register program, in which the numbers of the sweep are constants and only what is read outside has an
array.  A step of Adam on a matrix is one product and one fused run.

Runs are found by *stages*: an operation is in the stage of what it reads, or in the next one where a run must be
complete before it.  So no path leaves a run and comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nexort.engine.arrays import Labels
from nexort.engine.blocks import BlockOp, writes_destination
from nexort.engine.groups import Groups
from nexort.engine.instructions import Instruction, is_entrywise
from nexort.graph import Map
from nexort.symbolic import Fusion, Kernel, Scaled, kernel, plan_steps


@dataclass(frozen=True, slots=True)
class FusedRun:
    """Instructions `start` … `stop` − 1 of a tile program, all entrywise on blocks with the axes `out`.

    arrays   what it reads: (slot, labels)
    numbers  slots of the numbers that it reads
    results  slots that have arrays: roots, and what is read outside the run
    spare    which of `arrays` are blocks that nothing else reads afterwards, so that they may be overwritten
    """

    start: int
    stop: int
    out: Labels
    arrays: tuple[tuple[int, Labels], ...]
    numbers: tuple[int, ...]
    results: tuple[int, ...]
    spare: tuple[int, ...]

    def compile(self, instructions: Sequence[Instruction], numbers: Mapping[int, float], length: int) -> Kernel:
        """The kernel for these values of the numbers, at width `length`: arguments `arrays`, results `results`."""
        fusion = Fusion(len(self.arrays))
        places = {read: k for k, read in enumerate(self.arrays)}
        values: dict[int, Scaled] = {}

        def read(slot: int, labels: Labels) -> Scaled:
            if slot in values:
                return values[slot]
            return fusion.number(numbers[slot]) if slot in numbers else fusion.value(places[slot, labels])

        for slot in range(self.start, self.stop):
            op = instructions[slot].action
            assert isinstance(op, BlockOp)
            arguments = [read(k, labels) for k, labels in zip(instructions[slot].inputs, op.labels, strict=True)]
            if isinstance(op.node, Map):
                values[slot] = fusion.call(kernel(op.node.fn).program, arguments)
            else:
                values[slot] = _dense_value(fusion, op, arguments, length)
        return Kernel(fusion.program([values[slot] for slot in self.results]))

    def temporaries(self, instructions: Sequence[Instruction]) -> int:
        """Blocks that the kernel needs beside the results, for numbers that are not 0 or 1; at most, since results may
        be written over arrays."""
        generic = {slot: (k + 2) ** 0.5 for k, slot in enumerate(self.numbers)}
        program = self.compile(instructions, generic, 3).program
        outs = tuple(range(len(self.results)))
        aliased = [() if k in self.spare else outs for k in range(len(self.arrays))]
        return plan_steps(program, [(1,)] * len(self.arrays), (1,), aliased, self.spare).temporaries


def _dense_value(fusion: Fusion, op: BlockOp, arguments: Sequence[Scaled], length: int) -> Scaled:
    """Σ c · M + (1/n) Σ c · T."""
    total: Scaled | None = None
    for k in range(0, len(arguments), 2):
        weight, term = arguments[k], arguments[k + 1]
        if not op.inputs[k + 1][0].type.is_operator:
            weight = fusion.apply("multiply", [weight, fusion.number(1 / length)])
        part = fusion.apply("multiply", [weight, term])
        total = part if total is None else fusion.apply("add", [total, part])
    assert total is not None
    return total


def order_in_runs(instructions: Sequence[Instruction]) -> list[list[int]]:
    """The instructions in an order in which each follows what it reads, those of one fused run together."""
    unit_of, units = _find_units(instructions)
    order: dict[int, None] = {}
    for root in (k for k, instruction in enumerate(instructions) if instruction.is_root):
        stack = [unit_of[root]]
        while stack:
            unit = stack[-1]
            read = dict.fromkeys(unit_of[i] for k in units[unit] for i in instructions[k].inputs)
            missing = [other for other in read if other not in order and other != unit]
            if unit in order or not missing:
                order[stack.pop()] = None
            else:
                stack.extend(reversed(missing))
    return [units[unit] for unit in order]


def _find_units(instructions: Sequence[Instruction]) -> tuple[list[int], dict[int, list[int]]]:
    """For each instruction the first one of its unit, and the instructions of each unit."""
    stages: list[int] = []
    groups = Groups()
    for k, instruction in enumerate(instructions):
        action, inputs = instruction.action, instruction.inputs
        inside = {i for i in inputs if _reads_entry_by_entry(instructions, k, i)}
        after = [stages[i] + (is_entrywise(instructions[i].action) and i not in inside) for i in inputs]
        stages.append(max(after, default=0))
        groups.find(k)
        if isinstance(action, BlockOp) and is_entrywise(action):
            groups.join(k, (i for i in inside if stages[i] == stages[k]))
            # what reads the same block is computed together, while that is in the cache
            blocks = [i for i in inputs if isinstance(instructions[i].action, BlockOp) and i not in inside]
            groups.join(k, (("read", i, stages[k], action.out, action.node.type.shape) for i in blocks))
    first: dict[object, int] = {}
    units: dict[int, list[int]] = {}
    unit_of: list[int] = []
    for k in range(len(instructions)):
        unit_of.append(first.setdefault(groups.find(k), k))
        units.setdefault(unit_of[k], []).append(k)
    return unit_of, units


def _reads_entry_by_entry(instructions: Sequence[Instruction], k: int, i: int) -> bool:
    """Whether both instructions are entrywise, and k reads i at its own indices only."""
    reader, read = instructions[k].action, instructions[i].action
    if not (isinstance(reader, BlockOp) and isinstance(read, BlockOp)):
        return False
    if not (is_entrywise(reader) and is_entrywise(read)):
        return False
    is_same = read.out == reader.out and read.node.type.shape == reader.node.type.shape
    labels = [at for j, at in zip(instructions[k].inputs, reader.labels, strict=True) if j == i]
    return is_same and all(at == read.out for at in labels)


def find_runs(instructions: Sequence[Instruction], units: Sequence[Sequence[int]]) -> tuple[FusedRun, ...]:
    """The fused runs of instructions that are in order; `units` are the numbers of those that belong together."""
    readers: dict[int, set[int]] = {}
    for k, instruction in enumerate(instructions):
        for i in instruction.inputs:
            readers.setdefault(i, set()).add(k)
    runs = [unit for unit in units if is_entrywise(instructions[unit[0]].action)]
    return tuple(_make_run(instructions, unit, readers) for unit in runs)


def _make_run(instructions: Sequence[Instruction], unit: Sequence[int], readers: Mapping[int, set[int]]) -> FusedRun:
    mine = set(unit)
    arrays: dict[tuple[int, Labels], None] = {}
    numbers: dict[int, None] = {}
    for k in unit:
        op = instructions[k].action
        assert isinstance(op, BlockOp)
        for i, labels in zip(instructions[k].inputs, op.labels, strict=True):
            if instructions[i].is_number:
                numbers[i] = None
            elif i not in mine:
                arrays[i, labels] = None
    first = instructions[unit[0]].action
    assert isinstance(first, BlockOp)
    released = {slot for k in unit for slot in instructions[k].released}
    places = [slot for slot, _ in arrays]
    spare = tuple(
        place
        for place, (slot, labels) in enumerate(arrays)
        if slot in released
        and labels == first.out
        and places.count(slot) == 1
        and all(_is_written(instructions[k]) for k in readers[slot])
    )
    results = tuple(k for k in unit if instructions[k].is_root or readers.get(k, mine) - mine)
    return FusedRun(unit[0], unit[-1] + 1, first.out, tuple(arrays), tuple(numbers), results, spare)


def _is_written(instruction: Instruction) -> bool:
    """Whether its value is an array of its own, and no view of what it reads."""
    return writes_destination(instruction.action.node)
