"""T{i,i}: the vector of diagonal entries of a tensor, as a function of the vectors that it is made of.

The diagonal of ψ(x_α, y_β) is ψ(x_α, y_α): the repeated axis is pushed through the tensor's definition down to its
vectors, so that gradients reach them.  What is constant for `grad` is read on its diagonal as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nexort.graph.nodes import Alias, Average, Axes, Map, Node, Reduce, Select, Stack, next_serial
from nexort.graph.terms import Label, Place, Term
from nexort.graph.types import Type
from nexort.symbolic import primitive

Request = tuple[Node, tuple[int, ...]]
"""A node, and for each of its width axes the axis of the result that it lies on."""


@dataclass(slots=True)
class Diagonals:
    """The diagonals made so far, each once: a tensor that grows step by step costs one step at each."""

    made: dict[Request, Node] = field(default_factory=dict)
    by_tensor: dict[Node, list[Node]] = field(default_factory=dict)

    def of(self, tensor: Node) -> Iterable[Node]:
        """The diagonals of a tensor: they do not depend on it, but on what it is made of."""
        return self.by_tensor.get(tensor, ())

    def keep(self, request: Request, node: Node) -> None:
        self.made[request] = node
        self.by_tensor.setdefault(request[0], []).append(node)


def diagonal(value: Term, labels: Sequence[str], place: Place, known: Diagonals) -> Term:
    """`value` with width labels `labels`, some of them repeated."""
    names: tuple[Label, ...] = tuple(dict.fromkeys(labels))
    axes = tuple(names.index(label) for label in labels)
    return Term(_push((value.node, axes), place, known), value.static, names)


def _push(root: Request, place: Place, known: Diagonals) -> Node:
    """Depth first with an own stack: a tensor may be the sum of a thousand steps."""
    stack = [root]
    while stack:
        request = stack[-1]
        missing = [part for part in _parts(request) if part not in known.made]
        if missing and request not in known.made:
            stack.extend(missing)
            continue
        stack.pop()
        if request not in known.made:
            known.keep(request, _build(request, known.made, place))
    return known.made[root]


def _is_repeated(axes: Sequence[int]) -> bool:
    return len(set(axes)) < len(axes)


def _compact(axes: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes numbered 0, 1, … in order of appearance, and what each number stood for."""
    seen = tuple(dict.fromkeys(axes))
    return tuple(seen.index(axis) for axis in axes), seen


def _operand_axes(request: Request) -> list[tuple[int, ...]]:
    """For each operand of a node that is pushed through, where its width axes lie in the result."""
    node, axes = request
    match node:
        case Map():
            return [tuple(axes[w] for w in part.width) for part in node.axes]
        case Average():
            rank = node.operands[0].type.order
            kept, new = iter(axes), iter(range(max(axes) + 1, max(axes) + 1 + rank))
            return [tuple(next(new) if k in node.axes else next(kept) for k in range(rank))]
        case Reduce() | Select() | Stack() | Alias():
            return [axes for _ in node.operands]
        case _:
            return []


def _parts(request: Request) -> list[Request]:
    """The diagonals that this one is made of."""
    node, _ = request
    pairs = zip(node.operands, _operand_axes(request), strict=False)
    return [(operand, _compact(axes)[0]) for operand, axes in pairs if _is_repeated(axes)]


def _build(request: Request, made: dict[Request, Node], place: Place) -> Node:
    node, axes = request
    order = max(axes) + 1
    inner = _operand_axes(request)
    if not inner:
        return _read(node, axes, order, place)
    operands: list[Node] = []
    places: list[tuple[int, ...]] = []
    for operand, where in zip(node.operands, inner, strict=True):
        if _is_repeated(where):
            number, seen = _compact(where)
            operands.append(made[operand, number])
            places.append(seen)
        else:
            operands.append(operand)
            places.append(where)
    kind = Type(node.type.shape, order)
    match node:
        case Map():
            moved = tuple(Axes(old.static, new) for old, new in zip(node.axes, places, strict=True))
            fields: dict[str, Any] = {"axes": moved}
        case Average():
            fields = {"axes": tuple(k for k, axis in enumerate(places[0]) if axis >= order)}
        case Alias():
            return operands[0]
        case _:
            fields = {}
    source = {"span": place.span, "passes": place.passes, "serial": next_serial()}
    return replace(node, type=kind, operands=tuple(operands), **source, **fields)


def _read(node: Node, axes: tuple[int, ...], order: int, place: Place) -> Node:
    static = tuple(range(len(node.type.shape)))
    return Map(
        type=Type(node.type.shape, order),
        operands=(node,),
        fn=primitive("identity"),
        axes=(Axes(static, axes),),
        span=place.span,
        passes=place.passes,
    )
