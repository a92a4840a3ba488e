"""From a program's graph to what the limit backend runs.

Accepts an elaborated graph.  Promises the same outputs with every operator applied part by part: products with
initial matrices, averages over tensors, words of a product in turn.  No operator is formed.
"""

from __future__ import annotations

from nexort.graph import Graph
from nexort.passes import contract, lower_operators, simplify


def lower_for_limit(graph: Graph) -> Graph:
    """Simplified, contracted, and with `Apply` expanded; equal products with a matrix are merged at the end."""
    return simplify(lower_operators(contract(simplify(graph))))
