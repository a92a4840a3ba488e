"""The executable specification of a program graph.

Accepts a graph and the stage it is in; promises that operands precede users, that every type follows from the
operands as `nodes.py` says, and that a lowered graph holds no operation that a backend must have replaced.  A
violation is a fault of NEXORT, not of the program: it raises `GraphError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from nexort.graph.graph import Graph
from nexort.graph.nodes import (
    Alias,
    Apply,
    Average,
    Axes,
    Contract,
    Data,
    DenseOperator,
    Entries,
    Fluctuation,
    InitialMatrix,
    InitialScalar,
    InitialVector,
    Map,
    MatMul,
    Node,
    Number,
    OperatorProduct,
    OperatorSum,
    Reduce,
    Select,
    Stack,
    Stop,
    Transpose,
    WidthNumber,
)
from nexort.graph.types import SCALAR, Type

Stage = Literal["elaborated", "lowered"]
_ABSENT_WHEN_LOWERED = (Apply, OperatorSum, OperatorProduct, Transpose, Alias, Stop)


class GraphError(AssertionError):
    """A pass or the elaborator built a graph that is not one: our bug."""

    def __init__(self, node: Node, reason: str) -> None:
        place = f" at {node.span.place} ({node.span.text!r})" if node.span is not None else ""
        super().__init__(f"{type(node).__name__}{place}: {reason}")
        self.node = node
        self.reason = reason


def verify_graph(graph: Graph, *, stage: Stage = "elaborated") -> None:
    """Return if the graph is well formed at this stage, else raise `GraphError`."""
    seen: set[Node] = set()
    for node in graph.order:
        for operand in node.operands:
            if operand not in seen:
                raise GraphError(node, "an operand does not precede its user")
        if node in seen:
            raise GraphError(node, "listed twice")
        seen.add(node)
        if stage == "lowered" and isinstance(node, _ABSENT_WHEN_LOWERED):
            raise GraphError(node, "left over after lowering")
        verify_node(node)
    _verify_outputs(graph, seen)


def verify_acyclic(graph: Graph) -> None:
    """The same order property asked of networkx: an independent check, for tests."""
    import networkx as nx

    if not nx.is_directed_acyclic_graph(graph.digraph):
        raise GraphError(graph.order[-1], "the graph has a cycle")


def _verify_outputs(graph: Graph, seen: set[Node]) -> None:
    for output in graph.outputs:
        count = 1
        for length in output.loops:
            count *= length
        if count != len(output.nodes):
            raise AssertionError(f"output {output.name}: {len(output.nodes)} nodes for loops {output.loops}")
        for node in output.nodes:
            if node not in seen:
                raise GraphError(node, f"output {output.name} is not in the order")
            _ensure(node, node.type == output.nodes[0].type, f"output {output.name} has nodes of two types")


def _ensure(node: Node, condition: bool, reason: str) -> None:
    if not condition:
        raise GraphError(node, reason)


def verify_node(node: Node) -> None:
    """Check one node against its operands."""
    match node:
        case Number() | WidthNumber():
            _ensure(node, node.type == SCALAR and not node.operands, "a number is a scalar without operands")
        case Data():
            _ensure(node, node.type == Type(node.array.shape), "the array does not have the static shape")
        case InitialVector():
            _ensure(node, node.type.order == 1 and not node.type.is_operator, "not a vector")
        case InitialScalar():
            _ensure(node, node.type == Type(node.type.shape), "not a scalar")
        case Fluctuation():
            _verify_fluctuation(node)
        case InitialMatrix():
            _ensure(node, node.type.is_operator and node.type.order == 2, "not an operator")
        case Entries():
            is_matrix = len(node.operands) == 1 and node.operands[0].type == replace(node.type, is_operator=True)
            _ensure(node, is_matrix and not node.type.is_operator, "takes the entries of no operator")
        case Map():
            _verify_map(node)
        case Contract():
            _verify_contract(node)
        case Reduce():
            _verify_reduce(node)
        case Average():
            _verify_average(node)
        case Select():
            _verify_select(node)
        case Stack():
            _verify_stack(node)
        case Alias() | Stop() | Transpose():
            _ensure(node, len(node.operands) == 1 and node.type == node.operands[0].type, "the type has changed")
            _ensure(node, not isinstance(node, Transpose) or node.type.is_operator, "Transpose takes an operator")
        case Apply() | MatMul():
            _verify_application(node)
        case OperatorSum() | DenseOperator():
            _verify_operator_sum(node)
        case OperatorProduct():
            _ensure(node, len(node.operands) == 2 and _all_operators(node.operands), "takes two operators")
            _verify_operator(node, node.axes)
        case _:
            raise GraphError(node, "an unknown operation")


def _is_operator(node: Node) -> bool:
    return node.type.order == 2


def _all_operators(nodes: Iterable[Node]) -> bool:
    return all(_is_operator(node) for node in nodes)


def _ensure_values(node: Node) -> None:
    _ensure(node, not node.type.is_operator, "the result is an operator")
    _ensure(node, not any(x.type.is_operator for x in node.operands), "an operand is an operator")


def _verify_static(node: Node, operands: Sequence[Node], axes: Sequence[Axes], lengths: tuple[int, ...]) -> None:
    """Every static axis of every operand lies on an axis of its own length."""
    _ensure(node, len(operands) == len(axes), f"{len(operands)} operands, {len(axes)} axes")
    for operand, place in zip(operands, axes, strict=True):
        shape = operand.type.shape
        _ensure(node, len(place.static) == len(shape), "static axes of an operand are not all placed")
        for size, axis in zip(shape, place.static, strict=True):
            _ensure(node, 0 <= axis < len(lengths), f"static axis {axis} does not exist")
            _ensure(node, lengths[axis] == size, f"an axis of length {size} on one of length {lengths[axis]}")


def _verify_width(node: Node, operands: Sequence[Node], axes: Sequence[Axes], order: int) -> None:
    for operand, place in zip(operands, axes, strict=True):
        _ensure(node, len(place.width) == operand.type.order, "width axes of an operand are not all placed")
        _ensure(node, all(0 <= axis < order for axis in place.width), "a width axis that does not exist")


def _verify_map(node: Map) -> None:
    _ensure_values(node)
    _ensure(node, node.fn.arity == len(node.operands), f"{node.fn.arity} arguments, {len(node.operands)} operands")
    _verify_static(node, node.operands, node.axes, node.type.shape)
    _verify_width(node, node.operands, node.axes, node.type.order)


def _verify_contract(node: Contract) -> None:
    _ensure_values(node)
    _ensure(node, bool(node.operands), "no operands")
    lengths = (*node.type.shape, *node.summed)
    order = node.type.order + node.averaged
    _verify_static(node, node.operands, node.axes, lengths)
    _verify_width(node, node.operands, node.axes, order)
    summed = {axis for place in node.axes for axis in place.static}
    averaged = {axis for place in node.axes for axis in place.width}
    _ensure(node, summed >= set(range(len(node.type.shape), len(lengths))), "a summed axis that no operand has")
    _ensure(node, averaged >= set(range(node.type.order, order)), "an averaged axis that no operand has")


def _verify_fluctuation(node: Fluctuation) -> None:
    (operand,) = node.operands
    _ensure(node, operand.type == Type(operand.type.shape, 1), "the operand is no vector")
    _ensure(node, node.type == Type(operand.type.shape), "the type does not follow")


def _remaining(count: int, removed: tuple[int, ...]) -> list[int]:
    return [k for k in range(count) if k not in removed]


def _verify_axes(node: Node, axes: tuple[int, ...], count: int) -> None:
    _ensure(node, bool(axes) and len(set(axes)) == len(axes), "axes missing or repeated")
    _ensure(node, all(0 <= k < count for k in axes), "an axis that does not exist")


def _verify_reduce(node: Reduce) -> None:
    _ensure_values(node)
    (operand,) = node.operands
    shape = operand.type.shape
    _verify_axes(node, node.axes, len(shape))
    kept = tuple(shape[k] for k in _remaining(len(shape), node.axes))
    _ensure(node, node.type == Type(kept, operand.type.order), "the type does not follow")


def _verify_average(node: Average) -> None:
    _ensure_values(node)
    (operand,) = node.operands
    _verify_axes(node, node.axes, operand.type.order)
    expected = Type(operand.type.shape, operand.type.order - len(node.axes))
    _ensure(node, node.type == expected, "the type does not follow")


def _verify_select(node: Select) -> None:
    (operand,) = node.operands
    shape = operand.type.shape
    _ensure(node, len(node.index) == len(shape), "one index entry for each static axis")
    for size, index in zip(shape, node.index, strict=True):
        _ensure(node, index is None or 0 <= index < size, f"index {index} outside 0..{size}")
    kept = tuple(size for size, index in zip(shape, node.index, strict=True) if index is None)
    expected = Type(kept, operand.type.order, operand.type.is_operator)
    _ensure(node, node.type == expected, "the type does not follow")


def _verify_stack(node: Stack) -> None:
    _ensure(node, bool(node.operands), "no elements")
    kind = node.operands[0].type
    _ensure(node, all(operand.type == kind for operand in node.operands), "elements of two types")
    _ensure(node, 0 <= node.axis <= len(kind.shape), "the new axis does not exist")
    shape = (*kind.shape[: node.axis], len(node.operands), *kind.shape[node.axis :])
    _ensure(node, node.type == Type(shape, kind.order, kind.is_operator), "the type does not follow")


def _verify_application(node: Apply | MatMul) -> None:
    _ensure(node, len(node.operands) == 2, "takes an operator and a vector")
    operator, argument = node.operands
    _ensure(node, _is_operator(operator), "the first operand is no operator or order-2 tensor")
    if isinstance(node, MatMul):
        base = operator.operands[0] if isinstance(operator, Select) else operator
        _ensure(node, isinstance(base, InitialMatrix | DenseOperator), "the first operand is no matrix")
    _ensure(node, argument.type.order == 1 and not argument.type.is_operator, "the second operand is no vector")
    _ensure(node, node.type.order == 1 and not node.type.is_operator, "the result is no vector")
    _verify_static(node, node.operands, node.axes, node.type.shape)


def _verify_operator(node: Node, axes: Sequence[Axes]) -> None:
    _ensure(node, node.type.is_operator and node.type.order == 2, "the result is no operator")
    _verify_static(node, node.operands, axes, node.type.shape)


def _verify_operator_sum(node: OperatorSum | DenseOperator) -> None:
    count = len(node.operands)
    _ensure(node, count > 0 and count % 2 == 0, "operands come in pairs")
    for coefficient in node.operands[::2]:
        is_scalar = coefficient.type.order == 0 and not coefficient.type.is_operator
        _ensure(node, is_scalar, "a coefficient is no scalar")
    _ensure(node, _all_operators(node.operands[1::2]), "a term is no operator or order-2 tensor")
    _verify_operator(node, node.axes)
