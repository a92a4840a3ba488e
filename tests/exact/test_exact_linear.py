"""Linear networks in µP against an independent computation: Gram recursion in 60 digits, and in exact rationals.

A vector is a combination of *leaves*: the initial vectors, and one for the Gaussian part of each product W x or Wᵀ y of
an initial matrix.  A product makes one new leaf g, with ⟨g⎸g'⟩ = ⟨x⎸x'⟩ for the other products W x', and adds
Σ_y c_y y over the earlier products Wᵀ y, c_y being x's coefficient on the leaf of Wᵀ y (TP4b (2.18), (2.19)).
Learned matrices are W + Σ c ⎸p⟩⟨q⎸.  All of it is sums and products of numbers, of any kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from mpmath import mp, mpf

from .programs import assert_close, exact

RATE, TARGET, INPUT, BETA = "0.125", "1.25", "1.5", "0.75"
"""Fractions of powers of 2, which keep rationals short."""


@dataclass
class Leaves:
    """⟨g⎸g'⟩ of all leaves."""

    gram: list[list[Any]] = field(default_factory=list)

    def add(self, row: list[Any], own: Any) -> dict[int, Any]:
        """The vector that is one new leaf, with its inner products with the earlier ones."""
        for k, value in enumerate(row):
            self.gram[k].append(value)
        self.gram.append([*row, own])
        return {len(row): 1}

    def inner(self, x: dict[int, Any], y: dict[int, Any]) -> Any:
        return sum(a * b * self.gram[j][k] for j, a in x.items() for k, b in y.items())


def plus(*terms: tuple[Any, dict[int, Any]]) -> dict[int, Any]:
    total: dict[int, Any] = {}
    for c, x in terms:
        for k, a in x.items():
            total[k] = total.get(k, 0) + c * a
    return total


class Matrix:
    """W + Σ c ⎸p⟩⟨q⎸ for an initial matrix W with entries N(0, 1/n)."""

    def __init__(self, leaves: Leaves) -> None:
        self.leaves = leaves
        self.met: tuple[list[tuple[dict[int, Any], int]], ...] = ([], [])
        self.learned: list[tuple[Any, dict[int, Any], dict[int, Any]]] = []

    def apply(self, x: dict[int, Any], *, transposed: bool = False) -> dict[int, Any]:
        this, other = self.met[transposed], self.met[not transposed]
        row: list[Any] = [0] * len(self.leaves.gram)
        for y, leaf in this:
            row[leaf] = self.leaves.inner(x, y)
        dot = [(x.get(leaf, 0), y) for y, leaf in other]
        hat = self.leaves.add(row, self.leaves.inner(x, x))
        this.append((x, len(row)))
        parts = [(q, p) if transposed else (p, q) for _, p, q in self.learned]
        learned = [(c * self.leaves.inner(q, x), p) for (c, _, _), (p, q) in zip(self.learned, parts, strict=True)]
        return plus((1, hat), *dot, *learned)


def train(layers: int, steps: int, number: Callable[[str], Any], beta: Any) -> list[Any]:
    """f at each step, for loss (f − y)²/2, and m ← β m + g for every gradient g: SGD where β is 0."""
    rate, target, xi = number(RATE), number(TARGET), number(INPUT)
    leaves = Leaves()
    u, v = leaves.add([], 1), leaves.add([0], 1)
    mu: dict[int, Any] = {}
    mv: dict[int, Any] = {}
    matrices = [Matrix(leaves) for _ in range(layers - 1)]
    # the momentum of a matrix as the coefficients of its learned part: Σ c m ⎸p⟩⟨q⎸
    momenta: list[list[Any]] = [[] for _ in matrices]
    found: list[Any] = []
    for _ in range(steps):
        x = [plus((xi, u))]
        for matrix in matrices:
            x.append(matrix.apply(x[-1]))
        f = leaves.inner(v, x[-1])
        found.append(f)
        chi = f - target
        dx = v
        gradients: list[tuple[dict[int, Any], dict[int, Any]]] = []
        for matrix, below in zip(reversed(matrices), reversed(x[:-1]), strict=True):
            gradients.insert(0, (dx, below))
            dx = matrix.apply(dx, transposed=True)
        mu, mv = plus((beta, mu), (chi * xi, dx)), plus((beta, mv), (chi, x[-1]))
        u, v = plus((1, u), (-rate, mu)), plus((1, v), (-rate, mv))
        for matrix, momentum, (p, q) in zip(matrices, momenta, gradients, strict=True):
            momentum[:] = [*(beta * m for m in momentum), chi]
            matrix.learned.append((0, p, q))
            matrix.learned = [(c - rate * m, *pq) for (c, *pq), m in zip(matrix.learned, momentum, strict=True)]
    return found


def program(layers: int, steps: int, optimizer: Callable[[str], str]) -> str:
    matrices = layers - 1
    lines = ['import "optimizers.nx"', "vector u, v", f"matrix W[{matrices}]"]
    lines += [f"E{k} = W[{k}]" for k in range(matrices)]
    lines += [f"for t in 0..{steps}:", f"    x = {INPUT} * u"]
    lines += [f"    x = E{k} @ x" for k in range(matrices)]
    lines += ["    f = avg(v * x)", f"    loss = (f - {TARGET})^2 / 2", "    output f"]
    names = ["u", "v", *(f"E{k}" for k in range(matrices))]
    return "\n".join([*lines, *(f"    {name} -= {RATE} * {optimizer(f'grad(loss, {name})')}" for name in names)])


SGD = ("0", lambda g: g)
MOMENTUM = (BETA, lambda g: f"momentum({g}, beta={BETA})")


@pytest.mark.parametrize(("layers", "steps"), [(2, 21), (3, 9), pytest.param(3, 21, marks=pytest.mark.long)])
@pytest.mark.parametrize(("beta", "optimizer"), [SGD, MOMENTUM], ids=["sgd", "momentum"])
def test_against_60_digits(layers: int, steps: int, beta: str, optimizer: Callable[[str], str]) -> None:
    with mp.workdps(60):
        truth = [float(f) for f in train(layers, steps, mpf, mpf(beta))]
    assert_close(exact(program(layers, steps, optimizer))["f"], truth, 1e-9)


@pytest.mark.parametrize(("layers", "steps"), [(2, 7), pytest.param(3, 7, marks=pytest.mark.long), (3, 6)])
@pytest.mark.parametrize(("beta", "optimizer"), [SGD, MOMENTUM], ids=["sgd", "momentum"])
def test_against_rationals(layers: int, steps: int, beta: str, optimizer: Callable[[str], str]) -> None:
    truth = train(layers, steps, Fraction, Fraction(beta))
    assert truth[1] > 0 and all(isinstance(f, Fraction) for f in truth[1:])
    assert_close(exact(program(layers, steps, optimizer))["f"], [float(f) for f in truth], 1e-12)
