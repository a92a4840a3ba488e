"""Functions of Gaussian forms as sums of monomials, whose expectations have closed forms (`closed`).

A monomial is a product of variables, of their signs, and of exponentials of them.  A variable is an affine combination
of forms, and a noise Z ~ N(0, τ) of its own, over which the expectation is taken too:

| function | as monomials |
|---|---|
| max(A, B), min(A, B) | (A + B)/2 ± (A − B) sign(A − B)/2 |
| ⎸X⎸, step X | X sign X, (sign² X + sign X)/2 |
| where(A > B, F, G) | G + (F − G) step(A − B) |
| erf X | sign(X + Z), τ = 1/2 |
| Φ(X) | step(X + Z), τ = 1 |
| e^(−X²/2τ) | √(2πτ) δ(X + Z) |
| sin X, cos X | of e^(iX) and e^(−iX) |

relu, leaky relu, abs, gelu, erf and their derivatives are made of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypeAlias

import numpy as np

from nexort.exact.forms import Form
from nexort.exact.functions import as_terms
from nexort.exact.terms import Atom, Factor, Linear, Term, Terms

MAX_MONOMIALS = 128
"""Sums of more are left to quadrature."""

_keys = count(-1, -1)
"""Keys of variables that are no forms; forms have their ids."""


class NoClosedFormError(Exception):
    """The function or the expectation is none of those above."""


@dataclass(frozen=True, slots=True)
class Variable:
    """Σ coefficient · form + constant + Z, Z ~ N(0, noise) independent of everything else; equal by its key."""

    key: int
    parts: tuple[tuple[Any, Form], ...]
    constant: Any = 0.0
    noise: Any = 0.0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Variable) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, slots=True)
class Monomial:
    """coefficient · ∏ x · ∏ sign s · ∏ δ(d) · ∏ e^(unit e)"""

    coefficient: Any = 1.0
    linear: tuple[Variable, ...] = ()
    signs: tuple[Variable, ...] = ()
    densities: tuple[Variable, ...] = ()
    exponents: tuple[tuple[complex, Variable], ...] = ()


Monomials: TypeAlias = tuple[Monomial, ...]
ONE: Monomials = (Monomial(),)


class Expansion:
    """`square_of_sign`: sign² of a variable, 1 but where it is the constant 0."""

    def __init__(self, square_of_sign: Callable[[Variable], Any]) -> None:
        self._square_of_sign = square_of_sign
        self._sums: dict[Any, Variable] = {}
        """Variables of several forms, by their coefficients over the first."""

    def product(self, factors: Sequence[Factor]) -> Monomials:
        """∏ factors; raises NoClosedFormError."""
        result = ONE
        for factor in factors:
            result = self._times(result, self._factor(factor))
        return result

    def _factor(self, factor: Factor) -> Monomials:
        match factor:
            case Linear(form):
                return (Monomial(linear=(of_form(form),)),)
            case Atom("maximum", (first, second)):
                return self._larger(as_terms(first), as_terms(second), 0.5)
            case Atom("minimum", (first, second)):
                return self._larger(as_terms(first), as_terms(second), -0.5)
            case Atom("absolute", (first,)):
                x = affine(as_terms(first))
                return self._times(linear(x), self._sign(x))
            case Atom("sign", (first,)):
                return self._sign(affine(as_terms(first)))
            case Atom("step", (first,)):
                return self._step(affine(as_terms(first)))
            case Atom("erf", (first,)):
                return (Monomial(signs=(noisy(affine(as_terms(first)), 0.5),)),)
            case Atom("normal_cdf", (first,)):
                return (Monomial(0.5), Monomial(0.5, signs=(noisy(affine(as_terms(first)), 1.0),)))
            case Atom("exp", (first,)):
                return (_exponential(as_terms(first)),)
            case Atom("sin" | "cos" as name, (first,)):
                x = affine(as_terms(first))
                c = -0.5j if name == "sin" else 0.5
                return Monomial(c, exponents=((1j, x),)), Monomial(np.conj(c), exponents=((-1j, x),))
            case Atom("select", (mask, chosen, other)):
                return self._select(as_terms(mask), as_terms(chosen), as_terms(other))
            case Atom():
                raise NoClosedFormError

    def _larger(self, first: Terms, second: Terms, half: float) -> Monomials:
        """(A + B)/2 + half · (A − B) sign(A − B)"""
        a, b = affine(first), affine(second)
        gap = combine(a, b, -1.0)
        mean = tuple(replace(m, coefficient=0.5 * m.coefficient) for m in linear(combine(a, b, 1.0)))
        spread = tuple(replace(m, coefficient=half * m.coefficient) for m in linear(gap))
        return mean + self._times(spread, self._sign(gap))

    def _sign(self, x: Variable) -> Monomials:
        """sign(c X) = sign(c) sign(X), so that X is known again."""
        if len(x.parts) == 1 and is_zero(x.constant):
            ((coefficient, form),) = x.parts
            return (Monomial(np.sign(coefficient), signs=(of_form(form),)),)
        numbers = [x.constant, *(coefficient for coefficient, _ in x.parts)]
        if not x.parts or any(np.size(number) != 1 for number in numbers):
            return (Monomial(signs=(x,)),)
        values = [float(np.reshape(number, ())) for number in numbers]
        scale = values[1]
        key = tuple(value / scale for value in values), tuple(id(form) for _, form in x.parts)
        return (Monomial(float(np.sign(scale)), signs=(self._sums.setdefault(key, _scaled(x, 1 / scale)),)),)

    def _step(self, x: Variable) -> Monomials:
        (sign,) = self._sign(x)
        return Monomial(0.5 * self._square_of_sign(x)), replace(sign, coefficient=0.5 * sign.coefficient)

    def _select(self, mask: Terms, chosen: Terms, other: Terms) -> Monomials:
        if len(mask) != 1 or len(mask[0].factors) != 1 or not np.all(mask[0].coefficient == 1):
            raise NoClosedFormError
        match mask[0].factors[0]:
            case Atom(operation, (first, second)):
                pass
            case _:
                raise NoClosedFormError
        a, b = affine(as_terms(first)), affine(as_terms(second))
        # ties have positive probability where A − B is constant: A ≥ B is not (B > A)
        match operation:
            case "greater" | "less_equal":
                step = self._step(combine(a, b, -1.0))
            case "less" | "greater_equal":
                step = self._step(combine(b, a, -1.0))
            case _:
                raise NoClosedFormError
        if operation in ("less_equal", "greater_equal"):
            chosen, other = other, chosen
        yes, no = self._sum(chosen), self._sum(other)
        gap = yes + tuple(replace(m, coefficient=-m.coefficient) for m in no)
        return no + self._times(gap, step)

    def _sum(self, terms: Terms) -> Monomials:
        found: list[Monomial] = []
        for term in terms:
            product = self.product(term.factors)
            found += [replace(m, coefficient=m.coefficient * term.coefficient) for m in product]
        return tuple(found)

    def _times(self, first: Monomials, second: Monomials) -> Monomials:
        if len(first) * len(second) > MAX_MONOMIALS:
            raise NoClosedFormError
        return tuple(self._product_of_two(a, b) for a in first for b in second)

    def _product_of_two(self, a: Monomial, b: Monomial) -> Monomial:
        coefficient, signs = a.coefficient * b.coefficient, list(a.signs)
        for sign in b.signs:
            if sign in signs and is_zero(sign.noise):
                signs.remove(sign)
                coefficient = coefficient * self._square_of_sign(sign)
            else:
                signs.append(sign)
        return Monomial(
            coefficient, a.linear + b.linear, tuple(signs), a.densities + b.densities, a.exponents + b.exponents
        )


def is_zero(value: Any) -> bool:
    """Whether it is known to be 0; arrays of zeros are turned into 0.0 where they are made."""
    return isinstance(value, float) and not value


def of_form(form: Form) -> Variable:
    return Variable(id(form), ((1.0, form),))


def noisy(x: Variable, noise: Any) -> Variable:
    return Variable(next(_keys), x.parts, x.constant, noise)


def combine(first: Variable, second: Variable, factor: float) -> Variable:
    """first + factor · second"""
    parts: dict[int, tuple[Any, Form]] = {id(form): (c, form) for c, form in first.parts}
    for c, form in second.parts:
        known, _ = parts.get(id(form), (0.0, form))
        parts[id(form)] = (known + factor * c, form)
    return _variable(tuple(parts.values()), first.constant + factor * second.constant)


def _scaled(x: Variable, factor: float) -> Variable:
    return _variable(tuple((factor * c, form) for c, form in x.parts), factor * x.constant)


def _variable(parts: tuple[tuple[Any, Form], ...], constant: Any) -> Variable:
    kept = tuple((c, form) for c, form in parts if np.any(c))
    return Variable(next(_keys), kept, constant if np.any(constant) else 0.0)


def affine(terms: Terms) -> Variable:
    """The sum as a variable; raises NoClosedFormError."""
    parts: dict[int, tuple[Any, Form]] = {}
    constant: Any = 0.0
    for term in terms:
        match term.factors:
            case ():
                constant = constant + term.coefficient
            case (Linear(form),):
                known, _ = parts.get(id(form), (0.0, form))
                parts[id(form)] = (known + term.coefficient, form)
            case _:
                raise NoClosedFormError
    return _variable(tuple(parts.values()), constant)


def linear(x: Variable) -> Monomials:
    """The variable as a sum of multiples of forms."""
    found = [Monomial(coefficient, linear=(of_form(form),)) for coefficient, form in x.parts]
    return tuple(found) if is_zero(x.constant) else (*found, Monomial(x.constant))


def _exponential(terms: Terms) -> Monomial:
    """e^(Σ q X² + affine), each q negative."""
    coefficient: Any = 1.0
    densities: list[Variable] = []
    rest: list[Term] = []
    for term in terms:
        match term.factors:
            case (Linear(first), Linear(second)) if first is second:
                if not np.all(term.coefficient < 0):
                    raise NoClosedFormError
                tau = -0.5 / term.coefficient
                coefficient = coefficient * np.sqrt(2 * np.pi * tau)
                densities.append(noisy(of_form(first), tau))
            case _:
                rest.append(term)
    exponent = affine(tuple(rest))
    if not exponent.parts:
        return Monomial(coefficient * np.exp(exponent.constant), densities=tuple(densities))
    return Monomial(coefficient, densities=tuple(densities), exponents=((1.0, exponent),))
