"""The powers of n of a parametrization (TP4b Definition 2.2.1, for any architecture's parameters Definition 2.9.7).

A parameter has exponents (a, b, c, d).  Trained is w, which starts as n^-b times its declared law; the model reads
the effective weight n^-a w; with g = ∂L/∂w (raw partial derivatives) an update is

    w ← (1 − λ) w − η n^-c Q(n^d g_0, …, n^d g_t).

The output is f = n^(1 − a_out) avg(returned vector).  An *output vector* is a vector parameter v that stands in the
returned vector as v * z and nowhere else; for it

    a_{L+1} = a_v + a_out,    b_{L+1} = b_v,

and without one a_{L+1} = a_out, b_{L+1} = 0.  Exponents are exact fractions: what holds with equality decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from nexort.errors import TypeFault
from nexort.source import Span

Kind = Literal["matrix", "vector", "scalar"]
Letter = Literal["a", "b", "c", "d"]

HALF = Fraction(1, 2)
ZERO = Fraction(0)
ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Exponents:
    a: Fraction
    b: Fraction
    c: Fraction
    d: Fraction

    def shifted(self, theta: Fraction) -> Exponents:
        """The same training written for n^θ w in place of w, (2.5): a + θ, b − θ, c − θ, d + θ."""
        return Exponents(self.a + theta, self.b - theta, self.c - theta, self.d + theta)

    def slowed(self, power: Fraction) -> Exponents:
        """With a rate that has the factor n^-power."""
        return replace(self, c=self.c + power)

    def __str__(self) -> str:
        return f"({self.a}, {self.b}, {self.c}, {self.d})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a model (or a family of them) and how it is trained."""

    name: str
    kind: Kind
    is_output: bool
    """A vector that stands in the returned vector as v * z and nowhere else."""
    starts_at_zero: bool
    """Its law or value is 0: then b has no meaning."""
    exponents: Exponents
    degree: Fraction | None
    """Of homogeneity of its update function in all past gradients, None if it is not homogeneous."""
    span: Span | None
    is_trained: bool = True
    """False with rate 0: then c and d have no meaning."""


@dataclass(frozen=True, kw_only=True)
class Parametrization:
    """Exponents by kind of parameter, by name where one has its own."""

    name: str
    a_out: Fraction
    by_kind: Mapping[Kind, Exponents]
    output: Exponents | None = None
    """Of the output vectors, if not those of the other vectors."""
    by_name: Mapping[str, Exponents] = field(default_factory=dict)

    def exponents(self, kind: Kind, name: str, is_output: bool, span: Span | None = None) -> Exponents:
        """Raises TypeFault, at `span`, where the parametrization says nothing of the kind."""
        if name in self.by_name:
            return self.by_name[name]
        if is_output and self.output is not None:
            return self.output
        if kind not in self.by_kind:
            message = f"the parametrization {self.name} gives no exponents for the {kind} parameter '{name}'"
            raise TypeFault(message, span, hint=f"add {kind}=(a, b, c, d) or {name}=(a, b, c, d)")
        return self.by_kind[kind]


def up(s: Fraction, *, name: str | None = None) -> Parametrization:
    """UP_s, uniform parametrization (TP4b Definition 2.8.23; docs/design.md): s = 0 is µP, s = 1/2 NTP.

    r = s for every parameter that is not an output vector; the output trains at order 1, the features at n^-s.
    """
    return Parametrization(
        name=name or f"up({s})",
        a_out=1 - s,
        by_kind={
            "matrix": Exponents(ZERO, HALF, 1 + s, 1 - s),
            "vector": Exponents(ZERO, ZERO, s, 1 - s),
            "scalar": Exponents(ZERO, ZERO, s, -s),
        },
    )


def mup() -> Parametrization:
    """The maximal update parametrization, UP_0."""
    return up(ZERO, name="mup")


def ntp() -> Parametrization:
    """The neural tangent parametrization, UP_1/2."""
    return up(HALF, name="ntp")


def standard() -> Parametrization:
    """The standard parametrization (TP4b Remark 2.2.7): weights of size 1/√fan-in, one rate, raw gradients."""
    plain = Exponents(ZERO, ZERO, ZERO, ZERO)
    wide = Exponents(ZERO, HALF, ZERO, ZERO)
    by_kind: dict[Kind, Exponents] = {"matrix": wide, "vector": plain, "scalar": plain}
    return Parametrization(name="standard", a_out=ZERO, by_kind=by_kind, output=wide)


def abcd(by_kind: Mapping[Kind, Exponents], by_name: Mapping[str, Exponents], a_out: Fraction) -> Parametrization:
    """Any exponents; those by name go before those by kind."""
    return Parametrization(name="abcd", a_out=a_out, by_kind=dict(by_kind), by_name=dict(by_name))
