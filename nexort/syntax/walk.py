"""Walks over a tree that do not recurse, so that they serve trees of any depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from nexort.source import Source, Span
from nexort.syntax import ast


def child_nodes(node: ast.Node) -> Iterator[ast.Node]:
    """The direct children of a node, in the order of its fields."""
    for item in fields(node):
        yield from _nodes_in(getattr(node, item.name))


def _nodes_in(value: object) -> Iterator[ast.Node]:
    if isinstance(value, ast.Node):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _nodes_in(part)


def walk_nodes(node: ast.Node) -> Iterator[ast.Node]:
    """A node and everything below it, parents first, in the order of the text."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(list(child_nodes(node))))


def measure_depth(node: ast.Node) -> int:
    """How many nodes lie on the longest way down."""
    deepest, pending = 0, [(node, 1)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        pending.extend((child, depth + 1) for child in child_nodes(node))
    return deepest


def equal(left: object, right: object) -> bool:
    """Whether two trees say the same: every field but the places in the text."""
    pending = [(left, right)]
    while pending:
        left, right = pending.pop()
        if type(left) is not type(right):
            return False
        if isinstance(left, ast.Node):
            pending.extend((getattr(left, item.name), getattr(right, item.name)) for item in fields(left))
        elif isinstance(left, tuple):
            assert isinstance(right, tuple)
            if len(left) != len(right):
                return False
            pending.extend(zip(left, right, strict=True))
        elif not isinstance(left, (Span, Source)) and left != right:
            return False
    return True
