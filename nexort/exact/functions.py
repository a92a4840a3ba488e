"""Functions of kets: their values, where they have kinks and jumps, and their degrees of homogeneity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nexort.exact.forms import Array, Form
from nexort.exact.kets import pad
from nexort.exact.terms import Atom, Factor, Linear, Term, Terms
from nexort.exact.work import NotExactError
from nexort.symbolic import MASKS, Operation, numpy_operation


def atom_value(atom: Atom, values: dict[int, Array], pick: Callable[[Array], Array]) -> Any:
    """The function at the given values of its forms."""
    inputs = [terms_value(x, values, pick) if isinstance(x, tuple) else pick(x) for x in atom.arguments]
    return operate_on_arrays(atom.operation, inputs)


def operate_on_arrays(operation: Operation, inputs: Sequence[Any]) -> Any:
    if operation == "select":
        mask, chosen, other = inputs
        return np.where(mask, chosen, other)
    return numpy_operation(operation)(*inputs)


def terms_value(terms: Terms, values: dict[int, Array], pick: Callable[[Array], Array]) -> Any:
    total: Any = 0.0
    for term in terms:
        product: Any = pick(term.coefficient)
        for factor in term.factors:
            product = product * (
                values[id(factor.form)] if isinstance(factor, Linear) else atom_value(factor, values, pick)
            )
        total = total + product
    return total


def degree_of(factor: Factor) -> int | None:
    """k where f(c g) = c^k f(g) for c > 0, of a function of centred forms; None if there is no such k."""
    match factor:
        case Linear(form):
            return None if form.mean.any() else 1
        case Atom("step" | "sign", (first,)):
            return None if _degree_of_terms(as_terms(first)) is None else 0
        case Atom("absolute", (first,)):
            return _degree_of_terms(as_terms(first))
        case Atom("maximum" | "minimum", (first, second)):
            return _degree_of_terms(_difference(as_terms(first), as_terms(second)))
        case _:
            return None


def _degree_of_terms(terms: Terms) -> int | None:
    found: set[int | None] = set()
    for term in terms:
        if term.coefficient.any():
            degrees = [degree_of(factor) for factor in term.factors]
            found.add(None if None in degrees else sum(degree or 0 for degree in degrees))
    return found.pop() if len(found) == 1 else None


_AT_ZERO = frozenset({"step", "sign", "absolute"})
_AT_TIES = frozenset({"maximum", "minimum"}) | MASKS
_ZERO_WITH_ARGUMENT = _AT_ZERO | frozenset({"tanh", "erf"})
_NEVER_ZERO = frozenset({"exp", "normal_cdf", "reciprocal"})
_JUMPS = MASKS | {"step", "sign"}
MAX_BRANCHES = 64


def kink_forms(atom: Atom) -> list[Form]:
    """Forms at whose zeros the function has a kink or a jump."""
    found: list[Form] = []
    for argument in atom.arguments:
        if isinstance(argument, tuple):
            for term in argument:
                for factor in term.factors:
                    if isinstance(factor, Atom):
                        found += kink_forms(factor)
    here: list[Form] = []
    if atom.operation in _AT_ZERO:
        here = zero_forms(as_terms(atom.arguments[0]))
    elif atom.operation in _AT_TIES:
        here = zero_forms(_difference(*map(as_terms, atom.arguments[:2])))
    if atom.operation in _JUMPS:
        for form in here:
            _refuse_jump_at_rounding(form)
    return found + here


def _refuse_jump_at_rounding(form: Form) -> None:
    """A value that is constant, and not 0 by rounding only, would be sent to either side of the jump."""
    if form.is_constant and np.any((form.mean != 0) & (np.abs(form.mean) < 1e-10)):
        raise NotExactError("a jump is taken of a value that is 0 up to rounding, with positive probability")


def zero_forms(terms: Terms) -> list[Form]:
    """Forms among whose zeros, and the kinks inside, the boundaries of {terms = 0} lie."""
    affine = as_form(terms)
    if affine is not None:
        return [affine]
    if len(terms) == 1:
        return [form for factor in terms[0].factors for form in _zeros_of_factor(factor)]
    return [form for branch in _branches(terms) for form in zero_forms(branch)]


def _zeros_of_factor(factor: Factor) -> list[Form]:
    match factor:
        case Linear(form):
            return [form]
        case Atom(operation, arguments) if operation in _ZERO_WITH_ARGUMENT:
            return zero_forms(as_terms(arguments[0]))
        case Atom("maximum" | "minimum", arguments):
            return [form for argument in arguments for form in zero_forms(as_terms(argument))]
        case Atom(operation) if operation in _NEVER_ZERO:
            return []
        case Atom(operation):
            raise NotExactError(f"a function with a kink or a jump is taken of {operation} of a ket")


def _branches(terms: Terms) -> list[Terms]:
    """What a piecewise linear sum is between its kinks: each maximum one of its arguments, each step 0 or 1."""
    choices: list[Terms] = [()]
    for term in terms:
        if sum(isinstance(factor, Linear) for factor in term.factors) > 1:
            raise NotExactError("a function with a kink or a jump is taken of a sum of products")
        options: list[Terms] = [(Term(term.coefficient, (), term.bound),)]
        for factor in term.factors:
            options = [_times(option, value) for option in options for value in _branches_of_factor(factor)]
        choices = [choice + option for choice in choices for option in options]
        if len(choices) > MAX_BRANCHES:
            raise NotExactError("a function with a kink or a jump is taken of a sum of too many functions")
    return choices


def _branches_of_factor(factor: Factor) -> list[Terms]:
    match factor:
        case Linear(form):
            return [(Term(np.ones((1,) * form.mean.ndim), (factor,)),)]
        case Atom("maximum" | "minimum", arguments):
            return [as_terms(argument) for argument in arguments]
        case Atom("absolute", (argument, *_)):
            return [as_terms(argument), _difference((), as_terms(argument))]
        case Atom("step" | "sign"):
            return [(Term(np.full((), value)),) for value in (-1.0, 0.0, 1.0)]
        case Atom():
            raise NotExactError("a function with a kink or a jump is taken of a sum of functions")


def _times(first: Terms, second: Terms) -> Terms:
    return tuple(Term(a.coefficient * b.coefficient, a.factors + b.factors) for a in first for b in second)


def as_terms(argument: Terms | Array) -> Terms:
    return argument if isinstance(argument, tuple) else (Term(argument),)


def _difference(first: Terms, second: Terms) -> Terms:
    return first + tuple(Term(-term.coefficient, term.factors, term.bound) for term in second)


def as_form(terms: Terms) -> Form | None:
    """The sum as one form, if it is linear in the leaves."""
    if any(term.bound or len(term.factors) > 1 or any(isinstance(f, Atom) for f in term.factors) for term in terms):
        return None
    mean, weights = np.zeros(()), np.zeros(0)
    for term in terms:
        match term.factors:
            case (Linear(form),):
                size = max(weights.shape[-1], form.weights.shape[-1])
                mean = mean + term.coefficient * form.mean
                weights = pad(weights, size) + term.coefficient[..., None] * pad(form.weights, size)
            case _:
                mean = mean + term.coefficient
    axes = max(np.ndim(mean) + 1, weights.ndim)
    return Form(np.asarray(mean), weights.reshape((1,) * (axes - weights.ndim) + weights.shape))


def arrays_in(atom: Atom) -> list[Array]:
    found: list[Array] = []
    for argument in atom.arguments:
        if not isinstance(argument, tuple):
            found.append(argument)
            continue
        for term in argument:
            found.append(term.coefficient)
            for factor in term.factors:
                if isinstance(factor, Atom):
                    found += arrays_in(factor)
    return found
