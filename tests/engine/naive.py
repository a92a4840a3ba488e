"""A naive interpreter of lowered graphs: whole float64 arrays, einsum, no plan. Imports nothing of the engine."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from nexort.graph import (
    Average,
    Axes,
    Contract,
    Data,
    DenseOperator,
    Graph,
    InitialMatrix,
    InitialVector,
    Map,
    MatMul,
    Node,
    Number,
    Reduce,
    Select,
    Stack,
    WidthNumber,
)
from nexort.symbolic import kernel, value_at_width


def spread(array: Any, axes: Axes, statics: int, order: int, sizes: tuple[int, ...]) -> Any:
    places = (*axes.static, *(statics + w for w in axes.width))
    letters = string.ascii_letters
    subscripts = "".join(letters[p] for p in places)
    result = "".join(letters[p] for p in range(statics + order))
    ones = [np.ones(size) for size in sizes]
    return np.einsum(
        f"{subscripts},{','.join(letters[p] for p in range(len(sizes)))}->{result}" if sizes else f"{subscripts}->",
        array,
        *ones,
    )


def evaluate(graph: Graph, n: int, initial: dict[tuple[str, Any], Any]) -> dict[str, Any]:
    values: dict[Node, Any] = {}
    for node in graph.order:
        values[node] = value(node, [values[x] for x in node.operands], n, initial)
    return {
        out.name: np.stack([values[x] for x in out.nodes]).reshape((*out.loops, *np.shape(values[out.nodes[0]])))
        for out in graph.outputs
    }


def value(node: Node, args: list[Any], n: int, initial: dict[tuple[str, Any], Any]) -> Any:
    shape, order = node.type.shape, node.type.order
    match node:
        case Number():
            return np.float64(node.value)
        case WidthNumber():
            return np.float64(value_at_width(node.expression, n))
        case Data():
            return node.array
        case InitialVector() | InitialMatrix():
            return initial[node.name, node.passes]
        case Map():
            sizes = shape + (n,) * order
            views = [spread(a, ax, len(shape), order, sizes) for a, ax in zip(args, node.axes, strict=True)]
            return kernel(node.fn)(*views)
        case Reduce():
            return getattr(np, node.kind)(args[0], axis=node.axes)
        case Average():
            first = len(node.operands[0].type.shape)
            return np.mean(args[0], axis=tuple(first + a for a in node.axes))
        case Contract():
            statics, widths = len(shape) + len(node.summed), order + node.averaged
            sizes = shape + node.summed + (n,) * widths
            product: Any = np.ones(sizes)
            for a, ax in zip(args, node.axes, strict=True):
                product = product * spread(a, ax, statics, widths, sizes)
            summed = tuple(range(len(shape), statics)) + tuple(range(statics + order, statics + widths))
            return product.sum(axis=summed) / n**node.averaged
        case MatMul():
            matrix = np.swapaxes(args[0], -1, -2) if node.is_transposed else args[0]
            sizes = shape
            left = static_spread(matrix, node.axes[0], sizes, 2)
            right = static_spread(args[1], node.axes[1], sizes, 1)
            return np.einsum("...ij,...j->...i", left, right)
        case DenseOperator():
            total: Any = 0
            for k in range(0, len(args), 2):
                term = args[k + 1]
                if node.axes[k + 1].width == (1, 0):
                    term = np.swapaxes(term, -1, -2)
                if not node.operands[k + 1].type.is_operator:
                    term = term / n
                weight = static_spread(args[k], node.axes[k], shape, 0)[..., None, None]
                total = total + weight * static_spread(term, node.axes[k + 1], shape, 2)
            return total
        case Select():
            return args[0][tuple(slice(None) if k is None else k for k in node.index)]
        case Stack():
            return np.stack(args, axis=node.axis)
        case _:
            raise AssertionError(type(node))


def static_spread(array: Any, axes: Axes, sizes: tuple[int, ...], tail: int) -> Any:
    labels = [50 + k for k in range(tail)]
    ones = np.ones(sizes)
    return np.einsum(
        np.asarray(array), [*axes.static, *labels], ones, list(range(len(sizes))), [*range(len(sizes)), *labels]
    )
