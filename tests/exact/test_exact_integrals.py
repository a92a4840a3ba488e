"""Expectations of functions of two Gaussian directions against one-dimensional quadrature of conditional means."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from .programs import assert_close, exact

Real = Callable[[float], float]


def density(z: float) -> float:
    return float(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))


def mean_relu(m: float, s: float) -> float:
    """E relu(m + s Z)"""
    return m * float(ndtr(m / s)) + s * density(m / s) if s > 0 else max(m, 0.0)


def mean_step(m: float, s: float) -> float:
    return float(ndtr(m / s)) if s > 0 else float(m > 0)


def reference(f: Real, mean: Callable[[float, float], float], rho: float, cut: float, at: list[float]) -> float:
    """E f(X) E[g(Y - cut) | X] with correlation rho; f has kinks `at`."""
    rest = np.sqrt(1 - rho**2)
    steep = [] if rho == 0 else [cut / rho + k * rest for k in (-6.0, -2.0, 0.0, 2.0, 6.0)]
    points = sorted({-10.0, 10.0, *(p for p in (*at, *steep) if abs(p) < 10)})
    total = 0.0
    for low, high in pairwise(points):
        total += quad(lambda x: f(x) * mean(rho * x - cut, rest) * density(x), low, high, epsabs=1e-13, epsrel=1e-13)[0]
    return total


FUNCTIONS: dict[str, tuple[Real, list[float]]] = {
    "relu(x - 0.4)": (lambda x: max(x - 0.4, 0.0), [0.4]),
    "step(x + 0.7)": (lambda x: float(x > -0.7), [-0.7]),
    "tanh(3 * x)": (lambda x: float(np.tanh(3 * x)), []),
    "x^2 * abs(x)": (lambda x: abs(x) ** 3, [0.0]),
    "clip(x, -1, 0.5)": (lambda x: min(max(x, -1.0), 0.5), [-1.0, 0.5]),
    "x * relu(x)": (lambda x: x * max(x, 0.0), [0.0]),
}
CORRELATIONS = [0.0, 0.3, -0.9, 0.99999, -0.9999999, 1.0]


@pytest.mark.parametrize("cut", [0.0, 0.4])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_kinks_and_jumps_at_every_correlation(function: str, cut: float) -> None:
    rho = np.array(CORRELATIONS)
    found = exact(
        "data r[6]\ndata s[6]\nvector x, z\ny[a] = r[a] * x + s[a] * z\n"
        f"output avg(({function}) * relu(y[a] - {cut})) as R[a]\n"
        f"output avg(({function}) * step(y[a] - {cut})) as S[a]\n",
        data={"r": rho, "s": np.sqrt(1 - rho**2)},
    )
    f, at = FUNCTIONS[function]
    assert_close(found["R"], [reference(f, mean_relu, c, cut, at) for c in rho], 1e-10)
    assert_close(found["S"], [reference(f, mean_step, c, cut, at) for c in rho], 1e-10)


def test_functions_of_dependent_forms_span_two_dimensions() -> None:
    """Three forms in a plane, and products with forms that lie outside it."""
    found = exact("""
vector x, y, z
output avg(step(x) * step(y) * step(x + y)) as three
output avg(relu(x) * relu(y) * relu(-x - y)) as none
output avg(step(x) * step(y - x) * (z + x)^2) as beside
output avg(max(x, y)) as largest
output avg(max(x, y) * (x + z) * (y + z)) as product
output avg(where(x < y, x, tanh(y))) as where
""")
    assert_close(found["three"], 0.25, 1e-13)
    assert_close(found["none"], 0.0, 1e-13)
    # angles π/4 to π/2: E step step = 1/8, and E x² over the sector = (π/4 - 1/2) / 2π
    assert_close(found["beside"], 1 / 8 + (np.pi / 4 - 0.5) / (2 * np.pi), 1e-13)
    assert_close(found["largest"], 1 / np.sqrt(np.pi), 1e-13)
    # E max(x, y) (x y + 1), by x, y = (s ± d)/√2: E (s + |d|)(s² − d² + 2)/(2 √2) = E |d| (3 − d²)/(2 √2)
    assert_close(found["product"], np.sqrt(2 / np.pi) / (2 * np.sqrt(2)), 1e-13)
    tail = quad(lambda t: np.tanh(t) * (1 - ndtr(t)) * density(t), -10, 10, epsabs=1e-13)[0]
    assert_close(found["where"], -1 / (2 * np.sqrt(np.pi)) + tail, 1e-10)


def test_smooth_functions() -> None:
    """Of a ratio, of both directions at once, steep and flat."""
    found = exact("""
