"""`grad(s, p)`: the adjoint of p's current version, element by element (LANGUAGE §7)."""

from __future__ import annotations

from collections.abc import Sequence

from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.families import Leaf, Split, Variable
from nexort.elaborate.functions import arguments
from nexort.elaborate.indices import read_indices
from nexort.elaborate.scope import WORDS
from nexort.elaborate.values import Value, family_labels, noun, to_term
from nexort.errors import GradientFault, TypeFault
from nexort.errors import Label as Mark
from nexort.graph.gradient import Tape
from nexort.graph.terms import Label, Place, Term, arrange, sizes_of, stack, stop, union, without_diagonals
from nexort.syntax import ast


def evaluate_grad(ev: Evaluation, tree: ast.Call) -> Value:
    scalar, parameter = arguments(tree, 2)
    place = ev.place(tree)
    with ev.unbraced():
        value = ev.value(scalar)
    if not isinstance(value, Term) or value.order != 0:
        hint = "average it, as in avg(x^2) or <x|y>" if isinstance(value, Term) else "it does not depend on anything"
        raise TypeFault(f"grad differentiates a scalar, and this is a {noun(value)}", scalar.span, hint=hint)
    variable, wanted = _parameter(ev, parameter)
    current = variable.targets(wanted, place)
    tape = ev.tapes.get(without_diagonals(value, place), place)
    _check(ev, tape, current, variable, tree)
    return ev.own_axes(stop(_collect(tape, current, place), place), tree)


def evaluate_moved(ev: Evaluation, tree: ast.Call) -> Value:
    """~moved(s, W, D): avg(grad(s, W) D), what a change D/n of a matrix moves the scalar s by, to first order.

    D is a tensor, or an operator made of tensors (Muon's updates), which is only applied.
    """
    scalar, parameter, change = arguments(tree, 3)
    place = ev.place(tree)
    with ev.unbraced():
        value, operator = ev.value(scalar), to_term(ev.value(change), place)
    assert isinstance(value, Term)
    if operator.order == 0:  # before the first update it is the number 0
        return 0.0
    variable, wanted = _parameter(ev, parameter)
    tape = ev.tapes.get(without_diagonals(value, place), place)
    (leaf,) = leaves(variable.targets(wanted, place))
    return tape.moved(leaf.node, leaf.index, operator, place)


def _parameter(ev: Evaluation, tree: ast.Expr) -> tuple[Variable, tuple[Label | int, ...]]:
    """The variable and the elements of it that a gradient is taken in."""
    while isinstance(tree, ast.Paren):
        tree = tree.body
    name = tree.base if isinstance(tree, ast.Subscript) else tree
    if not isinstance(name, ast.Name):
        hint = "name the value first: h = …, then grad(s, h)"
        raise GradientFault("grad is taken in a name, an element or a family", tree.span, hint=hint)
    entry = ev.scope.get(name)
    if not isinstance(entry, Variable):
        raise GradientFault(
            f"'{name.id}' is {WORDS[type(entry)]}: grad is not taken in it", tree.span, Mark(entry.span, "bound here")
        )
    if isinstance(tree, ast.Subscript):
        return entry, read_indices(ev, tree, entry)
    labels = family_labels(entry.axes)
    for axis, label in enumerate(labels):
        ev.agree(label, entry.extent(axis, entry.whole, tree.span), tree.span)
    return entry, labels


def leaves(current: Leaf | Split) -> Sequence[Leaf]:
    if isinstance(current, Leaf):
        return [current]
    return [leaf for part in current.parts for leaf in leaves(part)]


def _check(ev: Evaluation, tape: Tape, current: Leaf | Split, variable: Variable, tree: ast.Call) -> None:
    """The scalar must depend on some element, and on none through its diagonal."""
    versions = leaves(current)
    scalar, parameter = tree.arguments
    for leaf in versions:
        if any(tape.depends_on(node) for node in ev.tapes.diagonals.of(leaf.node)):
            raise GradientFault(
                f"grad in '{variable.name}' is not defined where its diagonal is used",
                tree.span,
                hint="take the gradient in the vectors that it is made of",
            )
    if not any(tape.depends_on(leaf.node) for leaf in versions):
        if scalar.span == parameter.span:  # of an expansion, whose parts have one place
            raise GradientFault(
                f"what the model returns does not depend on '{variable.name}'",
                versions[0].span,
                Mark(tree.span, "it would be trained here"),
                hint="leave the parameter out",
            )
        raise GradientFault(
            f"{scalar.span.text} does not depend on the current version of {parameter.span.text}",
            parameter.span,
            Mark(versions[0].span, "this version was bound here"),
            hint=f"take the gradient before '{variable.name}' is bound again, or use {parameter.span.text} in "
            f"{scalar.span.text}; what grad, stop or an optimizer returned is a constant",
        )


def _collect(tape: Tape, current: Leaf | Split, place: Place) -> Term:
    """The gradients of all versions, put together as the elements lie."""
    if isinstance(current, Leaf):
        return tape.gradient(current.node, current.index, place)
    parts = [_collect(tape, part, place) for part in current.parts]
    static = union(part.static for part in parts)
    width = max((part.width for part in parts), key=len)
    sizes = sizes_of(parts)
    nodes = [arrange(part, static, width, place, sizes) for part in parts]
    return Term(stack(nodes, 0, place), (current.label, *static), width)
