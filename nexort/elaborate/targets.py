"""The left side of an assignment: a name, its static indices, free or fixed, and its width axes (LANGUAGE §4, §5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nexort.elaborate.constants import check_axes, integer_at, size_at
from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.families import Pattern, Variable
from nexort.elaborate.reading import bare_names, has_braces, names_in
from nexort.elaborate.reductions import binder
from nexort.elaborate.scope import BUILTINS
from nexort.elaborate.values import family_labels
from nexort.errors import IndexFault, SyntaxFault
from nexort.graph.terms import Label
from nexort.source import Span
from nexort.syntax import ast


@dataclass(frozen=True, slots=True)
class Target:
    """`wanted` are the labels and fixed indices of the static axes, the first `unwritten` of them not in the text;
    `widths` the width axes if there are braces."""

    name: ast.Name
    wanted: tuple[Label | int, ...]
    unwritten: int
    widths: tuple[str, ...] | None
    span: Span

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(w for w in self.wanted if not isinstance(w, int))

    @property
    def pattern(self) -> Pattern:
        return tuple(w if isinstance(w, int) else None for w in self.wanted)

    @property
    def is_element(self) -> bool:
        return any(isinstance(w, int) for w in self.wanted)


def read_target(ev: Evaluation, tree: ast.Assign) -> Target:
    """The left side; its free indices and width axes may be read by `ev` from here on."""
    base, widths = tree.target, None
    if isinstance(base, ast.Braces):
        widths = _width_names(ev, base)
        base = base.base
    indices: Sequence[ast.Expr] | None = None
    unwritten = 0
    if isinstance(base, ast.Subscript):
        base, indices, unwritten = base.base, base.indices, base.unwritten
    if not isinstance(base, ast.Name):
        raise SyntaxFault(
            "this cannot be assigned to", tree.target.span, hint="a name, name[indices], name{axes} or name[…]{…}"
        )
    ev.is_braced = widths is not None or has_braces(tree.value)
    check_axes(len(indices or ()), tree.target.span)
    if indices is None:
        wanted = _whole_family(ev, base, tree)
    else:
        wanted = _indices(ev, indices)
    return Target(base, wanted, unwritten, widths, tree.target.span)


def _width_names(ev: Evaluation, tree: ast.Braces) -> tuple[str, ...]:
    names = [part for part in tree.indices if isinstance(part, ast.Name)]
    if len(names) < len(tree.indices):
        raise IndexFault(
            "the width axes on the left are names", tree.span, hint="write y{i} = …; single neurons have no limit"
        )
    widths = tuple(name.id for name in names)
    if len(set(widths)) < len(widths):
        raise IndexFault("a width axis occurs twice on the left", tree.span, hint="give each axis its own name")
    ev.bind_names(names, ev.widths)
    return widths


def _whole_family(ev: Evaluation, name: ast.Name, tree: ast.Assign) -> tuple[Label, ...]:
    """In `u -= …` and `u = u - …` on a family, the labels of all its elements; else nothing."""
    entry = ev.scope.find(name.id)
    is_update = tree.operator != "=" or name.id in bare_names(tree.value)
    if not (isinstance(entry, Variable) and entry.axes and is_update):
        return ()
    ev.whole = name.id
    labels = family_labels(entry.axes)
    for axis, label in enumerate(labels):
        ev.agree(label, entry.extent(axis, entry.whole, tree.target.span), tree.target.span)
    return labels


def _indices(ev: Evaluation, trees: Sequence[ast.Expr]) -> tuple[Label | int, ...]:
    """Free names and fixed numbers, in order."""
    found = [binder(tree) for tree in trees]
    free = [pair if pair is not None and not _is_number(ev, *pair) else None for pair in found]
    names: set[str] = set()
    for pair in free:
        if pair is not None and pair[0].id in names:
            raise IndexFault(
                f"the index '{pair[0].id}' occurs twice on the left", pair[0].span, hint="give each axis its own name"
            )
        if pair is not None:
            ev.bind_names([pair[0]], names)
    ev.statics |= names
    wanted: list[Label | int] = []
    for tree, pair in zip(trees, free, strict=True):
        if pair is None:
            wanted.append(_fixed(ev, tree))
            continue
        name, size = pair
        wanted.append(name.id)
        if size is not None:
            ev.agree(name.id, size_at(size, ev.value, "a range"), name.span)
    return tuple(wanted)


def _is_number(ev: Evaluation, name: ast.Name, size: ast.Expr | None) -> bool:
    return size is None and ev.is_constant(name.id)


def _fixed(ev: Evaluation, tree: ast.Expr) -> int:
    for name in names_in(tree):
        if name.id in ev.statics or (ev.scope.find(name.id) is None and name.id not in BUILTINS):
            raise IndexFault(
                f"the index '{name.id}' must stand alone in the brackets",
                tree.span,
                hint=f"x[{name.id} + 1] is not possible for an index {name.id}: use a loop",
            )
    index = integer_at(tree, ev.value, "an index")
    if index < 0:
        raise IndexFault(f"index {index} is negative", tree.span, hint="indices count from 0")
    return index
