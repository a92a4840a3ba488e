"""Orthonormal bases that are held as combinations of raw rows: the linear algebra under width spaces and matrices.

Rows are kets over N samples, with ⟨x⎸y⟩ = (1/N) Σ_α x_α y_α, or coordinates of kets, with plain inner products.

| symbol | code | shape |
|---|---|---|
| B, the rows as they were given | `Basis.raw` | (rank, width) |
| T, lower triangular | `Basis.turn` | (rank, rank) |
| O = T B, an orthonormal basis | never formed | (rank, width) |
| C = ⟨X⎸B⟩ Tᵀ, coordinates of X = C O | `Basis.coordinates(X)` | (k, rank) |
| (C T) B, the rows C O | `Basis.combine(C)` | (k, width) |

What rows have outside the basis is known from inner products alone: its Gram matrix is ⟨X⎸X⟩ − C Cᵀ = L Lᵀ, and

    o = L⁻¹ (x − C O)        is        T_new = L⁻¹ [−C T, 1]        on the raw rows [B; x].

A batch of k rows is orthogonalised by *one* pass over the raw rows; Gram–Schmidt on the rows themselves takes four.
The price is cancellation: what is left is known to rounding relative to the row.  So rows that are weak outside the
basis (`WEAK`) are not taken as they are: what they have outside is formed, measured anew relative to its own size, and
so on until it is strong, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import get_lapack_funcs

from nexort.engine import Array
from nexort.errors import ComputationFault
from nexort.limit.products import Products

TOLERANCE = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-5}
"""A row is dependent when its part outside the basis is smaller than this, relative to its own norm."""

WEAK = 1e-2
"""Energy (squared norm) that a unit row has outside the basis and the rows taken before it, if it is to be taken.

