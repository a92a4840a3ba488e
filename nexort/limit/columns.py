"""Orthonormal rows over N samples: the linear algebra under width spaces and the sides of matrices.

A ket is a row of N samples.  The inner product is ⟨x⎸y⟩ = (1/N) Σ_α x_α y_α, so k kets are an array (k, N) and their
Gram matrix is X Yᵀ / N.

| symbol | code | shape |
|---|---|---|
| Q, an orthonormal basis, Q Qᵀ / N = 1 | `Basis.rows` | (rank, N) |
| C, coordinates of X = C Q | `Basis.coordinates(X)` | (k, rank) |

Everything is products of matrices (BLAS-3), except the search for dependent rows inside one batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import get_lapack_funcs, qr

from nexort.engine import Array
from nexort.limit.products import Products

TOLERANCE = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-5}
"""A row is dependent when its part outside the basis is smaller than this, relative to its own norm."""

WEAK = 1e-4
"""Energy (squared norm) of a unit row outside the span of others, above which their Gram matrix may be factored, in
float32 too: a third of the time of QR."""
_SAFE_PIVOT = 1e-3
_NEARLY = 0.9
"""A row goes before larger ones that are not larger by more than this: equal rows keep their order despite rounding."""
_FIRST_CAPACITY = 16


class Rows:
    """A (count, N) array that grows at the bottom; room is doubled, so that appending costs O(1) copies a row."""

    def __init__(self, samples: int, dtype: Any = np.float64) -> None:
        self._store: Array = np.empty((_FIRST_CAPACITY, samples), dtype)
        self.count = 0

    @property
    def samples(self) -> int:
        return self._store.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._store.dtype

    @property
    def array(self) -> Array:
        """All rows, (count, N): a view, valid until the next `append`."""
        return self._store[: self.count]

    def append(self, rows: Array) -> Array:
        """Copies `rows` (k, N) below the others and returns them where they now are."""
        needed = self.count + len(rows)
        if needed > len(self._store):
            store = np.empty((max(needed, 2 * len(self._store)), self.samples), self.dtype)
            store[: self.count] = self.array
            self._store = store
        self._store[self.count : needed] = rows
        self.count = needed
        return self._store[needed - len(rows) : needed]

    def truncate(self, count: int) -> None:
        """Forgets all rows but the first `count`."""
        self.count = count


class Basis:
    """An orthonormal basis of the span of all rows given to `extend` or `adopt`."""

    def __init__(self, samples: int, dtype: Any = np.float64, *, products: Products | None = None) -> None:
        self._rows = Rows(samples, dtype)
        self._products = products or Products()
        self.tolerance = TOLERANCE[self._rows.dtype]

    @property
    def rows(self) -> Array:
        return self._rows.array

    @property
    def rank(self) -> int:
        return self._rows.count

    @property
    def samples(self) -> int:
        return self._rows.samples

    def coordinates(self, X: Array) -> Array:
        """C = X Qᵀ / N, (k, rank)."""
        return self._products.inner(X, self.rows)

    def outside(self, X: Array) -> Array:
        """X − C Q: the part of each row orthogonal to the basis, to rounding relative to the row itself."""
        return self._products.combine(-self.coordinates(X), self.rows, start=X)

    def extend(self, X: Array, room: int | None = None, *, ordered: int = 0) -> Array:
        """Adds an orthonormal basis of what X (k, N) has outside the basis, `room` rows at most; returns those rows.

        The `ordered` largest directions come first, all of them if there is no room for all: rows are taken in the
        order of a Cholesky factorisation with pivoting, the weak ones, which depend on others almost, at the end.
        """
        rows = self.outside(unit_rows(X))
        if room is not None and room < len(rows):
            ordered = room
        picks, weak = pivot_order(self._products.inner(rows, rows), ordered, self.tolerance)
        before = self.rank
        if picks:
            # once more outside: what the basis lacks in orthogonality would grow by 1/√WEAK with each batch
            self.adopt(self.polished(self.outside(self.orthonormal(rows[picks[:room]]))))
        if weak and (room is None or len(picks) < room):
            left = None if room is None else room - len(picks)
            fresh = independent_rows(self.outside(rows[weak]) if picks else rows[weak], self.tolerance)
            self.adopt(self.polished(self.outside(fresh[:left])))
        return self.rows[before:]

    def orthonormal(self, X: Array) -> Array:
        """Gram–Schmidt in the order of the rows, for well-conditioned X (k, N): X = L E, L Lᵀ = X Xᵀ / N, L_ii > 0.

        Orthonormal to rounding times the square of the condition of X (`polished` makes it rounding).
        """
        return self._divided(np.linalg.cholesky(self._products.inner(X, X)), X) if len(X) else X

    def polished(self, X: Array) -> Array:
        """Orthonormal to rounding from nearly orthonormal X: (3/2 − X Xᵀ / 2N) X, a step of Newton's method."""
        step = -0.5 * self._products.inner(X, X)
        step[np.diag_indices(len(X))] += 1.5
        return self._products.combine(step, X)

    def _divided(self, L: Array, X: Array) -> Array:
        """L⁻¹ X."""
        invert: Any = get_lapack_funcs("trtri", (L,))
        inverse, _ = invert(L, lower=1)
        return self._products.combine(inverse, X)

    def adopt(self, Q: Array) -> Array:
        """Adds rows that are orthonormal and orthogonal to the basis already."""
        return self._rows.append(Q)

    def truncate(self, rank: int) -> None:
        """Forgets all rows but the first `rank`."""
        self._rows.truncate(rank)


