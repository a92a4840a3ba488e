"""Arithmetic on degrees of homogeneity: what a function of homogeneous arguments is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

from nexort.training.exponents import HALF, ZERO

KEEP = frozenset({"abs", "relu", "avg", "rms", "row_mean", "col_mean", "sum", "mean", "stop"})
"""Degree 1 in their argument."""
STEPS = frozenset({"sign", "step"})
"""Degree 0 in their argument."""
AGREE = frozenset({"max", "min", "clip"})
"""Degree 1 in all arguments jointly."""
NUMERIC: Mapping[str, Callable[..., float]] = {
    "abs": math.fabs,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "max": lambda *xs: max(xs),
    "min": lambda *xs: min(xs),
    "sign": lambda x: float((x > 0) - (x < 0)),
    "step": lambda x: float(x > 0),
    "relu": lambda x: max(x, 0.0),
    "tanh": math.tanh,
    "sin": math.sin,
    "cos": math.cos,
}
"""What is known of numbers: it may decide a branch. Others stay unknown numbers."""


@dataclass(frozen=True, slots=True)
class Size:
    """A value's degree (None: not homogeneous) and, where it is known before the run, its number."""

    degree: Fraction | None
    number: float | None = None

    @property
    def is_zero(self) -> bool:
        return self.number == 0


MIXED = Size(None)
NUMBER = Size(ZERO)
GRADIENT = Size(Fraction(1))


def join(first: Size, second: Size) -> Size:
    """What is either: one degree; a number only if both are that number."""
    if first == second:
        return first
    if first.is_zero or second.is_zero:
        return Size((second if first.is_zero else first).degree)
    return Size(first.degree) if first.degree == second.degree else MIXED


def total(parts: Sequence[Size]) -> Size:
    """Of sums and maxima: equal degrees, zeros apart; the number is not known."""
    degrees = {part.degree for part in parts if not part.is_zero}
    return Size(degrees.pop() if degrees else ZERO) if len(degrees) < 2 else MIXED


def product(parts: Sequence[Size]) -> Size:
    if any(part.is_zero for part in parts):
        return Size(ZERO, 0)
    found = ZERO
    for part in parts:
        if part.degree is None:
            return MIXED
        found += part.degree
    return Size(found)


def binary(operator: str, left: Size, right: Size) -> Size:
    if left.number is not None and right.number is not None:
        return arithmetic(operator, left.number, right.number)
    match operator:
        case "+" | "-":
            return total([left, right])
        case "*" | "@":
            return product([left, right])
        case "/":
            if right.is_zero:
                return MIXED
            inverse = Size(None if right.degree is None else -right.degree)
            return product([left, inverse])
        case "^":
            return power(left, right)
        case _:
            return MIXED


def arithmetic(operator: str, left: float, right: float) -> Size:
    with suppress(ZeroDivisionError, OverflowError, ValueError):
        value = {
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "@": lambda: left * right,
            "/": lambda: left / right,
            "^": lambda: left**right,
            "%": lambda: left % right,
        }[operator]()
        return Size(ZERO, value)
    return MIXED


def power(base: Size, exponent: Size) -> Size:
    """Of a number that is known, or of numbers."""
    if exponent.number is not None:
        if base.degree is None:
            return MIXED
        return Size(base.degree * Fraction(exponent.number).limit_denominator(10**6))
    return NUMBER if base.degree == 0 and exponent.degree == 0 else MIXED


def builtin(name: str, arguments: Sequence[Size]) -> Size:
    first = arguments[0]
    numbers = [argument.number for argument in arguments if argument.number is not None]
    if name in NUMERIC and len(numbers) == len(arguments):
        with suppress(ValueError, OverflowError):
            return Size(ZERO, NUMERIC[name](*numbers))
        return MIXED
    if name in KEEP and len(arguments) == 1:
        return first
    if name in STEPS:
        return NUMBER if first.degree is not None else MIXED
    if name == "sqrt":
        return power(first, Size(ZERO, float(HALF)))
    if name == "leaky_relu":
        return Size(first.degree) if all(slope.degree == 0 for slope in arguments[1:]) else MIXED
    if name in AGREE:
        return total(arguments)
    return NUMBER if all(argument.degree == 0 for argument in arguments) else MIXED


def slope_of(name: str, primes: int, arguments: Sequence[Size]) -> Size:
    """relu' and abs' are steps, for any degree; other slopes need numbers."""
    if name in {"relu", "abs", "leaky_relu"} and primes == 1 and arguments[0].degree is not None:
        return NUMBER
    return NUMBER if all(argument.degree == 0 for argument in arguments) else MIXED
