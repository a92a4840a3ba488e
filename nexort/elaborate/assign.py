"""Assignments: what stands on the left, what the right side gives it, and the new version (LANGUAGE §4 to §6)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nexort.elaborate.algebra import Site, binary
from nexort.elaborate.constants import integer_at, size_at
from nexort.elaborate.expressions import Evaluator, has_braces, names_in
from nexort.elaborate.families import Region, Variable
from nexort.elaborate.reductions import binder
from nexort.elaborate.scope import WORDS, Local, Poison, check_bindable
from nexort.elaborate.updates import Update
from nexort.elaborate.values import FamilyLabel, Poisoned, Value, noun, to_term
from nexort.errors import IndexFault, NameFault, SyntaxFault, TypeFault, suggest
from nexort.errors import Label as Mark
from nexort.graph import Alias, Node
from nexort.graph.nodes import next_serial
from nexort.graph.terms import Label, Place, Term, add_operators, arrange, number
from nexort.source import Span
from nexort.syntax import ast

if TYPE_CHECKING:
    from nexort.elaborate.statements import Unroller


@dataclass(frozen=True, slots=True)
class Target:
    """The left side: a name, what its static axes are (labels or fixed indices), and its width axes if braced."""

    name: ast.Name
    wanted: tuple[Label | int, ...]
    widths: tuple[str, ...] | None
    span: Span
    is_whole: bool
    """A family named without brackets."""

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(w for w in self.wanted if not isinstance(w, int))

    @property
    def pattern(self) -> tuple[int | None, ...]:
        return tuple(w if isinstance(w, int) else None for w in self.wanted)


def assign(unroller: Unroller, tree: ast.Assign) -> None:
    """Evaluate the right side for all indices, then bind the new version."""
    first_new = next_serial()
    ev = unroller.evaluator()
    target = _target(unroller, ev, tree)
    variable = _variable(unroller, target, tree)
    value = _value(unroller, ev, target, variable, tree)
    node = _settle(ev, target, variable, value, unroller.place(tree.value.span))
    if node.serial < first_new:
        # another name for a value that exists: a version of its own, for grad
        node = Alias(type=node.type, operands=(node,), span=tree.span, passes=unroller.passes)
    _bind(unroller, target, variable, node, tree)


# ------------------------------------------------------------------ left side


def _target(unroller: Unroller, ev: Evaluator, tree: ast.Assign) -> Target:
    base, widths = tree.target, None
    if isinstance(base, ast.Braces):
        names = [part for part in base.indices if isinstance(part, ast.Name)]
        if len(names) < len(base.indices):
            raise IndexFault(
                "the width axes on the left are names", base.span, hint="write y{i} = …; single neurons have no limit"
            )
        ev.bind_names(names, ev.widths)
        widths = tuple(name.id for name in names)
        if len(set(widths)) < len(widths):
            raise IndexFault("a width axis occurs twice on the left", base.span, hint="give each axis its own name")
        base = base.base
    indices: Sequence[ast.Expr] = ()
    if isinstance(base, ast.Subscript):
        base, indices = base.base, base.indices
    if not isinstance(base, ast.Name):
        raise SyntaxFault(
            "this cannot be assigned to", tree.target.span, hint="a name, name[indices], name{axes} or name[…]{…}"
        )
    ev.is_braced = widths is not None or has_braces(tree.value)
    entry = unroller.scope.find(base.id)
    if not indices and isinstance(entry, Variable) and entry.axes and tree.operator != "=":
        return _whole(ev, entry, base, widths, tree)
    wanted = _indices(ev, indices)
    return Target(base, wanted, widths, tree.target.span, is_whole=False)


def _whole(ev: Evaluator, entry: Variable, base: ast.Name, widths: tuple[str, ...] | None, tree: ast.Assign) -> Target:
    """`u -= …` on a family: all its elements."""
    wanted = tuple(FamilyLabel(axis) for axis in range(entry.axes))
    for axis, label in enumerate(wanted):
        ev.agree(label, entry.extent(axis, (None,) * entry.axes), tree.target.span)
    return Target(base, wanted, widths, tree.target.span, is_whole=True)


def _indices(ev: Evaluator, trees: Sequence[ast.Expr]) -> tuple[Label | int, ...]:
    """Free names and fixed numbers, in order; free names may be read on the right from here on."""
    wanted: list[Label | int] = []
    free: list[ast.Name] = []
    stated: list[tuple[ast.Name, ast.Expr]] = []
    for tree in trees:
        found = binder(tree)
        if found is not None and not (found[1] is None and ev.is_constant(found[0].id)):
            free.append(found[0])
            wanted.append(found[0].id)
            if found[1] is not None:
                stated.append((found[0], found[1]))
        else:
            wanted.append(-1)
    names: set[str] = set()
    for name in free:
        if name.id in names:
            raise IndexFault(
                f"the index '{name.id}' occurs twice on the left", name.span, hint="give each axis its own name"
            )
        ev.bind_names([name], names)
    ev.statics |= names
    for name, size in stated:
        ev.agree(name.id, size_at(size, ev.value, "a range"), name.span)
    for k, tree in enumerate(trees):
        if wanted[k] == -1:
            wanted[k] = _fixed(ev, tree)
    return tuple(wanted)


def _fixed(ev: Evaluator, tree: ast.Expr) -> int:
    for name in names_in(tree):
        if name.id in ev.statics:
            raise IndexFault(
                f"the index '{name.id}' must stand alone in the brackets", tree.span, hint="x[a + 1] is not possible"
            )
    index = integer_at(tree, ev.value, "an index")
    if index < 0:
        raise IndexFault(f"index {index} is negative", tree.span, hint="indices count from 0")
    return index


# ------------------------------------------------------------------- variable


def _variable(unroller: Unroller, target: Target, tree: ast.Assign) -> Variable | None:
    """The variable that is bound so far, checked against the left side."""
    name = target.name
    check_bindable(name)
    entry = unroller.scope.find(name.id)
    if isinstance(entry, Poison):
        if tree.operator == "=" and not any(isinstance(w, int) for w in target.wanted):
            return None
        raise Poisoned
    if entry is None:
        if tree.operator != "=":
            known = unroller.scope.names()
            raise NameFault(
                f"'{name.id}' is updated before it is bound",
                name.span,
                hint=suggest(name.id, known) or f"start with {name.id} = 0",
            )
        return None
    if not isinstance(entry, Variable):
        assert not isinstance(entry, Local)
        what = getattr(entry, "origin", "") or WORDS[type(entry)].split(" ", 1)[1]
        raise NameFault(
            f"'{name.id}' is a {what} and cannot be bound",
            name.span,
            Mark(entry.span, "declared here"),
            hint="choose another name",
        )
    if len(target.wanted) != entry.axes:
        if entry.kind == "computed" and tree.operator == "=" and not any(isinstance(w, int) for w in target.wanted):
            return None
        raise IndexFault(
            f"'{name.id}' has {entry.axes} static axes, and {len(target.wanted)} stand here",
            target.span,
            Mark(entry.span, "bound here"),
        )
    _check_ranges(entry, target)
    return entry


def _check_ranges(variable: Variable, target: Target) -> None:
    for axis, index in enumerate(target.wanted):
        if isinstance(index, int) and variable.shape is not None and index >= variable.shape[axis]:
            raise IndexFault(
                f"index {index} is outside 0..{variable.shape[axis]} of '{variable.name}'",
                target.span,
                hint="indices count from 0",
            )


# ----------------------------------------------------------------- right side


def _value(unroller: Unroller, ev: Evaluator, target: Target, variable: Variable | None, tree: ast.Assign) -> Value:
    if variable is not None and (variable.shape is not None or tree.operator != "="):
        for axis, index in enumerate(target.wanted):
            if not isinstance(index, int):
                ev.agree(index, variable.extent(axis, target.pattern), target.span)
    is_update = variable is not None and (
        tree.operator in ("-=", "+=") or (tree.operator == "=" and _reads(tree.value, target.name.id))
    )
    with ExitStack() as stack:
        if is_update and variable is not None:
            stack.enter_context(_updating(unroller, ev, target, variable))
        value = _right(ev, target, tree)
    if tree.operator == "=":
        return value
    assert variable is not None
    old = _current(ev, target, variable, tree)
    return binary(tree.operator[0], old, value, Site(unroller.place(tree.span), tree.target.span, tree.value.span))


class _updating:  # noqa: N801 - a context manager
    """Inside, the right side may call an optimizer."""

    def __init__(self, unroller: Unroller, ev: Evaluator, target: Target, variable: Variable) -> None:
        sizes = {
            w: variable.extent(axis, target.pattern) for axis, w in enumerate(target.wanted) if not isinstance(w, int)
        }
        update = Update(variable=variable, wanted=target.wanted, sizes=sizes, ledgers=unroller.ledgers)
        self.ev, self.update = ev, update

    def __enter__(self) -> None:
        self.ev.call_optimizer = self.update.call

    def __exit__(self, *_: object) -> None:
        self.ev.call_optimizer = None


def _right(ev: Evaluator, target: Target, tree: ast.Assign) -> Value:
    """The value of the right side; in an update of a whole family, a family without brackets is all its elements."""
    if target.is_whole and isinstance(tree.value, ast.Name):
        entry = ev.scope.find(tree.value.id)
        if isinstance(entry, Variable) and entry.axes == len(target.wanted):
            return entry.read(target.wanted, ev.place(tree.value))
    return ev.value(tree.value)


def _reads(tree: ast.Expr, name: str) -> bool:
    """Whether a name occurs in an expression."""
    match tree:
        case ast.Name():
            return tree.id == name
        case ast.Number():
            return False
        case ast.Call():
            parts = (tree.function, *tree.arguments, *(keyword.value for keyword in tree.keywords))
        case ast.Paren():
            parts = (tree.body,)
        case ast.Unary():
            parts = (tree.operand,)
        case ast.Binary() | ast.Logical():
            parts = (tree.left, tree.right)
        case ast.Compare():
            parts = (tree.first, *(part for _, part in tree.rest))
        case ast.Subscript() | ast.Braces():
            parts = (tree.base, *tree.indices)
        case ast.Prime():
            parts = (tree.base,)
        case ast.BraKet():
            parts = (tree.bra, tree.ket) if tree.operator is None else (tree.bra, tree.operator, tree.ket)
        case ast.KetBra():
            parts = (tree.ket, tree.bra)
        case ast.ListLiteral():
            parts = tree.items
    return any(_reads(part, name) for part in parts)


def _current(ev: Evaluator, target: Target, variable: Variable, tree: ast.Assign) -> Value:
    """The version that `x += e` adds to."""
    old = variable.read(target.wanted, Place(target.span, ev.passes))
    if target.widths is None:
        if ev.is_braced and old.order and not old.is_operator:
            raise IndexFault(
                f"this {noun(old)} carries no index, in a statement with braces",
                target.span,
                hint="name its axes on the left",
            )
        return old
    if old.is_operator:
        raise TypeFault(
            "an operator takes no braces", target.span, hint=f"write {target.name.id} {tree.operator} … without them"
        )
    if old.order == 0:
        return old
    if old.order != len(target.widths):
        raise IndexFault(
            f"a {noun(old)} takes {old.order} width indices, and {len(target.widths)} stand here", target.span
        )
    return Term(old.node, old.static, target.widths)


# -------------------------------------------------------------------- binding


def _settle(ev: Evaluator, target: Target, variable: Variable | None, value: Value, place: Place) -> Node:
    """The value as a node with the axes of the left side."""
    term = to_term(value, place)
    sizes = {label: size for label, (size, _) in ev.sizes.items()}
    for label in target.labels:
        if label not in sizes:
            raise IndexFault(
                f"nothing gives the index '{label}' a range",
                target.span,
                hint=f"state it: {target.name.id}[{label} < 3] = …",
            )
    stray = [label for label in term.static if label not in target.labels]
    if stray:
        what = "all elements of a family" if isinstance(stray[0], FamilyLabel) else f"the index '{stray[0]}'"
        raise IndexFault(
            f"the right side ranges over {what}, and the left does not",
            place.span or target.span,
            hint="bring it to the left, or reduce over it",
        )
    term = _of_kind(target, variable, term, place)
    width = target.widths
    if width is None:
        named = [label for label in term.width if isinstance(label, str)]
        if named:
            raise IndexFault(
                f"the width index '{named[0]}' is on the right only",
                place.span or target.span,
                hint=f"write {target.span.text}{{{named[0]}}} = …, or average over it",
            )
        width = term.width
    elif term.is_operator:
        raise TypeFault("an operator takes no braces", target.span, hint=f"write {target.name.id} = … without them")
    return arrange(term, target.labels, width, place, sizes)


def _of_kind(target: Target, variable: Variable | None, term: Term, place: Place) -> Term:
    """A declared vector or matrix keeps its kind."""
    if variable is None or variable.kind == "computed":
        return term
    span = place.span or target.span
    if variable.kind == "matrix":
        if term.order != 2:
            raise TypeFault(
                f"'{variable.name}' is a matrix, and this is a {noun(term)}", span, Mark(variable.span, "declared here")
            )
        return term if term.is_operator else add_operators([(number(1.0), Term(term.node, term.static, (0, 1)))], place)
    if term.order > 1:
        raise TypeFault(
            f"'{variable.name}' is a vector, and this is a {noun(term)}", span, Mark(variable.span, "declared here")
        )
    if term.order == 1:
        return term
    width = target.widths or (0,)
    return Term(arrange(term, term.static, width, place), term.static, width)


def _bind(unroller: Unroller, target: Target, variable: Variable | None, node: Node, tree: ast.Assign) -> None:
    is_element = any(isinstance(index, int) for index in target.wanted)
    if variable is None or (variable.kind == "computed" and tree.operator == "=" and not is_element):
        variable = Variable(target.name.id, len(target.wanted), tree.target.span)
        unroller.scope.entries[target.name.id] = variable
    if variable.kind == "computed" and not is_element:
        variable.span = tree.target.span
    stamp: object = unroller.passes
    old = variable.defined_at(target.pattern)
    if tree.operator != "=":
        stamp = old.stamp if old is not None else None
    elif is_element and old is not None and old.stamp == stamp:
        raise IndexFault(
            f"{target.span.text} is defined twice in one pass",
            target.span,
            Mark(old.span, "first here"),
            hint="an element is defined once: use +=, or another name",
        )
    variable.bind(Region(pattern=target.pattern, node=node, span=tree.span, stamp=stamp))
