"""Values that are known before a run: of nodes made of numbers and data alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nexort.graph.nodes import Alias, Data, Map, Node, Number, Reduce, Select, Stack, Stop
from nexort.symbolic import evaluate_number, kernel


def known_value(node: Node) -> np.ndarray | None:
    """The array of `node.type.shape`, or None where it depends on anything but numbers and data."""
    known: dict[Node, np.ndarray | None] = {}
    stack = [node]
    while stack:
        top = stack[-1]
        waiting = [] if top in known else [x for x in top.operands if x not in known]
        if waiting and not top.type.order:
            stack += waiting
            continue
        stack.pop()
        if top not in known:
            known[top] = _known(top, [known.get(x) for x in top.operands])
    return known[node]


def _known(node: Node, operands: Sequence[np.ndarray | None]) -> np.ndarray | None:
    arrays = [array for array in operands if array is not None]
    if node.type.order or len(arrays) < len(operands):
        return None
    match node:
        case Number() | Data():
            return constant_array(node)
        case Alias() | Stop():
            return arrays[0]
        case Select():
            return arrays[0][tuple(slice(None) if k is None else k for k in node.index)]
        case Map() | Reduce() | Stack():
            return evaluate(node, arrays)
        case _:
            return None


def constant_array(node: Node) -> np.ndarray:
    """Of a number, or of data."""
    assert isinstance(node, Number | Data)
    return node.array if isinstance(node, Data) else np.asarray(node.value)


def evaluate(node: Map | Reduce | Stack, operands: Sequence[np.ndarray]) -> np.ndarray:
    """The value of a node of order 0 from those of its operands; it may not be finite."""
    with np.errstate(all="ignore"):
        match node:
            case Map():
                return np.broadcast_to(_mapped(node, operands), node.type.shape)
            case Reduce():
                reduction = {"sum": np.sum, "mean": np.mean, "max": np.max}[node.kind]
                return np.asarray(reduction(operands[0], axis=node.axes))
            case Stack():
                return np.stack(operands, axis=node.axis)


def _mapped(node: Map, operands: Sequence[np.ndarray]) -> np.ndarray:
    if not any(array.ndim for array in operands):
        return np.asarray(evaluate_number(node.fn, [float(array) for array in operands]))
    rank = len(node.type.shape)
    placed = (_placed(array, axes.static, rank) for array, axes in zip(operands, node.axes, strict=True))
    return np.asarray(kernel(node.fn)(*placed), dtype=float)


def _placed(array: np.ndarray, static: tuple[int, ...], rank: int) -> np.ndarray:
    """The array with its axes on the result's, length 1 where it has none."""
    axes = list(dict.fromkeys(static))
    array = np.einsum(array, static, axes)
    array = np.transpose(array, np.argsort(axes)) if axes else array
    lengths = dict(zip(sorted(axes), array.shape, strict=True))
    return array.reshape(tuple(lengths.get(k, 1) for k in range(rank)))
