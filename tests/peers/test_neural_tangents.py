"""The exact method against neural-tangents' closed forms, in an interpreter of its own (docs/benchmarks.md)."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.kernel import VARIABLE, ask_tangents, tangents_python
from exact.programs import exact, perceptron

pytestmark = pytest.mark.long

FUNCTIONS = {
    "relu": "relu(z)",
    "erf": "erf(z)",
    "gelu": "gelu(z)",
    "abs": "abs(z)",
    "sign": "sign(z)",
    "sin": "sin(z)",
    "cos": "cos(z)",
    "leaky relu": "leaky_relu(z, 0.1)",
    "exp": "exp(z)",
    "square": "z^2",
    "cubic": "0.5 - z + 0.25 * z^2 + 0.3 * z^3",
}
SHALLOW = ("exp", "square", "cubic")
"""At depths 1 and 2, with the first layer divided by d = 6: without, exp leaves the range of float64."""
ANGULAR = ("relu", "abs", "sign", "leaky relu")
"""Slopes depend on the angle between inputs, of which neural-tangents has half the digits where it is 0."""
TASKS = [(phi, layers) for phi in FUNCTIONS for layers in ((1, 2) if phi in SHALLOW else range(1, 9))]


def inputs() -> np.ndarray:
    xi = np.random.default_rng(5).standard_normal((5, 6))
    return xi * (np.linspace(0.5, 2, 5) / np.linalg.norm(xi, axis=1))[:, None]


@pytest.fixture(scope="module")
def answers() -> dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]:
    python = tangents_python()
    if python is None:
        pytest.skip(f"{VARIABLE} names no interpreter with neural-tangents")
    found: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}
    for is_shallow, scale in ((True, 1.0), (False, np.sqrt(6))):
        mine = [task for task in TASKS if (task[0] in SHALLOW) == is_shallow]
        answer = ask_tangents(inputs() * scale, [{"phi": phi, "layers": layers} for phi, layers in mine], python)
        found |= {task: (answer[f"nngp_{k}"], answer[f"ntk_{k}"]) for k, task in enumerate(mine)}
    return found


@pytest.mark.parametrize(("phi", "layers"), TASKS)
def test_kernels(phi: str, layers: int, answers: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]) -> None:
    xi = inputs() / np.sqrt(6) if phi in SHALLOW else inputs()
    found = exact(perceptron(FUNCTIONS[phi], layers), data={"xi": xi})
    off = ~np.eye(5, dtype=bool)
    for name, truth in zip(("K", "T"), answers[phi, layers], strict=True):
        np.testing.assert_allclose(found[name][off], truth[off], rtol=1e-10, atol=0)
        # its sign kernel has 0.24 instead of 1 on the diagonal at depth 8
        if phi != "sign":
            np.testing.assert_allclose(found[name], truth, rtol=1e-6 if phi in ANGULAR else 1e-10, atol=0)
    if phi == "sign":
        np.testing.assert_allclose(np.diag(found["K"]), 1, rtol=1e-14)
