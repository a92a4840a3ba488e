"""Labelled algebra: values whose axes have names, from which elaboration and `grad` build nodes.

A `Term` is a node with a label on each static and each width axis; `combine` aligns operands by label, as the
language does with index names.  A label that occurs twice on one term is a diagonal.

Accepts terms whose labels agree in length (the elaborator checks it with places); promises typed nodes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from nexort.graph.nodes import (
    Apply,
    Average,
    Axes,
    Data,
    Map,
    Node,
    Number,
    OperatorProduct,
    OperatorSum,
    Reduce,
    Select,
    Stack,
    Stop,
    Transpose,
)
from nexort.graph.types import SCALAR, Type
from nexort.source import Span
from nexort.symbolic import Fn, comparison_where, primitive

if TYPE_CHECKING:
    import numpy as np

Label = Hashable


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node comes from: its text and the loop passes around it."""

    span: Span | None = None
    passes: tuple[tuple[str, int], ...] = ()


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Term:
    """`static[k]` names static axis k of the node, `width[k]` its width axis k."""

    node: Node
    static: tuple[Label, ...] = ()
    width: tuple[Label, ...] = ()

    @property
    def sizes(self) -> dict[Label, int]:
        return dict(zip(self.static, self.node.type.shape, strict=True))

    @property
    def is_operator(self) -> bool:
        return self.node.type.is_operator

    @property
    def order(self) -> int:
        return self.node.type.order


@cache
def _number(value: float, text: str) -> Number:
    return Number(type=SCALAR, value=value)


def number(value: float) -> Term:
    # keyed by the text too, since 0.0 == -0.0
    return Term(_number(float(value), str(value)))


def data(name: str, array: np.ndarray, span: Span | None = None) -> Data:
    """A constant array as a node; it is made read-only."""
    array = array.astype("float64", order="C", copy=True)
    array.setflags(write=False)
    digest = sha256(array.tobytes()).digest()
    return Data(type=Type(array.shape), name=name, array=array, digest=digest, span=span)


@cache
def _numbers_to(size: int) -> Data:
    import numpy as np

    return data(f"0..{size}", np.arange(size))


def delta(first: Label, second: Label | int, size: int, place: Place = NOWHERE) -> Term:
    """Kronecker's δ between two static labels of one length, or between a label and an index."""
    other = number(second) if isinstance(second, int) else Term(_numbers_to(size), (second,))
    terms = (Term(_numbers_to(size), (first,)), other, number(1.0), number(0.0))
    return combine(comparison_where("=="), terms, place)


def indicator(label: Label, size: int, index: int, place: Place = NOWHERE) -> Term:
    """1 at one index of a static label, else 0."""
    return delta(label, index, size, place)


def union(tuples: Iterable[Sequence[Label]]) -> tuple[Label, ...]:
    """All labels, each once, in order of first appearance."""
    return tuple(dict.fromkeys(label for labels in tuples for label in labels))


def sizes_of(terms: Iterable[Term]) -> dict[Label, int]:
    sizes: dict[Label, int] = {}
    for term in terms:
        sizes.update(term.sizes)
    return sizes


def _axes(term: Term, static: Sequence[Label], width: Sequence[Label]) -> Axes:
    return Axes(tuple(static.index(s) for s in term.static), tuple(width.index(w) for w in term.width))


def combine(fn: Fn, terms: Sequence[Term], place: Place) -> Term:
    """The Map `fn` of terms, aligned by label; the result has every label once."""
    static = union(term.static for term in terms)
    width = union(term.width for term in terms)
    sizes = sizes_of(terms)
    node = Map(
        type=Type(tuple(sizes[s] for s in static), len(width)),
        operands=tuple(term.node for term in terms),
        fn=fn,
        axes=tuple(_axes(term, static, width) for term in terms),
        span=place.span,
        passes=place.passes,
    )
    return Term(node, static, width)


def arrange(
    term: Term, static: Sequence[Label], width: Sequence[Label], place: Place, sizes: Mapping[Label, int] | None = None
) -> Node:
    """A node whose axes are exactly `static` and `width` in this order, broadcast along those the term lacks."""
    if tuple(static) == term.static and tuple(width) == term.width:
        return term.node
    known = {**(sizes or {}), **term.sizes}
    if term.is_operator:
        return _arrange_operator(term, static, tuple(known[s] for s in static), place)
    return Map(
        type=Type(tuple(known[s] for s in static), len(width)),
        operands=(term.node,),
        fn=primitive("identity"),
        axes=(_axes(term, static, width),),
        span=place.span,
        passes=place.passes,
    )


def _arrange_operator(term: Term, static: Sequence[Label], shape: tuple[int, ...], place: Place) -> Node:
    """An operator family with its static axes permuted or broadcast, as the sum of one term."""
    return OperatorSum(
        type=Type(shape, 2, is_operator=True),
        operands=(number(1.0).node, term.node),
        axes=(Axes(), _axes(Term(term.node, term.static), static, ())),
        span=place.span,
        passes=place.passes,
    )


def without_diagonals(term: Term, place: Place) -> Term:
    """The same value with every label once."""
    static, width = union([term.static]), union([term.width])
    return Term(arrange(term, static, width, place), static, width)


