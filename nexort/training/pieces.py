"""Small trees that expansions are made of."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from nexort.source import Span
from nexort.syntax import ast


def number(value: int, span: Span) -> ast.Expr:
    return ast.Number(span=span, value=value, text=str(value))


def product(factors: Sequence[ast.Expr], span: Span) -> ast.Expr:
    """Their product, from the left; 1 if there are none."""
    if not factors:
        return number(1, span)
    whole = factors[0]
    for factor in factors[1:]:
        whole = ast.Binary(span=span, operator="*", left=whole, right=factor)
    return whole


def total(terms: Sequence[ast.Expr], span: Span) -> ast.Expr:
    """Their sum, balanced, so that many terms do not make a deep tree; 0 if there are none."""
    if not terms:
        return number(0, span)
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    left, right = total(terms[:half], span), total(terms[half:], span)
    return ast.Binary(span=span, operator="+", left=left, right=right)


def element(name: str, indices: tuple[ast.Expr, ...], span: Span) -> ast.Expr:
    base = ast.Name(span=span, id=name)
    return ast.Subscript(span=span, base=base, indices=indices) if indices else base


def ranged(index: ast.Expr, size: int) -> ast.Expr:
    """`a < M`, where a range is to be stated."""
    if not isinstance(index, ast.Name):
        return index
    return ast.Compare(span=index.span, first=index, rest=(("<", number(size, index.span)),))


def call(name: str, arguments: list[ast.Expr], span: Span) -> ast.Call:
    return ast.Call(span=span, function=ast.Name(span=span, id=name), arguments=tuple(arguments), keywords=())


def power(exponent: Fraction, span: Span) -> list[ast.Expr]:
    """[n^exponent], or nothing for n^0."""
    if exponent == 0:
        return []
    value: ast.Expr = number(abs(exponent.numerator), span)
    if exponent.denominator != 1:
        value = ast.Binary(span=span, operator="/", left=value, right=number(exponent.denominator, span))
    if exponent < 0:
        value = ast.Unary(span=span, operator="-", operand=value)
    return [ast.Binary(span=span, operator="^", left=ast.Name(span=span, id="n"), right=value)]


def decimal(value: float, span: Span) -> ast.Expr:
    return ast.Number(span=span, value=value, text=repr(value))


def root(variance: float, span: Span) -> ast.Expr:
    return decimal(variance**0.5, span)
