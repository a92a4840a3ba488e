"""Powers of n in a parametrized network: what its exponents say of sizes, before any verdict.

With A = a_{L+1} + b_{L+1} backward kets are n^-A times order 1, so that Q's inputs are of order 1 iff, (2.26) and its
generalisation to any architecture,

    d = a + A  (matrices, vectors),    d = a + A − 1  (scalars),    d = a_{L+1}  (output vectors),

and then an update moves the features, or for output vectors the output, by n^-r (TP4b Definition 2.2.3):

    r = c + a − 1  (matrices),    r = c + a  (vectors, scalars),    r = c + a_{L+1} − 1  (output vectors).

An update function that is homogeneous of degree k has Q(n^d g) = n^(k (d − d')) Q(n^d' g): the same program has the
faithful d' and c' = c + k (d' − d).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from nexort.errors import Label, TypeFault
from nexort.training.exponents import HALF, ONE, ZERO, Exponents, Parameter


@dataclass(frozen=True, kw_only=True)
class Scales:
    """The sizes that decide. `heads` are the output vectors, `rest` the other parameters; both by name."""

    a_out: Fraction
    heads: Mapping[str, Parameter]
    rest: Mapping[str, Parameter]
    A: Fraction
    """a_{L+1} + b_{L+1}."""
    faithful: Mapping[str, Exponents]
    """With d' and c' where Q is homogeneous or d is faithful; as given where Q meets another scale than 1."""
    rates: Mapping[str, Fraction]
    """r of each trained parameter."""

    @property
    def r(self) -> Fraction | None:
        """The least r of the parameters that are not output vectors; None if none of them is trained."""
        return min((self.rates[name] for name in self.rest if name in self.rates), default=None)

    def head_a(self, name: str) -> Fraction:
        """a_{L+1} of an output vector."""
        return self.heads[name].exponents.a + self.a_out

    def head_b(self, name: str) -> Fraction:
        """b_{L+1} of an output vector; of one that starts at 0 what gives it the others' A."""
        return self.A - self.head_a(name)

    def faithful_d(self, parameter: Parameter) -> Fraction:
        return _faithful_d(parameter, self.a_out, self.A)


def measure(parameters: Sequence[Parameter], a_out: Fraction) -> Scales:
    """Raises TypeFault where output vectors have different A: gradients of one would drown those of another."""
    heads = {parameter.name: parameter for parameter in parameters if parameter.is_output}
    rest = {parameter.name: parameter for parameter in parameters if not parameter.is_output}
    size = _backward_size(heads, a_out)
    faithful = {parameter.name: faithful_form(parameter, a_out, size) for parameter in parameters}
    rates = {
        parameter.name: faithful[parameter.name].c + _at_order_one(parameter, a_out)
        for parameter in parameters
        if parameter.is_trained
    }
    return Scales(a_out=a_out, heads=heads, rest=rest, A=size, faithful=faithful, rates=rates)


def faithful_form(parameter: Parameter, a_out: Fraction, size: Fraction) -> Exponents:
    """(a, b, c', d') of a homogeneous update function; the exponents as they are of another one."""
    own = parameter.exponents
    if parameter.degree is None or not parameter.is_trained:
        return own
    d = _faithful_d(parameter, a_out, size)
    return replace(own, c=own.c + parameter.degree * (d - own.d), d=d)


def initial_sum(parameter: Parameter) -> Fraction:
    """What a + b must be for a parameter that is not an output vector: W @ x, and entries, of order 1."""
    return HALF if parameter.kind == "matrix" else ZERO


def _at_order_one(parameter: Parameter, a_out: Fraction) -> Fraction:
    """r − c."""
    if parameter.is_output:
        return parameter.exponents.a + a_out - 1
    return parameter.exponents.a - (1 if parameter.kind == "matrix" else 0)


def _faithful_d(parameter: Parameter, a_out: Fraction, size: Fraction) -> Fraction:
    if parameter.is_output:
        return parameter.exponents.a + a_out
    return parameter.exponents.a + size - (1 if parameter.kind == "scalar" else 0)


def _backward_size(heads: Mapping[str, Parameter], a_out: Fraction) -> Fraction:
    """A: that of the output vectors with an initial value; else of their first update, a_{L+1} + c_{L+1}.

    Output vectors that start at 0 and stay there give the features no gradient at any A.
    """
    if not heads:
        return a_out
    started = [head for head in heads.values() if not head.starts_at_zero]
    updates = [
        a_out + head.exponents.a + faithful_form(head, a_out, ZERO).c for head in heads.values() if head.is_trained
    ]
    if not started:
        return min(updates, default=ONE)
    sizes = {head.name: a_out + head.exponents.a + head.exponents.b for head in started}
    first = started[0]
    for head in started:
        if sizes[head.name] != sizes[first.name]:
            raise TypeFault(
                f"the output vectors '{first.name}' and '{head.name}' have a_out + a + b = {sizes[first.name]} and "
                f"{sizes[head.name]}: they must agree",
                head.span,
                Label(first.span, f"'{first.name}' is declared here") if first.span is not None else None,
                hint="give all output vectors the same a + b",
            )
    return sizes[first.name]
