"""Width spaces: which columns share their samples, and Gaussian columns that are exactly orthogonal in them.

A *width space* is the set of kets that live over the same N samples because some statement reads them together.
Sampled kets are correlated by chance, of relative squared size (columns)/N; a new Gaussian column must be independent
of every ket drawn before, so it is made orthogonal to all of them that matter to a linear map:

| columns of a space | |
|---|---|
| the ket of ones | |
| initial vectors (2.17) | orthonormal among themselves, in order of declaration |
| E of every side whose hats lie in the space | independent N(0, 1), see `sides` |
| Q of every side whose arguments lie in the space | orthonormal basis of the arguments, see `sides` |

This makes every program that is linear in its vectors exact to rounding at any N, and ⟨x⎸W y⟩ = ⟨Wᵀ x⎸y⟩ exact for
every program.  Kets of different parity (`parity`) are orthogonal by symmetry, and each sector has columns of its own.
Orthogonal columns cannot outnumber the samples: past `FILL`·N they are plain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nexort.engine import Array
from nexort.limit.basis import Basis, Known, Rows
from nexort.limit.points import Points
from nexort.limit.products import Products

if TYPE_CHECKING:
    from nexort.graph.terms import Place

FILL = 0.8
"""New columns are made orthogonal while the columns of their space number at most this fraction of N."""

Warn = Callable[[str], None]


def describe_passes(place: Place | None) -> str:
    """`, t = 3`: the pass of the loops around a statement."""
    return "".join(f", {name} = {value}" for name, value in place.passes) if place is not None else ""


def describe(place: Place | None) -> str:
    """`file:line:col, t = 3`: a statement and the pass of its loops."""
    at = place.span.place if place is not None and place.span is not None else "<graph>"
    return f"{at}{describe_passes(place)}"


class Columns:
    """Gaussian columns E of one width space, in its coordinates.

    Those that were drawn while the space had room are vectors of its basis; the others have coordinates of any kind.
    """

    def __init__(self, dtype: Any = np.float64) -> None:
        self._places: list[int] = []
        self._plain = Rows(dtype)

    @property
    def count(self) -> int:
        return len(self._places) + self._plain.count

    def append(self, places: range, plain: Array) -> None:
        """Basis vectors number `places`, then columns with coordinates `plain` (k, rank)."""
        self._places += places
        if len(plain):
            self._plain.append(plain)

    def combine(self, C: Array, rank: int) -> Array:
        """The coordinates (k, rank) of C E, for C (k, count)."""
        result = np.zeros((len(C), rank), C.dtype)
        first = len(self._places)
        result[:, self._places] = C[:, :first]
        plain = self._plain.array
        result[:, : plain.shape[1]] += C[:, first:] @ plain
        return result

    def inner(self, X: Array) -> Array:
        """⟨E⎸x⟩, (k, count), for kets with coordinates X (k, rank)."""
        plain = self._plain.array
        return np.concatenate([X[:, self._places], X[:, : plain.shape[1]] @ plain.T], axis=1)

    def checkpoint(self) -> Callable[[], None]:
        """A call of what this returns forgets the columns since now."""
        first, plain, width = len(self._places), self._plain.count, self._plain.width

        def restore() -> None:
            del self._places[first:]
            self._plain.truncate(plain, width)

        return restore


class WidthSpace:
    """The columns of one width space over N samples, or of one sector of it (`parity`).

    Room for `capacity` of them is asked for at first.
    """

    def __init__(
        self,
        samples: int,
        dtype: Any = np.float64,
        *,
        name: str = "of the graph",
        has_ones: bool = True,
        warn: Warn | None = None,
        products: Products | None = None,
        points: Points | None = None,
        capacity: int = 0,
    ) -> None:
        self.name = name
        self.samples = samples
        self.products = products or Products()
        self._points = points or Points(samples, has_net=False)
        self._room = max(int(FILL * samples), 1)
        self.capacity = min(capacity, samples)
        self._basis = Basis(
            dtype,
            width=samples,
            weight=1 / samples,
            products=self.products,
            capacity=(self.capacity, samples),
        )
        if has_ones:
            self._basis.add(np.ones((1, samples), dtype))
        self._warn = warn or (lambda message: None)
        self._is_full = False

    @property
    def rank(self) -> int:
        return self._basis.rank

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._basis.dtype

    @property
    def nets(self) -> int:
        """How many of the next columns will be Sobol points, the better the earlier."""
        return self._points.nets

    def absorb(self, X: Array, near: Known | None = None) -> Known:
        """The kets X (k, N), perhaps near known ones, with their coordinates; later draws are orthogonal to them."""
        return self._basis.extend(X, near=near)

    def kets(self, C: Array) -> Array:
        """The kets (k, N) with coordinates C (k, rank)."""
        return self._basis.combine(C)

    def draw(self, stream: np.random.Generator, count: int, columns: Columns, place: Place | None = None) -> None:
        """Appends `count` new independent N(0, 1) columns: exactly orthogonal and of exact unit square mean.

        Those that no longer fit in FILL·N are plain samples.
        """
        G = self._points.draw(stream, count, self.dtype)
        first, fit = self.rank, max(min(count, self._room - self.rank), 0)
        self._basis.add(G[:fit])
        if fit < count:
            self._warn_once(place)
        columns.append(range(first, first + fit), self._basis.extend(G[fit:]).coordinates)

    def draw_kets(self, stream: np.random.Generator, count: int, place: Place | None = None) -> Array:
        """`count` new columns as kets (count, N)."""
        columns = Columns(self.dtype)
        self.draw(stream, count, columns, place)
        return self.kets(columns.combine(np.eye(count, dtype=self.dtype), self.rank))

    def checkpoint(self) -> Callable[[], None]:
        """A call of what this returns forgets the columns since now."""
        rank, is_full, used = self.rank, self._is_full, self._points.used

        def restore() -> None:
            self._basis.truncate(rank, self.samples)
            self._is_full, self._points.used = is_full, used

        return restore

    def _warn_once(self, place: Place | None) -> None:
        if not self._is_full:
            self._warn(
                f"{describe(place)}: the columns of the width space {self.name} exceed {FILL:.0%} of the "
                f"{self.samples} samples; new ones are plain samples from here on, which are less accurate "
                f"(more --samples help)"
            )
        self._is_full = True
