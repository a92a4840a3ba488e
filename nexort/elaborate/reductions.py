"""Reductions over static indices, averages over width axes, and an optimizer's rms, row_mean and col_mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nexort.elaborate.algebra import ENTRIES, Site, binary
from nexort.elaborate.constants import size_at
from nexort.elaborate.values import Value, noun
from nexort.errors import IndexFault, TypeFault
from nexort.graph.terms import (
    Label,
    Place,
    Term,
    add_operators,
    arrange,
    average_over,
    combine,
    number,
    reduce_over,
    select,
)
from nexort.symbolic import power
from nexort.syntax import ast

if TYPE_CHECKING:
    from nexort.elaborate.expressions import Evaluator


def binder(tree: ast.Expr) -> tuple[ast.Name, ast.Expr | None] | None:
    """The name in `a` or `a < M`, with the stated length; None for anything else."""
    match tree:
        case ast.Name():
            return tree, None
        case ast.Compare(first=ast.Name() as name, rest=(("<", size),)):
            return name, size
        case _:
            return None


@contextmanager
def bound_indices(ev: Evaluator, trees: Sequence[ast.Expr]) -> Iterator[list[str]]:
    """Inside, the index names in `trees` may be read; `a < M` states a range."""
    binders = [binder(tree) for tree in trees]
    for tree, found in zip(trees, binders, strict=True):
        if found is None:
            raise IndexFault("a reduction names its indices", tree.span, hint="write sum[k](…), or sum[k < 3](…)")
    pairs = [found for found in binders if found is not None]
    names: set[str] = set()
    ev.bind_names([name for name, _ in pairs], names)
    for name, size in pairs:
        if size is not None:
            ev.agree(name.id, size_at(size, ev.value, "a range"), name.span)
    ev.statics |= names
    try:
        yield [name.id for name, _ in pairs]
    finally:
        ev.statics -= names
        for name in names:
            ev.sizes.pop(name, None)


def over_static(ev: Evaluator, tree: ast.Call, head: ast.Subscript) -> Value:
    """sum[k](body), mean[k](body), max[k](body)."""
    (body,) = ev.arguments(tree, 1)
    assert isinstance(head.base, ast.Name)
    kind = head.base.id
    with bound_indices(ev, head.indices) as names:
        value = ev.value(body)
        for name, part in zip(names, head.indices, strict=True):
            if name not in ev.sizes:
                hint = f"state its range: {kind}[{name} < 3](…)"
                raise IndexFault(f"the index '{name}' indexes nothing here", part.span, hint=hint)
        sizes: dict[Label, int] = {name: ev.sizes[name][0] for name in names}
    place = ev.place(tree)
    if not isinstance(value, Term):
        factor = 1
        for size in sizes.values():
            factor *= size
        return binary("*", factor, value, Site(place, body.span, body.span)) if kind == "sum" else value
    if value.is_operator:
        return _sum_operators(kind, value, sizes, place, body)
    return reduce_over(kind, value, sizes, place)


def _sum_operators(kind: str, value: Term, sizes: dict[Label, int], place: Place, body: ast.Expr) -> Term:
    if kind == "max":
        raise TypeFault("an operator has no maximum", body.span, hint=ENTRIES)
    for label, size in sizes.items():
        scale = number(1.0 / size if kind == "mean" else 1.0)
        axes = [k for k, name in enumerate(value.static) if name == label]
        value = add_operators([(scale, select(value, dict.fromkeys(axes, i), place)) for i in range(size)], place)
    return value


def over_width(ev: Evaluator, tree: ast.Call, head: ast.Braces) -> Value:
    """avg{j}(body), avg{j,k}(body)."""
    (body,) = ev.arguments(tree, 1)
    names: set[str] = set()
    labels = [part for part in head.indices if isinstance(part, ast.Name)]
    if len(labels) < len(head.indices):
        raise IndexFault("avg names the axes that it averages over", tree.span, hint="write avg{j}(…)")
    ev.bind_names(labels, names)
    before, ev.is_braced = ev.is_braced, True
    ev.widths |= names
    try:
        value = ev.value(body)
    finally:
        ev.widths -= names
        ev.is_braced = before
    if isinstance(value, Term) and value.is_operator:
        raise TypeFault("an operator has no average", body.span, hint=ENTRIES)
    return average_over(value, [name.id for name in labels], ev.place(tree)) if isinstance(value, Term) else value


def in_optimizer(ev: Evaluator, tree: ast.Call, name: str) -> Value:
    """rms(g) over everything that the update changes; row_mean(g) and col_mean(g) of g's order."""
    if ev.scope.ledger is None:
        raise TypeFault(
            f"{name} stands in an optimizer only", tree.span, hint="elsewhere write sqrt(avg(x^2)) or avg{j}(T{i,j})"
        )
    (argument,) = ev.arguments(tree, 1)
    value = ev.value(argument)
    place = ev.place(tree)
    if not isinstance(value, Term):
        return abs(value) if name == "rms" and isinstance(value, int | float) else value
    if value.is_operator:
        raise TypeFault(f"{name} of an operator is not defined", argument.span, hint=ENTRIES)
    if name == "rms":
        return _rms(value, dict(ev.update_labels), place)
    if value.order > 2:
        raise TypeFault(
            f"{name} of a {noun(value)} is not defined", argument.span, hint="it takes matrices, vectors and scalars"
        )
    if value.order < 2:
        return value
    kept = 0 if name == "row_mean" else 1
    mean = average_over(value, [1 - kept], place)
    return Term(arrange(mean, mean.static, (0, 1), place), mean.static, (0, 1))


def _rms(value: Term, labels: dict[Label, int], place: Place) -> Term:
    square = average_over(combine(power(2), [value], place), value.width, place)
    return combine(power(0.5), [reduce_over("mean", square, labels, place)], place)
