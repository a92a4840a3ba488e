"""Local rules that replace one node by a simpler one of the same value and type.

Accepts a node whose operands are already simple; promises a node of the same type and, in IEEE arithmetic, the same
value (up to the sign of a zero).  Does not look beyond the operands' own operands, and does not reassociate sums.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from nexort.graph.constants import constant_array, evaluate
from nexort.graph.nodes import (
    Alias,
    Axes,
    Data,
    Entries,
    InitialScalar,
    Map,
    Node,
    Number,
    OperatorSum,
    Reduce,
    Select,
    Stack,
    Stop,
    Transpose,
)
from nexort.graph.terms import data, number
from nexort.symbolic import Fn, power, primitive

MAX_FOLDED = 1_000_000
"""Entries; larger constants are left to the engine."""

ADD, SUB, MUL, DIV = primitive("add"), primitive("sub"), primitive("mul"), primitive("div")
POW, NEG, IDENTITY = primitive("pow"), primitive("neg"), primitive("identity")


def simplify_node(node: Node) -> Node:
    """The simplest equal node that the rules know, or the node itself."""
    match node:
        case Alias() | Stop():
            return node.operands[0]
        case InitialScalar(variance=0) if not node.type.shape:
            return number(node.mean).node
        case Entries():
            return node
        case Map():
            return _simplify_map(node)
        case Select():
            return _simplify_select(node)
        case Stack():
            return _simplify_stack(node)
        case Reduce():
            return _fold(node)
        case Transpose():
            inner = node.operands[0]
            return inner.operands[0] if isinstance(inner, Transpose) else node
        case OperatorSum():
            return _simplify_operator_sum(node)
        case _:
            return node


# Maps


def is_whole(node: Node, axes: Axes, operand: Node) -> bool:
    """Whether the operand lies in the result as it is: nothing broadcast, permuted or diagonal."""
    return (
        operand.type == node.type
        and axes.static == tuple(range(len(node.type.shape)))
        and axes.width == tuple(range(node.type.order))
    )


def _simplify_map(node: Map) -> Node:
    folded = _fold(node)
    if folded is not node:
        return folded
    node = _constant_exponent(_compose_identity(node))
    kept = _kept_operand(node.fn, [x.value if isinstance(x, Number) else None for x in node.operands])
    if kept is None:
        return node
    fn, position = kept
    if fn is not node.fn:
        operand, axes = node.operands[position], node.axes[position]
        node = _compose_identity(replace(node, fn=fn, operands=(operand,), axes=(axes,)))
    is_trivial = node.fn is IDENTITY and is_whole(node, node.axes[0], node.operands[0])
    return node.operands[0] if is_trivial else node


def _constant_exponent(node: Map) -> Map:
    """x ^ c with a number c as a function of x."""
    exponent = node.operands[-1] if node.fn is POW else None
    if not isinstance(exponent, Number):
        return node
    return replace(node, fn=power(exponent.value), operands=node.operands[:1], axes=node.axes[:1])


def _kept_operand(fn: Fn, values: list[float | None]) -> tuple[Fn, int] | None:
    """(f, k) where the Map is f of operand k alone."""
    if fn is IDENTITY:
        return IDENTITY, 0
    if fn is ADD:
        return (IDENTITY, 1) if values[0] == 0 else (IDENTITY, 0) if values[1] == 0 else None
    if fn is SUB:
        return (NEG, 1) if values[0] == 0 else (IDENTITY, 0) if values[1] == 0 else None
    if fn is MUL:
        for k in (0, 1):
            if values[k] == 1 or values[k] == -1:
                return (IDENTITY if values[k] == 1 else NEG), 1 - k
    if fn is DIV and values[1] == 1:
        return IDENTITY, 0
    return None


def _compose_identity(node: Map) -> Map:
    """f(…, identity(x), …) reads x itself; -(-x) is x."""
    if not any(isinstance(x, Map) and x.fn is IDENTITY for x in node.operands):
        return _cancel_negation(node)
    operands: list[Node] = []
    places: list[Axes] = []
    for operand, axes in zip(node.operands, node.axes, strict=True):
        if isinstance(operand, Map) and operand.fn is IDENTITY:
            inner = operand.axes[0]
            axes = Axes(tuple(axes.static[k] for k in inner.static), tuple(axes.width[k] for k in inner.width))
            operand = operand.operands[0]
        operands.append(operand)
        places.append(axes)
    return _cancel_negation(replace(node, operands=tuple(operands), axes=tuple(places)))


def _cancel_negation(node: Map) -> Map:
    inner = node.operands[0] if node.fn is NEG else None
    if not (isinstance(inner, Map) and inner.fn is NEG):
        return node
    outer, axes = node.axes[0], inner.axes[0]
    place = Axes(tuple(outer.static[k] for k in axes.static), tuple(outer.width[k] for k in axes.width))
    return replace(node, fn=IDENTITY, operands=inner.operands, axes=(place,))


def _simplify_operator_sum(node: OperatorSum) -> Node:
    """1 · A is A."""
    if len(node.operands) != 2:
        return node
    coefficient, term = node.operands
    is_one = isinstance(coefficient, Number) and coefficient.value == 1
    whole = term.type == node.type and node.axes[1].static == tuple(range(len(node.type.shape)))
    return term if is_one and whole else node


# families


def _simplify_select(node: Select) -> Node:
    operand = node.operands[0]
    if all(index is None for index in node.index):
        return operand
    match operand:
        case Data():
            index = tuple(slice(None) if i is None else i for i in node.index)
            return _constant(operand.array[index], f"{operand.name}[…]", node)
        case Stack():
            chosen = node.index[operand.axis]
            if chosen is None:
                return node
            rest = tuple(i for k, i in enumerate(node.index) if k != operand.axis)
            element = operand.operands[chosen]
            return _simplify_select(replace(node, operands=(element,), index=rest))
        case Select():
            remaining = iter(node.index)
            index = tuple(next(remaining) if i is None else i for i in operand.index)
            return _simplify_select(replace(node, operands=operand.operands, index=index))
        case _:
            return node


def _simplify_stack(node: Stack) -> Node:
    """The stack of all elements of a family, in order, is the family."""
    first = node.operands[0]
    if isinstance(first, Select) and first.operands[0].type == node.type:
        whole = first.operands[0]
        expected = tuple(None for _ in node.type.shape)
        if all(
            isinstance(x, Select)
            and x.operands[0] is whole
            and x.index == (*expected[: node.axis], k, *expected[node.axis + 1 :])
            for k, x in enumerate(node.operands)
        ):
            return whole
    return _fold(node)


# constants


def _fold(node: Map | Reduce | Stack) -> Node:
    """The node's value if its operands are constants; a value that is not finite is left for the run to report."""
    if node.type.order or not all(isinstance(x, Number | Data) for x in node.operands):
        return node
    size = max(_entries(node), *(_entries(operand) for operand in node.operands))
    if size > MAX_FOLDED:
        return node
    value = evaluate(node, [constant_array(x) for x in node.operands])
    return _constant(value, "constant", node) if np.all(np.isfinite(value)) else node


def _entries(node: Node) -> int:
    return prod(node.type.shape)


def _constant(value: np.ndarray, name: str, origin: Node) -> Node:
    value = np.asarray(value, dtype=float)
    return number(float(value)).node if value.ndim == 0 else data(name, value, origin.span)
