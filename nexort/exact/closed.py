"""Closed forms of a group's value and slopes: its product as a sum of monomials (`monomials`), each by `laws`."""

from __future__ import annotations

from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from nexort.exact.covariances import Covariances, Group
from nexort.exact.forms import Array, Form
from nexort.exact.laws import Initial, Moment
from nexort.exact.monomials import Expansion, Monomials, NoClosedFormError, is_zero

OPERATIONS = 4
"""Array operations for a monomial: of four of relu(x) relu(y) two are odd, and two take about eight."""


def closed_value(group: Group, cov: Covariances) -> Array | float | None:
    """E of the group's product; None if there is no closed form."""
    law = Initial(cov)
    total: Any = 0.0
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            for monomial in _expand(group, law):
                shifted, scale = law.without_exponents(monomial)
                total = total + scale * shifted.expect(Moment.of(monomial))
    except NoClosedFormError:
        return None
    return _real(total)


def closed_slopes(group: Group, cov: Covariances) -> list[tuple[Form, Array | float]] | None:
    """E of the derivative of the group's product in each form that it is not 0 in; None if there is no closed form."""
    law = Initial(cov)
    slopes: dict[int, tuple[Form, Any]] = {}
    try:
        for monomial in _expand(group, law):
            shifted, scale = law.without_exponents(monomial)
            whole = Moment.of(monomial)
            steps = [(unit, x, whole) for unit, x in monomial.exponents]
            for factor, x, rest in (*steps, *whole.derivatives()):
                value = shifted.expect(rest)
                if not is_zero(value):
                    for coefficient, form in x.parts:
                        _, known = slopes.get(id(form), (form, 0.0))
                        slopes[id(form)] = (form, known + coefficient * factor * scale * value)
    except NoClosedFormError:
        return None
    return [(form, _real(value)) for form, value in slopes.values()]


def _expand(group: Group, law: Initial) -> Monomials:
    monomials = Expansion(law.square_of_sign).product(group.factors)
    law.cov.work.add(OPERATIONS * len(monomials) * prod(np.broadcast_shapes(*(x.shape for x in group.all_forms))))
    kept = tuple(m for m in monomials if np.any(m.coefficient))
    # ∂(sign X sign Y sign Z) is no sum of 2 δ times the other two where all three jump at once
    for m in kept:
        if len(m.signs) > 2 and any(np.any(law.residual(x, y) == 0) for x, y in combinations(m.signs, 2)):
            raise NoClosedFormError
    return kept


def _real(value: Any) -> Any:
    return value.real if np.iscomplexobj(value) else value
