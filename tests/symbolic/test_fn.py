"""Interning, composition, jumps, and the text of functions."""

from __future__ import annotations

import copy
import pickle

import pytest
import sympy

from nexort.symbolic import (
    Fn,
    apply_fn,
    argument,
    call,
    comparison_where,
    evaluate_number,
    number,
    power,
    primitive,
    raise_power,
    show,
    where_expr,
    width_symbol,
)

X, Y, Z = argument(0), argument(1), argument(2)


def test_equal_functions_are_one_object() -> None:
    assert Fn.of(X + Y, 2) is Fn.of(Y + X, 2) is primitive("add")
    assert Fn.of(X, 1) is not Fn.of(X, 2)
    assert primitive("tanh") is Fn.of(call("tanh", [X]), 1)
    assert power(2) is Fn.of(X * X, 1) and power(2.0) is power(2)
    assert primitive("tanh").derivative(0) is primitive("tanh").derivative(0)


def test_functions_survive_copies_and_pickles() -> None:
    fn = Fn.of(call("gelu", [X * Y]) + where_expr("<", X, Y, X, number(0.1)), 2)
    assert pickle.loads(pickle.dumps(fn)) is fn
    assert copy.deepcopy(fn) is fn and copy.copy(fn) is fn


def test_functions_are_immutable() -> None:
    with pytest.raises(AttributeError):
        primitive("tanh").arity = 2
    with pytest.raises(TypeError):
        Fn()


def test_dependence() -> None:
    fn = Fn.of(X + 0 * Y, 3)
    assert fn.depends_on(0) and not fn.depends_on(1) and not fn.depends_on(2)
    assert Fn.of(X - X, 1).is_zero and Fn.of(number(2), 3).is_constant and not fn.is_constant


def test_substitution_is_simultaneous() -> None:
    swap = apply_fn(primitive("sub"), [Y, X])
    assert swap == Y - X
    assert apply_fn(primitive("relu"), [apply_fn(primitive("mul"), [X, number(2)])]) == call("relu", [2 * X])
    with pytest.raises(ValueError, match="takes 2"):
        apply_fn(primitive("sub"), [X])


def test_a_def_used_in_a_def() -> None:
    phi = Fn.of(X * (1 + call("erf", [X / raise_power(number(2), number(0.5))])) / 2, 1)
    twice = Fn.of(apply_fn(phi, [apply_fn(phi, [Y])]), 2)
    gelu = primitive("gelu")
    inner = evaluate_number(gelu, [0.7])
    assert evaluate_number(twice, [9.0, 0.7]) == pytest.approx(evaluate_number(gelu, [inner]), rel=1e-14)


def test_root_of_a_square_is_our_abs() -> None:
    fn = Fn.of(raise_power(X**2, number(0.5)), 1)
    assert fn is primitive("abs") and not fn.expr.has(sympy.Abs)
    assert fn.derivative(0) is primitive("sign")


def test_numbers_fold_exactly() -> None:
    assert call("relu", [number(-3)]) == 0 and call("max", [number(2), number(5)]) == 5
    assert call("exp", [number(0)]) == 1 and call("abs", [number(-7)]) == 7
    assert call("tanh", [number(0.3)]).is_Float
    assert number(0.5) == sympy.Rational(1, 2) and number(3.0) == 3
    assert float(number(0.1)) == 0.1 and float(number(1e-300)) == 1e-300


ROOT = number(0.5)
JUMPS = [
    (primitive("sign"), 0, True),
    (primitive("step"), 0, True),
    (primitive("log"), 0, True),
    (primitive("relu"), 0, False),
    (primitive("relu").derivative(0), 0, True),
    (primitive("leaky_relu").derivative(0), 0, True),
    (primitive("clip", 3), 0, False),
    (primitive("max"), 0, False),
    (primitive("max").derivative(0), 0, False),
    (primitive("add"), 0, False),
    (primitive("div"), 0, False),
    (primitive("div"), 1, True),
    (power(-1), 0, True),
    (power(-0.5), 0, True),
    (power(0.5), 0, False),
    (power(3), 0, False),
    (comparison_where(">"), 0, False),
    (Fn.of(where_expr(">", X, number(0), Y, Z), 3), 0, True),
    (Fn.of(where_expr(">", X, number(0), Y, Z), 3), 1, False),
    (Fn.of(where_expr(">", X, number(0), X, 2 * X), 1), 0, False),
    (Fn.of(where_expr("<", X, number(1), X, 2 * X), 1), 0, False),
    (Fn.of(call("sign", [X * Y]), 2), 0, True),
    (Fn.of(call("sign", [X - Y]), 2), 0, False),
    (Fn.of(X * call("sign", [X]), 1), 0, False),
    (Fn.of(1e-9 * call("sign", [X]) + 5, 1), 0, True),
    (Fn.of(Y / (X + Y), 2), 0, False),
    (Fn.of(X / raise_power(X**2 + number(1e-8), ROOT), 1), 0, False),
    (Fn.of(X / call("abs", [X]), 1), 0, True),
    (Fn.of(call("tanh", [Y / X]), 2), 0, True),
    (Fn.of(call("exp", [-1 / X**2]), 1), 0, False),
    (Fn.of(call("sign", [call("sin", [X])]), 1), 0, True),
    (Fn.of(call("sign", [call("cos", [X])]), 1), 0, False),
]


@pytest.mark.parametrize(("fn", "k", "jumps"), JUMPS, ids=[f"{fn.key} at {k}" for fn, k, _ in JUMPS])
def test_jumps_at_zero(fn: Fn, k: int, jumps: bool) -> None:
    assert fn.jumps_at_zero(k) is jumps


SHOWN = [
    (X - Y * Z, "x - y * z"),
    (X - (Y - Z), "x + z - y"),
    (-(X * Y), "-x * y"),
    (X / (Y * Z), "x / (y * z)"),
    (raise_power(X + Y, number(2)), "(x + y)^2"),
    (raise_power(-X, number(3)), "-x^3"),
    (raise_power(X, Y), "x^y"),
    (raise_power(X, number(1.5)), "x^(3 / 2)"),
    (raise_power(raise_power(X, Y), Z), "(x^y)^z"),
    (1 / raise_power(X, ROOT), "1 / sqrt(x)"),
    (1 - X, "1 - x"),
    (number(1e-8) + X, "x + 1e-08"),
    (number(0.9) * X, "0.9 * x"),
    (X / 2, "x / 2"),
    (call("leaky_relu", [X]), "leaky_relu(x)"),
    (call("leaky_relu", [X, Y]), "leaky_relu(x, y)"),
    (call("max", [X, Y, Z]), "max(max(x, y), z)"),
    (where_expr(">=", X, Y, Z, number(0)), "where(x >= y, z, 0)"),
    (X / raise_power(width_symbol(), ROOT), "x / sqrt(n)"),
]


@pytest.mark.parametrize(("expr", "text"), SHOWN, ids=[text for _, text in SHOWN])
def test_text(expr: sympy.Expr, text: str) -> None:
    assert show(expr, ["x", "y", "z"]) == text


def test_key_is_stable_text() -> None:
    assert primitive("sub").key == "(a0, a1) -> a0 - a1"
