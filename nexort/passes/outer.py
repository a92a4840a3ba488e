"""Which order-2 tensors are sums of outer products ⎸x⟩⟨y⎸.

Such a tensor can be held as its factors, and its averages over copies are exact in the limit.  Accepts any node;
decides by structure alone: sums, differences, scalar multiples, transposes, static sums, families, a vector broadcast
along the other axis, a row or column scaling, and contractions of vectors.  A product of two sums of outer products,
entry by entry, is one too mathematically, but with the product of the numbers of terms: it is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from nexort.graph import Contract, Graph, Map, Node, Reduce, Select, Stack, Stop
from nexort.graph.nodes import Alias
from nexort.passes.algebra import ADD, DIV, IDENTITY, MUL, NEG, SUB
from nexort.passes.walk import decide


class OuterSums:
    """The analysis with its memory: each order-2 node is looked at once."""

    def __init__(self) -> None:
        self._known: dict[Node, bool] = {}

    def contains(self, node: Node) -> bool:
        """Whether the node is of order 2 and a sum of outer products."""
        if not is_tensor(node):
            return False
        return decide(node, self._known, lambda top: filter(is_tensor, top.operands), self._decide)

    def _decide(self, node: Node) -> bool:
        match node:
            case Map():
                return self._decide_map(node)
            case Contract():
                return self._decide_contract(node)
            case Reduce():
                return node.kind != "max" and self._all(node.operands)
            case Select() | Stack() | Alias() | Stop():
                return self._all(node.operands)
            case _:
                return False

    def _all(self, nodes: Iterable[Node]) -> bool:
        return all(self._known.get(node, False) for node in nodes)

    def _decide_map(self, node: Map) -> bool:
        wide = [(x, axes) for x, axes in zip(node.operands, node.axes, strict=True) if len(set(axes.width)) == 2]
        if len({axis for axes in node.axes for axis in axes.width}) < 2:
            return True
        if any(len(axes.width) != 2 for _, axes in wide) or not self._all(x for x, _ in wide):
            return False
        if node.fn in (ADD, SUB, NEG, IDENTITY):
            return True
        if node.fn is DIV:
            return len(set(node.axes[1].width)) < 2
        return node.fn is MUL and len(wide) <= 1

    def _decide_contract(self, node: Contract) -> bool:
        """Whether the two axes are linked by nothing but sums of outer products, at most one of them directly."""
        links = _Links(node.type.order + node.averaged)
        direct = 0
        for operand, axes in zip(node.operands, node.axes, strict=True):
            labels = set(axes.width)
            if len(labels) >= 2 and self._known.get(operand, False):
                direct += labels == {0, 1}
            else:
                links.join(labels)
        return direct <= 1 and not links.are_joined(0, 1)


class _Links:
    """Union-find over a few width axes."""

    def __init__(self, count: int) -> None:
        self._root = list(range(count))

    def _find(self, k: int) -> int:
        while self._root[k] != k:
            k = self._root[k]
        return k

    def join(self, axes: set[int]) -> None:
        roots = [self._find(k) for k in axes]
        for root in roots[1:]:
            self._root[root] = roots[0]

    def are_joined(self, a: int, b: int) -> bool:
        return self._find(a) == self._find(b)


def is_tensor(node: Node) -> bool:
    """Whether the node is an order-2 tensor (not an operator)."""
    return node.type.order == 2 and not node.type.is_operator


def outer_sums(graph: Graph) -> set[Node]:
    """The nodes of order 2 that are sums of outer products."""
    analysis = OuterSums()
    return {node for node in graph.order if analysis.contains(node)}
