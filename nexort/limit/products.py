"""The products that the limit backend spends its time in, in blocks on all threads.

The block length depends on shapes only, so results are the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from nexort.engine import Array

ForEach: TypeAlias = Callable[[Callable[[int], object], int], None]
"""Runs task(0), …, task(count − 1), in any order and on any threads."""

BLOCK = 512
SAMPLES = 2048
"""Of a part of an inner product; parts are added in order."""


def run_in_turn(task: Callable[[int], object], count: int) -> None:
    for k in range(count):
        task(k)


class Products:
    """Inner products and combinations of rows; `for_each` may be exchanged at any time."""

    def __init__(self, for_each: ForEach = run_in_turn) -> None:
        self.for_each = for_each

    def inner(self, X: Array, Y: Array, weight: float) -> Array:
        """(weight) X Yᵀ: the inner products of the rows of X (k, N) and of Y (r, N), an array (k, r)."""
        count = -(-X.shape[1] // SAMPLES)
        parts: list[Array] = [np.empty(0)] * count

        def part(b: int) -> None:
            at = slice(b * SAMPLES, (b + 1) * SAMPLES)
            parts[b] = X[:, at] @ Y[:, at].T

        self.for_each(part, count)
        total = parts[0] if parts else np.zeros((len(X), len(Y)), X.dtype)
        for each in parts[1:]:
            total += each
        total *= weight
        return total

    def combine(self, C: Array, Y: Array) -> Array:
        """C Y: combinations (k, N) of the rows of Y (r, N) with coefficients C (k, r)."""
        return self._by_columns(C, Y.shape[1], lambda part: C @ Y[:, part])

    def times_triangle(self, C: Array, T: Array) -> Array:
        """C T, (k, r), for a lower triangular T (r, r)."""
        return self._by_columns(C, len(T), lambda part: C[:, part.start :] @ T[part.start :, part])

    def times_transposed_triangle(self, C: Array, T: Array) -> Array:
        """C Tᵀ, (k, r), for a lower triangular T (r, r)."""
        return self._by_columns(C, len(T), lambda part: C[:, : part.stop] @ T[part, : part.stop].T)

    def copy(self, X: Array, picks: list[int], out: Array) -> None:
        """The rows `picks` of X into `out`; the first to write new memory waits for it, so that all threads do."""

        def part(b: int) -> None:
            at = slice(b * SAMPLES, (b + 1) * SAMPLES)
            out[:, at] = X[picks, at]

        self.for_each(part, -(-X.shape[1] // SAMPLES))

    def _by_columns(self, C: Array, columns: int, make: Callable[[slice], Array]) -> Array:
        result = np.empty((len(C), columns), C.dtype)

        def block(b: int) -> None:
            part = slice(b * BLOCK, (b + 1) * BLOCK)
            result[:, part] = make(part)

        self.for_each(block, -(-columns // BLOCK))
        return result
