"""Parity of entrywise functions: the rules against values."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sympy import Expr

from nexort.symbolic import Fn, Parity, argument, call, evaluate_number, function_parity, number, where_expr

X, Y, Z = argument(0), argument(1), argument(2)

CASES = {
    "product": (X * Y * Z, {(0,): "odd", (0, 1): "even", (0, 1, 2): "odd"}),
    "sum": (X + Y + 2 * Z, {(0,): "neither", (0, 1): "neither", (0, 1, 2): "odd"}),
    "relu readout": (X * call("step", [Y]), {(0,): "odd", (1,): "neither"}),
    "odd functions": (call("tanh", [X]) * call("erf", [Y]) + call("sin", [X * Z]), {(0,): "odd", (1,): "neither"}),
    "even functions": (call("cos", [X]) + call("abs", [X * Y]) + X**2, {(0,): "even", (1,): "even"}),
    "adam": (X / (Y**2 + number(0.1)) ** number(0.5), {(0,): "odd", (1,): "even", (0, 1): "odd"}),
    "cube": (X**3 + X ** number(-1), {(0,): "odd"}),
    "root": ((X + 2) ** number(0.5), {(0,): "neither"}),
    "relu": (call("relu", [X]), {(0,): "neither"}),
    "gelu": (call("gelu", [X]), {(0,): "neither"}),
    "exponential of a square": (call("exp", [-(X**2)]) * call("sign", [Y]), {(0,): "even", (1,): "odd"}),
    "clip": (call("clip", [X, -(Y**2), Y**2]), {(0,): "odd", (1,): "even", (0, 1): "odd"}),
    "clip to one side": (call("clip", [X, number(-1), number(2)]), {(0,): "neither"}),
    "where of even values": (where_expr(">", Y, Z**2, X, 3 * X), {(0,): "odd", (2,): "even", (1,): "neither"}),
    "where of equal values": (where_expr("==", X, Y, X, Y**3), {(0, 1): "odd", (0,): "neither"}),
    "where with a zero": (where_expr(">", Y, Z, X, number(0)), {(0,): "odd", (0, 1): "neither"}),
    "largest": (call("max", [X**2, Y]) * X, {(0,): "odd", (1,): "neither"}),
}


@pytest.mark.parametrize("name", CASES)
def test_parity_of_functions(name: str) -> None:
    expr, expected = CASES[name]
    fn = Fn.of(expr, 3)
    for odd, parity in expected.items():
        assert function_parity(fn, frozenset(odd)) is Parity(parity), odd


@pytest.mark.parametrize("name", CASES)
def test_what_counts_as_even_or_odd_is(name: str) -> None:
    expr: Expr = CASES[name][0]
    fn = Fn.of(expr, 3)
    points = np.random.default_rng(3).standard_normal((20, 3))
    for count in (1, 2, 3):
        for odd in combinations(range(3), count):
            parity = function_parity(fn, frozenset(odd))
            if parity is Parity.NEITHER:
                continue
            sign = -1.0 if parity is Parity.ODD else 1.0
            for point in points:
                flipped = [-value if k in odd else value for k, value in enumerate(point)]
                assert evaluate_number(fn, flipped) == pytest.approx(
                    sign * evaluate_number(fn, list(point)), nan_ok=True
                )