In units of 1 + |C T|²: rows of T keep norms below 1/√WEAK, by whose squares errors of inner products grow.  Without the
unit they would add up: changes from one training step to the next are much like those before.
"""
_NEARLY = 0.9
"""A row goes before larger ones that are not larger by more than this: equal rows keep their order despite rounding."""
_ROUNDS = 30
"""Each round leaves a tenth of a row that is weak outside, or a row that is not: to `TOLERANCE` it takes 20 of them."""
_NEAR = 0.5
"""Rows that differ from known ones by less than this part of them start from these."""
_FIRST_CAPACITY = 16


@dataclass(frozen=True, slots=True)
class Known:
    """Rows and their coordinates, which give them to rounding."""

    rows: Array
    coordinates: Array

    def extended(self, rank: int) -> Known:
        """With coordinates of a basis that has grown to `rank`."""
        more = np.zeros((len(self.rows), rank - self.coordinates.shape[1]), self.coordinates.dtype)
        return Known(self.rows, np.hstack([self.coordinates, more]))


class Rows:
    """A (count, width) array that grows at the bottom and to the right, where it is filled with zeros.

    Room that was asked for takes no memory until it is written; beyond it room is doubled.
    """

    def __init__(self, dtype: Any, *, width: int = 0, capacity: tuple[int, int] = (0, 0)) -> None:
        self._store: Array = np.empty((max(capacity[0], _FIRST_CAPACITY), max(capacity[1], width)), dtype)
        self.count = 0
        self.width = width

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._store.dtype

    @property
    def array(self) -> Array:
        """All rows, (count, width): a view, valid until there are more."""
        return self._store[: self.count, : self.width]

    def widen(self, width: int) -> None:
        """Rows have `width` entries from now on, if they had fewer."""
        self.width = max(self.width, width)
        self._reserve(self.count)

    def grow(self, count: int, width: int) -> Array:
        """`count` new rows below the others: their first `width` entries (count, width), to be written."""
        self.width = max(self.width, width)
        self._reserve(self.count + count)
        rows = self._store[self.count : self.count + count]
        rows[:, width:] = 0
        self.count += count
        return rows[:, :width]

    def append(self, rows: Array) -> None:
        """Copies `rows` below the others."""
        self.grow(*rows.shape)[:] = rows

    def truncate(self, count: int, width: int) -> None:
        """Forgets all rows but the first `count`, and all entries but the first `width`."""
        self._store[:count, width : self.width] = 0
        self.count, self.width = count, width

    def _reserve(self, count: int) -> None:
        old = self._store
        if count <= len(old) and self.width <= old.shape[1]:
            return
        shape = (
            len(old) if count <= len(old) else max(count, 2 * len(old)),
            old.shape[1] if self.width <= old.shape[1] else max(self.width, 2 * old.shape[1]),
        )
        self._store = np.empty(shape, old.dtype)
        self._store[: self.count, : old.shape[1]] = old[: self.count]
        self._store[: self.count, old.shape[1] :] = 0


class Basis:
    """An orthonormal basis of the span of all rows given to `extend`.

    `weight` is that of inner products, (weight) Σ x y; a basis of rows that get longer has no `width` at first.
    """

    def __init__(
        self,
        dtype: Any = np.float64,
        *,
        width: int = 0,
        weight: float = 1.0,
        products: Products | None = None,
        capacity: tuple[int, int] = (0, 0),
    ) -> None:
        self._raw = Rows(dtype, width=width, capacity=capacity)
        self._turn = Rows(dtype, capacity=(capacity[0], capacity[0]))
        self._weight = weight
        self._products = products or Products()
        self._tolerance = TOLERANCE[self._raw.dtype]

    @property
    def rank(self) -> int:
        return self._raw.count

    @property
    def width(self) -> int:
        return self._raw.width

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._raw.dtype

    @property
    def raw(self) -> Array:
        """B: a view, valid until the basis is extended."""
        return self._raw.array

    @property
    def turn(self) -> Array:
        """T: a view, valid until the basis is extended."""
        return self._turn.array

    def coordinates(self, X: Array) -> Array:
        """C = ⟨X⎸B⟩ Tᵀ, (k, rank): of the part of X that lies in the basis."""
        return self._products.times_transposed_triangle(self._inner(X, self.raw), self.turn)

    def combine(self, C: Array) -> Array:
        """C O = (C T) B, (k, width), for coordinates C (k, rank or fewer)."""
        return self._products.combine(self._turned(C), self.raw[: C.shape[1]])

    def extend(self, X: Array, *, near: Known | None = None, ordered: int = 0) -> Known:
        """Extends the basis by what the rows of X have outside it; returns X, to `TOLERANCE`, with its coordinates.

        Rows that are `near` to known ones, as those of one training step to those of the last, start from these.  The
        `ordered` largest directions come first (`pivot_order`), those of rows that depend on others almost last.
        Raises ComputationFault where rounding errors have added up so far that rounds of this do not end.
        """
        self._raw.widen(X.shape[1])
        before = self.rank
        sizes = self._norms(X)
        rows, C, norms = (X, self._nothing(X), sizes) if near is None else self._start(X, sizes, near)
        known = Known(np.empty(X.shape, self.dtype), C)
        self._products.copy(X, range(len(X)), known.rows)
        at, size = np.arange(len(X)), np.ones(len(X), self.dtype)
        for _ in range(_ROUNDS):
            kept = size * norms > self._tolerance * sizes[at]
            # what is left out here is a part of the next rows near these: small changes add up
            known.rows[at[~kept]] -= size[~kept, None] * rows[~kept]
            rows = self._products.divided(rows, np.flatnonzero(kept), norms[kept])
            at, size = at[kept], (size * norms)[kept]
            if not len(at):
                return known
            part, turned, left = self._measure(rows)
            energy = WEAK * (1 + np.einsum("kr,kr->k", turned, turned))
            picks, rest = pivot_order(left, ordered - (self.rank - before), energy)
            new, late = self._take(rows, turned, left, picks, largest=1 / WEAK)
            part, rest = np.hstack([part, new]), sorted(rest + late)
            known = known.extended(self.rank)
            known.coordinates[at] += size[:, None] * part
            rows = self._products.outside(rows, np.array(rest, int), self._turned(part[rest]), self.raw)
            at, size, norms = at[rest], size[rest], self._norms(rows)
        raise ComputationFault(
            "rounding errors have added up: the columns of the limit are orthogonal no more",
            hint="use --dtype float64" if self.dtype == np.float32 else "use more samples (--samples)",
        )

    def _nothing(self, X: Array) -> Array:
        """Coordinates 0 of as many rows."""
        return np.zeros((len(X), self.rank), self.dtype)

    def _start(self, X: Array, sizes: Array, near: Known) -> tuple[Array, Array, Array]:
        """(what is left of the rows of X, the coordinates of the rest, norms), from known rows in the same places."""
        if near.rows.shape != X.shape:
            return X, self._nothing(X), sizes
        rows = self._products.difference(X, near.rows)
        norms = self._norms(rows)
        far = norms >= _NEAR * sizes
        rows[far], norms[far] = X[far], sizes[far]
        return rows, np.where(far[:, None], 0, near.extended(self.rank).coordinates), norms

    def add(self, X: Array) -> None:
        """Extends the basis by every row of X, in their order, all of them strong outside it (as random ones are)."""
        _, turned, left = self._measure(X)
        self._take(X, turned, left, list(range(len(X))))

    def truncate(self, rank: int, width: int) -> None:
        """Forgets all rows but the first `rank`, and all entries but the first `width`."""
        self._raw.truncate(rank, width)
        self._turn.truncate(rank, rank)

    def _measure(self, X: Array) -> tuple[Array, Array, Array]:
        """(coordinates C of X, C T, the Gram matrix ⟨X⎸X⟩ − C Cᵀ of what X has outside the basis)."""
        C = self.coordinates(X)
        left = self._inner(X, X).astype(np.float64) - C @ C.T
        return C, self._turned(C), left

    def _turned(self, C: Array) -> Array:
        """C T, for coordinates C (k, rank or fewer)."""
        rank = C.shape[1]
        return self._products.times_triangle(C, self.turn[:rank, :rank])

    def _take(
        self, X: Array, turned: Array, left: Array, picks: list[int], *, largest: float = np.inf
    ) -> tuple[Array, list[int]]:
        """Adds the rows `picks` of X, measured as (_, turned, left), up to where squares of rows of T are too large.

        Returns (the coordinates of X on what is new, the picks that were left).
        """
        if not picks:
            return np.empty((len(X), 0), self.dtype), []
        factor = np.linalg.cholesky(left[np.ix_(picks, picks)])
        inverse = _inverse(factor)
        rows = np.hstack([-(inverse @ turned[picks]), inverse])
        # pivots of a batch may all be strong and their inverse large: what comes late is measured again
        large = np.flatnonzero(np.einsum("kr,kr->k", rows, rows) > largest)
        count = max(int(large[0]), 1) if len(large) else len(picks)
        factor, inverse, (picks, late) = factor[:count, :count], inverse[:count, :count], (picks[:count], picks[count:])
        self._turn.append(rows[:count, : self.rank + count])
        self._products.copy(X, picks, self._raw.grow(count, X.shape[1]))
        coordinates = left[:, picks] @ inverse.T
        coordinates[picks] = factor
        return coordinates.astype(self.dtype), late

    def _inner(self, X: Array, Y: Array) -> Array:
        return self._products.inner(X, Y, self._weight)

    def _norms(self, X: Array) -> Array:
        """Of each row; where squares may leave their range, its largest entry is taken out first."""
        range_ = np.finfo(self.dtype)
        with np.errstate(over="ignore"):
            squares = self._weight * self._products.squares(X)
        norms = np.sqrt(squares)
        for k in np.flatnonzero((squares < np.sqrt(range_.tiny)) | (squares > np.sqrt(range_.max))):
            largest = np.abs(X[k]).max(initial=0)
            if largest > 0:
                row = X[k] / largest
                norms[k] = largest * np.sqrt(self._weight * (row @ row))
        return norms


def pivot_order(gram: Array, ordered: int, least: Array) -> tuple[list[int], list[int]]:
    """(rows by their energy outside the span of those before, largest first, above their `least` (k,); the rest).

    From the Gram matrix (k, k) of the rows: pivots of its Cholesky factorisation.  After the first `ordered` of them
    rows stay in their order where all of them are above their least in it.
    """
    G = gram.astype(np.float64)
    left = np.diagonal(G).copy()
    factor = np.empty_like(G)
    picks: list[int] = []
    while (strong := np.where(left > least, left, 0)).any():
        if len(picks) == max(ordered, 0):
            rest = [i for i in range(len(G)) if i not in picks]
            known = factor[: len(picks), rest]
            if _is_strong(G[np.ix_(rest, rest)] - known.T @ known, least[rest]):
                return [*picks, *rest], []
        i = int(np.argmax(strong > _NEARLY * strong.max()))
        known = factor[: len(picks)]
        row = factor[len(picks)] = (G[i] - known[:, i] @ known) / np.sqrt(left[i])
        picks.append(i)
        left = np.maximum(left - row**2, 0)
        left[picks] = 0
    return picks, [i for i in range(len(G)) if i not in picks]


def _is_strong(gram: Array, least: Array) -> bool:
    """Whether each row has more energy than its least outside the span of those before it."""
    try:
        return bool((np.diagonal(np.linalg.cholesky(gram)) ** 2 > least).all())
    except np.linalg.LinAlgError:
        return False


def _inverse(L: Array) -> Array:
    """Of a lower triangular matrix."""
    invert: Any = get_lapack_funcs("trtri", (L,))
    inverse, _ = invert(L, lower=1)
    return inverse
