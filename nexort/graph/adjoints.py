"""Adjoints in pieces: what several uses of a value add to it, and their sum.

Three things stay implicit, so that a family costs what it must and no more: an axis along which an adjoint is constant
(no label), an axis on which a batch label and the value's own axis are equal (one label), and an element of a family
(`At`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nexort.graph.nodes import Axes, Node, Number
from nexort.graph.terms import (
    Label,
    Place,
    Term,
    arrange,
    combine,
    delta,
    number,
    reduce_over,
    select,
    sizes_of,
    stack,
    union,
)
from nexort.symbolic import primitive


class Own(NamedTuple):
    """The label of a value's own static axis in its adjoint."""

    serial: int
    axis: int


class Wide(NamedTuple):
    """The label of a value's width axis in its adjoint."""

    serial: int
    axis: int
    is_width: bool = True


class At(NamedTuple):
    """In place of a label: this piece of an adjoint belongs to one element of the axis."""

    place: int


LEFT, RIGHT = "left", "right"
"""Width labels of the two vectors of an operator's adjoint ⎸left⟩⟨right⎸."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an adjoint: `own[k]` is the label of the value's static axis k (its own, a batch label, or `At`).

    An array's piece has one term; an operator's has two, (left, right), and is Σ ⎸left⟩⟨right⎸ over the labels that
    are neither own nor batch.
    """

    own: tuple[Label, ...]
    terms: tuple[Term, ...]


def own_labels(node: Node) -> tuple[Own, ...]:
    return tuple(Own(node.serial, k) for k in range(len(node.type.shape)))


def wide_labels(node: Node) -> tuple[Wide, ...]:
    return tuple(Wide(node.serial, k) for k in range(node.type.order))


def paired_widths(user: Node, operand: Node) -> dict[Label, Label]:
    """The operand's width labels for the user's, of nodes with the same width axes."""
    return dict(zip(wide_labels(user), wide_labels(operand), strict=True))


def rename(term: Term, names: Mapping[Label, Label]) -> Term:
    return Term(term.node, tuple(names.get(s, s) for s in term.static), tuple(names.get(w, w) for w in term.width))


def times(first: Term, second: Term, place: Place) -> Term:
    for one, other in ((first, second), (second, first)):
        if isinstance(one.node, Number) and one.node.value == 1.0:
            return other
    return combine(primitive("mul"), (first, second), place)


def fix_label(term: Term, label: Label, index: int, place: Place) -> Term:
    """The term at one index of a label (itself where it does not carry the label)."""
    fixed = {k: index for k, name in enumerate(term.static) if name == label}
    return select(term, fixed, place)


def labelled(node: Node, axes: Axes, own: Sequence[Label], width: Sequence[Label], place: Place) -> Term:
    """An operand with the labels of its user, fixed where the user's piece is `At` an index."""
    static = [own[axis] for axis in axes.static]
    names = tuple(width[axis] for axis in axes.width) if axes.width or not node.type.order else tuple(width)
    term = Term(node, tuple(static), names)
    fixed = {k: label.place for k, label in enumerate(static) if isinstance(label, At)}
    return select(term, fixed, place)


@dataclass(frozen=True, slots=True)
class Sums:
    """Puts pieces together; `batch` are the labels of the scalars that are differentiated, and their lengths."""

    batch: Mapping[Label, int]
    place: Place

    def tensor(self, piece: Piece, node: Node) -> Piece:
        """An operator's piece as an order-2 tensor."""
        left, right = piece.terms
        first, second = wide_labels(node)
        term = times(rename(left, {LEFT: first}), rename(right, {RIGHT: second}), self.place)
        hidden = {s: n for s, n in term.sizes.items() if s not in piece.own and s not in self.batch}
        return Piece(piece.own, (reduce_over("sum", term, hidden, self.place),))

    def collect(self, pieces: Sequence[Piece], node: Node) -> Piece | None:
        """The sum of an array's pieces; None is zero."""
        if not pieces:
            return None
        for axis in range(len(node.type.shape)):
            if any(isinstance(piece.own[axis], At) for piece in pieces):
                return self._stacked(pieces, node, axis)
        owns = {piece.own for piece in pieces}
        if len(owns) > 1:
            pieces = [self._dense(piece, node) for piece in pieces]
        total = pieces[0].terms[0]
        for piece in pieces[1:]:
            total = combine(primitive("add"), (total, piece.terms[0]), self.place)
        return Piece(pieces[0].own, (total,))

    def _dense(self, piece: Piece, node: Node) -> Piece:
        """The piece with the value's own label on every axis."""
        term = piece.terms[0]
        own = own_labels(node)
        for label, mine, size in zip(piece.own, own, node.type.shape, strict=True):
            if label != mine:
                term = times(term, delta(label, mine, size, self.place), self.place)
        return Piece(own, (term,))

    def _stacked(self, pieces: Sequence[Piece], node: Node, axis: int) -> Piece:
        """Pieces of single elements, put together along `axis`."""
        size = node.type.shape[axis]
        own = own_labels(node)
        parts = [self._element(pieces, node, axis, index) for index in range(size)]
        terms = [part if part is not None else number(0.0) for part in parts]
        sizes = sizes_of([*terms, Term(node, own, wide_labels(node))])
        del sizes[own[axis]]
        static, width = union(term.static for term in terms), wide_labels(node)
        nodes = [arrange(term, static, width, self.place, sizes) for term in terms]
        return Piece(own, (Term(stack(nodes, 0, self.place), (own[axis], *static), width),))

    def _element(self, pieces: Sequence[Piece], node: Node, axis: int, index: int) -> Term | None:
        chosen: list[Piece] = []
        for piece in pieces:
            label = piece.own[axis]
            if isinstance(label, At) and label.place != index:
                continue
            term = piece.terms[0]
            if label in self.batch:
                term = times(term, delta(label, index, node.type.shape[axis], self.place), self.place)
            elif not isinstance(label, At):
                term = fix_label(term, label, index, self.place)
            own = list(piece.own)
            own[axis] = Own(node.serial, axis)
            chosen.append(Piece(tuple(own), (term,)))
        part = self.collect(chosen, node)
        return None if part is None else self._dense_except(part, node, axis).terms[0]

    def _dense_except(self, piece: Piece, node: Node, axis: int) -> Piece:
        own = list(piece.own)
        own[axis] = Own(node.serial, axis)
        return self._dense(Piece(tuple(own), piece.terms), node)
