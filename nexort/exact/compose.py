"""Entrywise functions of kets: sums and products by algebra, everything else as an `Atom`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TypeAlias, cast

import numpy as np

from nexort.exact.averages import number_of
from nexort.exact.forms import Array
from nexort.exact.functions import operate_on_arrays
from nexort.exact.kets import Ket, add, constant, multiply, scale, unrolled
from nexort.exact.terms import Atom, Factor, Term, Terms
from nexort.exact.work import NotExactError
from nexort.symbolic import Constant, Fn, Operand, Operation, kernel, numpy_operation

Value: TypeAlias = Ket | Array
"""A family of kets, or numbers: an array with the family's axes, of length 1 where broadcast."""

MAX_TERMS = 64
"""Functions of sums of more terms are refused."""
MAX_SIZE = 4000
"""So are functions of functions of … with more functions and forms in them."""

_MULTIPLICATIVE = frozenset({"sign", "absolute", "reciprocal"})
"""f(x y) = f(x) f(y)"""


def apply_function(fn: Fn, arguments: Sequence[Value], shape: tuple[int, ...]) -> Value:
    """fn of families that are placed in the shape."""
    program = kernel(fn)
    registers: dict[int, Value] = {k: _simple(value) for k, value in enumerate(arguments)}

    def read(operand: Operand) -> Value:
        if isinstance(operand, Constant):
            return np.full((1,) * len(shape), operand.value)
        return registers[operand.index]

    for instruction in program.instructions:
        inputs = [read(operand) for operand in instruction.inputs]
        registers[instruction.output] = _simple(_operate(instruction.op, inputs, shape))
    return read(program.result)


def _simple(value: Value) -> Value:
    """A family of numbers as an array."""
    if isinstance(value, Ket) and not any(term.factors for term in value.terms):
        number = number_of(value)
        assert number is not None
        return number
    return value


def _operate(operation: Operation, inputs: Sequence[Value], shape: tuple[int, ...]) -> Value:
    numbers = [value for value in inputs if not isinstance(value, Ket)]
    if len(numbers) == len(inputs):
        with np.errstate(all="ignore"):
            return np.asarray(operate_on_arrays(operation, numbers))
    match operation:
        case "add":
            return add(*(_as_ket(value, shape) for value in inputs))
        case "subtract":
            first, second = (_as_ket(value, shape) for value in inputs)
            return add(first, scale(second, -1.0))
        case "negative":
            return scale(_as_ket(inputs[0], shape), -1.0)
        case "multiply":
            return _multiply(inputs[0], inputs[1])
        case "square":
            return _multiply(inputs[0], inputs[0])
        case "divide":
            first, second = inputs
            if isinstance(second, Ket):
                return _multiply(first, _atom("reciprocal", [second], shape))
            return scale(_as_ket(first, shape), 1 / second)
        case _:
            return _atom(operation, inputs, shape)


def _multiply(first: Value, second: Value) -> Value:
    if isinstance(first, Ket):
        return multiply(first, second) if isinstance(second, Ket) else scale(first, second)
    return scale(second, first) if isinstance(second, Ket) else first * second


def _as_ket(value: Value, shape: tuple[int, ...]) -> Ket:
    return value if isinstance(value, Ket) else constant(value, shape)


def _atom(operation: Operation, inputs: Sequence[Value], shape: tuple[int, ...]) -> Ket:
    """operation(inputs); of a product, the product of the operation of its factors where that is the same."""
    rank = len(shape)
    if operation in _MULTIPLICATIVE:
        terms = cast("Ket", inputs[0]).terms
        if len(terms) == 1 and len(terms[0].factors) > 1 and not terms[0].bound:
            (term,) = terms
            with np.errstate(all="ignore"):
                coefficient = numpy_operation(operation)(term.coefficient)
            return Ket(shape, (Term(coefficient, tuple(_of_factor(operation, f, rank) for f in term.factors)),))
    return Ket(shape, (Term(np.ones((1,) * rank), (_make_atom(operation, inputs),)),))


def _of_factor(operation: Operation, factor: Factor, rank: int) -> Factor:
    if operation == "sign" and isinstance(factor, Atom) and factor.operation in ("step", "sign"):
        return factor
    if operation == "absolute" and isinstance(factor, Atom) and factor.operation in ("step", "absolute", "exp"):
        return factor
    return Atom(operation, ((Term(np.ones((1,) * rank), (factor,)),),), factor.axis)


def _make_atom(operation: Operation, inputs: Sequence[Value]) -> Atom:
    axes: set[int] = set()
    arguments: list[Terms | Array] = []
    for value in inputs:
        if not isinstance(value, Ket):
            arguments.append(value)
            continue
        count = sum(prod(term.bound) for term in value.terms)
        if count > MAX_TERMS:
            raise NotExactError(f"a function is taken of a sum of {count} functions of kets")
        terms = unrolled(value)
        axes |= {factor.axis for term in terms for factor in term.factors}
        arguments.append(terms)
    if len(axes) > 1:
        raise NotExactError("a function of a tensor that is not a product of functions of its vectors")
    atom = Atom(operation, tuple(arguments), axes.pop())
    if atom.size > MAX_SIZE:
        raise NotExactError(f"{atom.size} functions and kets stand inside one another")
    return atom
