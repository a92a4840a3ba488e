"""Values that are not finite, reported at the statement that made them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nexort.engine.arrays import Array
from nexort.errors import ComputationFault
from nexort.graph import Graph, Map, Node
from nexort.symbolic import Fn, comparison_where

BLOCK = 1 << 20
COMPARATORS = ("<", "<=", ">", ">=", "==", "!=")
FIRST_BRANCH = 2
"""Of where(x > y, a, b), the arguments from here on are branches."""


def find_guarded(graph: Graph) -> frozenset[Node]:
    """Entrywise values that are read only as branches of `where`, or by such values.

    In `where(x > 0, log(x) / x, 0)` the branch is not finite where it is not chosen; the chosen values are checked.
    """
    wheres = {comparison_where(comparator) for comparator in COMPARATORS}
    results = set(graph.results)
    guarded: set[Node] = set()
    for node in reversed(graph.order):
        users = graph.users[node]
        is_inside = isinstance(node, Map) and bool(users) and node not in results
        if is_inside and all(user in guarded or _reads_as_branch(user, node, wheres) for user in users):
            guarded.add(node)
    return frozenset(guarded)


def _reads_as_branch(user: Node, node: Node, wheres: set[Fn]) -> bool:
    return isinstance(user, Map) and user.fn in wheres and node not in user.operands[:FIRST_BRANCH]


def check_finite(
    node: Node, value: Any, operands: Sequence[Any], *, for_each: Callable[..., None] | None = None
) -> None:
    """Raise ComputationFault if an entry of the value is not finite."""
    array = np.asarray(value)
    if array.size <= BLOCK or for_each is None or not array.flags.c_contiguous:
        finite = is_finite(array)
    else:
        flat = array.reshape(-1)
        good = np.ones(-(-flat.size // BLOCK), dtype=bool)

        def look(k: int) -> None:
            good[k] = is_finite(flat[k * BLOCK : (k + 1) * BLOCK])

        for_each(look, len(good))
        finite = bool(good.all())
    if not finite:
        raise nonfinite_fault(node, int(array.size - np.isfinite(array).sum()), array.size, operands)


def is_finite(array: Array) -> bool:
    """Whether all entries are finite."""
    # a sum of squares is finite only if every entry is, and BLAS is quick to add it up; where it overflows, each entry
    # is looked at
    with np.errstate(all="ignore"):
        flat = array.reshape(-1) if array.flags.c_contiguous else None
        return bool((flat is not None and np.isfinite(np.dot(flat, flat))) or np.isfinite(array).all())


def nonfinite_fault(node: Node, bad: int, size: int, operands: Sequence[Any]) -> ComputationFault:
    """The fault for a value that is not finite: loop pass, how many entries, and the ranges of what it was made of."""
    where = "".join(f", {name} = {k}" for name, k in node.passes)
    what = f"{bad} of {size} entries are" if size > 1 else "the value is"
    arrays = [np.asarray(x) for x in operands if isinstance(x, np.ndarray | float)]
    ranges = [describe_range(array) for array in arrays if array.dtype.kind == "f"]
    hint = f"the operands lie in {', '.join(ranges)}" if ranges else ""
    return ComputationFault(f"not finite{where}: {what} nan or infinite", node.span, hint=hint)


def describe_range(array: Array) -> str:
    finite = array[np.isfinite(array)]
    if not finite.size:
        return "[nothing finite]"
    text = f"[{finite.min():.4g}, {finite.max():.4g}]"
    return text if finite.size == array.size else f"{text} and {array.size - finite.size} not finite"
