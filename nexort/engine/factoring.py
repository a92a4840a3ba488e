"""Which tensors of a graph are held as their factors.

Sums of outer products that are only contracted, or are parts of others, are.  Demand for entries propagates back
through linear nodes and stops at contractions of vectors, which are made in tiles: so an accumulated tensor whose
entries are read (Adam's m) is stored, not summed anew from all steps.  The exception is a sum of many products of few
vectors with different coefficients (a polynomial of a tensor, as in Muon): as factors it is one product per tile.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from nexort.engine.groups import Groups
from nexort.graph import Average, Axes, Contract, Graph, Map, Node, Reduce, Select, Stack
from nexort.symbolic import primitive

_LINEAR = tuple(primitive(name) for name in ("add", "sub", "neg", "mul", "div", "identity"))
MOST_PRODUCTS = 256
"""Sums of more products than this are not looked at as one."""
LEAST_GAIN = 2
"""How many times fewer terms the merged products must have."""

Widths = dict[Any, int]


def choose_factored(graph: Graph, outer: Iterable[Node]) -> frozenset[Node]:
    """The tensors among the sums of outer products that are held as factors."""
    chosen = {node for node in outer if _has_rule(node)}
    merging = _find_merging(graph, chosen)
    pending = list(graph.order)
    while pending:
        node = pending.pop()
        large = [x for x in node.operands if x.type.order >= 2 and not x.type.is_operator]
        if node in chosen:
            if all(x in chosen for x in large):
                continue
            chosen.discard(node)
            pending.extend(graph.users[node])
        elif _is_reduction(node) and all(x in chosen for x in large):
            continue
        for operand in large:
            if operand in chosen and operand not in merging:
                chosen.discard(operand)
                pending.extend((operand, *graph.users[operand]))
    return frozenset(chosen)


def _has_rule(node: Node) -> bool:
    match node:
        case Map():
            return node.fn in _LINEAR
        case Contract() | Select() | Stack():
            return True
        case Reduce():
            return node.kind != "max"
        case _:
            return False


def _is_reduction(node: Node) -> bool:
    return isinstance(node, Contract | Average) and node.type.order < 2


def _find_merging(graph: Graph, chosen: set[Node]) -> set[Node]:
    """Sums whose products, merged by their vectors, have several times fewer terms."""
    merging: set[Node] = set()
    products: dict[Node, Widths | None] = {}
    for node in graph.order:
        if node not in chosen:
            continue
        terms = products[node] = _products(node, chosen, products)
        if terms is None:
            continue
        by_vectors: Widths = {}
        for leaf, count in terms.items():
            key = _vectors(leaf)
            by_vectors[key] = max(by_vectors.get(key, 0), count)
        if sum(terms.values()) >= LEAST_GAIN * sum(by_vectors.values()):
            merging.add(node)
    return merging


def _products(node: Node, chosen: set[Node], products: dict[Node, Widths | None]) -> Widths | None:
    """The distinct products that a sum is made of, with their numbers of terms; None where it is not so simple."""
    parts = [products[x] for x in node.operands if x in chosen]
    if isinstance(node, Contract):
        return None if parts else {node: _terms(node)}
    if not parts or not isinstance(node, Map):
        return None
    found: Widths = {}
    for part in parts:
        if part is None or len(found) + len(part) > MOST_PRODUCTS:
            return None
        found.update(part)
    return found


def _wide(node: Contract) -> list[tuple[Node, Axes]]:
    return [(x, axes) for x, axes in zip(node.operands, node.axes, strict=True) if axes.width]


def _vectors(node: Contract) -> tuple[Any, ...]:
    return tuple((x, axes.width) for x, axes in _wide(node))


def _terms(node: Contract) -> int:
    """The number of terms of Σ ⎸x⟩ C ⟨y⎸ after C is multiplied into one side."""
    first = len(node.type.shape)
    return min(
        (prod(n for n, k in zip(x.type.shape, axes.static, strict=True) if k >= first) for x, axes in _wide(node)),
        default=1,
    )


def term_counts(graph: Graph, factored: frozenset[Node]) -> dict[Node, int]:
    """At most how many outer products each factored tensor is a sum of.

    Tensors that are added share their terms: a sum over steps has those of all steps so far, those on the same
    vectors once.
    """
    sums = Groups()
    widths: dict[object, Widths] = {}
    counts: dict[Node, int] = {}
    for node in graph.order:
        if node not in factored:
            continue
        parts = [x for x in node.operands if x in factored]
        if isinstance(node, Contract):
            key = node if parts else _vectors(node)
            widths[sums.find(node)] = {key: _terms(node) * prod(counts[x] for x in parts)}
            counts[node] = _terms(node) * prod(counts[x] for x in parts)
            continue
        found = sorted((widths[root] for root in {sums.find(x) for x in parts}), key=len)
        counts[node] = max((counts[x] for x in parts), default=1)
        for other in found[:-1]:
            for key, count in other.items():
                counts[node] += max(0, count - found[-1].get(key, 0))
                found[-1][key] = max(count, found[-1].get(key, 0))
        sums.join(node, parts)
        widths[sums.find(node)] = found[-1] if found else {}
    return counts
