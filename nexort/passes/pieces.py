"""Sums of outer products as their factors: T = Σ over pieces of Σ over ranks C · ⎸x⟩⟨y⎸.

A piece has scalar factors, a row term (width label ROW) and a column term (COL); its `ranks` are the static labels
summed over, the others are those of a family.  Products stay in this form: |x⟩C⟨y| · |z⟩D⟨w| = |x⟩ C⟨y|z⟩D ⟨w|, with a
k × k coefficient, and pieces on the same vectors are added in their coefficients.

`factors` takes tensors apart into pieces, `consolidate` makes few pieces of many.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from nexort.graph.terms import (
    Label,
    Place,
    Term,
    arrange,
    combine,
    delta,
    number,
    sizes_of,
    union,
)
from nexort.passes.algebra import ADD, MUL
from nexort.passes.products import (
    contract_factors,
    contract_terms,
    fresh_label,
    merge_scalars,
    multiply,
    relabel,
)

ROW, COL = "row", "col"


@dataclass(frozen=True, slots=True)
class Piece:
    """Σ over ranks of ∏ scalars · ⎸row⟩⟨col⎸; a missing row or column is the vector of ones."""

    scalars: tuple[Term, ...] = ()
    row: Term | None = None
    col: Term | None = None
    ranks: frozenset[Label] = frozenset()

    @property
    def terms(self) -> tuple[Term, ...]:
        return (*self.scalars, *(x for x in (self.row, self.col) if x is not None))

    def rename(self, names: Mapping[Label, Label]) -> Piece:
        return Piece(
            tuple(relabel(x, names) for x in self.scalars),
            relabel(self.row, names) if self.row else None,
            relabel(self.col, names) if self.col else None,
            frozenset(names.get(label, label) for label in self.ranks),
        )

    def fresh(self) -> Piece:
        """The same piece with rank labels of its own."""
        return self.rename({label: fresh_label() for label in self.ranks})

    def transposed(self) -> Piece:
        row = relabel(self.col, {COL: ROW}) if self.col else None
        col = relabel(self.row, {ROW: COL}) if self.row else None
        return Piece(self.scalars, row, col, self.ranks)

    def scaled(self, factor: Term, place: Place) -> Piece:
        """Times a scalar, a vector along the rows (ROW) or along the columns (COL)."""
        if not factor.width:
            return replace(self, scalars=(*self.scalars, factor))
        side = factor.width[0]
        old = self.row if side == ROW else self.col
        new = factor if old is None else combine(MUL, (old, factor), place)
        return replace(self, row=new) if side == ROW else replace(self, col=new)

    def vector(self, side: str, place: Place) -> Term:
        """The row or column term, ones included."""
        term = self.row if side == ROW else self.col
        return term if term is not None else Term(arrange(number(1.0), (), (side,), place), (), (side,))

    def tensor(self, place: Place) -> Term:
        """The order-2 term with width labels (ROW, COL)."""
        vectors = (self.vector(ROW, place), self.vector(COL, place))
        scalars = merge_scalars(self.scalars, place)
        if any(not self.ends >= self.ranks & set(x.static) for x in scalars):
            scalars = [self.coefficient(place)]
        factors = (*scalars, *vectors)
        ranks = tuple(label for label in union(x.static for x in vectors) if label in self.ranks)
        return contract_factors(factors, ranks, place) if ranks else multiply(factors, place)

    @property
    def labels(self) -> set[Label]:
        return {label for term in self.terms for label in term.static}

    @property
    def ends(self) -> frozenset[Label]:
        """The static labels of the row and the column."""
        return frozenset(label for x in (self.row, self.col) if x is not None for label in x.static)

    def coefficient(self, place: Place, kept: frozenset[Label] = frozenset()) -> Term:
        """The product of the scalars, ranks summed that neither the row nor the column has nor `kept` holds."""
        labels = (self.labels - self.ranks) | self.ends | kept
        return contract_terms(self.scalars, tuple(labels), place) if self.scalars else number(1.0)

    def times(self, other: Piece, place: Place) -> Piece:
        """The composition: the average over this column against the other's row becomes a k × k coefficient."""
        other = other.fresh()
        middle = [x for x in (self.col, relabel(other.row, {ROW: COL}) if other.row else None) if x is not None]
        factors = (*self.scalars, *middle, *other.scalars)
        product = Piece(factors, self.row, other.col, self.ranks | other.ranks)
        scalars = (product.coefficient(place),) if factors else ()
        return Piece(scalars, self.row, other.col, product.ranks & product.ends)


Pieces = tuple[Piece, ...]


def merge_pieces(pieces: Sequence[Piece], place: Place) -> Pieces:
    """Pieces on the same vectors as one, their coefficients added as k × k arrays."""
    groups: dict[Hashable, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(_vectors_key(piece), []).append(piece)
    return tuple(group[0] if len(group) == 1 else _merge(group, place) for group in groups.values())


def _vectors_key(piece: Piece) -> Hashable:
    def side(term: Term | None) -> Hashable:
        return None if term is None else (term.node, tuple("rank" if s in piece.ranks else s for s in term.static))

    return (side(piece.row), side(piece.col))


def _merge(group: Sequence[Piece], place: Place) -> Piece:
    """Σ C over pieces with equal rows and columns, on the labels of the first."""
    patterns = {shared_ranks(piece) for piece in group}
    separate = list(group) if len(patterns) == 1 else [separate_ranks(piece) for piece in group]
    first = separate[0]
    labels = rank_labels(first)
    named = [piece.rename(dict(zip(rank_labels(piece), labels, strict=True))) for piece in separate]
    coefficients = [piece.coefficient(place) for piece in named]
    total = coefficients[0]
    for coefficient in coefficients[1:]:
        total = combine(ADD, (total, coefficient), place)
    return Piece((total,), first.row, first.col, frozenset(labels))


def rank_labels(piece: Piece) -> tuple[Label, ...]:
    return union(tuple(s for s in x.static if s in piece.ranks) for x in (piece.row, piece.col) if x is not None)


def shared_ranks(piece: Piece) -> Hashable:
    """Which rank of the row is which of the column (a diagonal coefficient)."""
    names = {label: k for k, label in enumerate(rank_labels(piece))}
    return tuple(None if x is None else tuple(names.get(label) for label in x.static) for x in (piece.row, piece.col))


def separate_ranks(piece: Piece) -> Piece:
    """The same piece with different rank labels on row and column (δ joins them) and none on both."""
    if piece.row is None or piece.col is None:
        return piece
    sizes = sizes_of(piece.terms)
    shared = [s for s in piece.row.static if s in piece.ranks and s in piece.col.static]
    names: dict[Label, Label] = {s: fresh_label() for s in shared}
    deltas = tuple(delta(s, names[s], sizes[s]) for s in shared)
    return Piece(
        (*piece.scalars, *deltas), piece.row, relabel(piece.col, names), piece.ranks | frozenset(names.values())
    )


def build_tensor(pieces: Sequence[Piece], place: Place) -> Term:
    """The order-2 term (ROW, COL) that is the sum of the pieces."""
    total: Term | None = None
    for piece in pieces:
        part = piece.tensor(place)
        total = part if total is None else combine(ADD, (total, part), place)
    return total if total is not None else multiply((number(0.0),), place)
