"""Several entrywise functions, one reading another, as one register program with several results.

Numbers are known when a program is made, and go into it as constants.  A value is held as (number) · (register), and
the number is multiplied in only where it must be: of the division by 1 − β^t, the rate, the sign and the 1/n of a step
of Adam one multiplication is left.  Results equal those of the functions in turn up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from nexort.symbolic.lowering import Constant, Instruction, Lowering, Operand, Register, RegisterProgram
from nexort.symbolic.operations import Operation, apply_to_numbers

Scaled: TypeAlias = tuple[float, Operand]
"""(factor, register), or (1, constant)."""

FURTHEST = 2.0**40
"""Factors between 1/FURTHEST and FURTHEST are held back; others might take intermediate values out of range."""

LEAST_SHIFT = 2.0**-100
"""A number added is moved inside a factor where that leaves it between this and the inverse, accurate in float32."""


@dataclass(slots=True)
class Fusion:
    """A program under construction in `arity` arrays; `value(k)` is the k-th."""

    arity: int
    _lowering: Lowering = field(init=False)

    def __post_init__(self) -> None:
        self._lowering = Lowering(self.arity)

    def value(self, k: int) -> Scaled:
        return 1.0, Register(k)

    def number(self, value: float) -> Scaled:
        return 1.0, Constant(value)

    def call(self, program: RegisterProgram, arguments: Sequence[Scaled]) -> Scaled:
        """The value of a program with one result."""
        values: list[Scaled] = list(arguments)

        def read(operand: Operand) -> Scaled:
            return (1.0, operand) if isinstance(operand, Constant) else values[operand.index]

        for instruction in program.instructions:
            values.append(self.apply(instruction.op, [read(operand) for operand in instruction.inputs]))
        return read(program.result)

    def apply(self, op: Operation, inputs: Sequence[Scaled]) -> Scaled:
        """op(inputs): numeric factors pass through products, quotients, signs and roots."""
        constants = [operand.value for _, operand in inputs if isinstance(operand, Constant)]
        if len(constants) == len(inputs):
            return self.number(apply_to_numbers(op, constants))
        match op, inputs:
            case "negative", [(factor, operand)]:
                return -factor, operand
            case "select", [(_, Constant(mask)), chosen, other]:
                return chosen if mask else other
            case "multiply", [value, (_, Constant(number))] | [(_, Constant(number)), value]:
                return self._scaled(value, number)
            case "divide", [value, (_, Constant(number))] if _is_near(number):
                return self._scaled(value, 1 / number)
            case (("multiply" | "divide"), [(f, x), (g, y)]) if not constants:
                factor = f * g if op == "multiply" else f / g
                if _is_near(factor):
                    return factor, self._lowering.emit(op, x, y)
            case "sqrt", [(factor, operand)] if factor > 0:
                return math.sqrt(factor), self._lowering.emit("sqrt", operand)
            case (("add" | "subtract"), _):
                return self._sum(inputs[0], inputs[1] if op == "add" else (-inputs[1][0], inputs[1][1]))
            case _:
                pass
        return 1.0, self._lowering.emit(op, *map(self.settle, inputs))

    def _scaled(self, value: Scaled, number: float) -> Scaled:
        factor, operand = value
        if _is_near(factor * number):
            return factor * number, operand
        return 1.0, self._lowering.emit("multiply", self.settle(value), Constant(number))

    def _sum(self, left: Scaled, right: Scaled) -> Scaled:
        if isinstance(left[1], Constant):
            left, right = right, left
        factor, operand = left
        if isinstance(right[1], Constant) and abs(factor) != 1:
            # f x + c = f (x + c / f)
            shift = right[0] * right[1].value / factor
            if LEAST_SHIFT <= abs(shift) <= 1 / LEAST_SHIFT:
                return factor, self._lowering.emit("add", operand, Constant(shift))
        (f, x), (g, y) = self._signed(left), self._signed(right)
        if f == g:
            return f, self._lowering.emit("add", x, y)
        return 1.0, self._lowering.emit("subtract", *((x, y) if f > 0 else (y, x)))

    def _signed(self, value: Scaled) -> Scaled:
        """The value with a factor of 1 or −1."""
        factor, operand = value
        if isinstance(operand, Constant):
            return 1.0, Constant(factor * operand.value)
        if abs(factor) == 1:
            return value
        sign = 1.0 if factor > 0 else -1.0
        return sign, self._lowering.emit("multiply", operand, Constant(abs(factor)))

    def settle(self, value: Scaled) -> Operand:
        """The register or constant of a value, its factor multiplied in."""
        factor, operand = value
        if factor == 1 or isinstance(operand, Constant):
            return operand
        if factor == -1:
            return self._lowering.emit("negative", operand)
        return self._lowering.emit("multiply", operand, Constant(factor))

    def program(self, results: Sequence[Scaled]) -> RegisterProgram:
        """The program of these results, each in a register of its own."""
        settled: list[Operand] = []
        for value in results:
            operand = self.settle(value)
            if isinstance(operand, Register) and (operand.index < self.arity or operand in settled):
                operand = self._copy(operand)
            settled.append(operand)
        return self._pruned(tuple(settled))

    def _copy(self, operand: Operand) -> Register:
        instructions = self._lowering.instructions
        register = Register(self.arity + len(instructions))
        instructions.append(Instruction("multiply", (operand, Constant(1.0)), register.index))
        return register

    def _pruned(self, results: tuple[Operand, ...]) -> RegisterProgram:
        """Without the instructions that no result needs."""
        needed = {operand.index for operand in results if isinstance(operand, Register)}
        kept: list[Instruction] = []
        for instruction in reversed(self._lowering.instructions):
            if instruction.output in needed:
                kept.append(instruction)
                needed.update(operand.index for operand in instruction.inputs if isinstance(operand, Register))
        kept = self._results_first(kept[::-1], results)
        names = {k: Register(k) for k in range(self.arity)}
        names.update((instruction.output, Register(self.arity + k)) for k, instruction in enumerate(kept))

        def renamed(operand: Operand) -> Operand:
            return names[operand.index] if isinstance(operand, Register) else operand

        instructions = tuple(
            Instruction(instruction.op, tuple(map(renamed, instruction.inputs)), names[instruction.output].index)
            for instruction in kept
        )
        return RegisterProgram(arity=self.arity, instructions=instructions, results=tuple(map(renamed, results)))

    def _results_first(self, instructions: Sequence[Instruction], results: Sequence[Operand]) -> list[Instruction]:
        """Results that nothing else reads right after what they read: then the place of that is free sooner."""
        made = {operand.index for operand in results if isinstance(operand, Register)}
        read = {x.index for instruction in instructions for x in instruction.inputs if isinstance(x, Register)}
        place = {instruction.output: float(k) for k, instruction in enumerate(instructions)}
        for instruction in instructions:
            if instruction.output in made - read:
                inputs = [place.get(x.index, -1.0) for x in instruction.inputs if isinstance(x, Register)]
                place[instruction.output] = max(inputs, default=-1.0) + 0.5
        return sorted(instructions, key=lambda instruction: place[instruction.output])


def _is_near(factor: float) -> bool:
    return 1 / FURTHEST <= abs(factor) <= FURTHEST
