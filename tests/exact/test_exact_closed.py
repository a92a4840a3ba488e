"""Closed forms against quadrature: products of functions at generic and degenerate covariances, and their slopes."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.exact import expect

from .programs import exact

PRODUCTS = [
    "gelu(a) * leaky_relu(b, 0.1)",
    "gelu'(a) * gelu''(b)",
    "erf(a) * abs(b) * a",
    "exp(0.3 * a) * gelu(b)",
    "exp(-a^2) * sin(b) * exp(0.4 * a)",
    "max(a, 0.3 * b) * erf(b)",
    "where(a >= 0, 1, b) * relu(b)",
    "where(a <= b, b, 1)",
    # three signs that jump at once
    "step(-a) * step(a) * relu(b) * b * a",
    "where(a > b, a, 0.5 * b) * max(a, b) * sign(a) * b",
]


def values(psi: str) -> dict[str, np.ndarray]:
    return exact(f"""
def psi(a, b) = {psi}
data r[4] = [0.3, -0.9, 1.0, 0.0]
data s[4] = [0.7, 0.2, 0.0, 1.1]
vector x, z
matrix W
y[k] = r[k] * x + s[k] * z
h[k] = W @ y[k]
output avg(psi(x, y[k])) as m[k]
output <z | W' @ psi(W @ z, h[k])> as d[k]
""")


@pytest.mark.parametrize("psi", PRODUCTS)
def test_against_quadrature(psi: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = values(psi)
    closed = expect.closed_value
    # moments without functions have no integral
    monkeypatch.setattr(expect, "closed_value", lambda group, cov: None if group.atoms else closed(group, cov))
    monkeypatch.setattr(expect, "closed_slopes", lambda group, cov: None)
    truth = values(psi)
    for name, value in truth.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-10)
