"""`output` statements: what each names, and its value (LANGUAGE §6)."""

from __future__ import annotations

from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.families import Variable
from nexort.elaborate.outputs import Outputs
from nexort.elaborate.reading import has_braces
from nexort.elaborate.reductions import bound_indices
from nexort.elaborate.scope import Array
from nexort.elaborate.unrolling import Unrolling
from nexort.elaborate.values import FamilyLabel, family_labels, noun, to_term
from nexort.errors import IndexFault, NotBuiltFault, SyntaxFault, TypeFault
from nexort.graph.terms import Label, Term, arrange
from nexort.syntax import ast


def add_output(unroller: Unrolling, tree: ast.Output) -> None:
    """Evaluate an output and add it to those of its name."""
    ev = unroller.evaluator()
    name, term, order = _named_value(ev, unroller.outputs, tree)
    if term.is_operator:
        raise TypeFault("an operator cannot be an output", tree.value.span, hint="output scalars, such as <x|W|y>")
    if term.order:
        raise NotBuiltFault(
            f"an output of a {noun(term)}, its distribution, is not built yet",
            tree.value.span,
            hint="output scalars: avg(x), <x|y>",
        )
    node = arrange(term, order, (), unroller.place(tree.span), {k: size for k, (size, _) in ev.sizes.items()})
    unroller.outputs.add(name, tree, unroller.passes, node)


def _named_value(ev: Evaluation, outputs: Outputs, tree: ast.Output) -> tuple[str, Term, tuple[Label, ...]]:
    """The name of an output, its value, and the order of its static axes."""
    ev.is_braced = has_braces(tree.value)
    match tree.alias:
        case ast.Subscript(base=ast.Name() as name):
            return name.id, *_indexed_value(ev, tree, tree.alias)
        case ast.Name() as name:
            return name.id, *_whole_value(ev, tree)
        case None:
            name = tree.value.id if isinstance(tree.value, ast.Name) else outputs.unnamed[tree]
            return name, *_whole_value(ev, tree)
        case _:
            hint = "output <x|y> as overlap, or … as K[a, b]"
            raise SyntaxFault("an output is named by a name", tree.alias.span, hint=hint)


def _whole_value(ev: Evaluation, tree: ast.Output) -> tuple[Term, tuple[Label, ...]]:
    """A value without indices, or a whole family."""
    entry = ev.scope.find(tree.value.id) if isinstance(tree.value, ast.Name) else None
    if isinstance(entry, Variable) and entry.axes:
        labels = family_labels(entry.axes)
        return entry.read(labels, ev.place(tree.value)), labels
    if isinstance(entry, Array):
        labels = family_labels(len(entry.node.type.shape))
        return Term(entry.node, labels), labels
    term = to_term(ev.value(tree.value), ev.place(tree.value))
    # `grad(s, W)` of a family W is a family
    axes = sorted(label.axis for label in set(term.static) if isinstance(label, FamilyLabel))
    return term, tuple(FamilyLabel(axis) for axis in axes)


def _indexed_value(ev: Evaluation, tree: ast.Output, alias: ast.Subscript) -> tuple[Term, tuple[Label, ...]]:
    with bound_indices(ev, alias.indices, "all indices of the value: output <h[a] | h[b]> as K[a, b]") as names:
        term = to_term(ev.value(tree.value), ev.place(tree.value))
        for name, part in zip(names, alias.indices, strict=True):
            if name not in ev.sizes:
                raise IndexFault(f"the index '{name}' indexes nothing here", part.span, hint="leave it out")
        if term.order or term.is_operator:
            return term, term.static
        stray = [label for label in term.static if label not in names]
        if stray:
            raise IndexFault("the value is a family without brackets", tree.value.span, hint="give all its indices")
        sizes: dict[Label, int] = {name: ev.sizes[name][0] for name in names}
        labels: tuple[Label, ...] = tuple(names)
        return Term(arrange(term, labels, (), ev.place(tree.value), sizes), labels), labels
