"""Initial operators on sampled kets: hat and dot (TP4b Definition 2.6.5, (2.18) and (2.19)).

For a matrix W with entries N(0, σ²/n),

    ⎸W x⟩ = ⎸W x⟩^ + ⎸W x⟩˙,
    hats jointly Gaussian, Cov(⎸W x⟩^, ⎸W y⟩^) = σ² ⟨x⎸y⟩,                                    (2.18)
    ⎸W x⟩˙ = σ² Σ_y ⎸y⟩ E ∂⎸x⟩/∂⎸Wᵀ y⟩^   over the arguments y of Wᵀ,                          (2.19)

and the same with W and Wᵀ exchanged.  A `Side` is W or Wᵀ with all the arguments it has met:

| symbol | code | |
|---|---|---|
| Q, (rank, N) | `Side.basis` | orthonormal basis of the arguments seen so far: X = C Q |
| E, (rank, N) | `Side.columns` | one independent N(0, 1) column per basis row: hat = σ C E |

Dot by parts (Stein's lemma, Remark 2.6.6): with the arguments y = Q_b of Wᵀ, whose hats are σ E_b,

    ⎸W x⟩˙ = σ Σ_b ⎸Q_b⟩ ⟨E_b⎸x⟩,

right for every ψ, jumps included, and for arguments of any rank.  Every basis row known so far takes part, also those
that x does not depend on: their coefficients are 0 in expectation, and with orthogonal columns (`spaces`) the sum over
all is what makes ⟨x⎸W y⟩ = ⟨Wᵀ x⎸y⟩ an identity of the sampled kets, whichever of the two is computed first.

All of this is within one sector (`parity`): hats of arguments of different parity are independent, and basis rows of
another parity than x have coefficients that are exactly 0, so a matrix is one `InitialOperator` for each sector.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from nexort.engine import Array
from nexort.errors import ComputationFault
from nexort.limit.columns import Basis, Rows
from nexort.limit.spaces import WidthSpace, describe_passes

if TYPE_CHECKING:
    from nexort.graph.terms import Place


class Side:
    """W (or Wᵀ) as a map from kets of the space `source` to hats in the space `target`."""

    def __init__(
        self, name: str, sigma: float, source: WidthSpace, target: WidthSpace, stream: np.random.Generator
    ) -> None:
        self.name = name
        self.sigma = sigma
        self._source = source
        self._target = target
        self._stream = stream
        self._arguments = Basis(source.samples, source.dtype, products=source.products)
        self._drawn = Rows(source.samples, source.dtype)

    @property
    def basis(self) -> Array:
        return self._arguments.rows

    @property
    def columns(self) -> Array:
        return self._drawn.array

    @property
    def rank(self) -> int:
        return self._arguments.rank

    def hat(self, X: Array, place: Place | None = None) -> Array:
        """⎸W x⟩^ for the rows x of X (k, N): σ C E, new directions of X drawing new columns E."""
        self._learn(X, place)
        return self._source.products.combine(self.sigma * self._arguments.coordinates(X), self.columns)

    def adjoint_dot(self, X: Array) -> Array:
        """⎸Wᵀ x⟩˙ = σ Σ_b ⎸Q_b⟩ ⟨E_b⎸x⟩ for the rows x of X (k, N), kets of `target`: the dots of the other side."""
        products = self._source.products
        return products.combine(self.sigma * products.inner(X, self.columns), self.basis)

    def checkpoint(self) -> Callable[[], None]:
        """A call of what this returns forgets the arguments since now, and will draw the same columns again."""
        rank, drawn, state = self._arguments.rank, self._drawn.count, self._stream.bit_generator.state

        def restore() -> None:
            self._arguments.truncate(rank)
            self._drawn.truncate(drawn)
            self._stream.bit_generator.state = state

        return restore

    def _learn(self, X: Array, place: Place | None) -> None:
        fresh = self._arguments.extend(X, ordered=self._target.nets)
        if self.rank >= self._source.samples:
            raise ComputationFault(
                f"the arguments of {self.name} fill all {self._source.samples} dimensions that the samples have"
                f"{describe_passes(place)}",
                place.span if place is not None else None,
                hint="use more samples (--samples)",
            )
        if len(fresh):
            self._source.absorb(fresh, place)
            self._drawn.append(self._target.draw(self._stream, len(fresh), place))


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
        if not np.isfinite(X).all():
            raise ComputationFault(
                f"an argument of {self.name} is not finite{describe_passes(place)}",
                place.span if place is not None else None,
            )
        if self.forward.sigma == 0:
            return np.zeros_like(X), np.zeros_like(X)
        this, other = (self.backward, self.forward) if is_transposed else (self.forward, self.backward)
        return this.hat(X, place), other.adjoint_dot(X)

    def apply(self, X: Array, *, is_transposed: bool = False, place: Place | None = None) -> Array:
        """⎸W x⟩ or ⎸Wᵀ x⟩ for the rows x of X (k, N)."""
        hat, dot = self.parts(X, is_transposed=is_transposed, place=place)
        hat += dot
        return hat
