"""Every gradient of the shipped programs is the central difference at width 8.

The version that `grad` differentiates is moved, everything computed before it and every constant of `grad` stay fixed.
Directions are random; a draw close to a kink would show as a failure and is replaced by another seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from elaborate.readings import compile_text, node_value
from nexort.graph import Node
from nexort.graph.gradient import Tape
from nexort.graph.graph import topological_order
from nexort.graph.nodes import Stop
from nexort.graph.terms import Label, Place, Term

WIDTH, STEP = 8, 1e-5
FOLDER = Path(__file__).parents[2] / "programs"
# those with `train` are larger, and covered in tests/architectures
PROGRAMS = sorted(path for path in FOLDER.glob("*.nx") if not path.stem.startswith("train_"))
SMALL = {"T": 2, "M": 3, "d": 2}


class Taken(NamedTuple):
    """One gradient: of `scalar` in `target`, whose static axes are called `labels`."""

    scalar: Term
    target: Node
    labels: tuple[Label | int, ...]
    result: Term


def small(path: Path) -> str:
    return path.read_text(encoding="utf-8").replace("[1] * 100 + [0] * 4", "[1, 1, 0]")


def gradients_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Taken]:
    taken: list[Taken] = []
    original = Tape.gradient

    def recorded(tape: Tape, target: Node, labels: Any, place: Place) -> Term:
        result = original(tape, target, labels, place)
        taken.append(Taken(tape.value, target, tuple(labels), result))
        return result

    monkeypatch.setattr(Tape, "gradient", recorded)
    names = {"adam_mup": ("T", "M", "d"), "signsgd_written_out": ("T", "M", "d")}.get(path.stem, ())
    compile_text(small(path), {name: SMALL[name] for name in names}, name=str(path))
    return taken


def evaluate(order: tuple[Node, ...], known: Mapping[Node, Any]) -> dict[Node, Any]:
    values = dict(known)
    for node in order:
        if node not in values:
            values[node] = node_value(node, [values[x] for x in node.operands], WIDTH)
    return values


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_gradients_are_central_differences(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = gradients_of(path, monkeypatch)
    if "grad(" not in path.read_text(encoding="utf-8"):
        assert not taken
        return
    assert taken
    order = topological_order([node for one in taken for node in (one.result.node, one.scalar.node, one.target)])
    base = evaluate(order, {})
    rng = np.random.default_rng(0)
    for one in taken:
        check(one, order, base, rng)


def check(one: Taken, order: tuple[Node, ...], base: dict[Node, Any], rng: np.random.Generator) -> None:
    """The derivative of the scalar, a family perhaps, along a random direction of the target."""
    target, scalar = one.target, one.scalar
    direction = rng.standard_normal(np.shape(base[target]))
    for axis, label in enumerate(one.labels):
        if isinstance(label, int):  # one element is asked for: the others stay
            kept = np.arange(direction.shape[axis]) == label
            direction = direction * kept.reshape([-1 if k == axis else 1 for k in range(direction.ndim)])
    moved = [shifted(order, base, target, sign * STEP * direction)[scalar.node] for sign in (1, -1)]
    difference = (moved[0] - moved[1]) / (2 * STEP)
    expected = along(one, base[one.result.node], direction)
    scale = max(float(np.abs(expected).max()), 1e-3)
    np.testing.assert_allclose(difference, expected, rtol=0, atol=1e-6 * scale)


def shifted(order: tuple[Node, ...], base: dict[Node, Any], target: Node, shift: Any) -> dict[Node, Any]:
    """The values when the target is moved; what does not depend on it, and what is constant for `grad`, stays."""
    values: dict[Node, Any] = {}
    touched = {target}
    values[target] = base[target] + shift
    for node in order:
        if node is target:
            continue
        if isinstance(node, Stop) or not any(x in touched for x in node.operands):
            values[node] = base[node]
        else:
            touched.add(node)
            values[node] = node_value(node, [values[x] for x in node.operands], WIDTH)
    return values


def along(one: Taken, gradient: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Σ gradient · direction / n^order, for each index of the scalar."""
    order = one.target.type.order
    power = 1 if one.target.type.is_operator else order
    names = {label: k for k, label in enumerate(dict.fromkeys((*one.result.static, *one.scalar.static)))}
    widths = [40 + k for k in range(order)]
    own = [names[label] for label in one.labels if not isinstance(label, int)]
    direction = direction[tuple(label if isinstance(label, int) else slice(None) for label in one.labels)]
    product = [gradient, [names[s] for s in one.result.static] + widths]
    return np.einsum(*product, direction / WIDTH**power, own + widths, [names[s] for s in one.scalar.static])
