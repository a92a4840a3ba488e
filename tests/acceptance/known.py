"""Programs whose limits are known in closed form, as text with the limit of each output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import pi, sqrt

import numpy as np
from numpy.typing import ArrayLike

from oracle.known_limits import amp, relu_kernels


@dataclass(frozen=True, kw_only=True)
class Known:
    """A program and the limits of its outputs by name; a program linear in its vectors has an exact limit."""

    name: str
    text: str
    limits: Mapping[str, ArrayLike]
    data: Mapping[str, np.ndarray] = field(default_factory=dict)
    is_linear: bool = False

    def __str__(self) -> str:
        return self.name


def powers(operator: str, count: int) -> str:
    """<x | operator^k x> as `moment` for k = 1 … count."""
    return f"vector x\nmatrix W, V\ny = x\nfor k in 0..{count}:\n    y = {operator} @ y\n    output <x|y> as moment\n"


MATRICES = (
    Known(
        name="Marchenko-Pastur",
        text=powers("W' @ W", 5),
        limits={"moment": [1, 2, 5, 14, 42]},
        is_linear=True,
    ),
    Known(
        name="Fuss-Catalan",
        text=powers("(V @ W)' @ V @ W", 4),
        limits={"moment": [1, 3, 12, 55]},
        is_linear=True,
    ),
    Known(
        name="semicircle",
        text=powers("((W + W') / sqrt(2))", 8),
        limits={"moment": [0, 1, 0, 2, 0, 5, 0, 14]},
        is_linear=True,
    ),
)

CORRELATIONS = (
    Known(
        name="through a transpose",
        text="""
vector x
matrix W
output <x | W' @ sign(W @ x)> as sign
output <x | W' @ sign(W @ x + W @ (2 * x))> as deficient
h = W @ x
output <x | W' @ ((1 + h) * step(h))> as step
""",
        limits={"sign": sqrt(2 / pi), "deficient": sqrt(2 / pi), "step": 0.5 + 1 / sqrt(2 * pi)},
    ),
    Known(
        name="nonlinear outer products",
        text="""
vector x, y, u
matrix W
z = sign(|x><y|) @ y
output <x | z> as overlap
output <sign(x) | z> as coefficient
output <z | z> as square
g = W @ u
output <u | W' @ (sign(|g><y|) @ y)> as independent
output <u | W' @ (sign(|g><g|) @ g)> as same
""",
        limits={
            "overlap": 2 / pi,
            "coefficient": sqrt(2 / pi),
            "square": 2 / pi,
            "independent": 2 / pi,
            "same": 2 / pi,
        },
    ),
    Known(
        name="message passing",
        text="""
