"""Where `classify` says that its inequalities are not proved."""

from __future__ import annotations

from importlib.resources import files

import pytest

from nexort import syntax
from nexort.source import Source
from nexort.syntax import ast
from nexort.training.assumption import UpdateFunction, outside_assumption
from nexort.training.model import Model
from nexort.training.readout import find_readouts

OPTIMIZERS = (files("nexort") / "library" / "optimizers.nx").read_text(encoding="utf-8")
LIBRARY = {s.name.id: s for s in syntax.parse(Source("o", OPTIMIZERS)).body if isinstance(s, ast.Optimizer)}

MLP = ["vector u[d], v", "matrix W[2]", "h = sum[k](xi[k] * u[k])", "x = W[0] @ tanh(h)", "z = W[1] @ gelu(x)"]

DEEP = "for l in 0..2:\n        h[l + 1] = W[l] @ tanh(h[l])"

NETWORKS = [
    ([*MLP, "return v * tanh(z)"], []),
    ([*MLP[:3], "h = W[0] @ gelu(h)", "h = (W[1] @ gelu(h))", "return gelu(h) * v"], []),
    ([*MLP, "return v * relu(z)"], ["the activation relu is not known to be smooth"]),
    ([*MLP, "vector b = 0", "return v * tanh(z + b)"], ["biases"]),
    ([*MLP, "scalar s = 1", "return v * tanh(s * z)"], ["scalar parameters (s)", "the network is not an MLP"]),
    ([*MLP, "return v * tanh(z + x)"], ["the network is not an MLP"]),
    ([*MLP, "return v * tanh(x)"], []),
    ([*MLP, "return (v * tanh(x), v * tanh(z))"], ["the network is not an MLP"]),
    ([*MLP, "return z"], ["the network is not an MLP"]),
    ([*MLP, "return v * (W[0]' @ tanh(z))"], ["transposed matrices (W)", "matrices that are used more than once (W)"]),
    (
        ["vector u[d], v", "matrix W", *MLP[2:3], "for l in 0..2:\n        h = W @ tanh(h)", "return v * tanh(h)"],
        ["matrices that are used more than once (W)"],
    ),
    (
        ["vector u[d], v", "matrix W[2]", "h[0] = sum[k](xi[k] * u[k])", DEEP, "return v * tanh(h[2])"],
        [],
    ),
]


@pytest.mark.parametrize(("lines", "reasons"), NETWORKS)
def test_networks(lines: list[str], reasons: list[str]) -> None:
    text = "model net(xi[d]):\n" + "".join(f"    {line}\n" for line in lines)
    (tree,) = syntax.parse(Source("<text>", text)).body
    assert isinstance(tree, ast.Model)
    model = Model(tree)
    assert list(outside_assumption(model, find_readouts(model), [])) == reasons


UPDATES: list[tuple[str, dict[str, float | None], list[str]]] = [
    ("sgd", {}, []),
    ("signsgd", {"eps": 0}, []),
    ("signsgd", {}, []),
    ("signsgd", {"eps": None}, ["the optimizer signsgd is not known to keep the sign of its gradient"]),
    ("adam", {}, ["the optimizer adam has memory"]),
    ("adafactor", {}, ["the optimizer adafactor is not entrywise"]),
]


@pytest.mark.parametrize(("name", "arguments", "reasons"), UPDATES)
def test_updates(name: str, arguments: dict[str, float | None], reasons: list[str]) -> None:
    text = "model net(xi[d]):\n" + "".join(f"    {line}\n" for line in [*MLP, "return v * tanh(z)"])
    (tree,) = syntax.parse(Source("<text>", text)).body
    assert isinstance(tree, ast.Model)
    model = Model(tree)
    updates = [UpdateFunction(tree=LIBRARY[name], arguments=arguments, is_normalized=False)]
    assert list(outside_assumption(model, find_readouts(model), updates)) == reasons
    normalized = [UpdateFunction(tree=LIBRARY[name], arguments=arguments, is_normalized=True)]
    assert "normalized updates are not entrywise" in outside_assumption(model, find_readouts(model), normalized)


@pytest.mark.parametrize(
    ("body", "is_kept"), [("return -g", False), ("return where(g > 0, g, 2 * g)", True), ("return max(g, 0)", False)]
)
def test_signs(body: str, is_kept: bool) -> None:
    (tree,) = syntax.parse(Source("<text>", f"optimizer q():\n    {body}\n")).body
    assert isinstance(tree, ast.Optimizer)
    text = "model net(xi[d]):\n" + "".join(f"    {line}\n" for line in [*MLP, "return v * tanh(z)"])
    (model,) = syntax.parse(Source("<text>", text)).body
    assert isinstance(model, ast.Model)
    updates = [UpdateFunction(tree=tree, arguments={}, is_normalized=False)]
    assert (outside_assumption(Model(model), {"v"}, updates) == ()) == is_kept
