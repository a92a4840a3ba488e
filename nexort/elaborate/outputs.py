"""Named results: `output` statements, one entry per pass of the loops around them (LANGUAGE §6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nexort.elaborate.families import Variable
from nexort.elaborate.reading import has_braces
from nexort.elaborate.reductions import bound_indices
from nexort.elaborate.scope import Array
from nexort.elaborate.values import FamilyLabel, family_labels, noun, to_term
from nexort.errors import IndexFault, NameFault, NotBuiltFault, SyntaxFault, TypeFault
from nexort.errors import Label as Mark
from nexort.graph import Node, Output
from nexort.graph.terms import Label, Term, arrange
from nexort.source import Span
from nexort.syntax import ast

if TYPE_CHECKING:
    from nexort.elaborate.expressions import Evaluator
    from nexort.elaborate.statements import Unroller


@dataclass(slots=True)
class Site:
    """One `output` statement: the nodes of the passes that reached it. `depth` is the number of loops around it."""

    name: str
    span: Span
    depth: int
    entries: list[tuple[tuple[int, ...], Node]] = field(default_factory=list)


@dataclass(slots=True)
class Outputs:
    """All outputs of a program, in order of first arrival."""

    unnamed: dict[ast.Output, str]
    sites: dict[str, Site] = field(default_factory=dict)

    def add(self, name: str, tree: ast.Output, passes: Sequence[tuple[str, int]], node: Node) -> None:
        site = self.sites.get(name)
        if site is None:
            site = self.sites[name] = Site(name, tree.span, len(passes))
        elif site.span.start != tree.span.start or site.span.source is not tree.span.source:
            raise NameFault(
                f"the output '{name}' is named twice",
                tree.span,
                Mark(site.span, "first here"),
                hint="name one of them with 'as'",
            )
        site.entries.append((tuple(value for _, value in passes), node))

    def finish(self) -> tuple[Output, ...]:
        return tuple(_finished(site) for site in self.sites.values())


def add_output(unroller: Unroller, tree: ast.Output) -> None:
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


def _named_value(ev: Evaluator, outputs: Outputs, tree: ast.Output) -> tuple[str, Term, tuple[Label, ...]]:
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


def _whole_value(ev: Evaluator, tree: ast.Output) -> tuple[Term, tuple[Label, ...]]:
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


def _indexed_value(ev: Evaluator, tree: ast.Output, alias: ast.Subscript) -> tuple[Term, tuple[Label, ...]]:
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


def _finished(site: Site) -> Output:
    kinds = {node.type for _, node in site.entries}
    loops = _loop_shape([passes for passes, _ in site.entries], site.depth)
    if len(kinds) > 1 or loops is None:
        raise TypeFault(
            f"the entries of the output '{site.name}' have unequal shapes from pass to pass",
            site.span,
            hint="each pass of a loop around an output must give an array of one shape",
        )
    return Output(name=site.name, loops=loops, nodes=tuple(node for _, node in site.entries), span=site.span)


def _loop_shape(passes: Sequence[tuple[int, ...]], depth: int) -> tuple[int, ...] | None:
    """The lengths of the loop axes, if the entries fill a box."""
    if depth == 0:
        return ()
    groups: dict[int, list[tuple[int, ...]]] = {}
    for first, *rest in passes:
        groups.setdefault(first, []).append(tuple(rest))
    shapes = {_loop_shape(group, depth - 1) for group in groups.values()}
    if len(shapes) > 1 or None in shapes:
        return None
    inner = next(iter(shapes), (0,) * (depth - 1))
    assert inner is not None
    return (len(groups), *inner)


def name_unnamed(program: ast.Program) -> dict[ast.Output, str]:
    """`output1`, `output2`, … for the outputs without a name, by their place in the text."""
    unnamed = [tree for tree in _outputs(program.body) if tree.alias is None and not isinstance(tree.value, ast.Name)]
    return {tree: f"output{k}" for k, tree in enumerate(unnamed, start=1)}


def _outputs(body: Sequence[ast.Stmt]) -> Iterator[ast.Output]:
    for tree in body:
        match tree:
            case ast.Output():
                yield tree
            case ast.For():
                yield from _outputs(tree.body)
            case ast.If():
                for branch in tree.branches:
                    yield from _outputs(branch.body)
            case _:
                pass
