"""Expectations of products of forms and functions of forms, to rounding or to quadrature's 1e-10.

The factors of a product are split into independent groups, and E ∏ = ∏_groups E.  In a group with functions, the forms
that they read must span at most two dimensions: with g₁, g₂ orthonormal in that span,

    ℓ = E ℓ + α g₁ + β g₂ for each such form,    L = E L + λ₁ g₁ + λ₂ g₂ + R for each form that is only multiplied by,

R independent of g₁, g₂, so that the R's are contracted in pairs (Wick) and a two-dimensional integral remains.
Derivatives are by Stein's lemma in the same coordinates, E ∂F/∂g_k = E g_k F: right at jumps and for dependent forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nexort.exact.closed import closed_slopes, closed_value
from nexort.exact.covariances import Covariances, Group, wick
from nexort.exact.forms import Array, Form, Gaussians
from nexort.exact.plane import AskedMoment, Plane
from nexort.exact.terms import Atom, Factor, Linear, forms_in


def split(factors: Sequence[Factor], cov: Covariances) -> list[Group]:
    """The factors in independent groups."""
    groups: list[tuple[list[Factor], list[Form]]] = []
    for factor in factors:
        forms = list(forms_in(factor))
        mine: tuple[list[Factor], list[Form]] = ([factor], forms)
        others: list[tuple[list[Factor], list[Form]]] = []
        for group in groups:
            if any(cov.meet(a, b) for a in forms for b in group[1]):
                mine = (group[0] + mine[0], group[1] + mine[1])
            else:
                others.append(group)
        groups = [*others, mine]
    return [
        Group(
            tuple(factor.form for factor in members if isinstance(factor, Linear)),
            tuple(factor for factor in members if isinstance(factor, Atom)),
        )
        for members, _ in groups
    ]


def expect(factors: Sequence[Factor], gaussians: Gaussians) -> Array | float:
    """E ∏ factors, of the family's axes."""
    cov = Covariances(gaussians)
    value: Array | float = 1.0
    for group in split(factors, cov):
        value = value * GroupIntegral(group, cov).value()
    return value


def expect_slopes(factors: Sequence[Factor], gaussians: Gaussians, leaves: Array) -> Array | float:
    """E ∂(∏ factors)/∂g_l for the given leaves l, (…, leaves)."""
    cov = Covariances(gaussians)
    parts = [GroupIntegral(group, cov) for group in split(factors, cov)]
    touched = [any(f.weights_on(leaves).any() for f in (*p.group.forms, *p.group.inner)) for p in parts]
    total: Array | float = 0.0
    for k, part in enumerate(parts):
        if touched[k]:
            others: Array | float = 1.0
            for j, other in enumerate(parts):
                if j != k:
                    others = others * other.value()
            total = total + np.asarray(others)[..., None] * part.slopes(leaves)
    return total


class GroupIntegral:
    """E of a group's product, and of its slopes."""

    def __init__(self, group: Group, cov: Covariances) -> None:
        self.group = group
        self._cov = cov
        self._value: Array | float | None = None

    @cached_property
    def _plane(self) -> Plane | None:
        return Plane(self.group, self._cov) if self.group.atoms else None

    def value(self) -> Array | float:
        if self._value is None:
            self._value = self._compute()
        return self._value

    def _compute(self) -> Array | float:
        value = closed_value(self.group, self._cov)
        if value is not None:
            return value
        (found,) = self._moments([(tuple(range(len(self.group.forms))), None)])
        return found

    def slopes(self, leaves: Array) -> Array:
        """E ∂/∂g_l: Σ_i weights_i E ∏_{j≠i} + Σ_k γ_k E ∂/∂g_k of the functions, γ_k the weights of g_k."""
        known = closed_slopes(self.group, self._cov)
        if known is not None:
            total = np.zeros(len(leaves))
            for form, slope in known:
                total = total + np.asarray(slope)[..., None] * form.weights_on(leaves)
            return total
        forms, plane = self.group.forms, self._plane
        everything = tuple(range(len(forms)))
        asked: list[AskedMoment] = [(everything[:i] + everything[i + 1 :], None) for i in range(len(forms))]
        directions = 0 if plane is None else plane.dimension
        asked += [(everything, k) for k in range(directions)]
        moments = self._moments(asked)
        without, steered = moments[: len(forms)], moments[len(forms) :]
        total = np.zeros(len(leaves))
        for i, form in enumerate(forms):
            total = total + np.asarray(without[i])[..., None] * form.weights_on(leaves)
        for k in range(directions):
            assert plane is not None
            slope = steered[k]
            for i in range(len(forms)):
                slope = slope - plane.along[i][k] * without[i]
            total = total + np.asarray(slope)[..., None] * plane.direction(k, leaves)
        return total

    def _moments(self, asked: Sequence[AskedMoment]) -> list[Any]:
        """E ∏_{i in subset} L_i · ∏ atoms, times g_k where k is given."""
        forms = self.group.forms
        if self._plane is None:
            return [
                wick([forms[i].mean for i in subset], lambda a, b, s=subset: self._cov(forms[s[a]], forms[s[b]]))
                for subset, _ in asked
            ]
        return self._plane.moments(asked)
