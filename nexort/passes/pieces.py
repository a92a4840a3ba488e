"""Sums of outer products as their factors: T = Σ over pieces of Σ over ranks C · ⎸x⟩⟨y⎸.

A piece has scalar factors, a row term (width label ROW) and a column term (COL); its `ranks` are the static labels
summed over, the others are those of a family.  Products stay in this form: |x⟩C⟨y| · |z⟩D⟨w| = |x⟩ C⟨y|z⟩D ⟨w|, with a
k × k coefficient, and pieces on the same vectors are added in their coefficients.

Accepts nodes that `OuterSums` contains; answers None where it does not know how to take one apart.  Promises the same
tensor up to rounding.  Does not decide when taking apart is worth it: `operators` does.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from nexort.graph import Contract, Map, Node, Reduce, Select, Stack, Type
from nexort.graph.nodes import Axes
from nexort.graph.terms import (
    Label,
    Place,
    Term,
    arrange,
    combine,
    delta,
    indicator,
    number,
    select,
    sizes_of,
    stack,
    union,
    without_diagonals,
)
from nexort.passes.algebra import ADD, DIV, IDENTITY, MUL, NEG, SUB
from nexort.passes.outer import OuterSums, is_tensor
from nexort.passes.products import (
    contract_factors,
    contract_terms,
    fresh_label,
    merge_scalars,
    multiply,
    operand_terms,
    place_of,
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
        ends = {label for x in vectors for label in x.static}
        scalars = merge_scalars(self.scalars, place)
        if any(not ends >= self.ranks & set(x.static) for x in scalars):
            scalars = [contract_terms(self.scalars, tuple((self.labels - self.ranks) | ends), place)]
        factors = (*scalars, *vectors)
        ranks = tuple(label for label in union(x.static for x in vectors) if label in self.ranks)
        return contract_factors(factors, ranks, place) if ranks else multiply(factors, place)

    @property
    def labels(self) -> set[Label]:
        return {label for term in self.terms for label in term.static}

    def times(self, other: Piece, place: Place) -> Piece:
        """The composition: the average over this column against the other's row becomes a k × k coefficient."""
        other = other.fresh()
        middle = [x for x in (self.col, relabel(other.row, {ROW: COL}) if other.row else None) if x is not None]
        ranks = self.ranks | other.ranks
        family = (self.labels | other.labels) - ranks
        ends = {label for x in (self.row, other.col) if x is not None for label in x.static}
        factors = (*self.scalars, *middle, *other.scalars)
        scalars = (contract_terms(factors, tuple(family | ends), place),) if factors else ()
        return Piece(scalars, self.row, other.col, frozenset(ranks & ends))


Pieces = tuple[Piece, ...]


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
        pending = [node]
        while pending:
            top = pending[-1]
            missing = [x for x in top.operands if is_tensor(x) and x not in self._known]
            if missing and top not in self._known:
                pending.extend(missing)
                continue
            pending.pop()
            if top not in self._known:
                self._known[top] = self._take_apart(top) if self._outer.contains(top) else None
        return self._known[node]

    def _take_apart(self, node: Node) -> Pieces | None:
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


# adding up pieces


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
    patterns = {_shared_ranks(piece) for piece in group}
    separate = list(group) if len(patterns) == 1 else [_separate_ranks(piece) for piece in group]
    first = separate[0]
    labels = _rank_labels(first)
    named = [piece.rename(dict(zip(_rank_labels(piece), labels, strict=True))) for piece in separate]
    coefficients = _coefficients(named, place)
    total = coefficients[0]
    for coefficient in coefficients[1:]:
        total = combine(ADD, (total, coefficient), place)
    return Piece((total,), first.row, first.col, frozenset(labels))


def _rank_labels(piece: Piece) -> tuple[Label, ...]:
    return union(tuple(s for s in x.static if s in piece.ranks) for x in (piece.row, piece.col) if x is not None)


def _shared_ranks(piece: Piece) -> Hashable:
    """Which rank of the row is which of the column (a diagonal coefficient)."""
    names = {label: k for k, label in enumerate(_rank_labels(piece))}
    return tuple(None if x is None else tuple(names.get(label) for label in x.static) for x in (piece.row, piece.col))


def _separate_ranks(piece: Piece) -> Piece:
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


StackCache = dict[tuple[Node, ...], Node]
"""The family made of some nodes, so that equal groups of pieces get equal vectors and merge."""


