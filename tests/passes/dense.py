"""A naive evaluator of graphs at width n with plain einsum: the independent oracle of the pass tests."""

import string

import numpy as np

from nexort.graph import (
    Alias,
    Apply,
    Average,
    Contract,
    Data,
    Graph,
    InitialMatrix,
    InitialVector,
    Map,
    MatMul,
    Number,
    OperatorProduct,
    OperatorSum,
    Reduce,
    Select,
    Stack,
    Stop,
    Transpose,
)
from nexort.symbolic import kernel


def evaluate(graph: Graph, n: int = 5, seed: int = 0) -> list[np.ndarray]:
    """The values of all output nodes; an order-2 tensor used as an operator enters as T/n."""
    values: dict[object, np.ndarray] = {}
    for node in graph.order:
        values[node] = _value(node, [values[x] for x in node.operands], n, seed)
        assert values[node].shape == node.type.shape + (n,) * node.type.order, node
    return [values[node] for node in graph.results]


def _draw(node, n, seed, scale):
    key = [seed, *map(ord, node.name), *(k for _, k in node.passes)]
    return np.random.default_rng(key).normal(size=node.type.shape + (n,) * node.type.order) * scale


def _subscripts(axes):
    return "".join(string.ascii_lowercase[k] for k in axes.static) + "".join(
        string.ascii_uppercase[k] for k in axes.width
    )


def _place(array, axes, static_lengths, order, n):
    """The array broadcast to the full result shape, by multiplying with ones."""
    ones = np.ones((*static_lengths, *(n,) * order))
    full = _full(len(static_lengths), order)
    return np.einsum(f"{_subscripts(axes)},{full}->{full}", array, ones)


def _full(static, order):
    return string.ascii_lowercase[:static] + string.ascii_uppercase[:order]


def _operator(node, value, n):
    return value if node.type.is_operator else value / n


def _value(node, args, n, seed):
    shape, order = node.type.shape, node.type.order
    match node:
        case Number():
            return np.asarray(node.value)
        case Data():
            return node.array
        case InitialVector():
            return node.mean + _draw(node, n, seed, np.sqrt(node.variance))
        case InitialMatrix():
            return _draw(node, n, seed, np.sqrt(node.variance / n))
        case Map():
            placed = [_place(x, axes, shape, order, n) for x, axes in zip(args, node.axes, strict=True)]
            return np.broadcast_to(kernel(node.fn)(*placed), (*shape, *(n,) * order))
        case Reduce():
            return {"sum": np.sum, "mean": np.mean, "max": np.max}[node.kind](args[0], axis=node.axes)
        case Average():
            rank = len(node.operands[0].type.shape)
            return args[0].mean(axis=tuple(rank + k for k in node.axes))
        case Contract():
            static, total = len(shape) + len(node.summed), order + node.averaged
            product = np.ones((*shape, *node.summed, *(n,) * total))
            for x, axes in zip(args, node.axes, strict=True):
                product = product * _place(x, axes, (*shape, *node.summed), total, n)
            full = _full(static, total)
            result = string.ascii_lowercase[: len(shape)] + string.ascii_uppercase[:order]
            return np.einsum(f"{full}->{result}", product) / n**node.averaged
        case Apply() | MatMul():
            matrix = _place(_operator(node.operands[0], args[0], n), _with(node.axes[0], (0, 1)), shape, 2, n)
            if isinstance(node, MatMul) and node.is_transposed:
                matrix = np.swapaxes(matrix, -1, -2)
            vector = _place(args[1], _with(node.axes[1], (0,)), shape, 1, n)
            return np.einsum("...ij,...j->...i", matrix, vector)
        case OperatorSum():
            total = np.zeros((*shape, n, n))
            for k in range(0, len(args), 2):
                c = _place(args[k], _with(node.axes[k], ()), shape, 0, n)
                term = _operator(node.operands[k + 1], args[k + 1], n)
                total += c[..., None, None] * _place(term, _with(node.axes[k + 1], (0, 1)), shape, 2, n)
            return total
        case OperatorProduct():
            left, right = (
                _place(_operator(x, v, n), _with(axes, (0, 1)), shape, 2, n)
                for x, v, axes in zip(node.operands, args, node.axes, strict=True)
            )
            return left @ right
        case Transpose():
            return np.swapaxes(args[0], -1, -2)
        case Select():
            return args[0][tuple(slice(None) if i is None else i for i in node.index)]
        case Stack():
            return np.stack(args, axis=node.axis)
        case Alias() | Stop():
            return args[0]
        case _:
            raise NotImplementedError(type(node).__name__)


def _with(axes, width):
    return type(axes)(axes.static, width)
