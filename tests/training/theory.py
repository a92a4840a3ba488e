"""Multilayer perceptrons in `train`, and the recursions that their limits are tested against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import pi

import numpy as np
from scipy.special import erf

import nexort
from oracle.known_limits import relu_kernels

XI = np.array([[1.0, 0.3, -0.4], [0.8, -0.5, 0.6], [-0.2, 1.2, 0.1], [0.5, 0.5, 1.0]])
Y = np.array([1.0, -0.5, 0.7, 0.2])
DATA = {"xi": XI, "y": Y}
DEVIATIONS = 4.5


def mlp(activation: str, depth: int, *fields: str, head: str = "") -> nexort.Program:
    """`depth` hidden layers: input vectors u, matrices W1, W2, …, a readout v; `fields` of train beside the loss."""
    matrices = [f"    matrix W{layer}" for layer in range(1, depth)]
    layers = [f"    h = W{layer} @ {activation}(h)" for layer in range(1, depth)]
    lines = [
        'import "optimizers.nx"',
        f"data xi[{len(XI)}, {XI.shape[1]}] = normal()",
        f"data y[{len(Y)}] = normal()",
        head,
        "model mlp(xi[d]):",
        "    vector u[d], v",
        *matrices,
        "    h = sum[k](xi[k] * u[k])",
        *layers,
        f"    return v * {activation}(h)",
        "train mlp on xi, y:",
        "    loss = (f - y)^2 / 2",
        *(f"    {field}" for field in fields),
    ]
    return nexort.compile("\n".join(lines) + "\n", data=DATA)


@dataclass(frozen=True)
class Activation:
    """Expectations for Gaussian (g, h) with covariance matrix K, at every pair (a, b).

    kernels   E φ(g) φ(h) and E φ'(g) φ'(h)
    signed    E φ(g) sign φ(h)
    slopes    E φ'(g) |sign φ'(h)|, the part of E dh(ξ_a) sign dh(ξ_b) that is not that of dx
    """

    kernels: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    signed: Callable[[np.ndarray], np.ndarray]
    slopes: Callable[[np.ndarray], np.ndarray]
    function: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


def _erf_kernels(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Williams, Computing with Infinite Networks, 1997."""
    scale = 1 + 2 * np.diag(K)
    product = np.outer(scale, scale)
    return 2 / pi * np.arcsin(2 * K / np.sqrt(product)), 4 / pi / np.sqrt(product - 4 * K**2)


def _erf_signed(K: np.ndarray) -> np.ndarray:
    """The erf kernel with one slope taken to infinity."""
    return 2 / pi * np.arcsin(2 * K / np.sqrt(np.outer(1 + 2 * np.diag(K), 2 * np.diag(K))))


def _erf_slopes(K: np.ndarray) -> np.ndarray:
    return np.repeat(2 / np.sqrt(pi) / np.sqrt(1 + 2 * np.diag(K))[:, None], len(K), axis=1)


def _relu_signed(K: np.ndarray) -> np.ndarray:
    """E relu(g) step(h) = σ_g (1 + ρ) / (2 √(2π))."""
    deviation = np.sqrt(np.diag(K))
    return deviation[:, None] * (1 + K / np.outer(deviation, deviation)) / (2 * np.sqrt(2 * pi))


RELU = Activation(
    kernels=relu_kernels,
    signed=_relu_signed,
    slopes=lambda K: relu_kernels(K)[1],
    function=lambda x: np.maximum(x, 0),
    slope=lambda x: (x > 0).astype(float),
)
ERF = Activation(
    kernels=_erf_kernels,
    signed=_erf_signed,
    slopes=_erf_slopes,
    function=erf,
    slope=lambda x: 2 / np.sqrt(pi) * np.exp(-(x**2)),
)
ACTIVATIONS = {"relu": RELU, "erf": ERF}


def tangent_kernel(activation: Activation, depth: int, xi: np.ndarray = XI) -> np.ndarray:
    """Θ ← K′ + Θ·K̇ from K = Θ = ξᵀξ."""
    K = theta = xi @ xi.T
    for _ in range(depth):
        K, slope = activation.kernels(K)
        theta = K + theta * slope
    return theta


def sign_kernel(activation: Activation, depth: int, xi: np.ndarray = XI) -> np.ndarray:
    """K[a, b], by which f(ξ_a) moves when signs of the gradient of f(ξ_b) are taken (TP4b Example 2.4.6).

        K[a, b] = Σ_l E[dh^l(ξ_a) sign dh^l(ξ_b)] E[x^{l-1}(ξ_a) sign x^{l-1}(ξ_b)] + E[x^L(ξ_a) sign x^L(ξ_b)],

    with x^0 the numbers ξ_k, summed over k.  dh^l = dx^l φ'(h^l), and dx^l is Gaussian, independent of h^l, with
    covariance E dh^{l+1} dh^{l+1}; dx^L = v.
    """
    covariances = [xi @ xi.T]
    for _ in range(depth - 1):
        covariances.append(activation.kernels(covariances[-1])[0])
    forward = [xi @ np.sign(xi).T, *map(activation.signed, covariances)]  # E x^l sign x^l, l = 0 … L
    total = forward[-1]
    backward = np.ones_like(total)  # E dx^l dx^l
    for layer in reversed(range(depth)):
        K = covariances[layer]
        signed = np.sqrt(2 / pi) * backward / np.sqrt(np.diag(backward)) * activation.slopes(K)
        total = total + signed * forward[layer]
        backward = backward * activation.kernels(K)[1]
    return total


def pairs(K: np.ndarray, rng: np.random.Generator, draws: int) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """(a, b, g, h) with draws of Gaussians g, h of covariance K."""
    values = rng.multivariate_normal(np.zeros(len(K)), K, size=draws).T
    for a in range(len(K)):
        for b in range(len(K)):
            yield a, b, values[a], values[b]
