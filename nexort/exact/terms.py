"""Terms: products of Gaussian forms and of functions of them, in families."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from nexort.exact.forms import Array, Form, place
from nexort.symbolic import Operation


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A form that a term is multiplied by."""

    form: Form
    axis: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """operation(arguments), entry by entry; arguments are sums of terms without bound axes, or arrays of numbers."""

    operation: Operation
    arguments: tuple[Terms | Array, ...]
    axis: int = 0
    size: int = field(init=False)
    """The functions and forms in it, counted as often as they stand there: what a walk through it costs."""

    def __post_init__(self) -> None:
        terms = (term for argument in self.arguments if isinstance(argument, tuple) for term in argument)
        sizes = (f.size if isinstance(f, Atom) else 1 for term in terms for f in term.factors)
        object.__setattr__(self, "size", 1 + sum(sizes))


Factor: TypeAlias = Linear | Atom


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """Σ_bound coefficient · ∏ factors."""

    coefficient: Array
    factors: tuple[Factor, ...] = ()
    bound: tuple[int, ...] = ()


Terms: TypeAlias = tuple[Term, ...]


# in other families


def place_term(term: Term, axes: Sequence[int], count: int) -> Term:
    """The term with all its axes, bound ones last, on the given ones of `count`; `bound` is left to the caller."""
    if tuple(axes) == tuple(range(count)):
        return term
    factors = tuple(_place_factor(factor, axes, count) for factor in term.factors)
    return Term(place(term.coefficient, axes, count), factors, term.bound)


def _place_factor(factor: Factor, axes: Sequence[int], count: int) -> Factor:
    match factor:
        case Linear(form, axis):
            return Linear(form.placed(tuple(axes), count), axis)
        case Atom(operation, arguments, axis):
            return Atom(operation, tuple(_place_argument(x, axes, count) for x in arguments), axis)


def _place_argument(argument: Terms | Array, axes: Sequence[int], count: int) -> Terms | Array:
    if isinstance(argument, tuple):
        return tuple(place_term(term, axes, count) for term in argument)
    return place(argument, axes, count)


def _take(array: Array, at: int, axis: int) -> Array:
    return array.take(at if array.shape[axis] > 1 else 0, axis=axis)


def take_term(term: Term, at: int, axis: int) -> Term:
    factors = tuple(_take_factor(factor, at, axis) for factor in term.factors)
    return Term(_take(term.coefficient, at, axis), factors, term.bound)


def _take_factor(factor: Factor, at: int, axis: int) -> Factor:
    match factor:
        case Linear(form, width):
            return Linear(Form(_take(form.mean, at, axis), _take(form.weights, at, axis)), width)
        case Atom(operation, arguments, width):
            taken = tuple(
                tuple(take_term(t, at, axis) for t in x) if isinstance(x, tuple) else _take(x, at, axis)
                for x in arguments
            )
            return Atom(operation, taken, width)


def rename_factor(factor: Factor, axes: Sequence[int]) -> Factor:
    match factor:
        case Linear(form, axis):
            return Linear(form, axes[axis])
        case Atom(operation, arguments, axis):
            renamed = tuple(
                tuple(Term(t.coefficient, tuple(rename_factor(f, axes) for f in t.factors), t.bound) for t in x)
                if isinstance(x, tuple)
                else x
                for x in arguments
            )
            return Atom(operation, renamed, axes[axis])


def forms_in(factor: Factor) -> Iterator[Form]:
    """All forms that a factor reads, nested ones included; with repetitions."""
    match factor:
        case Linear(form):
            yield form
        case Atom(_, arguments):
            for argument in arguments:
                if isinstance(argument, tuple):
                    for term in argument:
                        for inner in term.factors:
                            yield from forms_in(inner)
