"""NumPy kernels: a register program run on arrays, one ufunc per instruction, with recycled temporaries.

Numbers and 0-dimensional arguments are computed once as Python floats and never widen float32.  Where the outputs of
instructions go is planned once per combination of shapes (`places`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nexort.symbolic.lowering import Constant, Instruction, Operand, RegisterProgram
from nexort.symbolic.operations import MASKS, numpy_operation
from nexort.symbolic.places import KernelPlan, Shape, Step, plan_steps

Array: TypeAlias = NDArray[Any]


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


@dataclass(frozen=True)
class Kernel:
    """A compiled entrywise function of `arity` arguments.

    `kernel(*arrays)` broadcasts and allocates; `kernel.run(arrays, out, scratch)` allocates nothing of array size
    once `scratch` is warm, computes in the dtype of `out`, and allows `out` to be one of the arrays.  `run_all` does
    the same for a program of several results.
    """

    program: RegisterProgram
    _plans: dict[tuple[Any, ...], KernelPlan] = field(default_factory=dict, compare=False, repr=False)

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
        return plan_steps(self.program, [(1,)] * self.arity, (1,), [()] * self.arity).temporaries

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
        self.run_all(arrays, [out], scratch)

    def run_all(
        self, arrays: Sequence[Any], outs: Sequence[Array], scratch: Scratch, spare: tuple[int, ...] = ()
    ) -> None:
        """outs[j] = result j; all are of the shape that the arrays broadcast to, and each may be one of the arrays.

        The arrays numbered in `spare`, of that shape and dtype, may be overwritten.  Where there are several results,
        none is an argument itself.
        """
        values = [array if isinstance(array, np.ndarray) and array.ndim else float(array) for array in arrays]
        registers = self._registers(values)
        plan = self._plan(values, outs, spare)
        with np.errstate(all="ignore"):
            for step in plan.steps:
                registers[step.instruction.output] = _execute(step, registers, outs, scratch)
            for j, operand in plan.copies:
                result = _read(operand, registers)
                if result is not outs[j]:
                    np.copyto(outs[j], result, casting="unsafe")

    def _registers(self, values: Sequence[Any]) -> list[Any]:
        if len(values) != self.arity:
            raise ValueError(f"this function takes {self.arity} arguments, got {len(values)}")
        return [*values, *(None for _ in self.instructions)]

    def _plan(self, values: Sequence[Any], outs: Sequence[Array], spare: tuple[int, ...]) -> KernelPlan:
        shapes = tuple([None if isinstance(value, float) else value.shape for value in values])
        aliased = tuple(
            [
                () if shape is None else tuple([j for j, out in enumerate(outs) if np.may_share_memory(value, out)])
                for value, shape in zip(values, shapes, strict=True)
            ]
        )
        key = (shapes, outs[0].shape, aliased, spare)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = plan_steps(self.program, shapes, outs[0].shape, aliased, spare)
        return plan


def _read(operand: Operand, registers: Sequence[Any]) -> Any:
    return operand.value if isinstance(operand, Constant) else registers[operand.index]


def _number_result(instruction: Instruction, registers: Sequence[Any]) -> float:
    inputs = [_read(operand, registers) for operand in instruction.inputs]
    return float(numpy_operation(instruction.op)(*inputs))


def _execute(step: Step, registers: Sequence[Any], outs: Sequence[Array], scratch: Scratch) -> Any:
    instruction = step.instruction
    kind, slot = step.place
    if kind == "number":
        return _number_result(instruction, registers)
    inputs = [_read(operand, registers) for operand in instruction.inputs]
    if kind == "out":
        target = outs[slot]
    elif kind == "argument":
        target = registers[slot]
    else:
        target = scratch.take(step.shape, np.dtype(bool) if instruction.op in MASKS else outs[0].dtype, slot)
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
