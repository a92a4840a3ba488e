"""Kets as sums of products: constants, Gaussian forms, and functions of Gaussian forms.

    ket = Σ_terms Σ_bound coefficient · ∏ factors

A factor is a form (`Linear`) or a function of kets (`Atom`), each of one width axis; a ket has one, a tensor that is a
sum of outer products several.  `bound` are static axes that are summed: Σ_y c_y ⎸y⟩ over a family y is one term.
All arrays of a term have the axes shape + bound.  Terms that are a single form, and those without factors, are
collected: a ket that is linear in the leaves has one term for each, however it was computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from nexort.exact.forms import Array, Form, place
from nexort.exact.terms import Linear, Term, Terms, place_term, rename_factor, take_term
from nexort.exact.work import NotExactError

MAX_TERMS = 256
"""Products that would have more terms are refused."""


@dataclass(frozen=True, slots=True, eq=False)
class Ket:
    """A family of static shape `shape`: kets, or sums of outer products of several width axes."""

    shape: tuple[int, ...]
    terms: Terms

    @property
    def rank(self) -> int:
        return len(self.shape)


# placing families in families


def place_ket(ket: Ket, axes: Sequence[int], shape: tuple[int, ...]) -> Ket:
    """The family with its axes on the given axes of a family of another shape, broadcast along the others."""
    if tuple(axes) == tuple(range(len(shape))):
        return Ket(shape, ket.terms)
    count = len(shape)
    terms = [
        place_term(term, (*axes, *range(count, count + len(term.bound))), count + len(term.bound)) for term in ket.terms
    ]
    return Ket(shape, tuple(terms))


def with_width_axes(ket: Ket, axes: Sequence[int]) -> Ket:
    """The tensor with width axis k renamed to axes[k]."""
    if tuple(axes) == tuple(range(len(axes))):
        return ket
    terms = [Term(t.coefficient, tuple(rename_factor(f, axes) for f in t.factors), t.bound) for t in ket.terms]
    return Ket(ket.shape, tuple(terms))


# arithmetic


def constant(value: Array, shape: tuple[int, ...]) -> Ket:
    """The ket of a number for each element."""
    return Ket(shape, (Term(value),))


def add(*kets: Ket) -> Ket:
    return Ket(kets[0].shape, collect([term for ket in kets for term in ket.terms], kets[0].rank))


def scale(ket: Ket, factor: Array | float) -> Ket:
    """The ket times a number for each element: an array of the family's axes."""
    terms = [Term(t.coefficient * _widen(factor, len(t.bound)), t.factors, t.bound) for t in ket.terms]
    return Ket(ket.shape, collect(terms, ket.rank))


def _widen(value: Array | float, count: int) -> Array | float:
    return value.reshape(value.shape + (1,) * count) if isinstance(value, np.ndarray) else value


def multiply(first: Ket, second: Ket) -> Ket:
    """The product, entry by entry; width axes of the same number are the same axis."""
    if len(first.terms) * len(second.terms) > MAX_TERMS:
        raise NotExactError(f"a product of {len(first.terms)} and of {len(second.terms)} terms has too many terms")
    terms = [multiply_terms(a, b, first.rank) for a in first.terms for b in second.terms]
    return Ket(first.shape, collect(terms, first.rank))


def multiply_terms(first: Term, second: Term, rank: int) -> Term:
    """The product of two terms of families of `rank` axes; the bound axes of the first come first."""
    a, b = len(first.bound), len(second.bound)
    count = rank + a + b
    first = place_term(first, tuple(range(rank + a)), count)
    second = place_term(second, (*range(rank), *range(rank + a, count)), count)
    return Term(first.coefficient * second.coefficient, first.factors + second.factors, first.bound + second.bound)


def bind(ket: Ket, axes: Sequence[int]) -> Ket:
    """Σ over static axes of the family."""
    kept = [k for k in range(ket.rank) if k not in axes]
    bound = tuple(ket.shape[k] for k in axes)
    where = {k: position for position, k in enumerate((*kept, *axes))}
    terms: list[Term] = []
    for term in ket.terms:
        count = ket.rank + len(term.bound)
        order = (*(where[k] for k in range(ket.rank)), *range(ket.rank, count))
        placed = place_term(term, order, count)
        terms.append(Term(placed.coefficient, placed.factors, bound + term.bound))
    return Ket(tuple(ket.shape[k] for k in kept), collect(terms, len(kept)))


def select(ket: Ket, index: Sequence[int | None]) -> Ket:
    """The elements at fixed static indices, None where an axis stays."""
    kept = [k for k, at in enumerate(index) if at is None]
    result = ket
    for k in range(len(index) - 1, -1, -1):
        at = index[k]
        if at is not None:
            shape = result.shape[:k] + result.shape[k + 1 :]
            result = Ket(shape, tuple(take_term(t, at, k) for t in result.terms))
    assert result.rank == len(kept)
    return Ket(result.shape, collect(result.terms, result.rank))


