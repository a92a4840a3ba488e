"""Deciding something about nodes from what was decided about their operands, without recursion: programs are deep."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from nexort.graph import Node

Value = TypeVar("Value")


def decide(
    start: Node, known: dict[Node, Value], needs: Callable[[Node], Iterable[Node]], rule: Callable[[Node], Value]
) -> Value:
    """rule(start), after the rule of each node that it needs; `known` remembers all of them."""
    stack = [start]
    while stack:
        node = stack[-1]
        missing = [] if node in known else [other for other in needs(node) if other not in known]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        if node not in known:
            known[node] = rule(node)
    return known[start]
