"""Expressions as text in the language itself (`^` for powers)."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr

from nexort.symbolic.constants import HALF
from nexort.symbolic.heads import Entrywise
from nexort.symbolic.walk import is_inverse, parts, symbols_of

SUM, PRODUCT, SIGN, POWER, ATOM = range(5)


def show_expression(expr: Expr, names: Mapping[Expr, str]) -> str:
    """The text of an expression, its symbols replaced by operands that stand as they are."""
    return _shown(expr, names)[0]


def _shown(expr: Expr, names: Mapping[Expr, str]) -> tuple[str, int]:
    """Text and how tightly it binds."""
    match expr:
        case sympy.Add():
            return _sum(expr, names), SUM
        case sympy.Mul():
            return _product(expr, names)
        case sympy.Pow():
            return _product(expr, names) if is_inverse(expr) else _power(expr, names)
        case sympy.Abs():
            return f"abs({show_expression(parts(expr)[0], names)})", ATOM
        case Entrywise():
            return _call(expr, names)
        case _:
            return (names[expr], ATOM) if expr in names else _number(expr)


def _call(expr: Entrywise, names: Mapping[Expr, str]) -> tuple[str, int]:
    if expr.rule.shown is not None:
        return _shown(expr.rule.shown(*parts(expr)), names)
    texts = [show_expression(inner, names) for inner in parts(expr)]
    name = expr.rule.name
    if name.startswith("where"):
        left, right, chosen, other = texts
        return f"where({left} {name.removeprefix('where')} {right}, {chosen}, {other})", ATOM
    defaults = expr.rule.defaults
    if defaults and parts(expr)[-len(defaults) :] == defaults:
        texts = texts[: -len(defaults)]
    return f"{name}({', '.join(texts)})", ATOM


def _number(expr: Expr) -> tuple[str, int]:
    sign = SIGN if expr.is_negative else ATOM
    if isinstance(expr, sympy.Float):
        return repr(float(expr)), sign
    if isinstance(expr, sympy.Rational):
        return str(expr).replace("/", " / "), sign if expr.q == 1 else PRODUCT
    return ("pi" if expr is sympy.pi else str(expr)), sign


def _sum(expr: Expr, names: Mapping[Expr, str]) -> str:
    """Positive terms first, and numbers last among them."""
    terms = sorted(parts(expr), key=lambda term: (_is_negative(term), not symbols_of(term)))
    text = _within(terms[0], names, SUM)
    for term in terms[1:]:
        if _is_negative(term):
            text += f" - {_within(-term, names, PRODUCT)}"
        else:
            text += f" + {_within(term, names, SUM)}"
    return text


def _product(expr: Expr, names: Mapping[Expr, str]) -> tuple[str, int]:
    coefficient, rest = expr.as_coeff_Mul()
    if _is_negative(expr):
        text, strength = _shown(-coefficient * rest, names)
        return (f"-{text}" if strength >= PRODUCT else f"-({text})"), SIGN if strength > PRODUCT else PRODUCT
    factors = [factor for factor in sympy.Mul.make_args(rest) if factor is not sympy.S.One]
    above = [factor for factor in factors if not is_inverse(factor)]
    below = [parts(factor)[0] ** -parts(factor)[1] for factor in factors if is_inverse(factor)]
    if isinstance(coefficient, sympy.Rational):
        above = ([sympy.Integer(coefficient.p)] if coefficient.p != 1 else []) + above
        below = ([sympy.Integer(coefficient.q)] if coefficient.q != 1 else []) + below
    else:
        above = [coefficient, *above]
    top = " * ".join(_within(factor, names, SIGN) for factor in above) or "1"
    if not below:
        return top, PRODUCT if len(above) > 1 else ATOM
    bottom = " * ".join(_within(factor, names, SIGN) for factor in below)
    return f"{top} / {f'({bottom})' if len(below) > 1 else bottom}", PRODUCT


def _power(expr: Expr, names: Mapping[Expr, str]) -> tuple[str, int]:
    base, exponent = parts(expr)
    if exponent == HALF:
        return f"sqrt({show_expression(base, names)})", ATOM
    return f"{_within(base, names, ATOM)}^{_within(exponent, names, ATOM)}", POWER


def _within(expr: Expr, names: Mapping[Expr, str], least: int) -> str:
    text, strength = _shown(expr, names)
    return text if strength >= least else f"({text})"


def _is_negative(expr: Expr) -> bool:
    coefficient = expr.as_coeff_Mul()[0]
    return bool(coefficient.is_negative)
