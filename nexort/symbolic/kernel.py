"""NumPy kernels: a register program run on arrays, one ufunc per instruction, with recycled temporaries.

Numbers and 0-dimensional arguments are computed once as Python floats and never widen float32.  A plan, made once per
combination of shapes, assigns each array register to the output or to the smallest set of temporaries (liveness).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nexort.symbolic.lowering import Constant, Instruction, Operand, Register, RegisterProgram
from nexort.symbolic.operations import MASKS, numpy_operation

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
IN_OUT: Final = -1
AS_NUMBER: Final = -2


class Scratch:
    """Temporaries of kernels, kept between calls, by shape and dtype. One per thread."""

    __slots__ = ("_pools",)

    def __init__(self) -> None:
        self._pools: dict[tuple[Shape, np.dtype[Any]], list[Array]] = {}

    def take(self, shape: Shape, dtype: np.dtype[Any], index: int) -> Array:
        """Temporary number `index` of this shape and dtype; its contents are arbitrary."""
        pool = self._pools.setdefault((shape, dtype), [])
        while len(pool) <= index:
            pool.append(np.empty(shape, dtype))
        return pool[index]

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for pool in self._pools.values() for array in pool)

    def clear(self) -> None:
        self._pools.clear()


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction with its place: `slot` counts temporaries of `shape`, or is IN_OUT or AS_NUMBER."""

    instruction: Instruction
    shape: Shape
    slot: int


@dataclass(slots=True)
class _Pool:
    """Free temporaries of one shape and kind while a plan is made."""

    free: list[int] = field(default_factory=list)
    count: int = 0

    def take(self) -> int:
        if self.free:
            return self.free.pop()
        self.count += 1
        return self.count - 1


