"""What an expression mentions, found once per tree: a loop evaluates the same tree in every pass."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from nexort.syntax import ast, equal, walk_nodes

MEMORY = 4096
"""Trees that are remembered."""


@lru_cache(maxsize=MEMORY)
def names_in(tree: ast.Expr) -> tuple[ast.Name, ...]:
    """The names of an expression, those of called functions left out."""
    nodes = list(walk_nodes(tree))
    called = {id(node.function) for node in nodes if isinstance(node, ast.Call)}
    return tuple(node for node in nodes if isinstance(node, ast.Name) and id(node) not in called)


def names_called(tree: ast.Expr) -> frozenset[str]:
    """The names of called functions."""
    calls = (node for node in walk_nodes(tree) if isinstance(node, ast.Call))
    return frozenset(call.function.id for call in calls if isinstance(call.function, ast.Name))


@lru_cache(maxsize=MEMORY)
def names_read(tree: ast.Expr) -> frozenset[str]:
    return frozenset(name.id for name in names_in(tree))


@lru_cache(maxsize=MEMORY)
def bare_names(tree: ast.Expr) -> frozenset[str]:
    """The names that occur without static indices."""
    indexed = {id(node.base) for node in walk_nodes(tree) if isinstance(node, ast.Subscript)}
    return frozenset(name.id for name in names_in(tree) if id(name) not in indexed)


@lru_cache(maxsize=MEMORY)
def contains(tree: ast.Expr, part: ast.Expr) -> bool:
    """Whether an expression has a part that is written like `part`."""
    return any(type(node) is type(part) and equal(node, part) for node in walk_nodes(tree))


@lru_cache(maxsize=MEMORY)
def has_braces(tree: ast.Expr) -> bool:
    """Whether vectors carry named axes in this expression (not inside what has axes of its own)."""
    match tree:
        case ast.Braces():
            return True
        case ast.Binary(operator="@") | ast.BraKet() | ast.KetBra():
            return False
        case ast.Call(function=ast.Name(id="avg" | "grad")):
            return False
        case ast.Call():
            return has_braces(tree.function) or any(has_braces(part) for part in tree.arguments)
        case _:
            return any(has_braces(part) for part in _arithmetic_parts(tree))


def _arithmetic_parts(tree: ast.Expr) -> Iterator[ast.Expr]:
    match tree:
        case ast.Paren():
            yield tree.body
        case ast.Unary():
            yield tree.operand
        case ast.Binary() | ast.Logical():
            yield from (tree.left, tree.right)
        case ast.Compare():
            yield tree.first
            yield from (part for _, part in tree.rest)
        case _:
            return
