"""Averages over width axes: E over the factors on an axis, which are independent of those on other axes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce

import numpy as np

from nexort.exact.expect import expect, expect_slopes
from nexort.exact.forms import Array, Gaussians
from nexort.exact.kets import Ket, bind, collect, multiply_terms, place_ket
from nexort.exact.terms import Term, Terms
from nexort.exact.work import NotExactError

MAX_TERMS = 4096
"""Products of more terms are refused."""


def product_terms(kets: Sequence[Ket], rank: int) -> Terms:
    """All terms of the product of families of one shape, of `rank` axes, not collected."""
    total = 1
    for ket in kets:
        total *= len(ket.terms)
    if total > MAX_TERMS:
        raise NotExactError(f"a product here has {total} terms")
    if not kets:
        return (Term(np.ones((1,) * rank)),)
    products = [ket.terms for ket in kets]
    return reduce(lambda a, b: tuple(multiply_terms(x, y, rank) for x in a for y in b), products)


def average(ket: Ket, axes: Collection[int], gaussians: Gaussians, summed: Sequence[int] = ()) -> Ket:
    """The average over width axes, then the sum over static axes; the other width axes keep their numbers."""
    terms: list[Term] = []
    for term in ket.terms:
        coefficient = term.coefficient
        if coefficient.any():
            for axis in axes:
                coefficient = coefficient * expect([f for f in term.factors if f.axis == axis], gaussians)
            terms.append(Term(coefficient, tuple(f for f in term.factors if f.axis not in axes), term.bound))
    if summed:
        return bind(Ket(ket.shape, tuple(terms)), summed)
    return Ket(ket.shape, collect(terms, ket.rank))


def number_of(ket: Ket) -> Array | None:
    """The value of a family of constants, of its whole shape; None if some element is random."""
    value = np.zeros(ket.shape)
    for term in ket.terms:
        if term.factors or term.bound:
            return None
        value = value + term.coefficient
    return value


def inner(x: Ket, y: Ket, gaussians: Gaussians) -> Array:
    """⟨x⎸y⟩ for all pairs of elements, of shape x.shape + y.shape."""
    shape = (*x.shape, *y.shape)
    a = place_ket(x, tuple(range(x.rank)), shape)
    b = place_ket(y, tuple(range(x.rank, len(shape))), shape)
    value = number_of(average(Ket(shape, product_terms([a, b], len(shape))), {0}, gaussians))
    assert value is not None
    return value


def slopes(x: Ket, leaves: Array, gaussians: Gaussians) -> Array:
    """E ∂⎸x⟩/∂g_l for the given leaves, of shape x.shape + (leaves,)."""
    total = np.zeros((*x.shape, len(leaves)))
    for term in x.terms:
        slope = term.coefficient[..., None] * expect_slopes(term.factors, gaussians, leaves)
        for k, length in reversed(list(enumerate(term.bound))):
            axis = x.rank + k
            slope = slope.sum(axis=axis) if slope.shape[axis] > 1 else slope.squeeze(axis) * length
        total = total + slope
    return total
