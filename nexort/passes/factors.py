"""Tensors that are sums of outer products, taken apart into pieces.

Accepts nodes that `OuterSums` contains; answers None where it does not know how to take one apart.  Promises the same
tensor up to rounding.  Does not decide when taking apart is worth it: `operators` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nexort.graph import Contract, Map, Node, Reduce, Select, Stack, Type
from nexort.graph.nodes import Axes
from nexort.graph.terms import (
    Label,
    Place,
    Term,
    combine,
    indicator,
    number,
    select,
    without_diagonals,
)
from nexort.passes.algebra import ADD, DIV, IDENTITY, MUL, NEG, SUB
from nexort.passes.outer import OuterSums, is_tensor
from nexort.passes.pieces import (
    COL,
    ROW,
    Piece,
    Pieces,
)
from nexort.passes.products import (
    fresh_label,
    operand_terms,
    place_of,
)
from nexort.passes.walk import decide


class OuterFactors:
    """Takes sums of outer products apart; each node once."""

    def __init__(self, outer: OuterSums) -> None:
        self._outer = outer
        self._known: dict[Node, Pieces | None] = {}

    def of(self, term: Term) -> Pieces | None:
        """The pieces of an order-2 term with width labels ROW and COL in either order."""
        if not self._outer.contains(term.node):
            return None
        pieces = self._of_node(term.node)
        if pieces is None:
            return None
        names: dict[Label, Label] = {("axis", k): label for k, label in enumerate(term.static)}
        named = tuple(piece.rename(names).fresh() for piece in pieces)
        return tuple(piece.transposed() for piece in named) if term.width == (COL, ROW) else named

    def remember(self, term: Term, pieces: Pieces) -> None:
        """The pieces of a tensor that was built from them (labels of `term`; widths ROW, COL)."""
        if term.width == (ROW, COL) and len(set(term.static)) == len(term.static):
            names: dict[Label, Label] = {label: ("axis", k) for k, label in enumerate(term.static)}
            self._known[term.node] = tuple(piece.fresh().rename(names) for piece in pieces)

    def _of_node(self, node: Node) -> Pieces | None:
        return decide(node, self._known, lambda top: filter(is_tensor, top.operands), self._take_apart)

    def _take_apart(self, node: Node) -> Pieces | None:
        if not self._outer.contains(node):
            return None
        static = tuple(("axis", k) for k in range(len(node.type.shape)))
        term = Term(node, static, (ROW, COL))
        match node:
            case Map():
                return self._of_map(term, node)
            case Contract() if not node.averaged:
                return self._of_product(operand_terms(term), place_of(node), frozenset(static))
            case Reduce():
                return self._of_reduce(node)
            case Select():
                return self._of_select(node)
            case Stack():
                return self._of_stack(node)
            case _:
                return None

    def _of_map(self, term: Term, node: Map) -> Pieces | None:
        place = place_of(node)
        if len({axis for axes in node.axes for axis in axes.width}) < 2:
            return (_one_sided(node, term),)
        operands = operand_terms(term)
        if node.fn is DIV:
            operands = (operands[0], combine(DIV, (number(1.0), operands[1]), place))
        if node.fn is MUL or node.fn is DIV or node.fn is IDENTITY:
            return self._of_product(operands, place, frozenset(term.static))
        if node.fn not in (ADD, SUB, NEG):
            return None
        total: list[Piece] = []
        for k, operand in enumerate(operands):
            pieces = self._of_product((operand,), place, frozenset(term.static))
            if pieces is None:
                return None
            is_negative = node.fn is NEG or (node.fn is SUB and k == 1)
            total.extend(p.scaled(number(-1.0), place) if is_negative else p for p in pieces)
        return tuple(total)

    def _of_product(self, operands: Sequence[Term], place: Place, family: frozenset[Label]) -> Pieces | None:
        """∏ operands, static labels outside `family` summed; at most one of them lies on both sides."""
        operands = [without_diagonals(x, place) for x in operands]
        wide = [x for x in operands if x.order == 2]
        if len(wide) > 1 or any(x.order > 2 for x in operands):
            return None
        pieces: Pieces | None = self.of(wide[0]) if wide else (Piece(),)
        if pieces is None:
            return None
        ranks = frozenset(label for x in operands for label in x.static) - family
        result: list[Piece] = []
        for piece in pieces:
            for factor in operands:
                piece = piece.scaled(factor, place) if factor.order < 2 else piece
            result.append(replace(piece, ranks=piece.ranks | ranks))
        return tuple(result)

    def _of_reduce(self, node: Reduce) -> Pieces | None:
        operand = node.operands[0]
        kept = iter(range(len(node.type.shape)))
        rank = len(operand.type.shape)
        static = tuple(fresh_label() if k in node.axes else ("axis", next(kept)) for k in range(rank))
        pieces = self.of(Term(operand, static, (ROW, COL)))
        if pieces is None or node.kind == "max":
            return None
        summed = {static[k]: operand.type.shape[k] for k in node.axes}
        return tuple(_reduced(piece, summed, node.kind == "mean", place_of(node)) for piece in pieces)

    def _of_select(self, node: Select) -> Pieces | None:
        operand = node.operands[0]
        kept = iter(range(len(node.type.shape)))
        static = tuple(("axis", next(kept)) if i is None else ("fixed", k) for k, i in enumerate(node.index))
        pieces = self.of(Term(operand, static, (ROW, COL)))
        fixed: dict[Label, int] = {("fixed", k): i for k, i in enumerate(node.index) if i is not None}
        return None if pieces is None else tuple(select_piece(piece, fixed, place_of(node)) for piece in pieces)

    def _of_stack(self, node: Stack) -> Pieces | None:
        axis, size = node.axis, len(node.operands)
        static = tuple(("axis", k) for k in range(len(node.type.shape)) if k != axis)
        result: list[Piece] = []
        for k, operand in enumerate(node.operands):
            pieces = self.of(Term(operand, static, (ROW, COL)))
            if pieces is None:
                return None
            place = place_of(node)
            result.extend(piece.scaled(indicator(("axis", axis), size, k), place) for piece in pieces)
        return tuple(result)


def _one_sided(node: Map, term: Term) -> Piece:
    """A Map whose operands all lie on one axis: a vector (or scalar) broadcast along the other."""
    side = next((axis for axes in node.axes for axis in axes.width), None)
    axes = tuple(Axes(axes.static, tuple(0 for _ in axes.width)) for axes in node.axes)
    vector = replace(node, type=Type(node.type.shape, 0 if side is None else 1), axes=axes)
    if side is None:
        return Piece((Term(vector, term.static),))
    value = Term(vector, term.static, (term.width[side],))
    return Piece(row=value) if side == 0 else Piece(col=value)


def _reduced(piece: Piece, summed: Mapping[Label, int], is_mean: bool, place: Place) -> Piece:
    labels = piece.labels
    factor = 1.0
    for label, size in summed.items():
        factor *= (1.0 if label in labels else size) / (size if is_mean else 1)
    scaled = piece if factor == 1 else piece.scaled(number(factor), place)
    return replace(scaled, ranks=scaled.ranks | (set(summed) & labels))


def select_term(term: Term, fixed: Mapping[Label, int], place: Place) -> Term:
    """The elements of a term at fixed values of some labels (those that it has)."""
    return select(term, {k: fixed[label] for k, label in enumerate(term.static) if label in fixed}, place)


def select_piece(piece: Piece, fixed: Mapping[Label, int], place: Place) -> Piece:
    return Piece(
        tuple(select_term(x, fixed, place) for x in piece.scalars),
        select_term(piece.row, fixed, place) if piece.row else None,
        select_term(piece.col, fixed, place) if piece.col else None,
        piece.ranks,
    )
