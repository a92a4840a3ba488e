"""Where a program uses `n`: the limits of its numbers in n, and what must not be done with those that vanish.

In the limit a WidthNumber is its limit as n → ∞, which must be finite.  A value *vanishes through n* when its limit is
0 only because of such a number: `x / sqrt(n)`, sums and continuous functions of such values, `W @` them.  A function
that jumps or has a pole there has no limit that this theorem gives (`sign(x / sqrt(n))` is sign(x) at every width and
sign(0) in the limit), so the program is refused at that place.

Accepts a graph before entrywise functions are fused, so that the place is the one in the text.  Promises nothing but
the refusals; a value that is exactly 0 does not vanish through n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np

from nexort.engine import Array
from nexort.errors import WidthFault
from nexort.graph import (
    Average,
    Contract,
    Graph,
    Map,
    Node,
    Number,
    Reduce,
    Select,
    Stack,
    WidthNumber,
)
from nexort.graph.nodes import Axes
from nexort.symbolic import Fn, apply_fn, argument, limit_at_infinity, number

# Vanishing arguments approach 0 together, at these relative speeds.
_SPEEDS = (1.0, -0.7236067977, 0.4142135623, 1.6180339887)


def width_limit(node: WidthNumber) -> float:
    """The limit of a number in n; refused where there is none or it is infinite."""
    limit = limit_at_infinity(node.expression)
    if math.isfinite(limit):
        return limit
    reason = "has no limit that could be found" if math.isnan(limit) else "grows without bound"
    raise WidthFault(
        f"this expression in n {reason} as n → ∞",
        node.span,
        hint="in the limit, numbers in n must tend to finite values (a divisor's reciprocal must)",
    )


def check_width_limits(graph: Graph) -> None:
    """Raises WidthFault where a number in n has no finite limit, or a value that vanishes through n meets a jump."""
    if not any(isinstance(node, WidthNumber) for node in graph.order):
        return
    vanishing: dict[Node, Array] = {}
    for node in graph.order:
        mask = _vanishing(node, vanishing)
        if mask is not None and mask.any():
            vanishing[node] = mask


def _vanishing(node: Node, known: dict[Node, Array]) -> Array | None:
    """Which elements of the node's family vanish through n (None: none)."""
    if isinstance(node, WidthNumber):
        return np.array(width_limit(node) == 0)
    if not any(operand in known for operand in node.operands):
        return None
    masks = [known.get(operand, np.zeros(operand.type.shape, bool)) for operand in node.operands]
    match node:
        case Map():
            return _vanishing_map(node, masks)
        case Contract():
            length = len(node.type.shape) + len(node.summed)
            shape = (*node.type.shape, *node.summed)
            factors = [_spread(mask, axes, shape) for mask, axes in zip(masks, node.axes, strict=True)]
            return np.all(np.logical_or.reduce(factors), axis=tuple(range(len(node.type.shape), length)))
        case Reduce():
            return np.asarray(masks[0].all(axis=node.axes))
        case Select():
            return np.asarray(masks[0][tuple(slice(None) if k is None else k for k in node.index)])
        case Stack():
            return np.stack(masks, axis=node.axis)
        case Average():
            return masks[0]
        case _:
            return _vanishing_operator(node, masks)


def _vanishing_operator(node: Node, masks: Sequence[Array]) -> Array:
    """Operators and their products: a product vanishes with either factor, a sum when every term does."""
    axes: Sequence[Axes] | None = getattr(node, "axes", None)
    if axes is None:
        return masks[0]
    spread = [_spread(mask, place, node.type.shape) for mask, place in zip(masks, axes, strict=True)]
    if len(spread) == 2:
        return spread[0] | spread[1]
    return np.logical_and.reduce([c | t for c, t in zip(spread[0::2], spread[1::2], strict=True)])


def _spread(array: Array, axes: Axes, shape: tuple[int, ...]) -> Array:
    """The array with its axes where `axes.static` says, broadcast to `shape`."""
    if not axes.static:
        return np.broadcast_to(array, shape)
    index = np.ix_(*(np.arange(size) for size in shape))
    return np.broadcast_to(array[tuple(index[k] for k in axes.static)], shape)


def _vanishing_map(node: Map, masks: Sequence[Array]) -> Array:
    """For each set of vanishing operands that some element has: refuse a jump, or tell whether the value vanishes."""
    shape = node.type.shape
    spread = [_spread(mask, axes, shape) for mask, axes in zip(masks, node.axes, strict=True)]
    fixed = tuple(_fixed_value(operand) for operand in node.operands)
    result = np.zeros(shape, bool)
    for pattern in product(*((False, True) if mask.any() else (False,) for mask in masks)):
        here = np.logical_and.reduce([mask == is_zero for mask, is_zero in zip(spread, pattern, strict=True)])
        if not any(pattern) or not here.any():
            continue
        if _has_jump(node.fn, pattern, fixed):
            _refuse(node, pattern)
        result[here] = _is_zero(node.fn, pattern, fixed)
    return result


def _fixed_value(operand: Node) -> float | None:
    match operand:
        case Number():
            return operand.value
        case WidthNumber():
            return width_limit(operand)
        case _:
            return None


@cache
def _is_zero(fn: Fn, pattern: tuple[bool, ...], fixed: tuple[float | None, ...]) -> bool:
    """Whether the function vanishes with the arguments of the pattern, whatever the others are."""
    values = [0.0 if is_zero else value for is_zero, value in zip(pattern, fixed, strict=True)]
    body = apply_fn(fn, [argument(k) if value is None else number(value) for k, value in enumerate(values)])
    return Fn.of(body, fn.arity).is_zero


@cache
def _has_jump(fn: Fn, pattern: tuple[bool, ...], fixed: tuple[float | None, ...]) -> bool:
    """Whether the function jumps or has a pole as arguments of the pattern go to 0, one of them or all together."""
    free = [argument(k) if value is None else number(value) for k, value in enumerate(fixed)]
    zeros = [k for k, is_zero in enumerate(pattern) if is_zero]
    for k in zeros:
        free[k] = argument(k)
    if any(Fn.of(apply_fn(fn, free), fn.arity).jumps_at_zero(k) for k in zeros):
        return True
    together = list(free)
    for speed, k in zip(_SPEEDS * len(zeros), zeros, strict=False):
        together[k] = number(speed) * argument(zeros[0])
    return Fn.of(apply_fn(fn, together), fn.arity).jumps_at_zero(zeros[0])


def _refuse(node: Map, pattern: tuple[bool, ...]) -> None:
    culprit = next(operand for operand, is_zero in zip(node.operands, pattern, strict=True) if is_zero)
    raise WidthFault(
        "a value that tends to 0 only through n meets a jump or a pole here: the limit does not exist in this form",
        node.span if node.span is not None else culprit.span,
        hint="take the factor in n out of the function, or bound the function near 0 (as in g / sqrt(g^2 + eps^2))",
    )
