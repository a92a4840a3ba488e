"""Almost-everywhere derivatives, substitution, and the removal of sympy's own heads.

Our own walk instead of `Expr.diff`: the rule of each head decides, nothing is left unevaluated, and a shared
subexpression is differentiated once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import sympy
from sympy import Expr

from nexort.symbolic.constants import ONE, ZERO, raise_power, tame
from nexort.symbolic.functions import where_expr
from nexort.symbolic.heads import Entrywise, make_head
from nexort.symbolic.walk import parts, rebuilt, subexpressions, symbols_of


@lru_cache(maxsize=1024)
def argument(index: int) -> Expr:
    """The symbol of argument `index` of an entrywise function; real."""
    return sympy.Symbol(f"a{index}", real=True)


@lru_cache(maxsize=65536)
def differentiate(expr: Expr, symbol: Expr) -> Expr:
    """∂ expr / ∂ symbol almost everywhere, with the values at kinks that the table of functions states."""
    if expr == symbol:
        return ONE
    match expr:
        case sympy.Add():
            return sympy.Add(*(differentiate(term, symbol) for term in parts(expr)))
        case sympy.Mul():
            return _product_rule(expr, symbol)
        case sympy.Pow():
            return _power_rule(expr, symbol)
        case sympy.Abs():
            return make_head("sign", parts(expr)[0]) * differentiate(parts(expr)[0], symbol)
        case Entrywise():
            return _chain_rule(expr, symbol)
        case _ if not parts(expr):
            return ZERO
        case _:
            raise ValueError(f"no derivative rule for {type(expr).__name__}")


def _product_rule(expr: Expr, symbol: Expr) -> Expr:
    factors = parts(expr)
    terms: list[Expr] = []
    for position, factor in enumerate(factors):
        slope = differentiate(factor, symbol)
        if slope is not ZERO:
            terms.append(sympy.Mul(slope, *factors[:position], *factors[position + 1 :]))
    return sympy.Add(*terms)


def _power_rule(expr: Expr, symbol: Expr) -> Expr:
    """d b^e = e b^(e-1) db + b^e log(b) de; with a variable exponent 0 where e = 0 or b = 0, as in PyTorch."""
    base, exponent = parts(expr)
    base_slope, exponent_slope = differentiate(base, symbol), differentiate(exponent, symbol)
    result = ZERO
    if base_slope is not ZERO:
        slope = exponent * raise_power(base, exponent - 1)
        if symbols_of(exponent):
            slope = where_expr("==", exponent, ZERO, ZERO, slope)
        result += slope * base_slope
    if exponent_slope is not ZERO:
        result += where_expr("==", base, ZERO, ZERO, expr * make_head("log", base)) * exponent_slope
    return result


def _chain_rule(expr: Entrywise, symbol: Expr) -> Expr:
    slopes = [differentiate(inner, symbol) for inner in parts(expr)]
    if all(slope is ZERO for slope in slopes):
        return ZERO
    if expr.rule.tangent is not None:
        return expr.rule.tangent(*parts(expr), *slopes)
    partials = expr.rule.partials(*parts(expr))
    return sympy.Add(*(p * slope for p, slope in zip(partials, slopes, strict=True) if slope is not ZERO))


def substitute(expr: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """`expr` with symbols replaced, all at once; sympy's own `Abs` becomes ours."""
    done: dict[Expr, Expr] = dict(values)

    def visit(node: Expr) -> Expr:
        if node in done:
            return done[node]
        done[node] = result = _rebuilt(node, [visit(inner) for inner in parts(node)]) if parts(node) else node
        return result

    return visit(expr)


def _rebuilt(node: Expr, args: list[Expr]) -> Expr:
    if isinstance(node, sympy.Abs):
        return make_head("abs", *args)
    if all(new is old for new, old in zip(args, parts(node), strict=True)):
        return node
    return tame(raise_power(*args) if isinstance(node, sympy.Pow) else rebuilt(node, args))


def normalized(expr: Expr) -> Expr:
    """The expression in our own heads: sympy writes `Abs(x)` for sqrt(x^2) on its own."""
    has_foreign = any(isinstance(node, sympy.Abs) for node in subexpressions(expr))
    return tame(substitute(expr, {}) if has_foreign else expr)
