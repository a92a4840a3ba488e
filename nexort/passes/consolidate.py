"""Pieces of equal form as one piece on families of vectors, so that products do not multiply their number.

Accepts pieces of one sum; promises the same sum.  Vectors become stacks, coefficients a block matrix.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from nexort.graph import Node
from nexort.graph.terms import (
    Label,
    Place,
    Term,
    arrange,
    number,
    sizes_of,
    stack,
    union,
)
from nexort.passes.pieces import (
    Piece,
    Pieces,
    merge_pieces,
    rank_labels,
    separate_ranks,
    shared_ranks,
)
from nexort.passes.products import (
    fresh_label,
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
    return {label: ("rank", k) for k, label in enumerate(rank_labels(piece))}


def _form_key(piece: Piece) -> Hashable:
    sizes = sizes_of(piece.terms)

    def side(term: Term | None) -> Hashable:
        return None if term is None else tuple(("rank" if s in piece.ranks else s, sizes[s]) for s in term.static)

    return (side(piece.row), side(piece.col))


def _stack_pieces(group: Sequence[Piece], stacks: StackCache, place: Place) -> Piece:
    """Σ over pieces of one form as one piece: rows and columns stacked, the coefficients a block matrix."""
    rows, cols = _distinct([p.row for p in group]), _distinct([p.col for p in group])
    is_diagonal = len(rows) == len(cols) == len(group) and len({shared_ranks(p) for p in group}) == 1
    pieces = list(group) if is_diagonal else [separate_ranks(piece) for piece in group]
    pieces = [piece.rename(_canonical_names(piece)) for piece in pieces]
    row_label = fresh_label()
    col_label = row_label if is_diagonal else fresh_label()
    row = _stack_vectors(rows, pieces[0].row, row_label, stacks, place)
    col = _stack_vectors(cols, pieces[0].col, col_label, stacks, place)
    values = [piece.coefficient(place) for piece in pieces]
    static, sizes = union(x.static for x in values), sizes_of(values)
    blocks = [arrange(x, static, (), place, sizes) for x in values]
    ranks = frozenset(rank_labels(pieces[0])) | {row_label, col_label}
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
    return replace(piece, scalars=(piece.coefficient(place, used),), ranks=piece.ranks & (piece.ends | used))


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
