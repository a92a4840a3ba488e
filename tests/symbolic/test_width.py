"""Values and limits of expressions in the width."""

from __future__ import annotations

import math

import pytest
import sympy

from nexort.symbolic import call, limit_at_infinity, number, raise_power, value_at_width, where_expr, width_symbol

N = width_symbol()
ROOT = number(0.5)
INF = math.inf

LIMITS = [
    (1 / raise_power(N, ROOT), 0.0),
    (N * (1 / N), 1.0),
    (raise_power(N, ROOT), INF),
    (-raise_power(N, number(0.3)), -INF),
    ((N + 1) / N, 1.0),
    (N / (N - N**2), 0.0),
    ((2 * N**2 + 1) / (N * (4 * N + 3)), 0.5),
    (number(0.1) * N / (number(0.3) * N + 1), 1 / 3),
    (raise_power(N + 1, ROOT) - raise_power(N, ROOT), 0.0),
    (raise_power(N**2 + number(0.1) * N, ROOT) - N, 0.05),
    (call("sin", [N]), math.nan),
    (call("sin", [N]) / N, 0.0),
    (call("cos", [1 / N]), 1.0),
    (call("log", [N]) / N, 0.0),
    (call("log", [N]), INF),
    (call("exp", [-N]), 0.0),
    (raise_power(1 + 1 / N, N), math.e),
    (raise_power(1 + number(0.3) / N, N), math.exp(0.3)),
    (call("tanh", [N]), 1.0),
    (call("tanh", [1 / N]), 0.0),
    (call("erf", [raise_power(N, ROOT)]), 1.0),
    (call("softplus", [N]) / N, 1.0),
    (call("gelu", [1 / N]), 0.0),
    (call("relu", [N]) / N, 1.0),
    (call("leaky_relu", [-N]) / N, -0.01),
    (call("abs", [-3 / N]), 0.0),
    (call("sign", [1 / N]), 1.0),
    (call("step", [-1 / N]), 0.0),
    (call("max", [1 / N, 2 / N]) * N, 2.0),
    (call("clip", [N, number(0), number(4)]), 4.0),
    (where_expr("<", N, number(5), number(1), number(0)), 0.0),
    (number(7), 7.0),
    (raise_power(number(-1), N), math.nan),
    (number(INF), INF),
]


@pytest.mark.parametrize(("expr", "limit"), LIMITS, ids=[str(expr) for expr, _ in LIMITS])
def test_limit(expr: sympy.Expr, limit: float) -> None:
    assert limit_at_infinity(expr) == pytest.approx(limit, rel=1e-12, nan_ok=True)


def test_a_very_long_expression_is_given_up_quickly() -> None:
    body = N
    for k in range(40):
        body = call("sin", [body + k]) * N + call("cos", [body])
    assert math.isnan(limit_at_infinity(body))


def test_values() -> None:
    assert value_at_width(1 / raise_power(N, ROOT), 64) == 0.125
    assert value_at_width((N + 1) / N, 4) == 1.25
    assert value_at_width(call("log", [N]), 10) == pytest.approx(math.log(10), rel=1e-15)
    assert value_at_width(number(0.1), 3) == 0.1
    assert value_at_width(raise_power(N, number(-1)) * N, 7) == 1.0
