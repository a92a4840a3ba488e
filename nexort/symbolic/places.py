"""Where the outputs of a register program's instructions go: a plan for one combination of shapes.

Each array register is assigned to a result's array, an argument that may be overwritten, or one of as few temporaries
as live at once (liveness).  Knows shapes and which arrays share memory, and no arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from nexort.symbolic.lowering import Instruction, Operand, Register, RegisterProgram
from nexort.symbolic.operations import MASKS

Shape: TypeAlias = tuple[int, ...]


class Place(NamedTuple):
    """Where the output of an instruction goes: result array `slot`, argument array `slot` (which may be overwritten),
    temporary number `slot` of the instruction's shape, or a Python number."""

    kind: Literal["out", "argument", "temporary", "number"]
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction, the shape of its output, and its place."""

    instruction: Instruction
    shape: Shape
    place: Place


@dataclass(frozen=True, slots=True)
class KernelPlan:
    """The steps of one run, and the results that are not computed in place: (result number, where it is instead)."""

    steps: tuple[Step, ...]
    copies: tuple[tuple[int, Operand], ...]

    @property
    def temporaries(self) -> int:
        """Temporaries of the result's shape, masks left out."""
        slots = {step.place for step in self.steps if step.instruction.op not in MASKS}
        return sum(place.kind == "temporary" for place in slots)


def plan_steps(
    program: RegisterProgram,
    shapes: Sequence[Shape | None],
    out_shape: Shape,
    aliased: Sequence[tuple[int, ...]],
    spare: tuple[int, ...] = (),
) -> KernelPlan:
    """Places for all registers: numbers as numbers, results in their arrays, others in as few temporaries as live at
    once.  `aliased[k]` are the results that are written over argument k: not before it was read for the last time.

    A result's array also serves as a temporary until the result is computed, and a spare argument once it was read.
    """
    places = _Places(program, out_shape, aliased, spare)
    known: dict[int, Shape | None] = dict(enumerate(shapes))
    steps: list[Step] = []
    for position, instruction in enumerate(program.instructions):
        places.release(position)
        shape = _joint_shape(instruction, known)
        if shape is None:
            known[instruction.output] = None
            steps.append(Step(instruction, (), Place("number")))
        else:
            place = places.choose(position, instruction.output, shape, is_mask=instruction.op in MASKS)
            # a result of smaller shape is broadcast as it is computed
            known[instruction.output] = out_shape if place.kind == "out" else shape
            steps.append(Step(instruction, shape, place))
    place_of = {step.instruction.output: step.place for step in steps}
    copies = [
        (j, operand)
        for j, operand in enumerate(program.results)
        if not (isinstance(operand, Register) and place_of.get(operand.index) == Place("out", j))
    ]
    return KernelPlan(tuple(steps), tuple(copies))


class _Places:
    """The state of a plan: which arrays are free at a position."""

    def __init__(
        self,
        program: RegisterProgram,
        out_shape: Shape,
        aliased: Sequence[tuple[int, ...]],
        spare: tuple[int, ...],
    ) -> None:
        self.last = _last_reads(program)
        self.out_shape = out_shape
        self.spare = spare
        self.end, count = len(program.instructions), len(program.results)
        self.reads: dict[int, list[int]] = {}
        for index, position in self.last.items():
            self.reads.setdefault(position, []).append(index)
        self.out_of = {operand.index: j for j, operand in enumerate(program.results) if isinstance(operand, Register)}
        self.computed = [self.end] * count
        for index, j in self.out_of.items():
            self.computed[j] = max(0, index - program.arity)
        # a result's array is free from its aliases' last reads on, and then while no temporary is in it
        self.free_from = [
            max((self.last.get(k, -1) for k, outs in enumerate(aliased) if j in outs), default=-1) for j in range(count)
        ]
        self.free: dict[tuple[Shape, bool], list[Place]] = {}
        self.counts: dict[tuple[Shape, bool], int] = {}
        self.held: dict[int, tuple[tuple[Shape, bool], Place]] = {}

    def release(self, position: int) -> None:
        """Free the places of the registers that the instruction at this position reads last."""
        for index in self.reads.get(position, ()):
            if index in self.held:
                kind, place = self.held.pop(index)
                self.free[kind].append(place)
            elif index in self.spare:
                self.free.setdefault((self.out_shape, False), []).append(Place("argument", index))

    def choose(self, position: int, register: int, shape: Shape, *, is_mask: bool) -> Place:
        kind = (shape, is_mask)
        j = self.out_of.get(register)
        if j is not None and self.free_from[j] <= position:
            self.free_from[j] = self.end + 1
            return Place("out", j)
        free = self.free.setdefault(kind, [])
        if free:
            place = free.pop()
        elif j is None and kind == (self.out_shape, False) and (idle := self._idle_out(position, register)) is not None:
            self.free_from[idle] = self.last.get(register, position)
            return Place("out", idle)
        else:
            place = Place("temporary", self.counts.get(kind, 0))
            self.counts[kind] = place.slot + 1
        self.held[register] = (kind, place)
        return place

    def _idle_out(self, position: int, register: int) -> int | None:
        """A result's array that is free for a temporary until its result is computed; the one used last."""
        idle = [
            j
            for j, computed in enumerate(self.computed)
            if self.free_from[j] <= position <= computed and self.last.get(register, position) <= computed
        ]
        return max(idle, key=self.free_from.__getitem__, default=None)


def _last_reads(program: RegisterProgram) -> dict[int, int]:
    """For each register, the position of the last instruction that reads it; the result is read after all."""
    last: dict[int, int] = {}
    for position, instruction in enumerate(program.instructions):
        for operand in instruction.inputs:
            if isinstance(operand, Register):
                last[operand.index] = position
    for result in program.results:
        if isinstance(result, Register):
            last[result.index] = len(program.instructions)
    return last


def _joint_shape(instruction: Instruction, known: dict[int, Shape | None]) -> Shape | None:
    shapes = [known[operand.index] for operand in instruction.inputs if isinstance(operand, Register)]
    arrays = [shape for shape in shapes if shape is not None]
    return np.broadcast_shapes(*arrays) if arrays else None