def stack(kets: Sequence[Ket], axis: int) -> Ket:
    """The kets as the elements along a new static axis: each term times the indicator of its place."""
    rank, length = kets[0].rank, len(kets)
    shape = (*kets[0].shape[:axis], length, *kets[0].shape[axis:])
    terms: list[Term] = []
    for k, ket in enumerate(kets):
        indicator = np.zeros(length)
        indicator[k] = 1
        order = tuple(j + (j >= axis) for j in range(rank))
        placed = place_ket(ket, order, shape)
        terms.extend(scale(placed, place(indicator, (axis,), rank + 1)).terms)
    return Ket(shape, collect(terms, rank + 1))


# normal form


def collect(terms: Sequence[Term], rank: int) -> Terms:
    """The same sum with one term without factors and one of a single form on each width axis, and none that is 0."""
    numbers: list[Array] = []
    forms: dict[int, list[Form]] = {}
    rest: dict[tuple[int, ...], Term] = {}
    for term in terms:
        if not term.coefficient.any():
            continue
        if 1 in term.bound:
            term = _without_single(term, rank)
        match term.factors:
            case ():
                numbers.append(_sum_bound(term.coefficient, term.bound, rank))
            case (Linear(form, axis),):
                forms.setdefault(axis, []).append(_summed_form(term, form, rank))
            case factors:
                key = (*map(id, factors), len(term.bound))
                known = rest.get(key)
                if known is not None and known.bound == term.bound:
                    term = Term(known.coefficient + term.coefficient, factors, term.bound)
                rest[key] = term
    result = [Term(reduce(np.add, numbers))] if numbers else []
    for axis, found in forms.items():
        form = reduce(add_forms, found)
        if not form.is_constant:
            result.append(Term(np.ones((1,) * rank), (Linear(form, axis),)))
        elif form.mean.any():
            result.append(Term(form.mean))
    result.extend(term for term in rest.values() if term.coefficient.any())
    return tuple(result)


def _without_single(term: Term, rank: int) -> Term:
    """The term without the bound axes of length 1."""
    for k in range(len(term.bound) - 1, -1, -1):
        if term.bound[k] == 1:
            taken = take_term(term, 0, rank + k)
            term = Term(taken.coefficient, taken.factors, term.bound[:k] + term.bound[k + 1 :])
    return term


def unrolled(ket: Ket) -> Terms:
    """The terms with every element of a bound axis a term of its own."""
    terms = list(ket.terms)
    while any(term.bound for term in terms):
        terms = [part for term in terms for part in _elements_of_last(term, ket.rank)]
    return tuple(terms)


def _elements_of_last(term: Term, rank: int) -> list[Term]:
    """The summands along the last bound axis."""
    if not term.bound:
        return [term]
    *others, length = term.bound
    axis = rank + len(others)
    taken = [take_term(term, k, axis) for k in range(length)]
    return [Term(part.coefficient, part.factors, tuple(others)) for part in taken if part.coefficient.any()]


def add_forms(first: Form, second: Form) -> Form:
    a, b = first.weights, second.weights
    size = max(a.shape[-1], b.shape[-1])
    return Form(first.mean + second.mean, pad(a, size) + pad(b, size))


def pad(weights: Array, size: int) -> Array:
    """Weights of the first `size` leaves."""
    missing = size - weights.shape[-1]
    return np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, missing)]) if missing else weights


def _sum_bound(array: Array, bound: tuple[int, ...], rank: int) -> Array:
    """Σ over the bound axes, of which those of length 1 are broadcast."""
    for k, length in reversed(list(enumerate(bound))):
        array = array.sum(axis=rank + k) if array.shape[rank + k] > 1 else array.squeeze(rank + k) * length
    return array


def _summed_form(term: Term, form: Form, rank: int) -> Form:
    """Σ_bound coefficient · form."""
    if not term.bound and np.all(term.coefficient == 1):
        return form
    mean = _sum_bound(term.coefficient * form.mean, term.bound, rank)
    if not term.bound:
        return Form(mean, term.coefficient[..., None] * form.weights)
    spread = np.broadcast_shapes(term.coefficient.shape, form.mean.shape)
    full = spread[:rank] + term.bound
    where = [k for k in range(len(full)) if k < rank]
    coefficient = np.broadcast_to(term.coefficient, (*term.coefficient.shape[:rank], *term.bound))
    weights = np.broadcast_to(form.weights, (*form.weights.shape[:rank], *term.bound, form.weights.shape[-1]))
    axes = list(range(len(full)))
    summed = np.einsum(coefficient, axes, weights, [*axes, len(full)], [*where, len(full)], optimize=True)
    return Form(mean, np.asarray(summed))
