"""Fused programs against their functions one by one."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.symbolic import Fn, Fusion, Kernel, Scaled, Scratch, argument, call, kernel, number, primitive, where_expr

A = [argument(k) for k in range(3)]
FUNCTIONS = [
    *(primitive(name) for name in ("add", "sub", "mul", "neg", "tanh", "abs", "identity", "relu", "sign")),
    primitive("div"),
    Fn.of(A[0] ** 2 + 1, 1),
    Fn.of(where_expr("<", A[0], A[1], A[2], -A[0]), 3),
    Fn.of(number(0.3) * A[0] - number(0.7) * A[1], 2),
    Fn.of(call("exp", [-(A[0] ** 2)]), 1),
]
SHAPES = ((6, 5), (6, 1), (5,))


class RandomProgram:
    """Functions of earlier values and numbers, evaluated one by one in `values` and fused in `fused`."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.rng = rng
        full = [rng.standard_normal((6, 5)) for _ in range(int(rng.integers(1, 4)))]
        self.arrays = [*full, *(rng.standard_normal(SHAPES[int(rng.integers(3))]) for _ in range(2))]
        numbers = [1.0, -1.0, 0.0, 0.25, -3.0, 1e-30, 1e25]
        fusion = Fusion(len(self.arrays))
        values: list[np.ndarray] = [*self.arrays, *map(np.asarray, numbers)]
        scaled: list[Scaled] = [*map(fusion.value, range(len(self.arrays))), *map(fusion.number, numbers)]
        with np.errstate(all="ignore"):
            for _ in range(int(rng.integers(3, 12))):
                fn = FUNCTIONS[int(rng.integers(len(FUNCTIONS)))]
                inputs = [int(rng.integers(len(values))) for _ in range(fn.arity)]
                value = kernel(fn)(*(values[k] for k in inputs))
                if np.all(np.isfinite(value)) and np.max(np.abs(value)) < 1e100:
                    values.append(value)
                    scaled.append(fusion.call(kernel(fn).program, [scaled[k] for k in inputs]))
        chosen = rng.permutation(len(values))[: int(rng.integers(1, 4))]
        self.expected = [np.broadcast_to(values[k], (6, 5)) for k in chosen]
        self.fused = Kernel(fusion.program([scaled[k] for k in chosen]))


@pytest.mark.parametrize("seed", range(150))
def test_fused_programs_agree_with_functions_one_by_one(seed: int) -> None:
    program = RandomProgram(seed)
    scale = [np.max(np.abs(value)) for value in program.expected]
    outs = [np.full((6, 5), np.nan) for _ in program.expected]
    kept = [array.copy() for array in program.arrays]
    program.fused.run_all(program.arrays, outs, Scratch())
    for out, value, size in zip(outs, program.expected, scale, strict=True):
        np.testing.assert_allclose(out, value, rtol=1e-9, atol=1e-13 * size)
    for array, before in zip(program.arrays, kept, strict=True):
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("seed", range(150))
def test_results_may_be_written_over_arrays_and_arrays_may_be_spare(seed: int) -> None:
    program = RandomProgram(seed)
    plain = [np.empty((6, 5)) for _ in program.expected]
    program.fused.run_all(program.arrays, plain, Scratch())
    full = [k for k, array in enumerate(program.arrays) if array.shape == (6, 5)]
    over = [int(k) for k in program.rng.permutation(full)[: len(plain)]]
    outs = [program.arrays[over[j]] if j < len(over) else np.empty((6, 5)) for j in range(len(plain))]
    spare = tuple(k for k in full if k not in over)
    program.fused.run_all(program.arrays, outs, Scratch(), spare)
    for out, value in zip(outs, plain, strict=True):
        np.testing.assert_array_equal(out, value)


def test_numbers_between_functions_become_one_multiplication() -> None:
    """A step of Adam: a number in front of a value is multiplied in where it is added, and nowhere else."""
    fusion = Fusion(4)
    gradient, first, second, weight = map(fusion.value, range(4))

    def apply(op: str, *inputs: Scaled | float) -> Scaled:
        return fusion.apply(op, [x if isinstance(x, tuple) else fusion.number(x) for x in inputs])  # pyright: ignore

    m = apply("add", first, apply("multiply", gradient, 0.1))
    v = apply("add", second, apply("multiply", apply("square", gradient), 0.01))
    root = apply("sqrt", apply("add", apply("divide", v, 0.3), 1e-8))
    step = apply(
        "multiply", apply("negative", apply("multiply", apply("divide", apply("divide", m, 0.2), root), 0.5)), 0.1
    )
    program = fusion.program([apply("add", weight, step), apply("multiply", m, 0.9), apply("multiply", v, 0.99)])
    found = [instruction.op for instruction in program.instructions]
    assert found.count("multiply") == 5 and found.count("divide") == 1 and len(found) == 12


def test_factors_that_might_leave_the_range_are_multiplied_in_at_once() -> None:
    fusion = Fusion(1)
    value = fusion.value(0)
    for factor in (1e30, 1e30, 1e-30, 1e-30):
        value = fusion.apply("multiply", [value, fusion.number(factor)])
    out = np.empty(3, np.float32)
    Kernel(fusion.program([value])).run_all([np.array([0.0, 1e-30, 1.0], np.float32)], [out], Scratch())
    np.testing.assert_allclose(out, [0.0, 1e-30, np.inf], rtol=1e-6)


def test_what_no_result_needs_is_left_out() -> None:
    fusion = Fusion(1)
    x = fusion.value(0)
    fusion.apply("tanh", [x])
    program = fusion.program([fusion.apply("exp", [x]), x, x])
    assert [instruction.op for instruction in program.instructions] == ["exp", "multiply", "multiply"]


@pytest.mark.parametrize("factor", [1e-6, 0.3, 2.0, 4e5])
@pytest.mark.parametrize("shift", [1e-36, 1e-12, 3.0, 1e7])
def test_numbers_added_under_a_root_are_not_lost(factor: float, shift: float) -> None:
    """√(f x + c) in float32, down to c that f takes to the smallest numbers."""
    x = np.array([0.0, 1e-30, 1.0, 1e6], np.float32)
    fusion = Fusion(1)
    scaled = fusion.apply("multiply", [fusion.value(0), fusion.number(factor)])
    root = fusion.apply("sqrt", [fusion.apply("add", [scaled, fusion.number(shift)])])
    out = np.empty_like(x)
    Kernel(fusion.program([root])).run_all([x], [out], Scratch())
    np.testing.assert_allclose(out, np.sqrt(factor * x.astype(float) + shift), rtol=1e-6)
