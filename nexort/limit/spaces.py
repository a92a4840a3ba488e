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
from nexort.limit.columns import Basis
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


class WidthSpace:
    """The columns of one width space over N samples, or of one sector of it (`parity`)."""

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
    ) -> None:
        self.name = name
        self._points = points or Points(samples, has_net=False)
        self.room = max(int(FILL * samples), 1)
        self.products = products or Products()
        self._basis = Basis(samples, dtype, products=self.products)
        if has_ones:
            self._basis.adopt(np.ones((1, samples), dtype))
        self._warn = warn or (lambda message: None)
        self._is_full = False

    @property
    def samples(self) -> int:
        return self._basis.samples

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._basis.rows.dtype

    @property
    def nets(self) -> int:
        """How many of the next columns will be Sobol points, the better the earlier."""
        return self._points.nets

    @property
    def columns(self) -> Array:
        """An orthonormal basis (rank, N) of the columns of the space, the ket of ones first (if it is there)."""
        return self._basis.rows

    def draw(self, stream: np.random.Generator, count: int, place: Place | None = None) -> Array:
        """`count` new independent N(0, 1) columns (count, N): exactly orthogonal and of exact unit square mean.

        Those that no longer fit in FILL·N are plain samples.
        """
        G = self._points.draw(stream, count).astype(self.dtype, copy=False)
        fit = min(count, self.room - self._basis.rank)
        if fit < count:
            self._warn_once(place)
        # random columns have little of the basis: one projection leaves rounding
        E = self._basis.orthonormal(self._basis.outside(G[:fit]))
        G[:fit] = self._basis.adopt(self._basis.polished(E))
        return G

    def absorb(self, Q: Array, place: Place | None = None) -> None:
        """Makes later draws orthogonal to the rows Q (k, N) too."""
        free = self.room - self._basis.rank
        if free <= 0:
            self._warn_once(place)
            return
        fresh = self._basis.extend(Q, free)
        if len(fresh) == free < len(Q):
            self._warn_once(place)

    def checkpoint(self) -> Callable[[], None]:
        """A call of what this returns forgets the columns since now."""
        rank, is_full, used = self._basis.rank, self._is_full, self._points.used

        def restore() -> None:
            self._basis.truncate(rank)
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