def reduce_over(kind: str, term: Term, sizes: Mapping[Label, int], place: Place) -> Term:
    """Sum, mean or max over the static labels `sizes` (a label that the term lacks counts with its length)."""
    term = without_diagonals(term, place)
    present = tuple(k for k, label in enumerate(term.static) if label in sizes)
    if kind == "sum":
        missing = 1
        for label, size in sizes.items():
            missing *= 1 if label in term.static else size
        if missing != 1:
            term = combine(primitive("mul"), (number(missing), term), place)
            present = tuple(k for k, label in enumerate(term.static) if label in sizes)
    if not present:
        return term
    static = tuple(label for label in term.static if label not in sizes)
    node = Reduce(
        type=Type(tuple(term.sizes[s] for s in static), term.order),
        operands=(term.node,),
        kind=kind,  # pyright: ignore[reportArgumentType]
        axes=present,
        span=place.span,
        passes=place.passes,
    )
    return Term(node, static, term.width)


def average_over(term: Term, labels: Iterable[Label], place: Place) -> Term:
    """(1/n) Σ over the width labels (a label that the term lacks averages a constant: nothing to do)."""
    bound = set(labels)
    term = without_diagonals(term, place)
    present = tuple(k for k, label in enumerate(term.width) if label in bound)
    if not present:
        return term
    width = tuple(label for label in term.width if label not in bound)
    node = Average(
        type=Type(term.node.type.shape, len(width)),
        operands=(term.node,),
        axes=present,
        span=place.span,
        passes=place.passes,
    )
    return Term(node, term.static, width)


def _static_axes(terms: Sequence[Term]) -> tuple[tuple[Label, ...], tuple[int, ...], tuple[Axes, ...]]:
    static = union(term.static for term in terms)
    sizes = sizes_of(terms)
    return static, tuple(sizes[s] for s in static), tuple(_axes(Term(t.node, t.static), static, ()) for t in terms)


def apply_operator(operator: Term, argument: Term, width: Label, place: Place) -> Term:
    """operator @ argument, families aligned by label; the result's width axis is called `width`."""
    static, shape, axes = _static_axes((operator, argument))
    node = Apply(
        type=Type(shape, 1),
        operands=(operator.node, argument.node),
        axes=(axes[0], axes[1]),
        span=place.span,
        passes=place.passes,
    )
    return Term(node, static, (width,))


def add_operators(terms: Sequence[tuple[Term, Term]], place: Place) -> Term:
    """Σ coefficient · operator, over (coefficient, operator or order-2 tensor) pairs."""
    flat = [part for pair in terms for part in pair]
    static, shape, axes = _static_axes(flat)
    node = OperatorSum(
        type=Type(shape, 2, is_operator=True),
        operands=tuple(part.node for part in flat),
        axes=axes,
        span=place.span,
        passes=place.passes,
    )
    return Term(node, static, (0, 1))


def multiply_operators(left: Term, right: Term, place: Place) -> Term:
    """The composition left @ right."""
    static, shape, axes = _static_axes((left, right))
    node = OperatorProduct(
        type=Type(shape, 2, is_operator=True),
        operands=(left.node, right.node),
        axes=(axes[0], axes[1]),
        span=place.span,
        passes=place.passes,
    )
    return Term(node, static, (0, 1))


def transpose(term: Term, place: Place) -> Term:
    """The transpose of an operator or an order-2 tensor, its width labels kept in place."""
    if not term.is_operator:
        first, second = term.width
        flipped = Term(term.node, term.static, (second, first))
        return Term(arrange(flipped, term.static, term.width, place), term.static, term.width)
    operand = term.node
    if isinstance(operand, Transpose):
        return Term(operand.operands[0], term.static, term.width)
    node = Transpose(type=operand.type, operands=(operand,), span=place.span, passes=place.passes)
    return Term(node, term.static, term.width)


def select(term: Term, fixed: Mapping[int, int], place: Place) -> Term:
    """The elements at fixed indices: `fixed` maps static axis numbers to indices."""
    if not fixed:
        return term
    static = tuple(label for k, label in enumerate(term.static) if k not in fixed)
    node = term.node
    if isinstance(node, Stack) and node.axis in fixed:
        part = Term(node.operands[fixed[node.axis]], tuple(s for k, s in enumerate(term.static) if k != node.axis))
        rest = {k - (k > node.axis): i for k, i in fixed.items() if k != node.axis}
        return select(Term(part.node, part.static, term.width), rest, place)
    shape = tuple(size for k, size in enumerate(node.type.shape) if k not in fixed)
    chosen = Select(
        type=replace(node.type, shape=shape),
        operands=(node,),
        index=tuple(fixed.get(k) for k in range(len(node.type.shape))),
        span=place.span,
        passes=place.passes,
    )
    return Term(chosen, static, term.width)


def stack(nodes: Sequence[Node], axis: int, place: Place) -> Node:
    """Nodes of one type as the elements along a new static axis at position `axis`."""
    shape = nodes[0].type.shape
    kind = replace(nodes[0].type, shape=(*shape[:axis], len(nodes), *shape[axis:]))
    return Stack(type=kind, operands=tuple(nodes), axis=axis, span=place.span, passes=place.passes)


def stop(term: Term, place: Place) -> Term:
    """The same value, a constant for `grad`."""
    if isinstance(term.node, Number | Data | Stop):
        return term
    node = Stop(type=term.node.type, operands=(term.node,), span=place.span, passes=place.passes)
    return Term(node, term.static, term.width)
