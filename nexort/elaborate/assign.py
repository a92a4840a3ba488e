"""Assignments: what the right side gives to the left one, and the new version (LANGUAGE §4 to §6)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from nexort.elaborate.algebra import Site, binary
from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.families import Region, Variable
from nexort.elaborate.optimizers import call_optimizer
from nexort.elaborate.reading import contains, names_read
from nexort.elaborate.scope import WORDS, Constant, Poison, check_bindable
from nexort.elaborate.targets import Target, read_target
from nexort.elaborate.unrolling import Unrolling
from nexort.elaborate.updates import Update
from nexort.elaborate.values import FamilyLabel, PoisonedError, Value, describe_label, noun, to_term
from nexort.errors import IndexFault, NameFault, TypeFault, suggest
from nexort.errors import Label as Mark
from nexort.graph import Alias, Node
from nexort.graph.nodes import Data, Number, next_serial
from nexort.graph.terms import Label, Place, Term, add_operators, arrange, number
from nexort.syntax import ast


def assign(unroller: Unrolling, tree: ast.Assign) -> None:
    """Evaluate the right side for all indices, then bind the new version."""
    first_new = next_serial()
    ev = unroller.evaluator()
    target = read_target(ev, tree)
    variable = _variable(ev, target, tree)
    _agree_with_family(ev, target, variable, tree)
    if variable is not None and _is_update(tree, target):
        update = Update(variable=variable, wanted=target.wanted, ledgers=unroller.ledgers)
        ev.call_optimizer = partial(call_optimizer, update)
    value = ev.value(tree.value)
    if tree.operator != "=":
        assert variable is not None
        old = _current(ev, target, variable, tree)
        site = Site(unroller.place(tree.span), tree.target.span, tree.value.span)
        value = binary(tree.operator[0], old, value, site)
    term = to_term(value, ev.place(tree.value))
    if variable is None or variable.kind == "computed":
        target = _taking_families(target, term, tree)
    node = _settle(ev, target, variable, term, ev.place(tree.value))
    if node.serial < first_new or isinstance(node, Number | Data):
        # a value that exists elsewhere too: a version of its own, for grad
        node = Alias(type=node.type, operands=(node,), span=tree.span, passes=unroller.passes)
    _bind(unroller, target, variable, node, tree)


def _is_update(tree: ast.Assign, target: Target) -> bool:
    """Whether the right side may call an optimizer."""
    return tree.operator in ("-=", "+=") or (tree.operator == "=" and target.name.id in names_read(tree.value))


# ------------------------------------------------------------------- variable


def _variable(ev: Evaluation, target: Target, tree: ast.Assign) -> Variable | None:
    """The variable that is bound so far and that the statement changes; None where it binds a new one."""
    name = target.name
    check_bindable(name)
    entry = ev.scope.find(name.id)
    is_fresh = tree.operator == "=" and not target.is_element
    if entry is None and tree.operator != "=":
        hint = suggest(name.id, ev.scope.names()) or f"start with {name.id} = 0"
        raise NameFault(f"'{name.id}' is updated before it is bound", name.span, hint=hint)
    if isinstance(entry, Poison) and not is_fresh:
        raise PoisonedError
    if entry is None or isinstance(entry, Poison):
        return None
    if not isinstance(entry, Variable):
        what = f"a {entry.origin}" if isinstance(entry, Constant) else WORDS[type(entry)]
        raise NameFault(
            f"'{name.id}' is {what} and cannot be bound",
            name.span,
            Mark(entry.span, "declared here"),
            hint="choose another name",
        )
    if len(target.wanted) != entry.axes and entry.kind == "computed" and is_fresh:
        return None
    entry.check_count(len(target.wanted), target.unwritten, target.span)
    return entry


def _agree_with_family(ev: Evaluation, target: Target, variable: Variable | None, tree: ast.Assign) -> None:
    """A declared or updated family gives the free indices their ranges and bounds the fixed ones."""
    if variable is None or (variable.shape is None and tree.operator == "=" and not contains(tree.value, tree.target)):
        return
    for axis, index in enumerate(target.wanted):
        if isinstance(index, int):
            variable.check_index(axis, target.pattern, target.span)
        else:
            ev.agree(index, variable.extent(axis, target.pattern, target.span), target.span)


# ----------------------------------------------------------------- right side


def _current(ev: Evaluation, target: Target, variable: Variable, tree: ast.Assign) -> Value:
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


def _taking_families(target: Target, term: Term, tree: ast.Assign) -> Target:
    """`G = grad(s, W)` for a family W binds a family: the left side takes its axes."""
    is_plain = isinstance(tree.target, ast.Name | ast.Braces) and not target.wanted and tree.operator == "="
    axes = {label.axis for label in term.static if isinstance(label, FamilyLabel)}
    if not is_plain or axes != set(range(len(term.static))):
        return target
    return replace(target, wanted=tuple(sorted(term.static, key=lambda label: getattr(label, "axis", 0))))


# -------------------------------------------------------------------- binding


def _settle(ev: Evaluation, target: Target, variable: Variable | None, term: Term, place: Place) -> Node:
    """The value as a node with the axes of the left side."""
    span = place.span or target.span
    sizes = {label: size for label, (size, _) in ev.sizes.items()}
    _check_axes(target, term, sizes, place)
    term = _of_kind(target, variable, term, place)
    width = target.widths
    if width is None:
        named = [label for label in term.width if isinstance(label, str)]
        if named:
            raise IndexFault(
                f"the width index '{named[0]}' is on the right only",
                span,
                hint=f"write {target.span.text}{{{named[0]}}} = …, or average over it",
            )
        width = term.width
    elif term.is_operator:
        raise TypeFault("an operator takes no braces", target.span, hint=f"write {target.name.id} = … without them")
    return arrange(term, target.labels, width, place, sizes)


def _check_axes(target: Target, term: Term, sizes: dict[Label, int], place: Place) -> None:
    """Every static index on the left has a range, and every one on the right is on the left."""
    for label in target.labels:
        if label not in sizes:
            raise IndexFault(
                f"nothing gives the index '{label}' a range",
                target.span,
                hint=f"state it in the brackets, as in {target.name.id}[{label} < 3] = …",
            )
    stray = [label for label in term.static if label not in target.labels]
    if stray:
        raise IndexFault(
            f"the right side ranges over {describe_label(stray[0])}, and the left does not",
            place.span or target.span,
            hint="bring it to the left, or reduce over it",
        )


def _of_kind(target: Target, variable: Variable | None, term: Term, place: Place) -> Term:
    """A declared scalar, vector or matrix keeps its kind."""
    if variable is None or variable.kind == "computed":
        return term
    span = place.span or target.span
    if variable.kind == "scalar":
        if term.order:
            raise TypeFault(
                f"'{variable.name}' is a scalar, and this is a {noun(term)}",
                span,
                Mark(variable.span, "declared here"),
                hint="choose another name, or average it",
            )
        return term
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


def _bind(unroller: Unrolling, target: Target, variable: Variable | None, node: Node, tree: ast.Assign) -> None:
    is_definition = tree.operator == "=" and target.is_element and not contains(tree.value, tree.target)
    if variable is None or (variable.kind == "computed" and tree.operator == "=" and not target.is_element):
        variable = Variable(target.name.id, len(target.wanted), tree.target.span)
        unroller.scope.entries[target.name.id] = variable
    stamp = None
    if is_definition:
        stamp = unroller.stamp
        old = variable.definition_in(target.pattern, stamp)
        if old is not None:
            raise IndexFault(
                f"{target.span.text} is defined twice in one pass",
                target.span,
                Mark(old.span, "first here"),
                hint="an element is defined once: use +=, or another name",
            )
    elif target.is_element:
        old = variable.region_at(target.pattern)
        stamp = old.stamp if old is not None else None
    elif variable.kind == "computed":
        variable.span = tree.target.span
    variable.bind(Region(pattern=target.pattern, node=node, span=tree.span, stamp=stamp))
