"""Entrywise functions on JAX arrays: the register programs of `symbolic`, with their constants as arguments.

Constants (bias corrections, learning rates) differ from one training step to the next where nothing else does; as
arguments they leave the compiled function the same.  As in the NumPy engine, what depends on numbers alone is computed
in float64, and rounded where it meets an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from nexort.accelerated.lazy import jnp, special
from nexort.symbolic import Constant, Fn, Instruction, Operand, Operation, kernel

Structure = tuple[Any, ...]


@cache
def function_structure(fn: Fn) -> Structure:
    """What two functions have in common that differ in constants only."""
    program = kernel(fn)
    steps = tuple((i.op, tuple(_place(x, i) for x in i.inputs), i.output) for i in program.instructions)
    return (program.arity, steps, _place(program.result, None))


def _place(operand: Operand, instruction: Instruction | None) -> int | float | None:
    """The register of an operand; None for a constant, or the constant itself where it is an exponent."""
    if not isinstance(operand, Constant):
        return operand.index
    return operand.value if instruction is not None and instruction.op == "power" else None


@cache
def function_constants(fn: Fn) -> tuple[float, ...]:
    """The constants of a function, in the order in which `apply_function` reads them."""
    program = kernel(fn)
    inputs = [x for i in program.instructions if i.op != "power" for x in i.inputs]
    return tuple(x.value for x in (*inputs, program.result) if isinstance(x, Constant))


def apply_function(fn: Fn, arguments: Sequence[Any], constants: Sequence[Any], dtype: Any) -> Any:
    """fn(arguments), entry by entry; arguments of no axes are numbers."""
    program = kernel(fn)
    remaining = iter(constants)
    registers: dict[int, Any] = dict(enumerate(arguments))
    for instruction in program.instructions:
        inputs = [
            registers[x.index]
            if not isinstance(x, Constant)
            else x.value
            if instruction.op == "power"
            else next(remaining)
            for x in instruction.inputs
        ]
        registers[instruction.output] = _operate(instruction.op, inputs, dtype)
    result = program.result
    return next(remaining) if isinstance(result, Constant) else registers[result.index]


def _operate(op: Operation, inputs: Sequence[Any], dtype: Any) -> Any:
    if any(jnp.ndim(x) for x in inputs):
        inputs = [x if isinstance(x, float) or x.dtype == bool else x.astype(dtype) for x in inputs]
    return _jax_operation(op)(*inputs)


@cache
def _jax_operation(op: Operation) -> Callable[..., Any]:
    match op:
        case "step":
            return lambda x: (x > 0).astype(x.dtype)
        case "select":
            return jnp.where
        case "erf":
            return special.erf
        case "normal_cdf":
            return special.ndtr
        case _:
            return getattr(jnp, op)
