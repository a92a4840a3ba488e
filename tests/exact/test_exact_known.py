"""Programs whose limit is a number or a closed form, to 1e-9."""

from __future__ import annotations

from math import asin, erf, exp, pi, sqrt

import numpy as np
import pytest

from .programs import assert_close, exact, perceptron

DENSITY = 1 / sqrt(2 * pi)


@pytest.mark.parametrize(
    ("operator", "moments"),
    [
        ("W' @ W", [1, 2, 5, 14, 42]),
        ("(V @ W)' @ V @ W", [1, 3, 12, 55]),
        ("((W + W') / sqrt(2))", [0, 1, 0, 2, 0, 5, 0, 14]),
    ],
)
def test_moments_of_random_matrices(operator: str, moments: list[float]) -> None:
    found = exact(
        f"vector x\nmatrix W, V\ny = x\nfor k in 0..{len(moments)}:\n    y = {operator} @ y\n    output <x|y> as m\n"
    )
    assert_close(found["m"], moments, 1e-12)


def test_matrix_variance_and_initial_means() -> None:
    found = exact("""
vector x ~ N(0.5, 2)
vector b ~ N(0, 0)
matrix R ~ N(0, 3/n)
matrix Z ~ N(0, 0/n)
y = R @ x
output <y|y> as yy
output <x | R' @ y> as adjoint
output avg(x) as mean
output <b|b> as zero
output <y | R @ b> as none
output <x | Z @ x> as nothing
""")
    for name, truth in {"yy": 6.75, "adjoint": 6.75, "mean": 0.5, "zero": 0.0, "none": 0.0, "nothing": 0.0}.items():
        assert_close(found[name], truth, 1e-14)


def test_dot_kets_of_discontinuous_functions() -> None:
    found = exact("""
vector x
matrix W
h = W @ x
output <x | W' @ sign(h)> as sign
output <x | W' @ sign(W @ x + W @ (2 * x))> as deficient
output <x | W' @ ((1 + h) * step(h))> as step
output <x | W' @ relu'(h)> as slope
output <x | W' @ where(h > 1, h, 0)> as where
output <x | W' @ (sign(h) * sign(W @ (2 * x)) * h)> as product
""")
    tail = (1 - erf(1 / sqrt(2))) / 2
    truths = {
        "sign": sqrt(2 / pi),
        "deficient": sqrt(2 / pi),
        "step": 0.5 + DENSITY,
        "slope": DENSITY,
        "where": tail + DENSITY * exp(-0.5),
        "product": 1.0,
    }
    for name, truth in truths.items():
        assert_close(found[name], truth, 1e-12)


def test_nonlinear_outer_products_that_factorise() -> None:
    found = exact("""
vector x, y, u
matrix W
z = sign(|x><y|) @ y
output <x|z> as outer
output <z|z> as square
g = W @ u
output <u | W' @ (sign(|g><y|) @ y)> as independent
output <u | W' @ (sign(|g><g|) @ g)> as same
output <u | W' @ (sign(|y><g|) @ g)> as other
""")
    for name, truth in {"outer": 2 / pi, "square": 2 / pi, "independent": 2 / pi, "same": 2 / pi, "other": 0}.items():
        assert_close(found[name], truth, 1e-12)


def amp_variances(steps: int) -> list[float]:
    """τ ← E tanh(√τ Z)² from τ = 1, by a fine trapezoidal rule of its own."""
    z = np.linspace(-12, 12, 20001)
    weight = np.exp(-(z**2) / 2) * (z[1] - z[0]) * DENSITY
    tau, found = 1.0, []
    for _ in range(steps):
        tau = float((np.tanh(sqrt(tau) * z) ** 2 * weight).sum())
        found.append(tau)
    return found


def test_approximate_message_passing() -> None:
    truth = amp_variances(4)
    np.testing.assert_allclose(truth, [0.39429, 0.23645, 0.16666, 0.12790], atol=5e-6)
    found = exact("""
matrix W
vector z0
A = (W + W') / sqrt(2)
p = z0
z = A @ tanh(z0)
output <z|z> as first
for t in 0..3:
    q = A @ tanh(z) - avg(tanh'(z)) * tanh(p)
    p = z
    z = q
    output <z|z> as rest
""")
    assert_close([found["first"], *found["rest"]], truth)


def test_hat_against_dot() -> None:
    """⟨x⎸W y⟩ = ⟨Wᵀ x⎸y⟩, computed in both orders, of kets that depend on W and Wᵀ, with jumps and kinks."""
    found = exact("""
vector a, b
matrix W
x = tanh(W @ a) + relu(b)
y = step(W' @ b) - 0.3 * sign(a)
output <x | W @ y> as forward
output <W' @ x | y> as backward
""")
    assert abs(found["forward"]) > 0.05
    assert_close(found["forward"], found["backward"], 1e-12)