def unit_rows(X: Array) -> Array:
    """The nonzero rows of X, each divided by its norm (its largest entry first, so that squares stay in range)."""
    largest = np.abs(X).max(axis=1, initial=0)
    rows = X[largest > 0] / largest[largest > 0, None]
    return rows / np.sqrt(np.mean(np.square(rows), axis=1, keepdims=True))


def pivot_order(gram: Array, ordered: int, tolerance: float) -> tuple[list[int], list[int]]:
    """(rows by their energy outside the span of those before, largest first, down to `WEAK`; the rest above zero).

    From the Gram matrix (k, k) of rows of norm at most 1: the pivots of its Cholesky factorisation.  After the first
    `ordered` of them rows stay in their order where none is weak in it.
    """
    G = gram.astype(np.float64)
    left = np.diagonal(G).copy()
    size = np.sqrt(left)
    factor = np.empty_like(G)
    picks: list[int] = []
    while len(picks) < len(G) and left.max() > WEAK:
        if len(picks) == ordered:
            rest = [i for i in range(len(G)) if i not in picks]
            known = factor[:ordered, rest]
            if _is_strong(G[np.ix_(rest, rest)] - known.T @ known):
                return [*picks, *rest], []
        i = int(np.argmax(left > _NEARLY * left.max()))
        known = factor[: len(picks)]
        row = factor[len(picks)] = (G[i] - known[:, i] @ known) / np.sqrt(left[i])
        picks.append(i)
        left = np.maximum(left - row**2, 0)
        left[picks] = 0
    chosen = set(picks)
    return picks, [i for i in range(len(G)) if i not in chosen and size[i] > tolerance]


def _is_strong(gram: Array) -> bool:
    """Whether each row has more energy than `WEAK` outside the span of those before it."""
    try:
        return bool(np.diagonal(np.linalg.cholesky(gram)).min() ** 2 > WEAK)
    except np.linalg.LinAlgError:
        return False


def independent_rows(R: Array, tolerance: float) -> Array:
    """An orthonormal basis (rank, N) of rows R (k, N) up to `tolerance`: each row is within it of the span.

    Gram–Schmidt in the order of the rows (QR with positive diagonal, so the basis is a continuous function of rows of
    full rank); where rows depend on others, of a well-conditioned choice of them (QR with pivoting).
    """
    norms = np.sqrt(np.mean(np.square(R), axis=1))
    kept = R[norms > tolerance]
    if not len(kept):
        return kept
    scale = np.sqrt(R.shape[1])
    columns, factor = np.linalg.qr(kept.T / scale)
    if np.abs(np.diagonal(factor)).min() <= _SAFE_PIVOT or len(kept) > len(factor):
        turn, factor = np.linalg.qr(factor[:, _pivot_columns(factor, tolerance)])
        columns = columns @ turn
    return np.ascontiguousarray((columns * (np.sign(np.diagonal(factor)) * scale)).T)


def _pivot_columns(T: Array, tolerance: float) -> Array:
    """Which columns of T (m, k), in their order, span the others up to `tolerance`."""
    factored: Any = qr(T, mode="r", pivoting=True, check_finite=False)
    factor, order = factored
    rank = np.count_nonzero(np.abs(np.diagonal(factor)) > tolerance)
    return np.sort(order[:rank])
