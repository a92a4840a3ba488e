"""Reductions over static indices, averages over width axes, and an optimizer's rms, row_mean and col_mean."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Literal

from nexort.elaborate.algebra import ENTRIES, Site, binary
from nexort.elaborate.constants import size_at
from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.families import MAX_PARTS
from nexort.elaborate.functions import arguments, builtin
from nexort.elaborate.values import Value, noun, to_term
from nexort.errors import IndexFault, SizeFault, TypeFault
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

Kind = Literal["sum", "mean", "max"]


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
def bound_indices(ev: Evaluation, trees: Sequence[ast.Expr], hint: str) -> Generator[list[str]]:
    """Inside, the index names in `trees` may be read; `a < M` states a range."""
    pairs: list[tuple[ast.Name, ast.Expr | None]] = []
    for tree in trees:
        found = binder(tree)
        if found is None:
            raise IndexFault("the name of an index stands here", tree.span, hint=hint)
        pairs.append(found)
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


def over_static(ev: Evaluation, tree: ast.Call, head: ast.Subscript) -> Value:
    """sum[k](body), mean[k](body), max[k](body)."""
    assert isinstance(head.base, ast.Name)
    kind = _kind(head.base.id)
    (body,) = arguments(tree, 1)
    with bound_indices(ev, head.indices, f"write {kind}[k](…), or {kind}[k < 3](…)") as names:
        value = ev.value(body)
        for name, part in zip(names, head.indices, strict=True):
            if name not in ev.sizes:
                hint = f"state its range: {kind}[{name} < 3](…)"
                raise IndexFault(f"the index '{name}' indexes nothing here", part.span, hint=hint)
        sizes: dict[Label, int] = {name: ev.sizes[name][0] for name in names}
    place = ev.place(tree)
    if not isinstance(value, Term):
        is_sum = kind == "sum"
        return binary("*", prod(sizes.values()), value, Site(place, body.span, body.span)) if is_sum else value
    if value.is_operator:
        return _sum_operators(kind, value, sizes, place, body)
    return reduce_over(kind, value, sizes, place)


def _kind(name: str) -> Kind:
    return "sum" if name == "sum" else "mean" if name == "mean" else "max"


def _sum_operators(kind: Kind, value: Term, sizes: dict[Label, int], place: Place, body: ast.Expr) -> Term:
    if kind == "max":
        raise TypeFault("an operator has no maximum", body.span, hint=ENTRIES)
    if prod(sizes.values()) > MAX_PARTS:
        raise SizeFault(f"a sum of {prod(sizes.values())} operators is over the bound of {MAX_PARTS}", body.span)
    for label, size in sizes.items():
        scale = number(1.0 / size if kind == "mean" else 1.0)
        axes = [k for k, name in enumerate(value.static) if name == label]
        if axes:
            parts = [select(value, dict.fromkeys(axes, i), place) for i in range(size)]
            value = add_operators([(scale, part) for part in parts], place)
        elif kind == "sum":
            value = add_operators([(number(size), value)], place)
    return value


def over_width(ev: Evaluation, tree: ast.Call, head: ast.Braces) -> Value:
    """avg{j}(body), avg{j,k}(body)."""
    (body,) = arguments(tree, 1)
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


def in_optimizer(ev: Evaluation, tree: ast.Call, name: str) -> Value:
    """rms(g) over everything that the update changes; row_mean(g) and col_mean(g) of g's order."""
    if not ev.scope.is_optimizer:
        raise TypeFault(
            f"{name} stands in an optimizer only", tree.span, hint="elsewhere write sqrt(avg(x^2)) or avg{j}(T{i,j})"
        )
    (argument,) = arguments(tree, 1)
    value = ev.value(argument)
    place = ev.place(tree)
    if isinstance(value, int | float):
        return abs(value) if name == "rms" else value
    term = to_term(value, place)
    if term.is_operator:
        raise TypeFault(f"{name} of an operator is not defined", argument.span, hint=ENTRIES)
    if name == "rms":
        return _rms(term, dict(ev.update_labels), place)
    if term.order > 2:
        raise TypeFault(
            f"{name} of a {noun(value)} is not defined", argument.span, hint="it takes matrices, vectors and scalars"
        )
    if term.order < 2:
        return term
    kept = 0 if name == "row_mean" else 1
    mean = average_over(term, [1 - kept], place)
    return Term(arrange(mean, mean.static, (0, 1), place), mean.static, (0, 1))


def _rms(value: Term, labels: dict[Label, int], place: Place) -> Term:
    if not value.order and not value.static:
        return combine(builtin("abs", 1), [value], place)
    square = average_over(combine(power(2), [value], place), value.width, place)
    return combine(power(0.5), [reduce_over("mean", square, labels, place)], place)
