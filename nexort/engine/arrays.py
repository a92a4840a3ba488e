"""Array algebra on labelled axes: broadcasting, diagonals, and contraction of several operands through BLAS.

An operand is an array with an integer label per axis; equal labels are the same axis.  Contraction goes pair by pair,
the cheapest pair first, each pair one (batched) matrix product or one entrywise product, so that no product over all
labels at once is ever made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Labels: TypeAlias = tuple[int, ...]
Operand: TypeAlias = tuple[Array, Labels]

SPLIT = 1024
"""Length of the float32 partial sums that a wide contraction adds in float64."""
SMALL_FACE = 16
"""A batched product with fewer results per batch element goes through einsum, not through many tiny BLAS calls."""


def take_diagonals(array: Array, labels: Labels) -> Operand:
    """A view of the array on which every label occurs once."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            array = array.diagonal(axis1=first, axis2=second)
            labels = (*(other for k, other in enumerate(labels) if k not in (first, second)), label)
    return array, labels


def spread(array: Array, labels: Labels, out: Labels) -> Array:
    """A view of the array with axes in the order `out`, of length 1 along labels that it lacks."""
    if labels == out:
        return array
    array, labels = take_diagonals(array, labels)
    order = tuple(labels.index(label) for label in out if label in labels)
    view = array.transpose(order)
    # indexing an array of no axes would make it a NumPy scalar
    return view[tuple(slice(None) if label in labels else None for label in out)] if out else view


def contract(
    operands: Sequence[Operand], out: Labels, *, is_wide: bool = False, destination: Array | None = None
) -> Array:
    """Σ over the labels not in `out` of the product of the operands; the axes of the result are `out`.

    Labels that no operand has come out with length 1.  With `is_wide`, sums of float32 products over long axes are
    taken in blocks that are added in float64, and the result is float64.
    """
    views = [take_diagonals(array, labels) for array, labels in operands]
    sizes = sizes_of(views)
    if is_wide:
        label = max((k for k in sizes if k not in out), key=sizes.__getitem__, default=None)
        if label is not None and sizes[label] > SPLIT and any(a.dtype == np.float32 for a, _ in views):
            return _contract_wide(views, out, label, sizes[label], destination)
    return _contract_views(views, out, sizes, destination)


def sizes_of(operands: Sequence[Operand]) -> dict[int, int]:
    return {label: size for array, labels in operands for label, size in zip(labels, array.shape, strict=True)}


def _contract_wide(views: list[Operand], out: Labels, label: int, size: int, destination: Array | None) -> Array:
    # operands that lack the label enter every block
    total: Array | None = None
    for start in range(0, size, SPLIT):
        block = [(slice_along(array, labels, label, slice(start, start + SPLIT)), labels) for array, labels in views]
        part = _contract_views(block, out, sizes_of(block), None)
        total = part.astype(np.float64) if total is None else np.add(total, part, out=total)
    assert total is not None
    return deliver(total, destination)


def slice_along(array: Array, labels: Labels, label: int, part: slice) -> Array:
    """The array cut to `part` along `label` (itself where it lacks the label)."""
    return array[tuple(part if other == label else slice(None) for other in labels)] if label in labels else array


def deliver(result: Array, destination: Array | None) -> Array:
    if destination is None:
        return result
    np.copyto(destination, result, casting="same_kind")
    return destination


def _contract_views(views: list[Operand], out: Labels, sizes: Mapping[int, int], destination: Array | None) -> Array:
    pending = [sum_private(k, views, out) for k in range(len(views))]
    steps = pair_order(tuple(labels for _, labels in pending), out, tuple(sorted(sizes.items())))
    for k, (first, second) in enumerate(steps):
        left, right = pending[first], pending[second]
        pending = [other for j, other in enumerate(pending) if j not in (first, second)]
        needed = set(out).union(*(labels for _, labels in pending))
        is_last = k == len(steps) - 1
        target = out if is_last else tuple(dict.fromkeys(x for x in (*left[1], *right[1]) if x in needed))
        pending.append(_multiply_pair(left, right, target, destination if is_last else None))
    array, labels = pending[0]
    if destination is not None and array is destination:
        return destination
    return deliver(spread(array, labels, out), destination)


def sum_private(k: int, views: Sequence[Operand], out: Labels) -> Operand:
    """Operand k with the labels summed that neither the result nor another operand has."""
    array, labels = views[k]
    others = {label for j, (_, other) in enumerate(views) if j != k for label in other}
    private = tuple(axis for axis, label in enumerate(labels) if label not in out and label not in others)
    if not private:
        return array, labels
    kept = tuple(label for axis, label in enumerate(labels) if axis not in private)
    return array.sum(axis=private), kept


