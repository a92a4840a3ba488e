"""What an expression evaluates to while a program is unrolled.

| value | meaning |
|---|---|
| int, float | a compile-time number: literals, `param`s, shapes, loop variables and what is computed from them |
| Width | a number that depends on n, as a symbolic expression |
| Term | a node of the graph with named axes |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nexort.errors import NexortError, TypeFault
from nexort.graph.nodes import WidthNumber
from nexort.graph.terms import Place, Term, number
from nexort.graph.types import SCALAR
from nexort.source import Span


@dataclass(frozen=True, slots=True)
class Width:
    """An expression in n alone (a symbolic expression in the width symbol)."""

    expression: Any


Value = int | float | Width | Term


class Poisoned(Exception):
    """A name whose definition was already reported as wrong: the statement is skipped without another message."""


@dataclass(frozen=True, slots=True)
class FamilyLabel:
    """Labels axis `axis` of a family that is named without brackets and stands for all its elements."""

    axis: int


def to_term(value: Value, place: Place) -> Term:
    match value:
        case Term():
            return value
        case Width():
            node = WidthNumber(type=SCALAR, expression=value.expression, span=place.span, passes=place.passes)
            return Term(node)
        case _:
            return number(value)


def noun(value: Value) -> str:
    """The kind of a value in the language's words."""
    return value.node.type.noun if isinstance(value, Term) else "number"


def is_number(value: Value) -> bool:
    return isinstance(value, int | float)


def check_finite(value: float, span: Span) -> float:
    """Compile-time arithmetic that left the reals."""
    if isinstance(value, complex) or value != value or value in (float("inf"), float("-inf")):
        raise TypeFault(
            f"this number is not finite or not real: {value}", span, hint="change the numbers it is made of"
        )
    return value


def refuse(kind: type[NexortError], message: str, span: Span, hint: str = "") -> NexortError:
    return kind(message, span, hint=hint)
