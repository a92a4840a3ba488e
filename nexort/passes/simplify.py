"""Simplification: constants folded, trivial algebra removed, equal nodes merged, dead code dropped.

Accepts any verified graph; promises a graph with the same outputs (up to the sign of a zero) and without Alias and
Stop, in one sweep: time is linear in the number of nodes.  Does not reassociate sums or products, does not
distribute, and does not change which random draws an initial vector or matrix stands for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nexort.graph import Graph, Node, build_graph
from nexort.passes.algebra import simplify_node


class Interner:
    """One node for each operation on given operands."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Node] = {}

    def unique(self, node: Node) -> Node:
        """The first node seen that is the same operation on the same operands."""
        key = (type(node), node.type, node.signature, node.operands)
        return self._known.setdefault(key, node)


def simplify(graph: Graph) -> Graph:
    """The graph with every node in its simplest known form, equal nodes merged."""
    interner = Interner()
    new: dict[Node, Node] = {}
    for node in graph.order:
        rebuilt = node.with_operands(new[operand] for operand in node.operands)
        new[node] = interner.unique(simplify_node(rebuilt))
    return build_graph(replace(out, nodes=tuple(new[node] for node in out.nodes)) for out in graph.outputs)
