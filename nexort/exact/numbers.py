"""Products of numbers inside contractions are summed first: Σ_k ξ_ak ξ_bk ⟨x_a⎸y_b⟩ makes no array over a, b and k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from string import ascii_letters

import numpy as np

from nexort.exact.forms import Array
from nexort.graph import Contract, Graph, Map, Node, rewrite
from nexort.graph.nodes import Axes
from nexort.symbolic import kernel


def inline_products(graph: Graph) -> Graph:
    """The graph with products of numbers that a contraction reads as operands of it; the others are left."""
    return rewrite(graph, _inline)


def _inline(node: Node) -> Node:
    if not isinstance(node, Contract):
        return node
    operands: list[Node] = []
    places: list[Axes] = []
    for operand, axes in zip(node.operands, node.axes, strict=True):
        if isinstance(operand, Map) and not operand.type.order and _is_product(operand):
            operands += operand.operands
            places += [Axes(tuple(axes.static[k] for k in inner.static)) for inner in operand.axes]
        else:
            operands.append(operand)
            places.append(axes)
    return replace(node, operands=tuple(operands), axes=tuple(places))


def _is_product(node: Map) -> bool:
    program = kernel(node.fn)
    steps = program.instructions
    return len(steps) == 1 and steps[0].op == "multiply" and len(set(steps[0].inputs)) == len(node.operands) == 2


def sum_product(arrays: Sequence[Array], shape: tuple[int, ...], rank: int) -> Array:
    """Σ over the axes from `rank` on of a product of arrays with all axes of the shape, of length 1 where broadcast."""
    if not arrays:
        return np.full((1,) * rank, float(prod(shape[rank:])))
    names = ascii_letters[: len(shape)]
    packed = [array.reshape([n for n in array.shape if n != 1]) for array in arrays]
    inputs = ["".join(names[k] for k, n in enumerate(array.shape) if n != 1) for array in arrays]
    used = set("".join(inputs))
    kept = "".join(name for name in names[:rank] if name in used)
    value = np.einsum(f"{','.join(inputs)}->{kept}", *packed, optimize=True)
    count = prod(n for n, name in zip(shape[rank:], names[rank:], strict=True) if name not in used)
    lengths = [n if name in used else 1 for n, name in zip(shape[:rank], names[:rank], strict=True)]
    return count * np.asarray(value).reshape(lengths)
