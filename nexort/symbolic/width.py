"""Expressions in the width n: their value at a width and their limit as n → ∞."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeAlias

import sympy
from sympy import Expr

from nexort.symbolic.calculus import argument, substitute
from nexort.symbolic.constants import leaf_value, number
from nexort.symbolic.fn import Fn, evaluate_number
from nexort.symbolic.heads import Entrywise
from nexort.symbolic.lowering import constant_value
from nexort.symbolic.walk import parts, rebuilt, symbols_of, tree_size

WidthExpr: TypeAlias = Expr
LONGEST_LIMIT = 120  # nodes; sympy's limits of longer expressions may take minutes
TINY = 1e-12  # relative size of a sum that counts as cancelled, absolute size of an argument at a jump

_WIDTH: Expr = sympy.Symbol("n", positive=True)


class _NoLimitError(Exception):
    """The limit does not exist, or was not found."""


def width_symbol() -> WidthExpr:
    """The symbol n, positive."""
    return _WIDTH


@lru_cache(maxsize=4096)
def value_at_width(expr: WidthExpr, n: int) -> float:
    """The double of the expression at width n."""
    return evaluate_number(_as_function(expr), [float(n)])


@lru_cache(maxsize=4096)
def _as_function(expr: WidthExpr) -> Fn:
    return Fn.of(substitute(expr, {_WIDTH: argument(0)}), 1)


@lru_cache(maxsize=4096)
def limit_at_infinity(expr: WidthExpr) -> float:
    """lim expr as n → ∞: ±inf when it diverges, nan when it does not exist or cannot be found."""
    try:
        return _limit(expr)
    except _NoLimitError:
        return math.nan


def leading_power(expr: WidthExpr) -> tuple[float, float] | None:
    """(c, p) with expr ~ c n^p as n → ∞, c ≠ 0 unless expr = 0; None where that cannot be read off."""
    return _leading(expr) or _leading(_classical(expr))


def _limit(expr: Expr) -> float:
    if not symbols_of(expr):
        return constant_value(expr)
    leading = _leading(expr)
    if leading is not None:
        return _limit_of_power(*leading)
    if tree_size(expr) > LONGEST_LIMIT:
        raise _NoLimitError
    classical = _classical(expr)
    leading = _leading(classical)
    return _limit_of_power(*leading) if leading is not None else _sympy_limit(classical)


def _limit_of_power(coefficient: float, exponent: float) -> float:
    if exponent == 0 or coefficient == 0:
        return coefficient
    return math.copysign(math.inf, coefficient) if exponent > 0 else 0.0


@lru_cache(maxsize=4096)
def _leading(expr: Expr) -> tuple[float, float] | None:
    """(c, p) with expr ~ c n^p, c ≠ 0 (or expr = 0), where that can be read off; None otherwise."""
    if not symbols_of(expr):
        value = constant_value(expr)
        return (value, 0.0) if math.isfinite(value) else None
    match expr:
        case sympy.Symbol():
            return 1.0, 1.0
        case sympy.Mul():
            return _leading_product(expr)
        case sympy.Add():
            return _leading_sum(expr)
        case sympy.Pow() if parts(expr)[1].is_Number:
            return _leading_power(*parts(expr))
        case Entrywise():
            return _leading_function(expr)
        case _:
            return None


def _leading_product(expr: Expr) -> tuple[float, float] | None:
    coefficient, exponent = 1.0, 0.0
    for factor in parts(expr):
        part = _leading(factor)
        if part is None:
            return None
        coefficient, exponent = coefficient * part[0], exponent + part[1]
    return coefficient, exponent


def _leading_sum(expr: Expr) -> tuple[float, float] | None:
    terms = [_leading(term) for term in parts(expr)]
    known = [term for term in terms if term is not None]
    if len(known) < len(terms):
        return None
    highest = max(exponent for _, exponent in known)
    top = [coefficient for coefficient, exponent in known if exponent == highest]
    total = math.fsum(top)
    return (total, highest) if abs(total) > TINY * max(map(abs, top)) else None


def _leading_power(base: Expr, exponent: Expr) -> tuple[float, float] | None:
    part, power = _leading(base), leaf_value(exponent)
    if part is None or power is None or part[0] == 0 or (part[0] < 0 and power % 1 != 0):
        return None
    return part[0] ** power, part[1] * power


def _leading_function(expr: Entrywise) -> tuple[float, float] | None:
    """The value of a function at the limits of its arguments, if they are finite, it is continuous there, and not 0."""
    leading = [_leading(inner) for inner in parts(expr)]
    if any(part is None or (part[1] > 0 and part[0] != 0) for part in leading):
        return None
    limits = [number(_limit_of_power(*part)) for part in leading if part is not None]
    if any(abs(constant_value(locus)) < TINY for locus in expr.rule.singular(*limits)):
        return None
    value = constant_value(rebuilt(expr, limits))
    return (value, 0.0) if math.isfinite(value) and value != 0 else None


def _classical(expr: Expr) -> Expr:
    """The expression in sympy's own functions, with comparisons decided for large n."""
    if isinstance(expr, sympy.Float):
        return sympy.Rational(repr(float(expr)))
    if not parts(expr):
        return expr
    if isinstance(expr, Entrywise) and expr.rule.classical is None and expr.rule.lowered is not None:
        return _classical(expr.rule.lowered(*parts(expr)))
    if isinstance(expr, Entrywise) and expr.rule.name.startswith("where"):
        return _decided(expr)
    if isinstance(expr, Entrywise) and expr.rule.classical is not None:
        form = expr.rule.classical(*parts(expr))
        return _classical(form) if form.has(Entrywise) else form
    return rebuilt(expr, map(_classical, parts(expr)))


def _decided(expr: Entrywise) -> Expr:
    """The branch that where(l cmp r, a, b) takes for all large n."""
    left, right, chosen, other = parts(expr)
    sign = _eventual_sign(left - right)
    holds = {"<": sign < 0, "<=": sign <= 0, ">": sign > 0, ">=": sign >= 0, "==": sign == 0, "!=": sign != 0}
    return _classical(chosen if holds[expr.rule.name.removeprefix("where")] else other)


def _eventual_sign(expr: Expr) -> float:
    if expr.is_zero:
        return 0.0
    leading = _leading(expr)
    value = leading[0] if leading is not None else _limit(expr)
    if math.isnan(value) or value == 0:
        raise _NoLimitError
    return value


def _sympy_limit(expr: Expr) -> float:
    try:
        result = sympy.limit(expr, _WIDTH, sympy.oo)
        return float(result) if result.is_extended_real and result.is_number else math.nan
    except Exception as fault:  # sympy raises many kinds, and says little by them
        raise _NoLimitError from fault
