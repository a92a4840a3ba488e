"""Rates and decays over the steps of a training: numbers known before the run, and the power of n of a rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from nexort.elaborate.constants import number_at
from nexort.elaborate.functions import apply
from nexort.elaborate.values import Value, Width, check_finite
from nexort.errors import WidthFault
from nexort.graph.constants import known_value
from nexort.graph.nodes import Map, WidthNumber
from nexort.graph.terms import Place, Term
from nexort.source import Span
from nexort.symbolic import leading_power
from nexort.syntax import ast


@dataclass(frozen=True, slots=True)
class Schedule:
    """Evaluates fields at each of `steps` steps; `evaluate(tree, t)` is an expression's value at step t."""

    steps: int
    evaluate: Callable[[ast.Expr, int], Value]

    def numbers(self, field: ast.Field) -> list[int | float]:
        """The field at each step."""
        return self.values(field.value, f"the {field.name.id}")

    def values(self, tree: ast.Expr, what: str) -> list[int | float]:
        """A number at each step."""
        return [number_at(tree, lambda tree, t=t: self._value_at(tree, t), what) for t in range(self.steps)]

    def power(self, field: ast.Field) -> Fraction | None:
        """k, where a rate is of order n^-k at every step; None where it is 0 at all of them."""
        found: dict[Fraction, int] = {}
        for step in range(self.steps):
            power = self._power_at(field, step)
            if power is not None:
                found.setdefault(power, step)
        if len(found) > 1:
            (first, a), (second, b) = list(found.items())[:2]
            raise WidthFault(
                f"the rate is of order n^{-first} at step {a} and n^{-second} at step {b}",
                field.value.span,
                hint="a schedule changes the rate by numbers, not by powers of n",
            )
        return next(iter(found), None)

    def _power_at(self, field: ast.Field, step: int) -> Fraction | None:
        value = self._value_at(field.value, step)
        if not isinstance(value, Width):
            number = number_at(field.value, lambda _: value, f"the {field.name.id}")
            return Fraction(0) if number != 0 else None
        leading = leading_power(value.expression)
        if leading is None:
            hint = "write it as a number times a power of n: 0.1 / n"
            raise WidthFault("how this rate grows with n is not known", field.value.span, hint=hint)
        coefficient, power = leading
        return Fraction(-power).limit_denominator(1000) if coefficient != 0 else None

    def _value_at(self, tree: ast.Expr, step: int) -> Value:
        """The expression's value, also where it is made of data: a number, or one that depends on n."""
        value = self.evaluate(tree, step)
        return _without_data(value, tree.span) if isinstance(value, Term) else value


def _without_data(term: Term, span: Span) -> Value:
    """A scalar made of data and n alone as the number that it is; any other term as it is."""
    node = term.node
    if node.type.shape:
        return term
    known = known_value(node)
    if known is not None:
        return check_finite(float(known), span)
    if isinstance(node, WidthNumber):
        return Width(node.expression)
    if isinstance(node, Map):
        values = [_without_data(Term(operand), span) for operand in node.operands]
        if not any(isinstance(value, Term) for value in values):
            return apply(node.fn, values, Place(span), [span] * len(values))
    return term
