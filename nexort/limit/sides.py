"""Initial operators on sampled kets: hat and dot (TP4b Definition 2.6.5, (2.18) and (2.19)).

For a matrix W with entries N(0, σ²/n),

    ⎸W x⟩ = ⎸W x⟩^ + ⎸W x⟩˙,
    hats jointly Gaussian, Cov(⎸W x⟩^, ⎸W y⟩^) = σ² ⟨x⎸y⟩,                                    (2.18)
    ⎸W x⟩˙ = σ² Σ_y ⎸y⟩ E ∂⎸x⟩/∂⎸Wᵀ y⟩^   over the arguments y of Wᵀ,                          (2.19)

and the same with W and Wᵀ exchanged.  A `Side` is W or Wᵀ with all the arguments it has met:

| symbol | code | |
|---|---|---|
| Q | `Side._arguments` | orthonormal basis of the arguments seen so far: X = C Q |
| E | `Side._columns` | one independent N(0, 1) column per basis row: hat = σ C E |

Dot by parts (Stein's lemma, Remark 2.6.6): with the arguments y = Q_b of Wᵀ, whose hats are σ E_b,

    ⎸W x⟩˙ = σ Σ_b ⎸Q_b⟩ ⟨E_b⎸x⟩,

right for every ψ, jumps included, and for arguments of any rank.  Every basis row known so far takes part, also those
that x does not depend on: their coefficients are 0 in expectation, and with orthogonal columns (`spaces`) the sum over
all is what makes ⟨x⎸W y⟩ = ⟨Wᵀ x⎸y⟩ an identity of the sampled kets, whichever of the two is computed first.

Kets are read and made at the ends only, by the width spaces; between them everything is in coordinates: Q are rows of
coordinates in the space of the arguments; E are basis vectors of the space of the hats (while it has room), and ⟨E_b⎸x⟩
are coordinates.

All of this is within one sector (`parity`): hats of arguments of different parity are independent, and basis rows of
another parity than x have coefficients that are exactly 0, so a matrix is one `InitialOperator` for each sector.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from nexort.engine import Array, is_finite
from nexort.errors import ComputationFault
from nexort.limit.basis import Basis, Known
from nexort.limit.spaces import Columns, WidthSpace, describe_passes

if TYPE_CHECKING:
    from nexort.graph.terms import Place


class Side:
    """W (or Wᵀ) as a map from kets of the space `source` to hats in the space `target`, in coordinates of both."""

    def __init__(
        self, name: str, sigma: float, source: WidthSpace, target: WidthSpace, stream: np.random.Generator
    ) -> None:
        self.name = name
        self.sigma = sigma
        self._source = source
        self.target = target
        self._stream = stream
        capacity = min(source.capacity, target.capacity)
        self._arguments = Basis(source.dtype, products=source.products, capacity=(capacity, source.capacity))
        self._columns = Columns(source.dtype)
        self._last: Known | None = None

    @property
    def rank(self) -> int:
        return self._arguments.rank

    def absorb(self, X: Array) -> Array:
        """The coordinates (k, rank) of the arguments X (k, N), which are likely to be near those of the last time."""
        self._last = self._source.absorb(X, self._last)
        return self._last.coordinates

    def hat(self, X: Array, place: Place | None = None) -> Array:
        """⎸W x⟩^ for the rows x of X (k, rank): σ C E, new directions of X drawing new columns E."""
        before = self.rank
        C = self._arguments.extend(X, ordered=self.target.nets).coordinates
        if self.rank >= self._source.samples:
            raise ComputationFault(
                f"the arguments of {self.name} fill all {self._source.samples} dimensions that the samples have"
                f"{describe_passes(place)}",
                place.span if place is not None else None,
                hint="use more samples (--samples)",
            )
        if self.rank > before:
            self.target.draw(self._stream, self.rank - before, self._columns, place)
        return self._columns.combine(self.sigma * C, self.target.rank)

    def adjoint_dot(self, X: Array) -> Array:
        """⎸Wᵀ x⟩˙ = σ Σ_b ⎸Q_b⟩ ⟨E_b⎸x⟩ for the rows x of X, kets of `target`: the dots of the other side."""
        return self._arguments.combine(self.sigma * self._columns.inner(X))

    def checkpoint(self) -> Callable[[], None]:
        """A call of what this returns forgets the arguments since now, and will draw the same columns again."""
        rank, width, state = self.rank, self._arguments.width, self._stream.bit_generator.state
        last, forget_columns = self._last, self._columns.checkpoint()

        def restore() -> None:
            self._arguments.truncate(rank, width)
            self._last = last
            forget_columns()
            self._stream.bit_generator.state = state

        return restore


class InitialOperator:
    """One initial matrix: its side W from `inputs` to `outputs` and its side Wᵀ back."""

    def __init__(
        self,
        name: str,
        variance: float,
        inputs: WidthSpace,
        outputs: WidthSpace,
        streams: tuple[np.random.Generator, np.random.Generator],
    ) -> None:
        sigma = math.sqrt(variance)
        self.name = name
        self.forward = Side(name, sigma, inputs, outputs, streams[0])
        self.backward = Side(f"{name}'", sigma, outputs, inputs, streams[1])

    def parts(self, X: Array, *, is_transposed: bool = False, place: Place | None = None) -> tuple[Array, Array]:
        """(⎸W x⟩^, ⎸W x⟩˙) for the rows x of X (k, N), or those of Wᵀ; the ket is their sum."""
        target, hat, dot = self._coordinates(X, is_transposed=is_transposed, place=place)
        return target.kets(hat), target.kets(dot)

    def apply(self, X: Array, *, is_transposed: bool = False, place: Place | None = None) -> Array:
        """⎸W x⟩ or ⎸Wᵀ x⟩ for the rows x of X (k, N)."""
        target, hat, dot = self._coordinates(X, is_transposed=is_transposed, place=place)
        hat[:, : dot.shape[1]] += dot
        return target.kets(hat)

    def _coordinates(self, X: Array, *, is_transposed: bool, place: Place | None) -> tuple[WidthSpace, Array, Array]:
        """(the space of the products, the coordinates in it of their hats, of their dots)."""
        this, other = (self.backward, self.forward) if is_transposed else (self.forward, self.backward)
        if not is_finite(X):
            raise ComputationFault(
                f"an argument of {self.name} is not finite{describe_passes(place)}",
                place.span if place is not None else None,
            )
        if this.sigma == 0:
            nothing = np.zeros((len(X), this.target.rank), X.dtype)
            return this.target, nothing, nothing
        C = this.absorb(X)
        return this.target, this.hat(C, place), other.adjoint_dot(C)
