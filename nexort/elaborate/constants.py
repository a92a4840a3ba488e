"""Compile-time places: indices, shapes, ranges, conditions and parameters, where only numbers may stand."""

from __future__ import annotations

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne

from nexort.elaborate.values import Value, Width, noun
from nexort.errors import SizeFault, TypeFault, WidthFault
from nexort.source import Span
from nexort.syntax import ast

COMPARE: dict[ast.Comparator, Callable[[float, float], bool]] = {
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
    "==": eq,
    "!=": ne,
}
MAX_SIZE = 10**9
MAX_AXES = 16
"""Of an array, and indices of a statement: arrays of NumPy have 64, and a gradient may have twice as many."""

Evaluate = Callable[[ast.Expr], Value]


def number_at(tree: ast.Expr, evaluate: Evaluate, what: str) -> int | float:
    """The compile-time number of an expression; `what` names the place in messages."""
    value = evaluate(tree)
    if isinstance(value, Width):
        raise WidthFault(f"n is not allowed in {what}", tree.span, hint="it must be the same number at every width")
    if not isinstance(value, int | float):
        raise TypeFault(
            f"{what} takes a number that is known before the run, and this is a {noun(value)}",
            tree.span,
            hint="use numbers, params, shapes and loop variables",
        )
    return value


def integer_at(tree: ast.Expr, evaluate: Evaluate, what: str) -> int:
    value = number_at(tree, evaluate, what)
    if isinstance(value, float):
        if not value.is_integer():
            raise TypeFault(
                f"{what} takes an integer, and this is {value:g}", tree.span, hint="round it, or choose the param so"
            )
        value = int(value)
    return value


def size_at(tree: ast.Expr, evaluate: Evaluate, what: str = "a shape") -> int:
    value = integer_at(tree, evaluate, what)
    check_size(value, tree.span, what)
    return value


def check_size(value: int, span: Span, what: str) -> None:
    if value < 1:
        raise TypeFault(
            f"{what} must be at least 1, and this is {value}", span, hint="an axis without elements has no values"
        )
    if value > MAX_SIZE:
        raise SizeFault(
            f"{what} of {value} is over the bound of {MAX_SIZE}", span, hint="static axes are kept in memory"
        )


def condition_at(tree: ast.Expr, evaluate: Evaluate) -> bool:
    """The truth of a condition on compile-time numbers."""
    match tree:
        case ast.Paren():
            return condition_at(tree.body, evaluate)
        case ast.Logical(operator="and"):
            return condition_at(tree.left, evaluate) and condition_at(tree.right, evaluate)
        case ast.Logical():
            return condition_at(tree.left, evaluate) or condition_at(tree.right, evaluate)
        case ast.Unary(operator="not"):
            return not condition_at(tree.operand, evaluate)
        case ast.Compare():
            left = number_at(tree.first, evaluate, "a condition")
            for comparator, right_tree in tree.rest:
                right = number_at(right_tree, evaluate, "a condition")
                if not COMPARE[comparator](left, right):
                    return False
                left = right
            return True
        case _:
            raise TypeFault("a condition compares numbers", tree.span, hint="for example t % 2 == 0 or t > 0")


def check_axes(count: int, span: Span) -> None:
    if count > MAX_AXES:
        raise SizeFault(f"{count} axes are over the bound of {MAX_AXES}", span, hint="join axes into one")
