"""Degrees of homogeneity of update functions: of the library, of written ones, and against the numbers."""

from __future__ import annotations

from fractions import Fraction
from importlib.resources import files

import numpy as np
import pytest

import nexort
from nexort import syntax
from nexort.source import Source
from nexort.syntax import ast
from nexort.training.homogeneity import degree, normalized_degree

LIBRARY = {
    stmt.name.id: stmt
    for stmt in syntax.parse(
        Source("optimizers.nx", (files("nexort") / "library" / "optimizers.nx").read_text(encoding="utf-8"))
    ).body
    if isinstance(stmt, ast.Optimizer)
}

SHIPPED: list[tuple[str, dict[str, float], int | None]] = [
    ("sgd", {}, 1),
    ("momentum", {}, 1),
    ("nesterov", {}, 1),
    ("signsgd", {"eps": 0}, 0),
    ("signsgd", {}, None),
    ("adam", {"eps": 0}, 0),
    ("adam", {"eps": 1e-8}, None),
    ("adamax", {"eps": 0}, 0),
    ("adamax", {}, None),
    ("nadam", {"eps": 0}, 0),
    ("nadam", {}, None),
    ("rmsprop", {"eps": 0}, 0),
    ("rmsprop", {}, None),
    ("adagrad", {"eps": 0}, 0),
    ("adagrad", {}, None),
    ("adadelta", {}, None),
    ("lion", {}, 0),
    ("adafactor", {"eps": 0}, 0),
    ("adafactor", {}, None),
]
LATER: list[tuple[str, dict[str, float], int | None]] = [
    ("rprop", {}, 0),
    ("amsgrad", {"eps": 0}, 0),
    ("amsgrad", {}, None),
    ("radam", {"eps": 0}, None),
    ("adamw", {"eps": 0}, 0),
    ("muon", {}, None),
]
KNOWN = [case for case in SHIPPED + LATER if case[0] in LIBRARY]


def test_every_shipped_optimizer_is_in_the_list() -> None:
    assert {name for name, _, _ in KNOWN} == set(LIBRARY)


@pytest.mark.parametrize(("name", "arguments", "expected"), KNOWN)
def test_shipped_optimizers(name: str, arguments: dict[str, float], expected: int | None) -> None:
    assert degree(LIBRARY[name], arguments) == expected


ON_SCALARS = [case for case in KNOWN if case[0] != "muon"]


@pytest.mark.parametrize(("name", "arguments", "expected"), ON_SCALARS)
def test_degrees_are_those_of_the_numbers(name: str, arguments: dict[str, float], expected: int | None) -> None:
    """Q(κ g) = κ^k Q(g) over six steps of a scalar, and for no k where none is claimed (κ → 0 meets every eps)."""
    values = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    text = f"""
param kappa = 1, T = 6
data x[T] = normal(seed=3)
import "optimizers.nx"
s = 0
for t in 0..T:
    old = s
    s -= {name}(grad(kappa * x[t] * s, s){", " if values else ""}{values})
    output s - old as q
"""
    one = nexort.compile(text).run(2)["q"].mean
    scaled = {kappa: nexort.compile(text, kappa=kappa).run(2)["q"].mean for kappa in (0.125, 1e-18)}
    if expected is not None:
        for kappa, found in scaled.items():
            np.testing.assert_allclose(found, kappa**expected * one, rtol=1e-9)
    else:
        moved = one != 0
        powers = [np.log(np.abs(found / one)[moved]) / np.log(kappa) for kappa, found in scaled.items()]
        assert np.ptp(np.concatenate(powers)) > 1e-9


WRITTEN = [
    ("return g^3 / abs(g)", 2),
    ("return sqrt(abs(g))", Fraction(1, 2)),
    ("return sqrt(avg(g^2)) * sign(g)", 1),
    ("return g + 1", None),
    ("return g + 0 * 1", 1),
    ("return tanh(g)", None),
    ("return tanh(g / rms(g))", 0),
    ("return where(g > 0, g, 0)", 1),
    ("return where(g > 1, g, 0)", None),
    ("return max(g, 0)", 1),
    ("return relu'(g)", 0),
    ("return clip(g, -1, 1)", None),
    ("return clip(g / rms(g), -1, 1)", 0),
    ("return g @ g' @ g", 3),
    ("return h(g, 1) * exp(step)", 2),
    ("return h'(g, 1)", None),
    ("state m = 1\n    m = m + g\n    return m", None),
    ("state m = 0, k = 0\n    k = k + 1\n    m += g / k\n    return m", 1),
    ("state m = 0\n    old = m\n    m = m * m + g\n    return old", None),
    ("state m = 0\n    old = m\n    m = abs(g)\n    return where(old > m, g, -g)", 1),
    ("if step < 3:\n        u = g\n    else:\n        u = sign(g)\n    return u", None),
    ("if step < 3:\n        u = g\n    else:\n        u = 2 * g\n    return u", 1),
    ("if step < 3:\n        return g\n    return sign(g)", None),
    ("if beta > 0 and not p == 2:\n        return g\n    elif p == 2 or step == 1:\n        return g^2", 2),
    ("if step == 1:\n        u = 0\n    elif beta == 0:\n        u = 0\n    else:\n        u = g\n    return u", 1),
    ("for k in 0..3:\n        g = g * abs(g)\n    return g", 8),
    ("return sum[k](g)", 1),
    ("return <g | g>", 2),
    ("return (|g><g|) @ g", 3),
    ("return g / 0", None),
    ("return 0", 0),
]


@pytest.mark.parametrize(("body", "expected"), WRITTEN)
def test_written_optimizers(body: str, expected: Fraction | int | None) -> None:
    text = f"def h(x, y) = x^2 * y\noptimizer q(beta=0.9):\n    {body}\n"
    tree = syntax.parse(Source("<text>", text)).body
    functions = {stmt.name.id: stmt for stmt in tree if isinstance(stmt, ast.Def)}
    (optimizer,) = (stmt for stmt in tree if isinstance(stmt, ast.Optimizer))
    assert degree(optimizer, {}, params={"p": 2}, functions=functions) == expected


def test_unknown_arguments_decide_no_branch() -> None:
    """eps that is not known before the run may be 0 or not."""
    assert degree(LIBRARY["signsgd"], {"eps": None}) is None
    assert degree(LIBRARY["momentum"], {"beta": None}) == 1


@pytest.mark.parametrize(
    ("rule", "of_sgd", "of_sign"),
    [("none", 1, 0), ("update", 0, 0), ("clip", None, 0), ("weight", 1, 0), ("lamb", 0, 0)],
)
def test_normalization_changes_degrees(rule: str, of_sgd: int | None, of_sign: int) -> None:
    assert normalized_degree(Fraction(1), rule) == of_sgd
    assert normalized_degree(Fraction(0), rule) == of_sign
    assert normalized_degree(None, rule) is None
