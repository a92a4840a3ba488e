"""What an expression evaluates to while a program is unrolled.

| value | meaning |
|---|---|
| int, float | a compile-time number: literals, `param`s, shapes, loop variables and what is computed from them |
| Width | a number that depends on n, as a symbolic expression |
| Term | a node of the graph with named axes |
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from nexort.errors import TypeFault
from nexort.graph.nodes import WidthNumber
from nexort.graph.terms import Label, Place, Term, number
from nexort.graph.types import SCALAR
from nexort.source import Span

LARGEST = 2**1000


@dataclass(frozen=True, slots=True)
class Width:
    """An expression in n alone (a symbolic expression in the width symbol)."""

    expression: Any


Value = int | float | Width | Term


class PoisonedError(Exception):
    """A name whose definition was already reported as wrong: the statement is skipped without another message."""


@dataclass(frozen=True, slots=True)
class FamilyLabel:
    """Labels axis `axis` of a family that is named without brackets and stands for all its elements."""

    axis: int


def family_labels(axes: int) -> tuple[FamilyLabel, ...]:
    return tuple(FamilyLabel(axis) for axis in range(axes))


def describe_label(label: Label) -> str:
    """An index in the language's words."""
    if isinstance(label, FamilyLabel):
        return f"axis {label.axis} of a family without brackets"
    return f"the index '{label}'"


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


def check_finite(value: int | float | complex, span: Span) -> int | float:
    """Compile-time arithmetic that left the reals, or the range of double precision."""
    if isinstance(value, int):
        if -LARGEST < value < LARGEST:
            return value
        raise TypeFault("this number is too large", span, hint="it exceeds the range of double precision")
    if isinstance(value, complex) or not isfinite(value):
        raise TypeFault("this number is not real, or not finite", span, hint="change the numbers it is made of")
    return value
