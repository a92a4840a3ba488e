"""Numbers in expressions: exact where a double is exact and short, a 53-bit float otherwise."""

from __future__ import annotations

import math
from functools import lru_cache

import sympy
from sympy import Expr

EXACT_INTEGER = 2**53
EXACT_DENOMINATOR = 1024
EXACT_BITS = 2048
SHORT_EXPONENT = 64

ZERO: Expr = sympy.Integer(0)
ONE: Expr = sympy.Integer(1)
HALF: Expr = sympy.Rational(1, 2)
PI: Expr = sympy.pi


@lru_cache(maxsize=4096, typed=True)
def number(value: int | float) -> Expr:
    """The expression of a number: integers and short dyadic fractions exactly, other doubles with their 53 bits."""
    if isinstance(value, int):
        return sympy.Integer(value) if abs(value) <= EXACT_INTEGER else sympy.Float(value)
    if math.isnan(value):
        return sympy.nan
    if math.isinf(value):
        return sympy.oo if value > 0 else -sympy.oo
    numerator, denominator = value.as_integer_ratio()
    if denominator <= EXACT_DENOMINATOR and abs(numerator) <= EXACT_INTEGER:
        return sympy.Rational(numerator, denominator)
    return sympy.Float(value)


def leaf_value(expr: Expr) -> float | None:
    """The double nearest to an atom (number, pi, infinity), nan for what is not real, None for a symbol."""
    if isinstance(expr, sympy.Symbol):
        return None
    if expr is sympy.zoo:
        return math.inf
    if expr is sympy.I or expr is sympy.nan:
        return math.nan
    try:
        return float(expr)
    except OverflowError:
        return math.inf if expr.is_positive else -math.inf


def tame(expr: Expr) -> Expr:
    """The expression, its exact coefficient rounded to a double when it has grown past `EXACT_BITS` bits."""
    coefficient, rest = expr.as_coeff_Mul()
    if not isinstance(coefficient, sympy.Rational) or max(_bits(coefficient.p), _bits(coefficient.q)) <= EXACT_BITS:
        return expr
    value = leaf_value(coefficient)
    return number(math.nan if value is None else value) * rest


def raise_power(base: Expr, exponent: Expr) -> Expr:
    """base^exponent, with the conventions of doubles: no complex numbers, no integers of astronomical length."""
    if base.is_Number and exponent.is_Number:
        return _number_power(base, exponent)
    if isinstance(exponent, sympy.Rational) and _grows_too_long(base, exponent):
        exponent = sympy.Float(exponent)
    return base**exponent


def _number_power(base: Expr, exponent: Expr) -> Expr:
    if isinstance(exponent, sympy.Rational) and isinstance(base, sympy.Rational) and base.p > 0:
        is_short = abs(exponent.p) <= SHORT_EXPONENT and exponent.q <= 2
        if is_short and not _grows_too_long(base, exponent):
            return base**exponent
    x, y = leaf_value(base), leaf_value(exponent)
    assert x is not None and y is not None
    return number(float_power(x, y))


def float_power(x: float, y: float) -> float:
    """x^y in doubles: nan for a negative base under a fractional exponent, infinities at poles and overflow."""
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf
    except ValueError:
        return math.inf if x == 0 else math.nan


def _grows_too_long(base: Expr, exponent: sympy.Rational) -> bool:
    coefficient = base.as_coeff_Mul()[0]
    if not isinstance(coefficient, sympy.Rational):
        return False
    length = max(_bits(coefficient.p), _bits(coefficient.q))
    return length > 1 and length * abs(exponent.p) > EXACT_BITS * exponent.q


def _bits(value: int) -> int:
    return int(value).bit_length()
