"""Random expressions: values against Python's, derivatives against central differences, in place against fresh."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nexort.symbolic import Fn, Scratch, argument, call, evaluate_number, kernel, number, raise_power, where_expr

from .oracle import EXACT, central_difference

ARITY = 3
UNARY = (
    "relu",
    "step",
    "sign",
    "abs",
    "tanh",
    "sigmoid",
    "erf",
    "gelu",
    "silu",
    "softplus",
    "leaky_relu",
    "sin",
    "cos",
)
OFFSETS = (3.1e-4, -2.3e-4, 4.7e-4)  # off the grid, so that no kink lies within the step of a difference
POINT = st.tuples(*(st.integers(-2000, 2000).map(lambda k, d=offset: k / 1000 + d) for offset in OFFSETS)).map(list)
SETTINGS = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@dataclass(frozen=True)
class Pair:
    """The same function twice: as an expression, and as a Python function."""

    expr: sympy.Expr
    value: Callable[[list[float]], float]


def leaf(k: int) -> Pair:
    return Pair(argument(k), lambda v: v[k])


def constant(x: float) -> Pair:
    return Pair(number(x), lambda v: x)


def unary(name: str, p: Pair) -> Pair:
    return Pair(call(name, [p.expr]), lambda v: EXACT[name](p.value(v)))


def binary(op: str, p: Pair, q: Pair) -> Pair:
    match op:
        case "+":
            return Pair(p.expr + q.expr, lambda v: p.value(v) + q.value(v))
        case "-":
            return Pair(p.expr - q.expr, lambda v: p.value(v) - q.value(v))
        case "*":
            return Pair(p.expr * q.expr, lambda v: p.value(v) * q.value(v))
        case "/":
            return Pair(p.expr / (1 + q.expr**2), lambda v: p.value(v) / (1 + q.value(v) ** 2))
        case "root":
            expr = p.expr * raise_power(q.expr**2 + number(0.1), number(0.5))
            return Pair(expr, lambda v: p.value(v) * math.sqrt(q.value(v) ** 2 + 0.1))
        case "where":
            expr = where_expr(">", p.expr, q.expr, p.expr * q.expr, q.expr)
            return Pair(expr, lambda v: p.value(v) * q.value(v) if p.value(v) > q.value(v) else q.value(v))
        case _:
            return Pair(call(op, [p.expr, q.expr]), lambda v: EXACT[op](p.value(v), q.value(v)))


LEAVES = st.one_of(st.integers(0, ARITY - 1).map(leaf), st.sampled_from([0.1, 0.5, -1.0, 2.0, -0.3, 3.0]).map(constant))
PAIRS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(unary, st.sampled_from(UNARY), inner),
        st.builds(binary, st.sampled_from(["+", "-", "*", "/", "root", "where", "max", "min"]), inner, inner),
    ),
    max_leaves=8,
)


@SETTINGS
@given(PAIRS, POINT)
def test_value_and_array_agree_with_python(pair: Pair, point: list[float]) -> None:
    around = [pair.value([x + d for x in point]) for d in (-1e-9, 0.0, 1e-9)]
    assume(max(map(abs, around)) < 1e6 and max(around) - min(around) < 1e-4 * max(1.0, abs(around[1])))
    fn = Fn.of(pair.expr, ARITY)
    assert evaluate_number(fn, point) == pytest.approx(around[1], rel=1e-9, abs=1e-9)
    arrays = [np.full((2, 3), x) for x in point]
    fresh = kernel(fn)(*arrays)
    np.testing.assert_allclose(fresh, around[1], rtol=1e-9, atol=1e-9)
    kernel(fn).run(arrays, arrays[1], Scratch())
    np.testing.assert_array_equal(arrays[1], fresh)


@SETTINGS
@given(PAIRS, POINT, st.integers(0, ARITY - 1))
def test_derivative_agrees_with_differences(pair: Pair, point: list[float], k: int) -> None:
    fn = Fn.of(pair.expr, ARITY)
    wide, narrow = (central_difference(fn, point, k, step) for step in (2e-5, 1e-5))
    assume(abs(wide) < 1e4 and abs(wide - narrow) < 1e-6 * max(1.0, abs(narrow)))
    straight = evaluate_number(fn, point)
    sides = [evaluate_number(fn, [x + (d if i == k else 0) for i, x in enumerate(point)]) for d in (-1e-5, 1e-5)]
    assume(abs(sides[0] + sides[1] - 2 * straight) < 1e-8 * max(1.0, abs(straight)))  # no kink within the step
    assert evaluate_number(fn.derivative(k), point) == pytest.approx(narrow, rel=1e-4, abs=1e-4)
