"""Values, first and second derivatives of every function, away from kinks and at them."""

from __future__ import annotations

import math

import pytest
import sympy

from nexort.symbolic import (
    COMPARISONS,
    FUNCTIONS,
    Fn,
    argument,
    call,
    comparison_where,
    evaluate_number,
    number,
    power,
    primitive,
    raise_power,
)

from .oracle import EXACT, POSITIVE_ONLY, central_difference

NAMES = sorted(set(FUNCTIONS) - {"where"})
POINTS = {1: [[0.3], [1.7], [-0.4], [-2.2]], 2: [[0.3, 1.1], [-0.7, -1.9]], 3: [[0.3, -1.0, 1.0], [-2.0, -1.0, 0.5]]}


def cases() -> list[tuple[str, int, list[float]]]:
    found: list[tuple[str, int, list[float]]] = []
    for name in NAMES:
        info = FUNCTIONS[name]
        for arity in range(info.least, (info.most or 3) + 1):
            points = [[abs(x) for x in point] if name in POSITIVE_ONLY else point for point in POINTS[arity]]
            found.extend((name, arity, point) for point in points)
    return found


def test_every_function_of_the_language_is_in_the_table() -> None:
    words = "relu step sign abs tanh sigmoid erf gelu silu softplus leaky_relu exp log sqrt sin cos max min clip where"
    assert set(FUNCTIONS) == set(words.split())
    assert all(info.doc for info in FUNCTIONS.values())
    assert FUNCTIONS["max"].most is None and (FUNCTIONS["leaky_relu"].least, FUNCTIONS["leaky_relu"].most) == (1, 2)


@pytest.mark.parametrize(("name", "arity", "point"), cases())
def test_value(name: str, arity: int, point: list[float]) -> None:
    assert evaluate_number(primitive(name, arity), point) == pytest.approx(EXACT[name](*point), rel=2e-15)


