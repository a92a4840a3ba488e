"""Contractions of labelled JAX arrays, pair by pair in the order that the NumPy engine takes.

What labels alone decide is the engine's (`engine.arrays`), for either kind of array.  Products that leave a matrix go
to the devices' matrix multiplication in full precision (no TensorFloat-32); products of tensors of order 3, and those
that leave a few numbers, are sums of entrywise products, which XLA fuses with what made the operands, so that these
are never formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from nexort.accelerated.lazy import jax, jnp
from nexort.engine import (
    SMALL_FACE,
    SPLIT,
    WIDTH,
    Labels,
    pair_order,
    sizes_of,
    slice_along,
    spread,
    sum_private,
    take_diagonals,
)

Operand = tuple[Any, Labels]
"""A JAX array with an integer label per axis; equal labels are the same axis."""


def contract(operands: Sequence[Operand], out: Labels, *, is_wide: bool = False) -> Any:
    """Σ over the labels not in `out` of the product of the operands; the axes of the result are `out`.

    Labels that no operand has come out with length 1.  With `is_wide`, sums of float32 products over long axes are
    taken in parts that are added in float64.
    """
    views = [take_diagonals(array, labels) for array, labels in operands]
    if not is_wide:
        return _contract_views(views, out)
    sizes = sizes_of(views)
    label = max((k for k in sizes if k not in out), key=sizes.__getitem__, default=None)
    if label is None or sizes[label] <= SPLIT or all(array.dtype == "float64" for array, _ in views):
        return _contract_views(views, out).astype("float64")
    whole = sizes[label] // SPLIT * SPLIT
    part = max(sizes) + 1
    blocks = [_in_parts(view, label, part, whole) for view in views]
    total = _contract_views(blocks, (part, *out)).astype("float64").sum(axis=0)
    if whole < sizes[label]:
        rest = [(slice_along(*view, label, slice(whole, None)), view[1]) for view in views]
        total = total + _contract_views(rest, out).astype("float64")
    return total


def _in_parts(view: Operand, label: int, part: int, whole: int) -> Operand:
    """The first `whole` entries along a label as `part` × SPLIT of them."""
    labels = view[1]
    if label not in labels:
        return view
    at = labels.index(label)
    cut = slice_along(*view, label, slice(0, whole))
    return cut.reshape((*cut.shape[:at], -1, SPLIT, *cut.shape[at + 1 :])), (*labels[:at], part, *labels[at:])


def _contract_views(views: Sequence[Operand], out: Labels) -> Any:
    pending = [sum_private(k, views, out) for k in range(len(views))]
    sizes = tuple(sorted(sizes_of(pending).items()))
    for first, second in pair_order(tuple(labels for _, labels in pending), out, sizes):
        left, right = pending[first], pending[second]
        pending = [other for j, other in enumerate(pending) if j not in (first, second)]
        needed = set(out).union(*(labels for _, labels in pending))
        target = tuple(dict.fromkeys(x for x in (*left[1], *right[1]) if x in needed))
        pending.append((_multiply_pair(left, right, target), target))
    return spread(*pending[0], out)


def _multiply_pair(left: Operand, right: Operand, target: Labels) -> Any:
    """The product of two operands with the labels not in `target` summed."""
    (a, a_labels), (b, b_labels) = left, right
    summed = tuple(label for label in a_labels if label in b_labels and label not in target)
    sizes = sizes_of([left, right])
    face = prod(sizes[x] for x in target if not (x in a_labels and x in b_labels))
    most = max(sum(label >= WIDTH for label in labels) for labels in (a_labels, b_labels))
    if not summed or face < SMALL_FACE or most > 2:
        labels = (*target, *summed)
        product = spread(a, a_labels, labels) * spread(b, b_labels, labels)
        return product.sum(axis=tuple(range(len(target), len(labels)))) if summed else product
    short = {label: k for k, label in enumerate(sizes)}
    places = [[short[label] for label in labels] for labels in (a_labels, b_labels, target)]
    dtype = jnp.result_type(a, b)
    precision = jax.lax.Precision.HIGHEST
    return jnp.einsum(a.astype(dtype), places[0], b.astype(dtype), places[1], places[2], precision=precision)
