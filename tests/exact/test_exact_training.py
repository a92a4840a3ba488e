"""Training in one statement: the kernel regime against the NTK recursion, feature learning against its closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import nexort

from .programs import assert_close
from .test_exact_known import erf_layer, relu_layer

XI = np.array([[1.0, 0.3], [-0.4, 0.8], [0.5, -1.1]])
Y = np.array([0.7, -0.4, 1.2])
RATE = 0.2


def network(phi: str, *, optimizer: str = "sgd()", steps: int = 4) -> str:
    return f"""
import "optimizers.nx"
data xi[M, d]
data y[M]
model net(xi[d]):
    vector u[d], v
    matrix W
    x = {phi}(sum[k](xi[k] * u[k]))
    return v * {phi}(W @ x)
train net on xi, y:
    loss = (f - y)^2 / 2
    optimizer = {optimizer}
    rate = {RATE}
    steps = {steps}
    parametrization = ntp
    center = true
"""


def tangent_kernel(phi: str) -> np.ndarray:
    layer = {"relu": relu_layer, "erf": erf_layer}[phi]
    K = T = XI @ XI.T
    for _ in range(2):
        K, slope = layer(K)
        T = K + T * slope
    return T


@pytest.mark.parametrize("beta", [0.0, 0.9])
@pytest.mark.parametrize("phi", ["relu", "erf"])
def test_the_kernel_regime(phi: str, beta: float) -> None:
    """f ← f − η T m, m ← β m + (f − y)/3: the loss is the mean over inputs."""
    optimizer = "sgd()" if beta == 0 else f"momentum(beta={beta})"
    program = nexort.compile(network(phi, optimizer=optimizer), data={"xi": XI, "y": Y})
    result = program.limit(method="exact")
    T = tangent_kernel(phi)
    f, m, rows = np.zeros(3), np.zeros(3), [np.zeros(3)]
    for _ in range(4):
        m = beta * m + (f - Y) / 3
        f = f - RATE * T @ m
        rows.append(f)
    assert_close(result["f"].value, rows)
    assert_close(result["loss"].value, [np.mean((row - Y) ** 2) / 2 for row in rows])


def test_linear_feature_learning() -> None:
    """u_t = a u₀ + b v₀, v_t = a v₀ + b u₀, f = 2 a b ξ, (a, b) ← (a − η χ ξ b, b − η χ ξ a)."""
    program = nexort.compile(
        """
import "optimizers.nx"
data xi[1, 1] = [[0.8]]
data y[1] = [1.3]
model net(xi[1]):
    vector u, v
    return v * u * xi[0]
train net on xi, y:
    loss = (f - y)^2 / 2
    optimizer = sgd()
    rate = 0.3
    steps = 20
    parametrization = mup
"""
    )
    a, b, truth = 1.0, 0.0, []
    for _ in range(21):
        f = 2 * a * b * 0.8
        truth.append([f])
        a, b = a - 0.3 * (f - 1.3) * 0.8 * b, b - 0.3 * (f - 1.3) * 0.8 * a
    assert_close(program.limit(method="exact")["f"].value, truth)


def test_a_trained_tanh_layer() -> None:
    """One input: the vectors stay functions of u₀ and v₀, so that a dense grid has the answer."""
    program = nexort.compile("""
import "optimizers.nx"
data xi[1, 1] = [[0.8]]
data y[1] = [1.3]
model net(xi[1]):
    vector u, v
    return v * tanh(u * xi[0])
train net on xi, y:
    loss = (f - y)^2 / 2
    optimizer = sgd()
    rate = 0.3
    steps = 3
    parametrization = mup
""")
    grid = np.linspace(-9, 9, 721)
    weight = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi) * (grid[1] - grid[0])
    u, v = np.meshgrid(grid, grid, indexing="ij")
    truth = []
    for _ in range(4):
        x = np.tanh(0.8 * u)
        f = np.einsum("i,j,ij", weight, weight, v * x)
        truth.append([f])
        u, v = u - 0.3 * (f - 1.3) * 0.8 * v * (1 - x**2), v - 0.3 * (f - 1.3) * x
    assert_close(program.limit(method="exact")["f"].value, truth)
