"""Derivatives of entrywise functions as backpropagation uses them."""

from __future__ import annotations

from functools import cache
from typing import Any

from nexort.symbolic import Fn, apply_fn, argument, number, where_expr


@cache
def slope(fn: Fn, position: int) -> tuple[Fn, tuple[int, ...]]:
    """∂fn/∂(argument), as a function of those arguments that it depends on."""
    full = fn.derivative(position)
    kept = tuple(k for k in range(full.arity) if full.depends_on(k))
    places = [argument(kept.index(k) if k in kept else k) for k in range(full.arity)]
    return Fn.of(apply_fn(full, places), len(kept)), kept


@cache
def guarded(derivative: Fn) -> Fn:
    """(dy, x, …) ↦ dy · derivative(x, …), but 0 where dy is 0: the derivative may be infinite there."""
    dy, zero = argument(0), number(0)
    product = dy * apply_fn(derivative, [argument(k + 1) for k in range(derivative.arity)])
    return Fn.of(where_expr("==", dy, zero, zero, product), derivative.arity + 1)


@cache
def has_pole(fn: Fn) -> bool:
    """Whether the function may be infinite where its arguments are finite."""
    return any(
        (part.is_Pow and not part.exp.is_nonnegative) or getattr(getattr(part, "rule", None), "name", "") == "log"
        for part in _subexpressions(fn.expr)
    )


@cache
def is_piecewise(fn: Fn) -> bool:
    """Whether the function may be exactly 0 in a region: the branch that was not chosen."""
    names = [getattr(getattr(part, "rule", None), "name", "") for part in _subexpressions(fn.expr)]
    return any(name in ("step", "sign") or name.startswith("where") for name in names)


def _subexpressions(expr: Any) -> list[Any]:
    return [expr, *(part for inner in expr.args for part in _subexpressions(inner))]
