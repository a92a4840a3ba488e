"""Initial operators: hats and dots (TP4b Definition 2.6.5, (2.18) and (2.19)), without samples.

    ⎸W x⟩ = ⎸W x⟩^ + σ² Σ_y E[∂⎸x⟩/∂⎸Wᵀ y⟩^] ⎸y⟩,        Cov(⎸W x⟩^, ⎸W y⟩^) = σ² ⟨x⎸y⟩

Each argument makes one leaf of its own, also where it depends linearly on earlier ones: no Gram matrix is inverted.
The sum is over the arguments y that Wᵀ has met; those that x does not depend on have slope 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nexort.exact.averages import inner, slopes
from nexort.exact.forms import ROUNDING, Array, Block, Form, Gaussians, Leaves
from nexort.exact.kets import Ket, add, bind, place_ket, scale
from nexort.exact.terms import Linear, Term


@dataclass(slots=True)
class Side:
    """W or Wᵀ: the families that it has been applied to, and the leaves of their hats."""

    met: list[tuple[Ket, Block]] = field(default_factory=list)


class InitialOperator:
    """One initial matrix with entries N(0, variance/n)."""

    def __init__(self, variance: float, gaussians: Gaussians) -> None:
        self._variance = variance
        self._gaussians = gaussians
        self._sides = (Side(), Side())

    def apply(self, x: Ket, *, is_transposed: bool) -> Ket:
        """⎸W x⟩ for each element of the family, or ⎸Wᵀ x⟩."""
        if self._variance == 0:
            return Ket(x.shape, ())
        this, other = self._sides[is_transposed], self._sides[not is_transposed]
        gram = self._gram(x, x)
        norms = np.sqrt(np.maximum(np.diagonal(gram), 0))
        return add(self._dot(x, other, norms), self._hat(x, this, gram, norms))

    def _gram(self, x: Ket, y: Ket) -> Array:
        """σ² ⟨x⎸y⟩ of flattened families."""
        value = inner(x, y, self._gaussians).reshape(int(np.prod(x.shape, dtype=int)), -1)
        return self._variance * value

    def _hat(self, x: Ket, side: Side, gram: Array, norms: Array) -> Ket:
        gaussians = self._gaussians
        across: dict[Block, Array] = {}
        for y, block in side.met:
            sizes = np.sqrt(np.maximum(gaussians.variances(block), 0))
            across[block] = _without_rounding(self._gram(x, y), norms, sizes)
        block = gaussians.add(_without_rounding((gram + gram.T) / 2, norms, norms), across)
        side.met.append((x, block))
        form = Form(np.zeros((1,) * x.rank), Leaves(block, x.shape, tuple(range(x.rank)), x.rank))
        return Ket(x.shape, (Term(np.ones((1,) * x.rank), (Linear(form),)),))

    def _dot(self, x: Ket, other: Side, norms: Array) -> Ket:
        """σ² Σ_y E[∂⎸x⟩/∂⎸Wᵀ y⟩^] ⎸y⟩"""
        if not other.met:
            return Ket(x.shape, ())
        leaves = np.concatenate([np.arange(part.start, part.stop) for _, part in other.met])
        slope = slopes(x, leaves, self._gaussians)
        sizes = np.sqrt(np.maximum(np.concatenate([self._gaussians.variances(part) for _, part in other.met]), 0))
        # E ∂x/∂g is at most the norm of x over the deviation of g
        slope = _without_rounding((slope * sizes).reshape(len(norms), -1), norms, np.ones_like(sizes))
        slope = np.divide(slope, sizes, out=np.zeros_like(slope), where=sizes > 0).reshape(*x.shape, len(leaves))
        parts = [Ket(x.shape, ())]
        start = 0
        for y, part in other.met:
            parts.append(self._combine(x.shape, slope[..., start : start + part.size], y))
            start += part.size
        return add(*parts)

    def _combine(self, shape: tuple[int, ...], slope: Array, y: Ket) -> Ket:
        """σ² Σ_y slope · ⎸y⟩ for each element."""
        if not slope.any():
            return Ket(shape, ())
        rank, whole = len(shape), (*shape, *y.shape)
        placed = place_ket(y, tuple(range(rank, len(whole))), whole)
        coefficient = self._variance * slope.reshape(whole)
        return bind(scale(placed, coefficient), tuple(range(rank, len(whole))))


def _without_rounding(values: Array, first: Array, second: Array) -> Array:
    """0 for what is a rounding error beside the product of the two sizes."""
    return np.where(np.abs(values) <= ROUNDING * np.outer(first, second), 0.0, values)