@dataclass(frozen=True)
class Kernel:
    """A compiled entrywise function of `arity` arguments.

    `kernel(*arrays)` broadcasts and allocates; `kernel.run(arrays, out, scratch)` allocates nothing of array size
    once `scratch` is warm, computes in the dtype of `out`, and allows `out` to be one of the arrays.
    """

    program: RegisterProgram
    _plans: dict[tuple[Any, ...], tuple[Step, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def arity(self) -> int:
        return self.program.arity

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        return self.program.instructions

    @property
    def result(self) -> Operand:
        """Where the value is: an argument, an instruction's output, or a constant."""
        return self.program.result

    @cached_property
    def flops(self) -> int:
        """Rough cost per entry, in additions."""
        return max(1, sum(instruction.cost for instruction in self.instructions))

    @cached_property
    def temporaries(self) -> int:
        """Arrays of the result's shape that `run` needs beside it, where no argument is broadcast or overwritten."""
        steps = plan_steps(self.program, [(1,)] * self.arity, (1,), [False] * self.arity)
        slots = {step.slot for step in steps if step.slot >= 0 and step.instruction.op not in MASKS}
        return len(slots)

    def __call__(self, *arrays: Any) -> Array:
        values = [np.asarray(array) for array in arrays]
        shape = np.broadcast_shapes(*(value.shape for value in values))
        wide = [value.dtype for value in values if value.ndim] or [value.dtype for value in values]
        dtype = np.result_type(*wide) if wide else np.dtype(np.float64)
        out = np.empty(shape, dtype if dtype in _BITS else np.float64)
        self.run(values, out, Scratch())
        return out

    def number(self, values: Sequence[float]) -> float:
        """The function of numbers, in double precision; nan and infinities are results."""
        registers = self._registers([float(value) for value in values])
        with np.errstate(all="ignore"):
            for instruction in self.instructions:
                registers[instruction.output] = _number_result(instruction, registers)
        return float(_read(self.result, registers))

    def run(self, arrays: Sequence[Any], out: Array, scratch: Scratch) -> None:
        """out = f(arrays), where out has the shape that the arrays broadcast to, and may be one of them."""
        values = [float(array) if np.ndim(array) == 0 else array for array in arrays]
        registers = self._registers(values)
        with np.errstate(all="ignore"):
            for step in self._plan(values, out):
                registers[step.instruction.output] = _execute(step, registers, out, scratch)
            result = _read(self.result, registers)
            if result is not out:
                np.copyto(out, result, casting="unsafe")

    def _registers(self, values: Sequence[Any]) -> list[Any]:
        if len(values) != self.arity:
            raise ValueError(f"this function takes {self.arity} arguments, got {len(values)}")
        return [*values, *(None for _ in self.instructions)]

    def _plan(self, values: Sequence[Any], out: Array) -> tuple[Step, ...]:
        shapes = tuple(None if isinstance(value, float) else value.shape for value in values)
        aliased = tuple(not isinstance(value, float) and np.may_share_memory(value, out) for value in values)
        key = (shapes, out.shape, aliased)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = plan_steps(self.program, shapes, out.shape, aliased)
        return plan


def plan_steps(
    program: RegisterProgram, shapes: Sequence[Shape | None], out_shape: Shape, aliased: Sequence[bool]
) -> tuple[Step, ...]:
    """Places for all registers: numbers as numbers, the result in out, others in as few temporaries as live at once.

    `out` also serves as a temporary where it is free, from the last instruction that reads an argument aliased to it.
    """
    last_read = _last_reads(program)
    hazard = max((last_read.get(k, -1) for k, shared in enumerate(aliased) if shared), default=-1)
    known: dict[int, Shape | None] = dict(enumerate(shapes))
    pools: dict[tuple[Shape, bool], _Pool] = {}
    places: dict[int, tuple[_Pool, int]] = {}
    steps: list[Step] = []
    out_pool = _Pool(free=[IN_OUT])
    for position, instruction in enumerate(program.instructions):
        for index in {operand.index for operand in instruction.inputs if isinstance(operand, Register)}:
            if last_read[index] == position and index in places:
                pool, slot = places.pop(index)
                pool.free.append(slot)
        shape = known[instruction.output] = _joint_shape(instruction, known)
        if shape is None:
            steps.append(Step(instruction, (), AS_NUMBER))
            continue
        is_mask = instruction.op in MASKS
        is_result = program.result == Register(instruction.output)
        fits_out = shape == out_shape and not is_mask and position >= hazard and IN_OUT in out_pool.free
        pool = out_pool if is_result or fits_out else pools.setdefault((shape, is_mask), _Pool())
        slot = IN_OUT if pool is out_pool else pool.take()
        if pool is out_pool and IN_OUT in pool.free:
            pool.free.remove(IN_OUT)
        places[instruction.output] = (pool, slot)
        steps.append(Step(instruction, shape, slot))
    return tuple(steps)


def _last_reads(program: RegisterProgram) -> dict[int, int]:
    """For each register, the position of the last instruction that reads it; the result is read after all."""
    last: dict[int, int] = {}
    for position, instruction in enumerate(program.instructions):
        for operand in instruction.inputs:
            if isinstance(operand, Register):
                last[operand.index] = position
    if isinstance(program.result, Register):
        last[program.result.index] = len(program.instructions)
    return last


def _joint_shape(instruction: Instruction, known: dict[int, Shape | None]) -> Shape | None:
    shapes = [known[operand.index] for operand in instruction.inputs if isinstance(operand, Register)]
    arrays = [shape for shape in shapes if shape is not None]
    return np.broadcast_shapes(*arrays) if arrays else None


def _read(operand: Operand, registers: Sequence[Any]) -> Any:
    return operand.value if isinstance(operand, Constant) else registers[operand.index]


def _number_result(instruction: Instruction, registers: Sequence[Any]) -> float:
    inputs = [_read(operand, registers) for operand in instruction.inputs]
    return float(numpy_operation(instruction.op)(*inputs))


def _execute(step: Step, registers: Sequence[Any], out: Array, scratch: Scratch) -> Any:
    instruction = step.instruction
    if step.slot == AS_NUMBER:
        return _number_result(instruction, registers)
    inputs = [_read(operand, registers) for operand in instruction.inputs]
    if step.slot == IN_OUT:
        target = out
    else:
        target = scratch.take(step.shape, np.dtype(bool) if instruction.op in MASKS else out.dtype, step.slot)
    if instruction.op == "select":
        mask, chosen, other = inputs
        _select(mask, chosen, other, target, scratch)
    else:
        numpy_operation(instruction.op)(*inputs, out=target)
    return target


_BITS: dict[np.dtype[Any], np.dtype[Any]] = {
    np.dtype(np.float32): np.dtype(np.int32),
    np.dtype(np.float64): np.dtype(np.int64),
}


def _select(mask: Any, chosen: Any, other: Any, target: Array, scratch: Scratch) -> None:
    """target = chosen where mask, else other; exact for nan and infinities, and in place.

    On the bits, target = ((chosen ^ other) & -mask) ^ other: a masked copy of random signs is ten times slower.
    """
    if not isinstance(mask, np.ndarray):
        np.copyto(target, chosen if mask else other)
    elif isinstance(chosen, float) and isinstance(other, float) and (chosen, other) == (1.0, 0.0):
        np.copyto(target, mask)
    else:
        bits = _BITS[target.dtype]
        wide = scratch.take(mask.shape, bits, 0)
        if _same_place(other, target):
            if _same_place(chosen, target):
                return
            chosen, other = other, chosen
            np.subtract(mask, 1, out=wide, dtype=bits)
        else:
            np.multiply(mask, -1, out=wide, dtype=bits)
        words, kept, changed = target.view(bits), _as_bits(other, target.dtype), _as_bits(chosen, target.dtype)
        np.bitwise_xor(changed, kept, out=words)
        np.bitwise_and(words, wide, out=words)
        np.bitwise_xor(words, kept, out=words)


def _same_place(value: Any, target: Array) -> bool:
    """Whether a value lies where the target does, entry by entry."""
    if not isinstance(value, np.ndarray) or value.shape != target.shape or value.strides != target.strides:
        return False
    return value.ctypes.data == target.ctypes.data


def _as_bits(value: Any, dtype: np.dtype[Any]) -> Any:
    return np.asarray(value, dtype).view(_BITS[dtype])
