"""Parity of entrywise functions: what becomes of a value when some arguments change sign.

Found by structure alone, from the rules below; a function whose parity needs an identity (log(exp(x)), a product of
two functions that are neither even nor odd) counts as neither.

| expression | under the sign changes |
|---|---|
| number, other arguments | even |
| argument that changes sign | odd |
| sum | the parity that all terms share |
| product | odd where the number of odd factors is |
| power with a whole exponent | that of the base, as often |
| sign, tanh, erf, sin / abs, cos of an odd value | odd / even |
| clip to [-c, c] of an odd value, c even | odd |
| where, if the comparison keeps its truth value | the parity that both branches share; 0 has any |
| any function of even values | even |
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

import sympy
from sympy import Expr

from nexort.symbolic.calculus import argument
from nexort.symbolic.fn import Fn
from nexort.symbolic.heads import Entrywise
from nexort.symbolic.walk import parts


class Parity(Enum):
    EVEN = "even"
    ODD = "odd"
    NEITHER = "neither"


_ODD_FUNCTIONS = frozenset({"sign", "tanh", "erf", "sin"})
_EVEN_FUNCTIONS = frozenset({"abs", "cos"})


@lru_cache(maxsize=65536)
def function_parity(fn: Fn, odd: frozenset[int]) -> Parity:
    """How f changes when the arguments `odd` change sign together; the zero function counts as even."""
    return _parity(fn.expr, {argument(k): Parity.ODD for k in odd})


def _parity(expr: Expr, known: dict[Expr, Parity]) -> Parity:
    """The parity of an expression; `known` remembers those of shared subexpressions."""
    found = known.get(expr)
    if found is None:
        found = known[expr] = _decide(expr, known)
    return found


def _decide(expr: Expr, known: dict[Expr, Parity]) -> Parity:
    operands = [_parity(part, known) for part in parts(expr)]
    if all(parity is Parity.EVEN for parity in operands):
        return Parity.EVEN
    match expr:
        case sympy.Add():
            return _common(*operands)
        case sympy.Mul():
            return _product(*operands)
        case sympy.Pow():
            return _power(parts(expr)[1], *operands)
        case sympy.Abs():
            return Parity.NEITHER if operands[0] is Parity.NEITHER else Parity.EVEN
        case Entrywise():
            return _entrywise(expr, operands)
        case _:
            return Parity.NEITHER


def _common(first: Parity, *others: Parity) -> Parity:
    return first if all(other is first for other in others) else Parity.NEITHER


def _product(*factors: Parity) -> Parity:
    if Parity.NEITHER in factors:
        return Parity.NEITHER
    return Parity.ODD if factors.count(Parity.ODD) % 2 else Parity.EVEN


def _power(exponent: Expr, base: Parity, exponent_parity: Parity) -> Parity:
    if base is Parity.NEITHER or exponent_parity is not Parity.EVEN or not exponent.is_Number:
        return Parity.NEITHER
    value = float(exponent)
    if not value.is_integer():
        return Parity.NEITHER
    return Parity.ODD if value % 2 else Parity.EVEN


def _entrywise(expr: Entrywise, operands: list[Parity]) -> Parity:
    name = expr.rule.name
    if name.startswith("where"):
        left, right, chosen, other = operands
        keeps = left is right is Parity.EVEN or (name in ("where==", "where!=") and _common(left, right) is Parity.ODD)
        branches = [parity for parity, part in zip((chosen, other), parts(expr)[2:], strict=True) if part != 0]
        return _common(*branches) if keeps and branches else Parity.NEITHER  # 0 is odd as well as even
    if Parity.NEITHER in operands:
        return Parity.NEITHER
    if name in _ODD_FUNCTIONS:
        return Parity.ODD
    if name in _EVEN_FUNCTIONS:
        return Parity.EVEN
    if name == "clip":
        _, low, high = parts(expr)
        is_symmetric = operands[1] is operands[2] is Parity.EVEN and sympy.Add(low, high) == 0
        return Parity.ODD if is_symmetric else Parity.NEITHER
    return Parity.NEITHER
