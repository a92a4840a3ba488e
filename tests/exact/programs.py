"""Programs as text to exact limits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nexort.elaborate import elaborate
from nexort.exact import evaluate_exactly
from nexort.source import Source
from nexort.syntax import parse


def exact(text: str, *, data: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    return evaluate_exactly(elaborate(parse(Source("p.nx", text)), data=data, meaning="limit"))


def assert_close(found: object, truth: object, tolerance: float = 1e-9) -> None:
    assert np.shape(found) == np.shape(truth)
    np.testing.assert_allclose(np.asarray(found), np.asarray(truth), rtol=0, atol=tolerance)


def perceptron(phi: str, layers: int) -> str:
    """A network with `layers` hidden layers, its NNGP kernel K and NTK T; `phi` is applied as a def."""
    lines = ["data xi[M, d]", f"def phi(z) = {phi}", "vector u[d], v", f"matrix W[{max(layers - 1, 1)}]"]
    lines += ["h[0, a] = sum[k](xi[a, k] * u[k])", "x[0, a] = phi(h[0, a])"]
    for layer in range(1, layers):
        lines += [f"h[{layer}, a] = W[{layer - 1}] @ x[{layer - 1}, a]", f"x[{layer}, a] = phi(h[{layer}, a])"]
    lines += [f"f[a] = avg(v * x[{layers - 1}, a])", f"output <x[{layers - 1}, a] | x[{layers - 1}, b]> as K[a, b]"]
    terms = ["<grad(f[a], v) | grad(f[b], v)>", "sum[k](<grad(f[a], u[k]) | grad(f[b], u[k])>)"]
    terms += [f"avg(grad(f[a], W[{k}]) * grad(f[b], W[{k}]))" for k in range(layers - 1)]
    return "\n".join([*lines, f"T[a, b] = {' + '.join(terms)}", "output T"])
