"""The two products that the limit backend spends its time in, in blocks on all threads.

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
    """Inner products and combinations of rows over N samples; `for_each` may be exchanged at any time."""

    def __init__(self, for_each: ForEach = run_in_turn) -> None:
        self.for_each = for_each

    def inner(self, X: Array, Y: Array) -> Array:
        """X Yᵀ / N: the inner products ⟨x⎸y⟩ of the rows of X (k, N) and of Y (r, N), an array (k, r)."""
        count = -(-X.shape[1] // SAMPLES)
        parts: list[Array] = [np.empty(0)] * count

        def part(b: int) -> None:
            at = slice(b * SAMPLES, (b + 1) * SAMPLES)
            parts[b] = X[:, at] @ Y[:, at].T

        self.for_each(part, count)
        total = parts[0]
        for each in parts[1:]:
            total += each
        total /= X.shape[1]
        return total

    def combine(self, C: Array, Y: Array, *, start: Array | None = None) -> Array:
        """C Y (+ `start`): combinations (k, N) of the rows of Y (r, N) with coefficients C (k, r)."""
        if start is None:
            return self._by_columns(len(C), Y, lambda part: C @ Y[:, part])
        return self._by_columns(len(C), Y, lambda part: start[:, part] + C @ Y[:, part])

    def _by_columns(self, rows: int, Y: Array, make: Callable[[slice], Array]) -> Array:
        columns = Y.shape[1]
        result = np.empty((rows, columns), Y.dtype)

        def block(b: int) -> None:
            part = slice(b * BLOCK, (b + 1) * BLOCK)
            result[:, part] = make(part)

        self.for_each(block, -(-columns // BLOCK))
        return result
