"""Families of operators that are known element by element are used element by element.

`W[0] -= …; W[1] -= …` makes the family a `Stack` of its elements.  Then `W[l] @ x[l]` is the stack of the products
W[k] @ x[k], one for each element, and a sum, product or transpose of such families is the stack of those of the
elements.  A family of initial matrices of which elements are used is such a stack too, so that an element can be
updated in its own memory.

Accepts any verified graph.  Promises equal outputs, and that no operator that is applied, summed, multiplied or
transposed is a Stack.  Does not touch families that are used whole, nor stacks of tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nexort.graph import Apply, Graph, InitialMatrix, Node, OperatorProduct, OperatorSum, Select, Stack, Transpose
from nexort.graph.graph import rewrite
from nexort.graph.nodes import Axes
from nexort.graph.terms import Place, Term, select
from nexort.graph.terms import stack as stack_nodes
from nexort.passes.products import place_of


def split_operator_families(graph: Graph) -> Graph:
    """The graph with operators on stacks as stacks of operators on elements."""
    if not any(_is_stack(node) or _is_element(node) for node in graph.order):
        return graph
    split = {node.operands[0] for node in graph.order if _is_element(node)}

    def rule(node: Node) -> Node:
        return _elements(node, ()) if node in split else _split(node)

    return rewrite(graph, rule)


def _is_stack(node: Node) -> bool:
    return isinstance(node, Stack) and node.type.is_operator


def _is_element(node: Node) -> bool:
    return isinstance(node, Select) and isinstance(node.operands[0], InitialMatrix)


def _elements(family: Node, index: tuple[int, ...]) -> Node:
    """The family as stacks of its elements, the first axis outermost."""
    shape = family.type.shape
    if len(index) == len(shape):
        return _choose(family, index, place_of(family))
    parts = [_elements(family, (*index, k)) for k in range(shape[len(index)])]
    return stack_nodes(parts, 0, place_of(family))


def _split(node: Node) -> Node:
    """The node on operands that are already split."""
    match node:
        case Select() if _is_stack(node.operands[0]):
            return _choose(node.operands[0], node.index, place_of(node))
        case Transpose() | Apply() | OperatorSum() | OperatorProduct():
            places = _places(node)
            axis = next((at.static[x.axis] for x, at in places if isinstance(x, Stack) and x.type.is_operator), None)
            if axis is None:
                return node
            elements = [_split(_element(node, places, axis, k)) for k in range(node.type.shape[axis])]
            return stack_nodes(elements, axis, place_of(node))
        case _:
            return node


def _places(node: Node) -> list[tuple[Node, Axes]]:
    """Each operand with the places of its static axes in the result."""
    if isinstance(node, Apply | OperatorSum | OperatorProduct):
        return list(zip(node.operands, node.axes, strict=True))
    return [(x, Axes(tuple(range(len(x.type.shape))))) for x in node.operands]


def _element(node: Node, places: Sequence[tuple[Node, Axes]], axis: int, k: int) -> Node:
    """Element k of the node along a static axis, made of those of its operands."""
    operands: list[Node] = []
    axes: list[Axes] = []
    for operand, at in places:
        operands.append(_choose(operand, tuple(k if a == axis else None for a in at.static), place_of(node)))
        axes.append(Axes(tuple(a - (a > axis) for a in at.static if a != axis), at.width))
    shape = tuple(size for place, size in enumerate(node.type.shape) if place != axis)
    part = replace(node, operands=tuple(operands), type=replace(node.type, shape=shape))
    if isinstance(part, Apply | OperatorProduct):
        return replace(part, axes=(axes[0], axes[1]))
    return replace(part, axes=tuple(axes)) if isinstance(part, OperatorSum) else part


def _choose(node: Node, index: tuple[int | None, ...], place: Place) -> Node:
    """The elements of a family at fixed indices, those of a stack as a stack."""
    if not _is_stack(node) or not isinstance(node, Stack):
        fixed = {axis: k for axis, k in enumerate(index) if k is not None}
        return select(Term(node, tuple(range(len(index)))), fixed, place).node
    k = index[node.axis]
    rest = (*index[: node.axis], *index[node.axis + 1 :])
    if k is not None:
        return _choose(node.operands[k], rest, place)
    axis = sum(other is None for other in index[: node.axis])
    return stack_nodes([_choose(part, rest, place) for part in node.operands], axis, place)
