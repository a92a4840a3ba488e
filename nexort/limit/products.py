"""The products that the limit backend spends its time in, in blocks on all threads.

The block length depends on shapes only, so results are the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from nexort.engine import Array

ForEach: TypeAlias = Callable[[Callable[[int], object], int], None]
"""Runs task(0), …, task(count − 1), in any order and on any threads."""

BLOCK = 512
"""Samples of a combination that are made at once."""
SAMPLES = 2048
"""Samples that are read at once where each takes little work; inner products with few rows are sums of such parts."""
ROWS = 256
"""Rows that inner products are taken with at once, where there are many."""


def run_in_turn(task: Callable[[int], object], count: int) -> None:
    for k in range(count):
        task(k)


class Products:
    """Inner products and combinations of rows, and what else reads all samples; `for_each` may be exchanged."""

    def __init__(self, for_each: ForEach = run_in_turn) -> None:
        self.for_each = for_each

    def inner(self, X: Array, Y: Array, weight: float) -> Array:
        """(weight) X Yᵀ: the inner products of the rows of X (k, N) and of Y (r, N), an array (k, r)."""
        if len(Y) < 2 * ROWS:
            return weight * self._summed(X.shape[1], lambda part: X[:, part] @ Y[:, part].T)
        return self._by_columns(X, len(Y), lambda part: weight * (X @ Y[part].T), ROWS)

    def combine(self, C: Array, Y: Array) -> Array:
        """C Y: combinations (k, N) of the rows of Y (r, N) with coefficients C (k, r)."""
        return self._by_columns(C, Y.shape[1], lambda part: C @ Y[:, part])

    def outside(self, X: Array, picks: Array, C: Array, Y: Array) -> Array:
        """X[picks] − C Y."""
        return self._by_columns(C, Y.shape[1], lambda part: X[picks, part] - C @ Y[:, part])

    def times_triangle(self, C: Array, T: Array) -> Array:
        """C T, (k, r), for a lower triangular T (r, r)."""
        return self._by_columns(C, len(T), lambda part: C[:, part.start :] @ T[part.start :, part])

    def times_transposed_triangle(self, C: Array, T: Array) -> Array:
        """C Tᵀ, (k, r), for a lower triangular T (r, r)."""
        return self._by_columns(C, len(T), lambda part: C[:, : part.stop] @ T[part, : part.stop].T)

    def squares(self, X: Array) -> Array:
        """Σ_α x_α² of each row, (k,)."""
        return self._summed(X.shape[1], lambda part: np.einsum("ka,ka->k", X[:, part], X[:, part]))

    def difference(self, X: Array, Y: Array) -> Array:
        return self._by_columns(X, X.shape[1], lambda part: X[:, part] - Y[:, part], SAMPLES)

    def divided(self, X: Array, picks: Array, sizes: Array) -> Array:
        """The rows `picks` of X, each divided by its size."""
        return self._by_columns(sizes, X.shape[1], lambda part: X[picks, part] / sizes[:, None], SAMPLES)

    def copy(self, X: Array, picks: Sequence[int], out: Array) -> None:
        """The rows `picks` of X into `out`; the first to write new memory waits for it, so that all threads do."""

        def part(b: int) -> None:
            at = slice(b * SAMPLES, (b + 1) * SAMPLES)
            out[:, at] = X[list(picks), at]

        self.for_each(part, -(-X.shape[1] // SAMPLES))

    def _summed(self, samples: int, make: Callable[[slice], Array]) -> Array:
        count = max(-(-samples // SAMPLES), 1)
        parts: list[Array] = [np.empty(0)] * count

        def part(b: int) -> None:
            parts[b] = make(slice(b * SAMPLES, (b + 1) * SAMPLES))

        self.for_each(part, count)
        total = parts[0]
        for each in parts[1:]:
            total += each
        return total

    def _by_columns(self, like: Array, columns: int, make: Callable[[slice], Array], length: int = BLOCK) -> Array:
        """(k, columns), of as many rows as `like`, made in blocks of columns."""
        result = np.empty((len(like), columns), like.dtype)

        def block(b: int) -> None:
            part = slice(b * length, (b + 1) * length)
            result[:, part] = make(part)

        self.for_each(block, -(-columns // length))
        return result