vector z0
matrix W
A = (W + W') / sqrt(2)
z[0] = z0
z[1] = A @ tanh(z[0])
for t in 1..5:
    output <z[t]|z[t]> as tau
    z[t + 1] = A @ tanh(z[t]) - avg(tanh'(z[t])) * tanh(z[t - 1])
""",
        limits=amp(),
    ),
)


Words = dict[str, float]
"""A ket of a linear program: coefficients of orthonormal words, an initial vector at the end of each."""


def apply_letters(x: Words, hat: str, dot: str) -> Words:
    """The hat puts its letter in front of every word, the dot takes the other letter off where it stands in front."""
    found = {hat + word: c for word, c in x.items()}
    for word, c in x.items():
        if word.startswith(dot):
            found[word[1:]] = found.get(word[1:], 0.0) + c
    return found


def add(x: Words, y: Words, c: float = 1.0) -> Words:
    return {word: x.get(word, 0.0) + c * y.get(word, 0.0) for word in x.keys() | y.keys()}


def inner(x: Words, y: Words) -> float:
    return sum(c * y.get(word, 0.0) for word, c in x.items())


def linear_network_limit(eta: float, target: float, steps: int) -> list[float]:
    """f = <v|W u> trained by SGD on (f - target)^2 / 2, by the algebra of words: W is a + b*, W' is b + a*."""
    u: Words = {"u": 1.0}
    v: Words = {"v": 1.0}
    updates: list[tuple[float, Words, Words]] = []
    found: list[float] = []

    def forward(x: Words) -> Words:
        y = apply_letters(x, "a", "b")
        for c, left, right in updates:
            y = add(y, left, c * inner(right, x))
        return y

    def backward(y: Words) -> Words:
        x = apply_letters(y, "b", "a")
        for c, left, right in updates:
            x = add(x, right, c * inner(left, y))
        return x

    for _ in range(steps):
        Wu, Wv = forward(u), backward(v)
        found.append(inner(v, Wu))
        rate = -eta * (found[-1] - target)
        updates.append((rate, v, u))
        u, v = add(u, Wv, rate), add(v, Wu, rate)
    return found


def shallow_limit(xi: float, eta: float, target: float, steps: int) -> list[float]:
    """f of u, v trained by SGD: u_t = a u_0 + b v_0, v_t = a v_0 + b u_0, f = 2 a b xi."""
    a, b, found = 1.0, 0.0, list[float]()
    for _ in range(steps):
        f = 2 * a * b * xi
        found.append(f)
        chi = f - target
        a, b = a - eta * chi * xi * b, b - eta * chi * xi * a
    return found


TRAINING = (
    Known(
        name="linear network, SGD",
        text="""
import "optimizers.nx"
vector u, v
matrix W
for t in 0..4:
    f = <v | W @ u>
    output f
    loss = (f - 1.3)^2 / 2
    u -= 0.3 * sgd(grad(loss, u))
    W -= 0.3 * sgd(grad(loss, W))
    v -= 0.3 * sgd(grad(loss, v))
""",
        limits={"f": linear_network_limit(0.3, 1.3, 4)},
        is_linear=True,
    ),
    Known(
        name="shallow linear network, SGD",
        text="""
vector u, v
for t in 0..8:
    f = 0.8 * <v | u>
    output f
    loss = (f - 1.3)^2 / 2
    dv = grad(loss, v)
    u -= 0.25 * grad(loss, u)
    v -= 0.25 * dv
""",
        limits={"f": shallow_limit(0.8, 0.25, 1.3, 8)},
        is_linear=True,
    ),
)

INPUTS = np.array([[0.3, -0.4, 0.0], [1.0, 0.5, -0.2], [1.4, -1.1, 0.9], [-0.6, 0.5, 0.3]])  # norms 0.5 to 2.0


def kernel_text(function: str, depth: int) -> str:
    """The NNGP and NT kernels of `depth` hidden layers of `function`."""
    return f"""
param L = {depth - 1}
data xi[M, d]
vector u[d], v
{"matrix W[L]" if depth > 1 else ""}
h[0, a] = sum[k](xi[a, k] * u[k])
for l in 0..L:
    h[l + 1, a] = W[l] @ {function}(h[l, a])
f[a] = <v | {function}(h[L, a])>
output <{function}(h[L, a]) | {function}(h[L, b])> as nngp[a, b]
readout[a, b] = <grad(f[a], v) | grad(f[b], v)>
first[a, b] = sum[k](<grad(f[a], u[k]) | grad(f[b], u[k])>)
ntk[a, b] = readout[a, b] + first[a, b]
for l in 0..L:
    ntk[a, b] += avg(grad(f[a], W[l]) * grad(f[b], W[l]))
output ntk
"""


def erf_kernels(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E erf(x_a) erf(x_b) and E erf'(x_a) erf'(x_b) for x Gaussian with covariance K (Williams, 1997)."""
    scale = 1 + 2 * np.diag(K)
    product = np.outer(scale, scale)
    return 2 / pi * np.arcsin(2 * K / np.sqrt(product)), 4 / pi / np.sqrt(product - 4 * K**2)


def kernels(duals: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], depth: int) -> dict[str, np.ndarray]:
    """K <- E phi phi,  Theta <- K + Theta E phi' phi'."""
    nngp = ntk = INPUTS @ INPUTS.T
    for _ in range(depth):
        nngp, slope = duals(nngp)
        ntk = nngp + ntk * slope
    return {"nngp": nngp, "ntk": ntk}


KERNELS = tuple(
    Known(
        name=f"{function} kernels, depth {depth}",
        text=kernel_text(function, depth),
        limits=kernels(duals, depth),
        data={"xi": INPUTS},
    )
    for function, duals in (("relu", relu_kernels), ("erf", erf_kernels))
    for depth in (1, 2, 3)
)

KNOWN = (*MATRICES, *CORRELATIONS, *TRAINING, *KERNELS)
