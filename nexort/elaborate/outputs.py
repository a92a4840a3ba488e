"""Named results: one entry per pass of the loops around an `output` statement (LANGUAGE §6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nexort.errors import Label as Mark
from nexort.errors import NameFault, TypeFault
from nexort.graph import Node, Output
from nexort.source import Span
from nexort.syntax import ast


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
