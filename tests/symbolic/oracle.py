"""Naive formulas of the language's functions on Python floats, independent of the package."""

from __future__ import annotations

import math
from collections.abc import Callable

from nexort.symbolic import Fn, evaluate_number

EXACT: dict[str, Callable[..., float]] = {
    "relu": lambda x: x if x > 0 else 0.0,
    "step": lambda x: 1.0 if x > 0 else 0.0,
    "sign": lambda x: float((x > 0) - (x < 0)),
    "abs": abs,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x)),
    "erf": math.erf,
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "silu": lambda x: x * EXACT["sigmoid"](x),
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "leaky_relu": lambda x, slope=0.01: x if x > 0 else slope * x,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "max": max,
    "min": min,
    "clip": lambda x, low, high: min(max(x, low), high),
}
POSITIVE_ONLY = frozenset({"log", "sqrt"})


def central_difference(fn: Fn, values: list[float], k: int, step: float) -> float:
    """(f(x + h e_k) - f(x - h e_k)) / 2h."""
    up, down = list(values), list(values)
    up[k] += step
    down[k] -= step
    return (evaluate_number(fn, up) - evaluate_number(fn, down)) / (2 * step)