@lru_cache(maxsize=4096)
def pair_order(operands: tuple[Labels, ...], out: Labels, sizes: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """Which two of the pending operands to multiply at each step; the result is put last."""
    length = dict(sizes)
    pending = [frozenset(labels) for labels in operands]
    steps: list[tuple[int, int]] = []
    while len(pending) > 1:
        best = min(
            ((i, j) for j in range(len(pending)) for i in range(j)),
            key=lambda pair: _pair_cost(pending, pair, out, length),
        )
        merged = _merge(pending, best, out)
        pending = [labels for k, labels in enumerate(pending) if k not in best] + [merged]
        steps.append(best)
    return steps


def _merge(pending: Sequence[frozenset[int]], pair: tuple[int, int], out: Labels) -> frozenset[int]:
    needed = set(out).union(*(labels for k, labels in enumerate(pending) if k not in pair))
    return (pending[pair[0]] | pending[pair[1]]) & needed


def _pair_cost(
    pending: Sequence[frozenset[int]], pair: tuple[int, int], out: Labels, length: Mapping[int, int]
) -> tuple[int, int]:
    work = prod(length[label] for label in pending[pair[0]] | pending[pair[1]])
    return work, prod(length[label] for label in _merge(pending, pair, out))


def contraction_flops(operands: tuple[Labels, ...], out: Labels, sizes: Mapping[int, int]) -> int:
    """Multiplications and additions of `contract` on operands of these labels and sizes."""
    pending = [frozenset(labels) for labels in operands]
    if len(pending) == 1:
        return prod(sizes[label] for label in pending[0])
    total = 0
    for pair in pair_order(tuple(operands), out, tuple(sorted(sizes.items()))):
        total += 2 * _pair_cost(pending, pair, out, sizes)[0]
        merged = _merge(pending, pair, out)
        pending = [labels for k, labels in enumerate(pending) if k not in pair] + [merged]
    return total


def _multiply_pair(left: Operand, right: Operand, target: Labels, destination: Array | None) -> Operand:
    """The product of two operands with the shared labels not in `target` summed; axes as in `target`, or as noted."""
    (a, a_labels), (b, b_labels) = left, right
    target = tuple(label for label in target if label in a_labels or label in b_labels)
    shared = [label for label in a_labels if label in b_labels]
    summed = [label for label in shared if label not in target]
    if not summed:
        product = np.multiply(spread(a, a_labels, target), spread(b, b_labels, target), out=_fitting(destination, a, b))
        return product, target
    batch = [label for label in target if label in shared]
    rows = [label for label in target if label in a_labels and label not in shared]
    columns = [label for label in target if label in b_labels and label not in shared]
    if (rows and target[-1] in rows and columns) or (rows and not columns):
        (a, a_labels, rows), (b, b_labels, columns) = (b, b_labels, columns), (a, a_labels, rows)
    sizes = sizes_of([(a, a_labels), (b, b_labels)])
    if batch and prod(sizes[label] for label in (*rows, *columns)) < SMALL_FACE:
        short = {label: k for k, label in enumerate(sizes)}
        places = [[short[label] for label in labels] for labels in (a_labels, b_labels, target)]
        return np.einsum(a, places[0], b, places[1], places[2]), target
    return _product(a, a_labels, b, b_labels, (batch, rows, columns, summed), target, destination)


def _product(
    a: Array,
    a_labels: Labels,
    b: Array,
    b_labels: Labels,
    groups: tuple[list[int], list[int], list[int], list[int]],
    target: Labels,
    destination: Array | None,
) -> Operand:
    """One (batched) matrix product: (batch, rows, summed) times (batch, summed, columns)."""
    batch, rows, columns, summed = groups
    sizes = sizes_of([(a, a_labels), (b, b_labels)])
    shape = [prod(sizes[label] for label in group) for group in groups]
    lead = [shape[0]] if batch else []
    left = a.transpose([a_labels.index(k) for k in (*batch, *rows, *summed)]).reshape([*lead, shape[1], shape[3]])
    right = b.transpose([b_labels.index(k) for k in (*batch, *summed, *columns)]).reshape([*lead, shape[3], shape[2]])
    labels = (*batch, *rows, *columns)
    flat = (*lead, shape[1], shape[2])
    out = _fitting(destination, a, b)
    if out is not None and labels == target and out.flags.c_contiguous:
        np.matmul(left, right, out=out.reshape(flat))
        return out, labels
    return np.matmul(left, right).reshape([sizes[label] for label in labels]), labels


def _fitting(destination: Array | None, a: Array, b: Array) -> Array | None:
    """The destination where a product can be written into it without a change of type."""
    if destination is None or destination.dtype != np.result_type(a, b):
        return None
    return destination
