"""The closed set of register operations, their cost, and what NumPy calls for each.

An engine other than NumPy brings its own table over the same `Operation` names; nothing else of a kernel is particular
to NumPy.  Comparisons write a mask (bool), which only `select(mask, a, b)` reads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

Operation: TypeAlias = Literal[
    "add",
    "subtract",
    "multiply",
    "divide",
    "negative",
    "reciprocal",
    "square",
    "sqrt",
    "power",
    "absolute",
    "sign",
    "step",
    "maximum",
    "minimum",
    "exp",
    "log",
    "log1p",
    "tanh",
    "sin",
    "cos",
    "erf",
    "normal_cdf",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "equal",
    "not_equal",
    "select",
]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
COMPARISONS: dict[str, Operation] = {
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "==": "equal",
    "!=": "not_equal",
}
MASKS: frozenset[Operation] = frozenset(COMPARISONS.values())
COMMUTATIVE: frozenset[Operation] = frozenset({"add", "multiply", "maximum", "minimum", "equal", "not_equal"})
# Cost per entry in units of one addition; what is not listed costs 1.
COSTS: dict[Operation, int] = {
    "divide": 2,
    "reciprocal": 2,
    "sqrt": 3,
    "sign": 3,
    "maximum": 2,
    "minimum": 2,
    "select": 6,
    "exp": 8,
    "log": 8,
    "log1p": 8,
    "tanh": 10,
    "sin": 10,
    "cos": 10,
    "power": 40,
    "erf": 60,
    "normal_cdf": 60,
}

Ufunc: TypeAlias = Callable[..., Any]


@cache
def numpy_operation(operation: Operation) -> Ufunc:
    """The ufunc of an operation, called `ufunc(*inputs, out=target)`; scipy is imported only for the error function.

    Measured on float32 tiles: `np.heaviside` takes 50 times, a `where=` copy 40 times as long as an addition.
    """
    match operation:
        case "step":
            return _step
        case "select":
            return _select_number
        case "erf":
            from scipy.special import erf

            return erf
        case "normal_cdf":
            from scipy.special import ndtr

            return ndtr
        case _:
            return getattr(np, operation)


def apply_to_numbers(operation: Operation, values: list[float]) -> float:
    """The operation on Python floats, in double precision, nan and infinities included."""
    with np.errstate(all="ignore"):
        return float(numpy_operation(operation)(*values))


def _step(x: Any, out: Any = None) -> Any:
    return np.greater(x, 0.0, out)


def _select_number(mask: float, chosen: float, other: float) -> float:
    return chosen if mask else other
