"""From a program's graph to what the limit is computed from, sampled or exact.

Accepts an elaborated graph.  Promises the same outputs with every operator applied part by part: products with
initial matrices, averages over tensors, words of a product in turn.  No operator is formed.
"""

from __future__ import annotations

from dataclasses import replace

from nexort.graph import Graph
from nexort.passes.contract import contract
from nexort.passes.operators import lower_operators
from nexort.passes.simplify import simplify


def lower_for_limit(graph: Graph) -> Graph:
    """Simplified, contracted, and with `Apply` expanded; equal products with a matrix are merged at the end."""
    if graph.is_lowered:
        return graph
    lowered = simplify(lower_operators(contract(simplify(graph))))
    return replace(lowered, notes=graph.notes, is_lowered=True)
