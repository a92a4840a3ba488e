"""Register programs and their NumPy runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nexort.symbolic import (
    FUNCTIONS,
    OPERATIONS,
    Fn,
    Register,
    Scratch,
    argument,
    call,
    comparison_where,
    kernel,
    number,
    power,
    primitive,
    raise_power,
    where_expr,
)
from nexort.symbolic.operations import numpy_operation

from .oracle import EXACT, POSITIVE_ONLY

NAMES = sorted(set(FUNCTIONS) - {"where"})
A = [argument(k) for k in range(6)]
ROOT = number(0.5)
ADAM = Fn.of(A[0] - A[5] * (A[1] / A[3]) / raise_power(A[2] / A[4] + number(1e-8), ROOT), 6)


def operations(fn: Fn) -> list[str]:
    return [instruction.op for instruction in kernel(fn).instructions]


def draws(count: int, shape: tuple[int, ...], dtype: Any = np.float64, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape).astype(dtype) for _ in range(count)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_kernels_agree_with_naive_formulas(name: str, dtype: Any) -> None:
    fn = primitive(name)
    arrays = draws(fn.arity, (7, 11), dtype)
    if name in POSITIVE_ONLY:
        arrays = [np.abs(array) for array in arrays]
    naive = np.vectorize(EXACT[name], otypes=[float])(*(array.astype(float) for array in arrays))
    result = kernel(fn)(*arrays)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, naive, rtol=200 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_derivative_kernels_keep_the_dtype(name: str, dtype: Any) -> None:
    fn = primitive(name)
    arrays = [np.abs(array) for array in draws(fn.arity, (5,), dtype)]
    assert all(kernel(fn.derivative(k))(*arrays).dtype == dtype for k in range(fn.arity))


FUSED = {
    "momentum": (Fn.of(number(0.9) * A[0] + number(0.1) * A[1], 2), ["multiply", "multiply", "add"]),
    "difference": (Fn.of(A[0] - A[1], 2), ["subtract"]),
    "quotient": (Fn.of(A[0] / A[1], 2), ["divide"]),
    "double quotient": (Fn.of(A[0] / A[1] / A[2], 3), ["multiply", "divide"]),
    "inverse": (power(-1), ["reciprocal"]),
    "inverse root": (power(-0.5), ["sqrt", "reciprocal"]),
    "over a root": (Fn.of(A[0] / raise_power(A[1], ROOT), 2), ["sqrt", "divide"]),
    "square": (power(2), ["square"]),
    "fifth power": (power(5), ["square", "square", "multiply"]),
    "inverse square": (power(-2), ["square", "reciprocal"]),
    "minus": (primitive("neg"), ["negative"]),
    "one minus": (Fn.of(1 - A[0], 1), ["subtract"]),
    "mean": (Fn.of((A[0] + A[1]) / 2, 2), ["add", "multiply"]),
    "minus a sum": (Fn.of(-A[0] - A[1], 2), ["add", "negative"]),
    "sign-like": (Fn.of(A[0] / raise_power(A[0] ** 2 + 1, ROOT), 1), ["square", "add", "sqrt", "divide"]),
    "shared tanh": (primitive("tanh").derivative(0).derivative(0), None),
    "identity": (primitive("identity"), []),
    "constant": (Fn.of(number(3), 2), []),
}


@pytest.mark.parametrize("name", FUSED)
def test_programs_are_short(name: str) -> None:
    fn, expected = FUSED[name]
    found = operations(fn)
    assert found.count("tanh") <= 1
    assert expected is None or found == expected


def test_equal_subexpressions_are_computed_once() -> None:
    body = call("tanh", [A[0] * A[1]]) ** 2 + call("exp", [call("tanh", [A[0] * A[1]])]) * A[0] * A[1]
    found = operations(Fn.of(body, 2))
    assert found.count("tanh") == 1 and found.count("exp") == 1
    silu = operations(primitive("silu").derivative(0).derivative(0))
    assert silu.count("exp") == 1


def test_a_leaf_kernel_copies() -> None:
    x = draws(1, (4, 3))[0]
    copied = kernel(primitive("identity"))(x)
    assert copied is not x and np.array_equal(copied, x)
    assert np.array_equal(kernel(Fn.of(number(3), 1))(x), np.full((4, 3), 3.0))
    assert kernel(primitive("identity")).result == Register(0)


def random_bodies() -> list[tuple[str, Fn]]:
    x, y, z = A[:3]
    tanh, gelu = call("tanh", [x]), call("gelu", [y])
    return [
        ("products", Fn.of(x * y + tanh * z - gelu * x, 3)),
        ("late argument", Fn.of(call("exp", [-(x**2)]) + call("sin", [y * z]) * x, 3)),
        ("where", Fn.of(where_expr(">", x, y, call("exp", [x]), z * x) + x, 3)),
        ("where of arguments", Fn.of(where_expr("<", z, number(0), x, y), 3)),
        ("where last", Fn.of(where_expr("<", x * y, z, y, x), 3)),
        ("nested where", Fn.of(where_expr("<", x, z, where_expr(">", y, z, y, x), z), 3)),
        ("clip", Fn.of(call("clip", [x * 3, call("min", [y, z]), call("max", [y, z])]), 3)),
        ("slopes", primitive("clip").derivative(0)),
        ("one argument", Fn.of(y, 3)),
    ]


BODIES = random_bodies()


@pytest.mark.parametrize(("name", "fn"), BODIES, ids=[name for name, _ in BODIES])
@pytest.mark.parametrize("target", [0, 1, 2])
def test_out_may_be_any_argument(name: str, fn: Fn, target: int) -> None:
    arrays = draws(3, (6, 5), seed=3)
    expected = kernel(fn)(*arrays)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, draws(3, (6, 5), seed=3), strict=True)), "inputs changed"
    kernel(fn).run(arrays, arrays[target], Scratch())
    np.testing.assert_array_equal(arrays[target], expected)


def test_where_in_place_on_both_branches() -> None:
    left, right, x = draws(3, (50,))
    kept = x.copy()
    kernel(comparison_where("<")).run((left, right, x, x), x, Scratch())
    assert np.array_equal(x, kept)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_is_exact_on_special_values(dtype: Any) -> None:
    mask = np.array([1, -1, 1, -1, 1], dtype)
    chosen = np.array([np.nan, np.nan, np.inf, 0.0, -0.0], dtype)
    other = np.array([1.0, -np.inf, 2.0, np.nan, 3.0], dtype)
    result = kernel(comparison_where(">"))(mask, 0.0, chosen, other)
    np.testing.assert_array_equal(result, np.where(mask > 0, chosen, other))
    assert math.copysign(1.0, result[4]) == -1.0
    np.testing.assert_array_equal(kernel(comparison_where(">"))(mask, 0.0, chosen, 7.0), np.where(mask > 0, chosen, 7))
    np.testing.assert_array_equal(kernel(comparison_where(">"))(mask, 0.0, 7.0, other), np.where(mask > 0, 7, other))
    np.testing.assert_array_equal(kernel(comparison_where(">"))(1.0, 0.0, chosen, other), chosen)


def test_broadcasting_and_scalars() -> None:
    rows, columns = np.arange(4.0).reshape(4, 1), np.arange(3.0)
    fn = Fn.of(call("tanh", [A[0]]) * call("sin", [A[1]]) + A[2], 3)
    expected = np.tanh(rows) * np.sin(columns) + 0.5
    np.testing.assert_allclose(kernel(fn)(rows, columns, 0.5), expected, rtol=1e-15)
    scratch, out = Scratch(), np.empty((4, 3))
    kernel(fn).run((rows, columns, np.float64(0.5)), out, scratch)
    np.testing.assert_allclose(out, expected, rtol=1e-15)
    assert scratch.nbytes == rows.nbytes + columns.nbytes, "small factors stay small, the rest happens in out"
    assert kernel(fn)(1.0, 2.0, 3.0).shape == ()


def test_masks_that_broadcast() -> None:
    rows, columns = np.array([[1.0], [-1.0]]), np.array([1.0, 2.0, 3.0])
    expected = np.where(rows > 0, columns, -columns)
    np.testing.assert_array_equal(kernel(comparison_where(">"))(rows, 0.0, columns, -columns), expected)


@pytest.mark.parametrize("scalar", [0.1, np.float64(0.1), np.array(0.1)])
def test_scalars_do_not_widen_float32(scalar: Any) -> None:
    x = draws(1, (5,), np.float32)[0]
    assert kernel(primitive("mul"))(x, scalar).dtype == np.float32
    assert kernel(ADAM)(x, x, x**2, scalar, scalar, scalar).dtype == np.float32


def test_an_adam_step_in_place_needs_one_temporary() -> None:
    weights, first, second = draws(3, (8, 9), np.float32)
    second = second**2
    expected = weights - 0.01 * (first / 0.1) / np.sqrt(second / 0.2 + 1e-8)
    scratch = Scratch()
    kernel(ADAM).run((weights, first, second, 0.1, 0.2, 0.01), weights, scratch)
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
    assert scratch.nbytes <= 2 * weights.nbytes


def test_temporaries_are_kept_between_calls() -> None:
    x, y = draws(2, (32, 32))
    fn, scratch, out = BODIES[0][1], Scratch(), np.empty((32, 32))
    kernel(fn).run((x, y, x), out, scratch)
    size = scratch.nbytes
    kernel(fn).run((y, x, y), out, scratch)
    assert scratch.nbytes == size
    scratch.clear()
    assert scratch.nbytes == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_nothing_overflows(dtype: Any) -> None:
    x = np.array([-800.0, -100.0, -30.0, 30.0, 100.0, 800.0], dtype)
    for name in ("sigmoid", "softplus", "silu", "gelu", "tanh", "erf"):
        fn = primitive(name)
        for derived in (fn, fn.derivative(0), fn.derivative(0).derivative(0)):
            assert np.all(np.isfinite(kernel(derived)(x))), derived.key
    assert np.array_equal(kernel(primitive("sigmoid"))(x[[0, -1]]), [0.0, 1.0])
    assert np.array_equal(kernel(primitive("softplus"))(x[[0, -1]]), [0.0, 800.0])
    np.testing.assert_allclose(kernel(primitive("softplus"))(x[2]), math.exp(-30), rtol=1e-5)
    np.testing.assert_allclose(kernel(primitive("gelu"))(np.array([-10.0])), [-10 * math.erfc(10 / 2**0.5) / 2])


def test_not_finite_without_warnings() -> None:
    x = np.array([-1.0, 0.0, 1.0])
    assert np.isnan(kernel(primitive("log"))(x)[0])
    assert np.isinf(kernel(power(-1))(x)[1])
    guarded = Fn.of(where_expr(">", A[0], number(0), call("log", [A[0]]), number(0)), 1)
    assert np.array_equal(kernel(guarded)(x), [0.0, 0.0, 0.0])


def test_integers_become_floats() -> None:
    assert kernel(primitive("div"))(np.array([1, 2]), 4).dtype == np.float64


def test_every_operation_has_an_implementation_and_a_cost() -> None:
    assert all(callable(numpy_operation(op)) for op in OPERATIONS)
    assert kernel(primitive("add")).flops == 1 < kernel(primitive("tanh")).flops


def test_wrong_number_of_arrays() -> None:
    with pytest.raises(ValueError, match="takes 2"):
        kernel(primitive("add"))(np.ones(3))
