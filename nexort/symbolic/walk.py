"""Walks over expressions that visit a shared subexpression once.

A def applied to its own value doubles the tree at each level while the number of different subexpressions grows by
one; sympy's own walks (`free_symbols`, `has`, `count_ops`) follow the tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import cast

import sympy
from sympy import Expr


def parts(expr: Expr) -> tuple[Expr, ...]:
    """The operands of an expression, which are expressions."""
    return cast("tuple[Expr, ...]", expr.args)


def rebuilt(expr: Expr, args: Iterable[Expr]) -> Expr:
    """The same operation on other operands."""
    return expr.func(*args)


def is_inverse(factor: Expr) -> bool:
    """Whether a factor is a power with a negative number for exponent, and so belongs under the fraction bar."""
    return isinstance(factor, sympy.Pow) and bool(parts(factor)[1].is_negative and parts(factor)[1].is_Number)


def subexpressions(expr: Expr) -> set[Expr]:
    """All different subexpressions, the expression included."""
    found = {expr}
    pending = [expr]
    while pending:
        for inner in parts(pending.pop()):
            if inner not in found:
                found.add(inner)
                pending.append(inner)
    return found


@lru_cache(maxsize=65536)
def symbols_of(expr: Expr) -> frozenset[Expr]:
    """The symbols that occur."""
    if isinstance(expr, sympy.Symbol):
        return frozenset((expr,))
    return frozenset[Expr]().union(*map(symbols_of, parts(expr)))


@lru_cache(maxsize=65536)
def tree_size(expr: Expr) -> int:
    """The number of nodes of the expression written out as a tree."""
    return 1 + sum(map(tree_size, parts(expr)))