@pytest.mark.parametrize(("name", "arity", "point"), cases())
def test_first_and_second_derivatives(name: str, arity: int, point: list[float]) -> None:
    fn = primitive(name, arity)
    for k in range(arity):
        first = fn.derivative(k)
        assert evaluate_number(first, point) == pytest.approx(
            central_difference(fn, point, k, 1e-5), rel=1e-7, abs=1e-8
        )
        for m in range(arity):
            second = evaluate_number(first.derivative(m), point)
            assert second == pytest.approx(central_difference(first, point, m, 1e-5), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_third_derivatives_exist_and_are_plain(name: str) -> None:
    third = primitive(name).derivative(0).derivative(0).derivative(0)
    assert not third.expr.has(sympy.Derivative, sympy.Subs, sympy.DiracDelta, sympy.Heaviside)


AT_KINKS = [
    ("relu", [0.0], 0, 0.0),
    ("abs", [0.0], 0, 0.0),
    ("step", [0.0], 0, 0.0),
    ("sign", [0.0], 0, 0.0),
    ("leaky_relu", [0.0], 0, 0.01),
    ("leaky_relu", [0.0, 0.2], 0, 0.2),
    ("leaky_relu", [0.0, 0.2], 1, 0.0),
    ("max", [1.5, 1.5], 0, 0.5),
    ("max", [1.5, 1.5], 1, 0.5),
    ("min", [1.5, 1.5], 0, 0.5),
    ("min", [1.5, 1.5], 1, 0.5),
    ("clip", [-1.0, -1.0, 1.0], 0, 1.0),
    ("clip", [1.0, -1.0, 1.0], 0, 1.0),
    ("clip", [1.0, -1.0, 1.0], 2, 0.0),
    ("clip", [-1.0, -1.0, 1.0], 1, 0.0),
    ("clip", [-3.0, -1.0, 1.0], 1, 1.0),
    ("clip", [3.0, -1.0, 1.0], 2, 1.0),
]


@pytest.mark.parametrize(("name", "point", "k", "slope"), AT_KINKS)
def test_derivative_at_a_kink(name: str, point: list[float], k: int, slope: float) -> None:
    assert evaluate_number(primitive(name, len(point)).derivative(k), point) == slope


def test_names_of_derivatives() -> None:
    assert primitive("relu").derivative(0) is primitive("step")
    assert primitive("abs").derivative(0) is primitive("sign")
    assert primitive("step").derivative(0).is_zero and primitive("sign").derivative(0).is_zero
    assert primitive("relu").derivative(0).derivative(0).is_zero
    assert primitive("softplus").derivative(0) is primitive("sigmoid")
    assert evaluate_number(primitive("step"), [0.0]) == 0 == evaluate_number(primitive("sign"), [0.0])


@pytest.mark.parametrize("comparator", COMPARISONS)
def test_where_takes_the_branch_and_its_derivative(comparator: str) -> None:
    fn = comparison_where(comparator)
    for left, right in ((1.0, 2.0), (2.0, 1.0), (1.0, 1.0)):
        holds = eval(f"{left} {comparator} {right}")
        point = [left, right, 5.0, 7.0]
        assert evaluate_number(fn, point) == (5.0 if holds else 7.0)
        assert [evaluate_number(fn.derivative(k), point) for k in range(4)] == [0, 0, float(holds), float(not holds)]


def test_the_branch_not_taken_does_not_spoil_the_derivative() -> None:
    x = argument(0)
    body = comparison_where(">").expr.xreplace({argument(0): x, argument(1): number(0)})
    fn = Fn.of(body.xreplace({argument(2): call("log", [x]), argument(3): number(0)}), 1)
    assert evaluate_number(fn.derivative(0), [0.0]) == 0.0
    assert evaluate_number(fn.derivative(0), [2.0]) == 0.5


def test_arithmetic_primitives() -> None:
    x, y = 3.5, -1.25
    expected = {"add": x + y, "sub": x - y, "mul": x * y, "div": x / y, "pow": x**y}
    for name, value in expected.items():
        fn = primitive(name)
        assert evaluate_number(fn, [x, y]) == pytest.approx(value, rel=1e-15)
        for k in (0, 1):
            slope = evaluate_number(fn.derivative(k), [x, y])
            assert slope == pytest.approx(central_difference(fn, [x, y], k, 1e-6), rel=1e-8)
    assert evaluate_number(primitive("neg"), [x]) == -x
    assert evaluate_number(primitive("identity"), [x]) == x


def test_powers_at_zero_have_the_derivatives_of_pytorch() -> None:
    general = primitive("pow")
    assert evaluate_number(general.derivative(0), [0.0, 2.0]) == 0.0
    assert evaluate_number(general.derivative(0), [0.0, 0.0]) == 0.0
    assert evaluate_number(general.derivative(1), [0.0, 2.0]) == 0.0
    assert evaluate_number(general.derivative(1), [2.0, 3.0]) == pytest.approx(8 * math.log(2))
    assert power(0).is_constant and power(1) is primitive("identity")


@pytest.mark.parametrize("exponent", [-3, -2.5, -1, -0.5, 0, 0.1, 1 / 3, 0.5, 1.5, 2, 7, 31, 33, 2.25])
def test_powers(exponent: float) -> None:
    for x in (0.3, 1.7, 2.0):
        assert evaluate_number(power(exponent), [x]) == pytest.approx(x**exponent, rel=1e-14)


def test_a_power_is_never_complex_nor_astronomical() -> None:
    assert math.isnan(evaluate_number(Fn.of(raise_power(number(-1), number(0.5)) * argument(0), 1), [1.0]))
    assert math.isinf(evaluate_number(Fn.of(raise_power(number(0), number(-1)), 0), []))
    tower = 2 * argument(0)
    for _ in range(8):
        tower = raise_power(tower, number(64))
    assert math.isinf(evaluate_number(Fn.of(tower, 1), [1.0]))


def test_wrong_number_of_arguments_is_our_fault() -> None:
    with pytest.raises(ValueError, match="takes 3 arguments"):
        call("clip", [argument(0)])
    with pytest.raises(ValueError, match="comparison"):
        primitive("where")