def consolidate(pieces: Sequence[Piece], stacks: StackCache, place: Place) -> Pieces:
    """Pieces of equal form as one with a rank label more, so that products do not multiply their number."""
    groups: dict[Hashable, list[Piece]] = {}
    for piece in merge_pieces(pieces, place):
        groups.setdefault(_form_key(piece), []).append(piece)
    joined = [group[0] if len(group) == 1 else _stack_pieces(group, stacks, place) for group in groups.values()]
    return merge_pieces(joined, place)


def _canonical_names(piece: Piece) -> dict[Label, Label]:
    return {label: ("rank", k) for k, label in enumerate(_rank_labels(piece))}


def _form_key(piece: Piece) -> Hashable:
    sizes = sizes_of(piece.terms)

    def side(term: Term | None) -> Hashable:
        return None if term is None else tuple(("rank" if s in piece.ranks else s, sizes[s]) for s in term.static)

    return (side(piece.row), side(piece.col))


def _stack_pieces(group: Sequence[Piece], stacks: StackCache, place: Place) -> Piece:
    """Σ over pieces of one form as one piece: rows and columns stacked, the coefficients a block matrix."""
    rows, cols = _distinct([p.row for p in group]), _distinct([p.col for p in group])
    is_diagonal = len(rows) == len(cols) == len(group) and len({_shared_ranks(p) for p in group}) == 1
    pieces = list(group) if is_diagonal else [_separate_ranks(piece) for piece in group]
    pieces = [piece.rename(_canonical_names(piece)) for piece in pieces]
    row_label = fresh_label()
    col_label = row_label if is_diagonal else fresh_label()
    row = _stack_vectors(rows, pieces[0].row, row_label, stacks, place)
    col = _stack_vectors(cols, pieces[0].col, col_label, stacks, place)
    values = _coefficients(pieces, place)
    static, sizes = union(x.static for x in values), sizes_of(values)
    blocks = [arrange(x, static, (), place, sizes) for x in values]
    ranks = frozenset(_rank_labels(pieces[0])) | {row_label, col_label}
    if is_diagonal:
        coefficient = Term(stack(blocks, 0, place), (row_label, *static))
        return Piece((coefficient,), row, col, ranks).fresh()
    positions = {(_node(p.row), _node(p.col)): block for p, block in zip(pieces, blocks, strict=True)}
    zero = arrange(number(0.0), static, (), place, sizes)
    lines = [stack([positions.get((r, c), zero) for c in cols], 0, place) for r in rows]
    coefficient = Term(stack(lines, 0, place), (row_label, col_label, *static))
    used = frozenset(x for x, side in ((row_label, row), (col_label, col)) if side is not None)
    return _drop_unit_labels(Piece((coefficient,), row, col, ranks), used, place).fresh()


def _drop_unit_labels(piece: Piece, used: frozenset[Label], place: Place) -> Piece:
    """Block labels of a side that is the vector of ones are summed at once."""
    ends = {label for x in (piece.row, piece.col) if x is not None for label in x.static}
    kept = tuple((piece.labels - piece.ranks) | ends | used)
    return replace(piece, scalars=(contract_terms(piece.scalars, kept, place),), ranks=piece.ranks & frozenset(kept))


def _node(term: Term | None) -> Node | None:
    return None if term is None else term.node


def _distinct(terms: Sequence[Term | None]) -> tuple[Node | None, ...]:
    return tuple(dict.fromkeys(_node(term) for term in terms))


def _stack_vectors(
    nodes: Sequence[Node | None], like: Term | None, label: Label, stacks: StackCache, place: Place
) -> Term | None:
    if like is None:
        return None
    chosen = tuple(node for node in nodes if node is not None)
    node = stacks.get(chosen) or stacks.setdefault(chosen, stack(chosen, 0, place))
    return Term(node, (label, *like.static), like.width)


def _coefficients(pieces: Sequence[Piece], place: Place) -> list[Term]:
    """The product of the scalars of each piece, ranks that only they have summed."""
    values: list[Term] = []
    for piece in pieces:
        ends = {label for x in (piece.row, piece.col) if x is not None for label in x.static}
        kept = tuple((piece.labels - piece.ranks) | ends)
        values.append(contract_terms(piece.scalars, kept, place) if piece.scalars else number(1.0))
    return values


def build_tensor(pieces: Sequence[Piece], place: Place) -> Term:
    """The order-2 term (ROW, COL) that is the sum of the pieces."""
    total: Term | None = None
    for piece in pieces:
        part = piece.tensor(place)
        total = part if total is None else combine(ADD, (total, part), place)
    return total if total is not None else multiply((number(0.0),), place)
