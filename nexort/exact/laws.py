"""Expectations of products of Gaussian variables, their signs and densities, by rules that remove a factor at a time.

G stands for the other factors, ∂_j for the derivative in the j-th variable, C for covariances, m for means.

| factor | rule |
|---|---|
| e^E | E e^E G = e^(m_E + C_EE/2) E G, all means moved by C_jE (Cameron–Martin); E may be complex |
| δ(Y) | density of Y at 0, times the conditional expectation: means − C_jY m_Y/C_YY, covariances − C_iY C_jY/C_YY |
| δ^(k+1)(Y) | C_YY E δ^(k+1) G = −k E δ^(k−1) G − m_Y E δ^(k) G − Σ_j C_jY E δ^(k) ∂_j G |
| X | E X G = m_X E G + Σ_j C_jX E ∂_j G (Stein), ∂ sign = 2 δ |
| sign X | erf(m/√(2 C_XX)) |
| sign X sign Y | (2/π) atan2(C_XY, √(C_XX C_YY − C_XY²)) for means 0 |

An odd number of factors has expectation 0 if all means are 0.  C_XX C_YY − C_XY² is computed once for each pair: where
the angle between X and Y is small, the digits that it lacks cancel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from nexort.exact.covariances import Covariances
from nexort.exact.forms import ROUNDING
from nexort.exact.monomials import Monomial, NoClosedFormError, Variable, is_zero


@dataclass(frozen=True, slots=True)
class Moment:
    """∏ x · ∏ sign s · ∏ δ^(k)(d)"""

    linear: tuple[Variable, ...] = ()
    signs: tuple[Variable, ...] = ()
    densities: tuple[tuple[int, Variable], ...] = ()

    @classmethod
    def of(cls, monomial: Monomial) -> Moment:
        return cls(monomial.linear, monomial.signs, tuple((0, d) for d in monomial.densities))

    @property
    def key(self) -> Any:
        densities = sorted((k, d.key) for k, d in self.densities)
        return tuple(sorted(x.key for x in self.linear)), tuple(sorted(s.key for s in self.signs)), tuple(densities)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return (*self.linear, *self.signs, *(d for _, d in self.densities))

    @property
    def is_odd(self) -> bool:
        return (len(self.linear) + len(self.signs) + sum(k for k, _ in self.densities)) % 2 == 1

    def derivatives(self) -> Iterator[tuple[float, Variable, Moment]]:
        """(c, j, M) for each summand c · M of the derivative, in the variable j."""
        for i, x in enumerate(self.linear):
            yield 1.0, x, Moment(_without(self.linear, i), self.signs, self.densities)
        for i, s in enumerate(self.signs):
            yield 2.0, s, Moment(self.linear, _without(self.signs, i), (*self.densities, (0, s)))
        for i, (k, d) in enumerate(self.densities):
            yield 1.0, d, Moment(self.linear, self.signs, (*_without(self.densities, i), (k + 1, d)))


def _without(factors: tuple[Any, ...], at: int) -> tuple[Any, ...]:
    return factors[:at] + factors[at + 1 :]


class Law(ABC):
    """Means and covariances of the variables, each computed once; what is known to be 0 is 0.0."""

    def __init__(self) -> None:
        self._means: dict[int, Any] = {}
        self._pairs: dict[tuple[int, int], Any] = {}
        self._residuals: dict[tuple[int, int], Any] = {}
        self._moments: dict[Any, Any] = {}

    @abstractmethod
    def _mean(self, x: Variable) -> Any: ...

    @abstractmethod
    def _covariance(self, x: Variable, y: Variable) -> Any: ...

    def mean(self, x: Variable) -> Any:
        if x.key not in self._means:
            self._means[x.key] = self._mean(x)
        return self._means[x.key]

    def covariance(self, x: Variable, y: Variable) -> Any:
        key = (min(x.key, y.key), max(x.key, y.key))
        if key not in self._pairs:
            self._pairs[key] = self._covariance(x, y)
        return self._pairs[key]

    def residual(self, x: Variable, y: Variable) -> Any:
        """C_XX C_YY − C_XY², for X ≠ Y; 0 where the correlation is ±1 up to rounding."""
        key = (min(x.key, y.key), max(x.key, y.key))
        if key not in self._residuals:
            c, xx, yy = self.covariance(x, y), self.covariance(x, x), self.covariance(y, y)
            size = np.sqrt(xx) * np.sqrt(yy)
            gap = size - np.abs(c)
            self._residuals[key] = np.where(gap > ROUNDING * size, gap * (size + np.abs(c)), 0.0)
        return self._residuals[key]

    def expect(self, m: Moment) -> Any:
        """E of the product; raises NoClosedFormError."""
        if m.key not in self._moments:
            self._moments[m.key] = self._expect(m)
        return self._moments[m.key]

    def _expect(self, m: Moment) -> Any:
        if m.is_odd and all(is_zero(self.mean(x)) for x in m.variables):
            return 0.0
        # first those that are no derivatives: the rule for the others makes derivatives of all densities
        for i, (k, y) in sorted(enumerate(m.densities), key=lambda item: item[1][0]):
            rest = Moment(m.linear, m.signs, _without(m.densities, i))
            return self._steep(k - 1, y, rest) if k else self._density(y) * Conditional(self, y).expect(rest)
        if m.linear:
            return self._along(m.linear[0], Moment(m.linear[1:], m.signs))
        return self._signs(m.signs)

    def _along(self, x: Variable, rest: Moment) -> Any:
        """m_X E G + Σ_j C_jX E ∂_j G"""
        mean = self.mean(x)
        total: Any = 0.0 if is_zero(mean) else mean * self.expect(rest)
        for factor, y, slope in rest.derivatives():
            c = self.covariance(x, y)
            if not is_zero(c):
                value = self.expect(slope)
                if not is_zero(value):
                    total = total + factor * c * value
        return total

    def _steep(self, k: int, y: Variable, rest: Moment) -> Any:
        """E δ^(k+1)(Y) G"""
        total: Any = 0.0
        if k:
            total = -k * self.expect(Moment(rest.linear, rest.signs, (*rest.densities, (k - 1, y))))
        mean = self.mean(y)
        if not is_zero(mean):
            total = total - mean * self.expect(Moment(rest.linear, rest.signs, (*rest.densities, (k, y))))
        for factor, x, slope in rest.derivatives():
            c = self.covariance(x, y)
            if not is_zero(c):
                after = Moment(slope.linear, slope.signs, (*slope.densities, (k, y)))
                total = total - factor * c * self.expect(after)
        return over(total, self.covariance(y, y))

    def _density(self, y: Variable) -> Any:
        """That of Y at 0.  It is multiplied by covariances with Y, and so 0 where Y is constant."""
        mean, variance = self.mean(y), self.covariance(y, y)
        value = over(1.0, np.sqrt(2 * np.pi * variance))
        return value if is_zero(mean) else value * np.exp(-over(mean**2, 2 * variance))

    def _signs(self, signs: tuple[Variable, ...]) -> Any:
        means = [self.mean(s) for s in signs]
        if any(np.iscomplexobj(mean) for mean in means):
            raise NoClosedFormError
        match signs:
            case ():
                return 1.0
            case (x,):
                return _mean_sign(means[0], self.covariance(x, x))
            case (x, y) if is_zero(self.covariance(x, y)):
                return self._signs((x,)) * self._signs((y,))
            case (x, y) if all(is_zero(mean) for mean in means):
                return 2 / np.pi * np.arctan2(self.covariance(x, y), np.sqrt(self.residual(x, y)))
            case _:
                raise NoClosedFormError


def over(value: Any, divisor: Any) -> Any:
    """value / divisor, and 0 where the divisor is 0."""
    if is_zero(value):
        return value
    return value * np.divide(1.0, divisor, out=np.zeros(np.shape(divisor)), where=np.asarray(divisor) > 0)


def _mean_sign(mean: Any, variance: Any) -> Any:
    from scipy.special import erf

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(variance) > 0, erf(mean / np.sqrt(2 * variance)), np.sign(mean))


@final
class Initial(Law):
    """The law of the leaves."""

    def __init__(self, cov: Covariances) -> None:
        super().__init__()
        self.cov = cov

    def _mean(self, x: Variable) -> Any:
        total = x.constant
        for coefficient, form in x.parts:
            if form.mean.any():
                total = total + coefficient * form.mean
        return total

    def _covariance(self, x: Variable, y: Variable) -> Any:
        total: Any = x.noise if x.key == y.key else 0.0
        for a, form in x.parts:
            for b, other in y.parts:
                c = self.cov(form, other)
                if c.any():
                    total = total + a * b * c
        return total

    def square_of_sign(self, x: Variable) -> Any:
        """1, and 0 where the variable is the constant 0."""
        is_random = np.asarray(self.covariance(x, x)) > 0
        return 1.0 if is_random.all() else (is_random | (np.asarray(self.mean(x)) != 0)).astype(float)

    def without_exponents(self, monomial: Monomial) -> tuple[Law, Any]:
        """(law, c): E of the monomial is c times E of its other factors under the law."""
        if not monomial.exponents:
            return self, monomial.coefficient
        exponent: Any = 0.0
        for unit, x in monomial.exponents:
            exponent = exponent + unit * self.mean(x)
            for other, y in monomial.exponents:
                exponent = exponent + unit * other / 2 * self.covariance(x, y)
        return Shifted(self, monomial.exponents), monomial.coefficient * np.exp(exponent)


@final
class Shifted(Law):
    """All means moved by the covariances with Σ unit · exponent."""

    def __init__(self, law: Law, exponents: tuple[tuple[complex, Variable], ...]) -> None:
        super().__init__()
        self._law, self._exponents = law, exponents

    def _mean(self, x: Variable) -> Any:
        total = self._law.mean(x)
        for unit, exponent in self._exponents:
            c = self._law.covariance(x, exponent)
            if not is_zero(c):
                total = total + unit * c
        return total

    def _covariance(self, x: Variable, y: Variable) -> Any:
        return self._law.covariance(x, y)


@final
class Conditional(Law):
    """Given that a variable is 0."""

    def __init__(self, law: Law, given: Variable) -> None:
        super().__init__()
        self._law, self._given = law, given

    def _along(self, x: Variable, rest: Moment) -> Any:
        # the variable itself is the constant 0
        return 0.0 if x.key == self._given.key else super()._along(x, rest)

    def _mean(self, x: Variable) -> Any:
        law, given = self._law, self._given
        c, mean = law.covariance(x, given), law.mean(given)
        if x.key == given.key:
            return 0.0
        if is_zero(c) or is_zero(mean):
            return law.mean(x)
        return law.mean(x) - over(c * mean, law.covariance(given, given))

    def _covariance(self, x: Variable, y: Variable) -> Any:
        law, given = self._law, self._given
        if given.key in (x.key, y.key):
            return 0.0
        cx, cy = law.covariance(x, given), law.covariance(y, given)
        if is_zero(cx) or is_zero(cy):
            return law.covariance(x, y)
        if x.key == y.key:
            return over(law.residual(x, given), law.covariance(given, given))
        c = law.covariance(x, y) - over(cx * cy, law.covariance(given, given))
        # what has no variance left has no rounding errors for covariances either
        most = np.sqrt(self.covariance(x, x)) * np.sqrt(self.covariance(y, y))
        return np.clip(c, -most, most)
