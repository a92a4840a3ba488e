"""Symmetries of training at width n: the shift of exponents (TP4b (2.5)), and the names of neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import nexort
from nexort.engine import Array, Streams, Workers, execute
from nexort.finite import FiniteRun
from nexort.finite.backend import Neurons, matrix_elements
from nexort.graph import InitialVector, Node

SMOOTH = (
    "sgd()", "momentum()", "nesterov()", "rmsprop(eps=0.1)", "adagrad(eps=0.1)", "adadelta(eps=0.01)",
    "adam(eps=0.1)", "adamw(eps=0.1)", "amsgrad(eps=0.1)", "adamax(eps=0.1)", "nadam(eps=0.1)",
    "radam(beta2=0.8, eps=0.1)", "adafactor(eps=0.1, bound=0.3)", "muon(iterations=2)",
)  # fmt: skip
SIGNS = ("signsgd(eps=0)", "lion()", "rprop()")
"""They amplify rounding: exact over the first 5 steps."""
TEN_STEPS = ("sgd()", "adam(eps=0.1)")

FAST = ("sgd()", "adam(eps=0.1)", "adafactor(eps=0.1, bound=0.3)", "signsgd(eps=0)")
"""Of each kind one; the others in the long run."""
ALL = [pytest.param(name, marks=() if name in FAST else pytest.mark.long) for name in (*SMOOTH, *SIGNS)]

MODEL = """
data xi[2, 2] = normal(seed=1)
data y[2] = normal(seed=2)
import "optimizers.nx"
model net(xi[2]):
    vector u[2], v
    vector b = 0.2
    matrix W, V
    h = sum[k](xi[k] * u[k]) + b
    h = W @ tanh(h) + h
    return v * tanh(V @ tanh(h))
train net on xi, y:
    loss = (f - y)^2 / 2
    rate = {rate}
    steps = {steps}
    decay = 0.01
    center = true
    optimizer = {vectors}
    parametrization = abcd({exponents}, out=3/4)
    per W, V: optimizer = {optimizer}
"""


@cache
def program(optimizer: str, exponents: str | None = None) -> nexort.Program:
    """Every parameter by the optimizer, but for Muon, which is for matrices."""
    vectors = "nesterov()" if optimizer.startswith("muon") else optimizer
    return nexort.compile(
        MODEL.format(
            rate=0.02 if "muon" in optimizer else 0.1,
            steps=10 if optimizer in TEN_STEPS else 5,
            optimizer=optimizer,
            vectors=vectors,
            exponents=exponents or written({}),
        )
    )


UNSHIFTED = {"W": (0, 2, 5, 3), "V": (0, 2, 5, 3), "u": (0, 0, 1, 3), "b": (0, 0, 1, 3), "v": (0, 0, 1, 3)}
"""UP_1/4, in quarters."""


def written(shifts: dict[str, int]) -> str:
    """The exponents as text, each parameter's shifted by (2.5): a + θ, b − θ, c − θ, d + θ, θ in quarters."""
    parts: list[str] = []
    for name, (a, b, c, d) in UNSHIFTED.items():
        shift = shifts.get(name, 0)
        moved = (a + shift, b - shift, c - shift, d + shift)
        parts.append(f"{name}=({', '.join(f'{k}/4' for k in moved)})")
    return ", ".join(parts)


@pytest.mark.parametrize("optimizer", ALL)
def test_a_shift_of_exponents_changes_nothing(optimizer: str) -> None:
    width = 24  # no power of 2: n^θ rounds
    plain = program(optimizer).run(width)["f"].mean
    shifted = program(optimizer, written({"W": 3, "V": -2, "u": 1, "b": -5, "v": 2})).run(width)["f"].mean
    assert np.abs(np.diff(plain, axis=0)).max(axis=1).min() > 1e-3
    np.testing.assert_allclose(shifted, plain, rtol=0, atol=1e-9)


@pytest.mark.parametrize("letter", [pytest.param(k, marks=() if k == 2 else pytest.mark.long) for k in range(4)])
def test_any_other_change_of_exponents_changes_the_run(letter: int) -> None:
    exponents = {name: list(powers) for name, powers in UNSHIFTED.items()}
    exponents["W"][letter] += 1
    text = ", ".join(f"{name}=({', '.join(f'{k}/4' for k in powers)})" for name, powers in exponents.items())
    changed = program("adam(eps=0.1)", text).run(24)["f"].mean
    assert np.abs(changed - program("adam(eps=0.1)").run(24)["f"].mean).max() > 1e-3


@dataclass(frozen=True, kw_only=True)
class Renamed(Neurons):
    """The same draws, neurons in another order: u_α becomes u_π(α), W_αβ becomes W_π(α)σ(β)."""

    orders: Callable[[str], tuple[Array, Array]]
    """By the name of a parameter: (π, σ)."""

    def initial_vector(self, node: InitialVector) -> Array:
        return super().initial_vector(node)[..., self.orders(node.name)[0]]

    def initial_matrix(self, node: Node, workers: Workers) -> Array:
        rows, columns = self.orders(matrix_elements(node)[0].name)
        return np.ascontiguousarray(super().initial_matrix(node, workers)[..., rows[:, None], columns])


@cache
def layers(width: int) -> dict[str, tuple[Any, Any]]:
    """h = u … + b and W @ … + h are neurons of one layer, those behind V of another."""
    rng = np.random.default_rng(3)
    first, second = rng.permutation(width), rng.permutation(width)
    return {
        "net.u": (first, first),
        "net.b": (first, first),
        "net.W": (first, first),
        "net.V": (second, first),
        "net.v": (second, second),
    }


@pytest.mark.parametrize("optimizer", ALL)
def test_names_of_neurons_change_nothing(optimizer: str) -> None:
    width = 24
    run = FiniteRun(program(optimizer).graph, width=width)

    def trained(orders: dict[str, tuple[Any, Any]]) -> np.ndarray:
        meaning = Renamed(
            length=width, dtype=np.dtype("float64"), init="gaussian", streams=Streams(0, 0), orders=orders.__getitem__
        )
        return execute(run.plan, meaning)["f"]

    plain = run.trial(0)["f"]
    np.testing.assert_allclose(trained(layers(width)), plain, rtol=0, atol=1e-9)
    apart = {**layers(width), "net.v": layers(width)["net.u"]}
    assert np.abs(trained(apart) - plain).max() > 1e-3, "another network"