def linear_mup(layers: int, steps: int, eta: float = 0.3, y: float = 1.3) -> str:
    lines = ["vector u, v", f"matrix W[{max(layers - 1, 1)}]"]
    lines += [f"E{k} = W[{k}]" for k in range(layers - 1)]
    lines += [f"for t in 0..{steps}:", "    x = u"]
    lines += [f"    x = E{k} @ x" for k in range(layers - 1)]
    lines += ["    f = avg(v * x)", f"    loss = (f - {y})^2 / 2", "    output f"]
    names = ["u", "v", *(f"E{k}" for k in range(layers - 1))]
    lines += [f"    g{name} = grad(loss, {name})" for name in names]
    lines += [f"    {name} -= {eta} * g{name}" for name in names]
    return "\n".join(lines)


def test_linear_networks_in_mup() -> None:
    assert_close(exact(linear_mup(2, 4))["f"], [0, 1.17, 1.36719, 1.25445], 5e-6)
    for layers in (1, 3):
        assert_close(exact(linear_mup(layers, 2))["f"], [0, (layers + 1) * 0.3 * 1.3], 1e-12)


def relu_layer(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.sqrt(np.outer(np.diag(K), np.diag(K)))
    angle = np.arccos(np.clip(K / scale, -1, 1))
    np.fill_diagonal(angle, 0)
    return scale * (np.sin(angle) + (pi - angle) * np.cos(angle)) / (2 * pi), (pi - angle) / (2 * pi)


def erf_layer(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    square = np.outer(1 + 2 * np.diag(K), 1 + 2 * np.diag(K))
    return 2 / pi * np.arcsin(2 * K / np.sqrt(square)), 4 / pi / np.sqrt(square - 4 * K**2)


def sin_layer(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = (np.diag(K)[:, None] + np.diag(K)) / 2
    return np.exp(-total) * np.sinh(K), np.exp(-total) * np.cosh(K)


def abs_layer(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    (first, slope), same = relu_layer(K), K
    return 4 * first - same, 4 * slope - 1


KERNELS = {"relu(z)": relu_layer, "erf(z)": erf_layer, "sin(z)": sin_layer, "abs(z)": abs_layer}


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("phi", KERNELS)
def test_kernels_of_perceptrons(phi: str, layers: int) -> None:
    """Inputs of norm 0.5 to 2, one repeated and one with its negative."""
    xi = np.random.default_rng(3).standard_normal((3, 3))
    xi *= (np.array([0.5, 1.0, 2.0]) / np.linalg.norm(xi, axis=1))[:, None]
    xi = np.concatenate([xi, xi[:1], -xi[1:2]])
    K = T = xi @ xi.T
    for _ in range(layers):
        K, slope = KERNELS[phi](K)
        T = K + T * slope
    found = exact(perceptron(phi, layers), data={"xi": xi})
    # the angle of a repeated input, and so the slopes at it, is known to the root of the rounding error
    assert_close(found["K"], K, 1e-12)
    assert_close(found["T"], T, 1e-12 if phi in ("erf(z)", "sin(z)") else 3e-7)


def test_nearly_equal_inputs() -> None:
    """Angles of 1e-2 to 1e-6: kernels keep their digits and slopes those that the angle has."""
    angles = np.array([0.0, 1e-2, 1e-4, 1e-6])
    xi = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    found = exact(
        "data xi[4, 2]\nvector u[2]\nh[a] = sum[k](xi[a, k] * u[k])\n"
        "output <relu(h[a]) | relu(h[b])> as K[a, b]\noutput <step(h[a]) | step(h[b])> as S[a, b]\n",
        data={"xi": xi},
    )
    gaps = np.abs(angles[:, None] - angles)
    assert_close(found["K"], (np.sin(gaps) + (pi - gaps) * np.cos(gaps)) / (2 * pi), 1e-13)
    assert_close(found["S"], (pi - gaps) / (2 * pi), 1e-10)


def test_one_dimension() -> None:
    found = exact("vector x\noutput <sign(x) | erf(2 * x)> as odd\noutput avg(exp(1.5 * x)) as exponential\n")
    # E sign(X) erf(2 X) = (2/π) arctan(2 √2)
    assert_close(found["odd"], 2 / pi * np.arctan(2 * sqrt(2)), 1e-12)
    assert_close(found["exponential"], exp(1.125), 1e-11)
    assert_close(2 / pi * np.arctan(2 * sqrt(2)), 2 / pi * asin(sqrt(8 / 9)), 1e-15)
