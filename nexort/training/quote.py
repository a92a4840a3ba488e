"""Statements written as templates: the text of a NEXORT program with names in it replaced by trees.

The expansion of `train` is built of these, so that what it makes reads like the program that it is.  Every node made
here carries the place in the user's text that it stands for; trees that are put in keep their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import lru_cache
from textwrap import dedent
from typing import TypeVar, cast

from nexort.source import Source, Span
from nexort.syntax import ast, parse

Part = ast.Expr | str
"""What a name of a template becomes: a tree, or another name."""

NodeT = TypeVar("NodeT", bound=ast.Node)
Change = Callable[[ast.Node], ast.Node]


def quote(text: str, span: Span, parts: Mapping[str, Part]) -> tuple[ast.Stmt, ...]:
    """The statements of a template, its names replaced by `parts`, placed at `span`."""
    return tuple(_fill(statement, span, parts) for statement in _parsed(text))


def quote_expression(text: str, span: Span, parts: Mapping[str, Part]) -> ast.Expr:
    """One expression of a template."""
    (statement,) = quote(f"value = {text}", span, parts)
    assert isinstance(statement, ast.Assign)
    return statement.value


@lru_cache(maxsize=512)
def _parsed(text: str) -> tuple[ast.Stmt, ...]:
    return parse(Source("<template>", dedent(text).strip() + "\n")).body


def _fill(node: NodeT, span: Span, parts: Mapping[str, Part]) -> NodeT:
    if isinstance(node, ast.Name):
        part = parts.get(node.id, node.id)
        return cast(NodeT, part if isinstance(part, ast.Node) else ast.Name(span=span, id=part))
    return rebuild(node, lambda child: _fill(child, span, parts), span=span)


def rebuild(node: NodeT, change: Change, *, span: Span | None = None) -> NodeT:
    """The node with `change` applied to its direct children, and with another place if one is given."""
    changes: dict[str, object] = {} if span is None else {"span": span}
    for item in fields(node):
        value = getattr(node, item.name)
        if isinstance(value, ast.Node):
            changes[item.name] = change(value)
        elif isinstance(value, tuple) and value:
            changes[item.name] = _changed(cast(tuple[object, ...], value), change)
    return replace(node, **changes)  # pyright: ignore[reportArgumentType]


def _changed(values: tuple[object, ...], change: Change) -> tuple[object, ...]:
    return tuple(
        change(value)
        if isinstance(value, ast.Node)
        else _changed(cast(tuple[object, ...], value), change)
        if isinstance(value, tuple)
        else value
        for value in values
    )
