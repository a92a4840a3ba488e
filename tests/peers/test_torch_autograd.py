"""Gradients and training against PyTorch's autograd, from the same initial values (the extra `peers`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agreement.engines import EngineDraws
from nexort.elaborate import elaborate
from nexort.finite import FiniteRun
from nexort.graph import Data, Graph
from nexort.source import Source
from nexort.syntax import parse

pytestmark = pytest.mark.long
ADAM = Path(__file__).parents[2] / "programs" / "adam_mup.nx"
N = 64


def compiled(text: str, **settings: float) -> Graph:
    return elaborate(parse(Source("<text>", text)), settings=settings)


def leaf(torch: Any, array: np.ndarray) -> Any:
    return torch.tensor(np.array(array), dtype=torch.float64, requires_grad=True)


def adam_curve(graph: Graph, steps: int, eta: float = 0.2) -> np.ndarray:
    """The outputs (steps, inputs) of the network of `adam_mup.nx`, trained by autograd in µP."""
    torch = pytest.importorskip("torch")
    draws = EngineDraws(graph, N)
    arrays = {node.name: node.array for node in graph.order if isinstance(node, Data)}
    xi, y, train = (torch.tensor(arrays[name].copy()) for name in ("xi", "y", "train"))
    u = leaf(torch, np.stack([draws("vector", "u", (), (k,)) for k in range(xi.shape[1])]))
    v, W = leaf(torch, draws("vector", "v", (), ())), leaf(torch, draws("matrix", "W", (), ()))
    # a gradient of order 1 is n ∂s/∂p; an update of a matrix by a tensor T is −η T/n
    state = {p: (torch.zeros_like(p), torch.zeros_like(p)) for p in (u, v, W)}
    curve: list[np.ndarray] = []
    first = None
    for step in range(1, steps + 1):
        h2 = torch.relu(xi @ u) @ W.T
        f = torch.relu(h2) @ v / N
        first = f.detach() if first is None else first
        f = f - first
        curve.append(f.detach().numpy())
        loss = (train * (f - y) ** 2).sum() / (2 * train.sum())
        for p, g in zip((u, v, W), torch.autograd.grad(loss, (u, v, W)), strict=True):
            m, second = state[p]
            m.mul_(0.9).add_(0.1 * N * g)
            second.mul_(0.99).add_(0.01 * (N * g) ** 2)
            Q = (m / (1 - 0.9**step)) / torch.sqrt(second / (1 - 0.99**step) + 1e-4**2)
            with torch.no_grad():
                p -= eta * Q / (N if p is W else 1)
    return np.stack(curve)


def test_adam_training_is_that_of_autograd() -> None:
    graph = compiled(ADAM.read_text(), T=10)
    found = FiniteRun(graph, width=N).trial(0)["f"]
    expected = adam_curve(graph, 10)
    assert np.abs(expected[1:]).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


HEAD = "vector x, y, p, q\nmatrix W, V\n"
PROBES = "output <p|G @ q> as matrix\noutput <grad(s, x)|p> as vector\n"
SCALARS: dict[str, tuple[str, Callable[[Any, dict[str, Any]], Any]]] = {
    "shared and transposed": (
        "h = W @ tanh(W @ x)\nz = W' @ gelu(h) + V @ x\ns = <y | silu(z)> + <x|V'|z>",
        lambda t, a: _shared(t, a),
    ),
    "operators": (
        "A = (W + W') / sqrt(2) - 0.5 * |x><y|\ns = <y | softplus(A @ V @ A' @ x)>",
        lambda t, a: _operators(t, a),
    ),
    "tensors": (
        "h = W @ x\nT{i,j} = tanh(h{i} * y{j} + x{j})\ns = <y | T @ x> + sqrt(avg(T^2)) + avg(h * sigmoid(h))",
        lambda t, a: _tensors(t, a),
    ),
}


def _shared(t: Any, a: dict[str, Any]) -> Any:
    W, V, x, y = (a[name] for name in "WVxy")
    h = W @ t.tanh(W @ x)
    z = W.T @ t.nn.functional.gelu(h) + V @ x
    return (y @ t.nn.functional.silu(z) + x @ (V.T @ z)) / len(x)


def _operators(t: Any, a: dict[str, Any]) -> Any:
    W, V, x, y = (a[name] for name in "WVxy")
    A = (W + W.T) / 2**0.5 - 0.5 * t.outer(x, y) / len(x)
    return y @ t.nn.functional.softplus(A @ (V @ (A.T @ x))) / len(x)


def _tensors(t: Any, a: dict[str, Any]) -> Any:
    W, x, y = (a[name] for name in "Wxy")
    h = W @ x
    T = t.tanh(t.outer(h, y) + x[None, :])
    return y @ (T @ x) / len(x) ** 2 + t.sqrt(t.mean(T**2)) + t.mean(h * t.sigmoid(h))


@pytest.mark.parametrize("name", SCALARS)
def test_gradients_are_those_of_autograd(name: str) -> None:
    torch = pytest.importorskip("torch")
    text, scalar = SCALARS[name]
    graph = compiled(f"{HEAD}{text}\nG = grad(s, W)\noutput s\n{PROBES}")
    found = FiniteRun(graph, width=N).trial(0)
    draws = EngineDraws(graph, N)
    arrays = {key: leaf(torch, draws("vector", key, (), ())) for key in "xypq"}
    arrays |= {key: leaf(torch, draws("matrix", key, (), ())) for key in "WV"}
    s = scalar(torch, arrays)
    dW, dx = torch.autograd.grad(s, (arrays["W"], arrays["x"]))
    p, q = arrays["p"], arrays["q"]
    np.testing.assert_allclose(found["s"], s.item(), rtol=1e-11)
    np.testing.assert_allclose(found["matrix"], (p @ (N * dW) @ q / N**2).item(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["vector"], (N * dx @ p / N).item(), rtol=1e-9, atol=1e-12)
