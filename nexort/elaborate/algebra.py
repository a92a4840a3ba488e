"""Arithmetic of values: what each operator means for numbers, scalars, vectors, tensors and operators (LANGUAGE §5).

Accepts evaluated operands and their places; promises a value, or a TypeFault that names both kinds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nexort.elaborate.values import Value, Width, check_finite, noun, to_term
from nexort.errors import Label as Mark
from nexort.errors import NexortError, TypeFault
from nexort.graph import Alias, Number
from nexort.graph.terms import (
    Place,
    Term,
    add_operators,
    apply_operator,
    average_over,
    combine,
    multiply_operators,
    number,
)
from nexort.graph.terms import transpose as transpose_term
from nexort.source import Span
from nexort.symbolic import number as symbolic_number
from nexort.symbolic import power, primitive, raise_power

ENTRIES = "the entries of a matrix are not Θ(1), so an operator that contains one, or a product, is only applied with @"
WORDS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow"}


@dataclass(frozen=True, slots=True)
class Site:
    """Where an operation stands: the whole, and its operands."""

    place: Place
    left: Span
    right: Span

    @property
    def whole(self) -> Span:
        return self.place.span or self.left


def binary(operator: str, left: Value, right: Value, site: Site) -> Value:
    """left operator right, for + - * / ^."""
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _numbers(operator, left, right, site.whole)
    if operator == "%":
        raise TypeFault(
            "% is the remainder of two compile-time numbers", site.whole, hint="it serves indices and conditions"
        )
    if (isinstance(left, Term) and left.is_operator) or (isinstance(right, Term) and right.is_operator):
        return _operators(operator, left, right, site)
    if isinstance(left, Term) or isinstance(right, Term):
        return _terms(operator, left, right, site)
    return Width(_width(operator, left, right))


def _numbers(operator: str, left: int | float, right: int | float, span: Span) -> int | float:
    try:
        match operator:
            case "+":
                value = left + right
            case "-":
                value = left - right
            case "*":
                value = left * right
            case "/":
                value = left / right
            case "%":
                value = left % right
            case _:
                value = _power(left, right, span)
    except ZeroDivisionError:
        raise TypeFault("division by zero", span, hint="the divisor is the number 0 here") from None
    except OverflowError:
        raise TypeFault("this number is too large", span, hint="it exceeds the range of double precision") from None
    return check_finite(value, span)


def _power(base: int | float, exponent: int | float, span: Span) -> int | float:
    if isinstance(base, int) and isinstance(exponent, int):
        # exact while it is small; beyond it a double is meant
        is_small = exponent >= 0 and (abs(base) <= 1 or exponent * math.log2(abs(base) + 1) < 60)
        return base**exponent if is_small else float(base) ** exponent
    return base**exponent


def _width(operator: str, left: int | float | Width, right: int | float | Width) -> object:
    a, b = (x.expression if isinstance(x, Width) else symbolic_number(x) for x in (left, right))
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b
        case _:
            return raise_power(a, b)


def negate(value: Value, place: Place) -> Value:
    match value:
        case Term() if value.is_operator:
            return add_operators([(number(-1.0), value)], place)
        case Term():
            return combine(primitive("neg"), [value], place)
        case Width():
            return Width(-value.expression)
        case _:
            return -value


def _terms(operator: str, left: Value, right: Value, site: Site) -> Term:
    if isinstance(left, Term) and isinstance(right, Term):
        check_orders(left, right, site)
    if operator == "^" and isinstance(right, int | float) and isinstance(left, Term):
        return combine(power(right), [left], site.place)
    if operator == "/" and isinstance(right, Width):
        # LANGUAGE §2: of a divisor in n, it is the reciprocal that has a limit
        operator, right = "*", Width(1 / right.expression)
    terms = [to_term(left, Place(site.left, site.place.passes)), to_term(right, Place(site.right, site.place.passes))]
    return combine(primitive(WORDS[operator]), terms, site.place)


def check_orders(left: Term, right: Term, site: Site) -> None:
    """Without braces, vectors combine with vectors and tensors with tensors of their order; scalars with anything."""
    is_named = any(isinstance(label, str) for label in (*left.width, *right.width))
    if is_named or left.order == right.order or 0 in (left.order, right.order):
        return
    raise TypeFault(
        f"a {noun(left)} and a {noun(right)} do not combine entry by entry",
        site.whole,
        Mark(site.left, noun(left)),
        Mark(site.right, noun(right)),
        hint="name the width axes, as in T{i,j} * x{i}, or apply the tensor with @",
    )


def _operators(operator: str, left: Value, right: Value, site: Site) -> Value:
    lefty, righty = to_term(left, site.place), to_term(right, site.place)
    match operator:
        case "+" | "-" if lefty.order == righty.order == 2:
            sign = number(1.0 if operator == "+" else -1.0)
            return add_operators([(number(1.0), lefty), (sign, righty)], site.place)
        case "+" | "-" if _is_zero(lefty):  # `D = 0` grows into an operator too
            return right if operator == "+" else negate(right, site.place)
        case "+" | "-" if _is_zero(righty):
            return left
        case "*" if lefty.order == 0:
            return add_operators([(lefty, righty)], site.place)
        case "*" if righty.order == 0:
            return add_operators([(righty, lefty)], site.place)
        case "/" if righty.order == 0:
            factor = binary("/", 1, right, Site(site.place, site.left, site.right))
            return add_operators([(to_term(factor, Place(site.right, site.place.passes)), lefty)], site.place)
        case _:
            raise _operator_fault(operator, lefty, righty, site)


def _is_zero(term: Term) -> bool:
    """The number 0, also as a name bound to it."""
    node = term.node.operands[0] if isinstance(term.node, Alias) else term.node
    return isinstance(node, Number) and node.value == 0


def _operator_fault(operator: str, left: Term, right: Term, site: Site) -> NexortError:
    marks = [Mark(site.left, noun(left)), Mark(site.right, noun(right))]
    if operator == "*" and 1 in (left.order, right.order):
        if left.order == 1:
            hint = "write x * (W @ y) for the product of two vectors"
        else:
            hint = "write W @ x to apply the operator"
        return TypeFault(f"{_a(left)} times {_a(right)} is not defined", site.whole, *marks, hint=hint)
    if operator == "*":
        return TypeFault(
            "an operator is not multiplied entry by entry", site.whole, *marks, hint=f"{ENTRIES}: write A @ B"
        )
    if operator in "+-" and 0 in (left.order, right.order):
        return TypeFault("a scalar cannot be added to an operator", site.whole, *marks, hint=ENTRIES)
    if operator == "-":
        message = f"{_a(right)} cannot be subtracted from {_a(left)}"
    else:
        words = {"+": "added to", "/": "divided by", "^": "raised to the power of"}
        message = f"{_a(left)} cannot be {words[operator]} {_a(right)}"
    return TypeFault(message, site.whole, *marks, hint=ENTRIES)


def _a(term: Term) -> str:
    word = noun(term)
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def matmul(left: Value, right: Value, site: Site) -> Term:
    """left @ right: an operator or order-2 tensor applied to a vector, or composed with another."""
    place = site.place
    if not (isinstance(left, Term) and left.order == 2):
        what = f"a {noun(left)} stands on the left of @"
        hint = "write x * (W @ y)" if isinstance(left, Term) and left.order == 1 else "use * for numbers and scalars"
        raise TypeFault(what, site.left, hint=f"@ applies an operator or an order-2 tensor; {hint}")
    if not (isinstance(right, Term) and right.order in (1, 2)):
        raise TypeFault(
            f"a {noun(right)} stands on the right of @",
            site.right,
            hint="@ applies an operator to a vector; use * for scalars",
        )
    if right.order == 2:
        return multiply_operators(left, right, place)
    if left.is_operator:
        return apply_operator(left, right, 0, place)
    product = combine(primitive("mul"), [left, Term(right.node, right.static, (1,))], place)
    return average_over(product, [1], place)


def inner(bra: Value, ket: Value, site: Site) -> Term:
    """<bra|ket> = (1/n) Σ bra ket."""
    for value, span in ((bra, site.left), (ket, site.right)):
        if not (isinstance(value, Term) and value.order == 1):
            raise TypeFault(f"<x|y> takes two vectors, and this is a {noun(value)}", span, hint="average with avg(…)")
    assert isinstance(bra, Term)
    assert isinstance(ket, Term)
    return average_over(combine(primitive("mul"), [bra, ket], site.place), [0], site.place)


def outer(ket: Value, bra: Value, site: Site) -> Term:
    """|ket><bra|, the order-2 tensor ket{i} * bra{j}."""
    for value, span in ((ket, site.left), (bra, site.right)):
        if not (isinstance(value, Term) and value.order == 1):
            raise TypeFault(f"|x><y| takes two vectors, and this is a {noun(value)}", span)
    assert isinstance(ket, Term)
    assert isinstance(bra, Term)
    return combine(primitive("mul"), [ket, Term(bra.node, bra.static, (1,))], site.place)


def transpose(value: Value, place: Place, span: Span) -> Term:
    if isinstance(value, Term) and value.order == 2:
        return transpose_term(value, place)
    hint = "W' is the transpose of a matrix or an order-2 tensor, f'(x) the derivative of a function"
    raise TypeFault(f"a {noun(value)} has no transpose", span, hint=hint)