vector x, y
output avg(exp(0.3 * x) * sin(0.6 * x + 0.8 * y) * x) as product
output avg(1 / (1 + x^2 + y^2)) as ratio
output avg(tanh(x * y + 0.2)) as joint
output avg(tanh(10 * x) * tanh(6 * x + 8 * y)) as steep
output avg(x / sqrt(x^2 + 0.01) * x) as adam
""")
    # E exp(a·g): differentiate exp(|a|²/2) with a = (0.3 + 0.6 i, 0.8 i) in its first component
    a = np.array([0.3 + 0.6j, 0.8j])
    assert_close(found["product"], float((a[0] * np.exp(a @ a / 2)).imag), 1e-12)
    radius = quad(lambda s: np.exp(-s) / (1 + 2 * s), 0, 60, epsabs=1e-13)[0]
    assert_close(found["ratio"], radius, 1e-10)
    grid = np.linspace(-9, 9, 1201)
    weight = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi) * (grid[1] - grid[0])
    joint = np.einsum("i,j,ij", weight, weight, np.tanh(grid[:, None] * grid + 0.2))
    assert_close(found["joint"], joint, 1e-10)
    fine = np.linspace(-9, 9, 4501)
    weight = np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi) * (fine[1] - fine[0])
    inner = np.array([np.tanh(6 * x + 8 * fine) @ weight for x in fine])
    assert_close(found["steep"], (np.tanh(10 * fine) * inner) @ weight, 1e-9)
    assert_close(found["adam"], (fine**2 / np.sqrt(fine**2 + 0.01)) @ weight, 1e-10)


@pytest.mark.parametrize("psi", ["tanh(a)", "step(a - 0.3)", "a * relu(a - 0.1 * b)", "step(a) * sign(a + b) * c * c"])
def test_slopes_by_differences(psi: str) -> None:
    """⟨u⎸W' ψ⟩ for ψ of a = W u is E dψ/da, by moving a; jumps count."""

    def text(by: float) -> str:
        return f"def psi(a, b, c) = {psi}\nvector a, b, c\noutput avg(psi(a + {by}, b, c)) as m"

    h = 1e-3
    values = {k: float(exact(text(k * h))["m"]) for k in (-2, -1, 1, 2)}
    slope = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * h)
    dot = f"def psi(a, b, c) = {psi}\nvector u, b, c\nmatrix W\noutput <u | W' @ psi(W @ u, b, c)> as m"
    assert abs(slope) > 0.1
    assert_close(exact(dot)["m"], slope, 1e-7)


def test_kinks_of_piecewise_linear_functions() -> None:
    """E |relu(x) - |y|| and E relu(1 - |x|), where the lines of kinks are those of the branches."""
    found = exact("""
vector x, y
output avg(abs(relu(x) - abs(y))) as two
output avg(relu(1 - abs(x))) as hat
output avg(sign(step(x) - 0.5) * relu(y)) as constant
""")
    # x < 0: E |y|; x > 0: E ||x| - |y||, with |x| = r cos, |y| = r sin
    difference = 2 / np.sqrt(np.pi) * (np.sqrt(2) - 1) * np.sqrt(2)
    assert_close(found["two"], (np.sqrt(2 / np.pi) + difference) / 2, 1e-12)
    hat = 2 * quad(lambda t: (1 - t) * density(t), 0, 1, epsabs=1e-14)[0]
    assert_close(found["hat"], hat, 1e-12)
    assert_close(found["constant"], 0.0, 1e-13)
