"""Scalars whose values are known take the place of what would compute them.

Accepts a lowered graph and values of some of its scalars.  Promises the outputs that are not known in all their
elements, with those that are as data, and known scalars inside as data wherever that cannot cost accuracy.

A sampled output f(s, t), s a known scalar and t other averages over the same samples, has the variance

    f_s² Var s + 2 f_s f_t Cov(s, t) + f_t² Var t

to first order.  With the value of s in its place the last term is left.  That is less if s and t are independent; if
they are not, noise that would have cancelled may remain: x / sqrt(avg(x^2)) has the norm 1 only with the average over
its own samples.  So s is replaced where no initial vector or matrix that it depends on is read by what stays sampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256

import numpy as np

from nexort.graph import Data, Graph, InitialMatrix, InitialVector, Node, Number, WidthNumber, build_graph

Array = np.ndarray
NAME = "exact value"
"""Of the data that stand for known scalars: no name in a program has a space."""


def with_known_values(graph: Graph, values: Mapping[Node, Array]) -> Graph:
    """The graph of what is left to compute."""
    inside = _separable(graph, values)
    data = {node: _data(node, values[node]) for node in {*graph.results, *inside} if node in values}
    new: dict[Node, Node] = {}
    for node in graph.order:
        new[node] = data[node] if node in inside else node.with_operands(new[operand] for operand in node.operands)
    outputs = (
        replace(out, nodes=tuple(data.get(node, new[node]) for node in out.nodes))
        for out in graph.outputs
        if any(node not in values for node in out.nodes)
    )
    return replace(build_graph(outputs, graph.notes), is_lowered=graph.is_lowered)


def reads_known_value(graph: Graph) -> frozenset[Node]:
    """The nodes that depend on data that stand for a known scalar."""
    found: set[Node] = set()
    for node in graph.order:
        if (isinstance(node, Data) and node.name == NAME) or any(operand in found for operand in node.operands):
            found.add(node)
    return frozenset(found)


def _data(node: Node, value: Array) -> Data:
    array = np.array(np.broadcast_to(value, node.type.shape), dtype=np.float64)
    array.setflags(write=False)
    digest = sha256(array.tobytes()).digest()
    return Data(type=node.type, name=NAME, array=array, digest=digest, span=node.span, passes=node.passes)


def _separable(graph: Graph, values: Mapping[Node, Array]) -> set[Node]:
    """The known scalars, as near to the outputs as they are, that share no randomness with what stays sampled."""
    sources = _sources(graph)
    border: set[Node] = set()
    seen: set[Node] = set()
    reached = 0
    waiting = [node for node in graph.results if node not in values]
    while waiting:
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            if node in values and not isinstance(node, Number | WidthNumber | Data):
                border.add(node)
                continue
            waiting += node.operands
            reached |= 0 if node.operands else sources[node]
        waiting = [operand for node in border if sources[node] & reached for operand in node.operands]
        border = {node for node in border if not sources[node] & reached}
    return border


def _sources(graph: Graph) -> dict[Node, int]:
    """The initial vectors and matrices that each node depends on, as bits."""
    bits: dict[tuple[object, ...], int] = {}
    found: dict[Node, int] = {}
    for node in graph.order:
        if isinstance(node, InitialVector | InitialMatrix):
            found[node] = bits.setdefault((type(node), *node.signature), 1 << len(bits))
        else:
            found[node] = _union(found[operand] for operand in node.operands)
    return found


def _union(masks: Iterable[int]) -> int:
    result = 0
    for mask in masks:
        result |= mask
    return result
