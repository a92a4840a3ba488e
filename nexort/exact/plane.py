"""Two coordinates for the forms that functions read, and the integrals over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from nexort.exact import series
from nexort.exact.covariances import Covariances, Group, wick
from nexort.exact.forms import ROUNDING, Array, Form
from nexort.exact.functions import arrays_in, atom_value, degree_of, kink_forms
from nexort.exact.quadrature import Lines, NotConvergedError, integrate
from nexort.exact.terms import Atom, forms_in
from nexort.exact.work import NotExactError

DEPENDENT = 1e-11
"""Forms of correlation matrix with a third eigenvalue (pivot) below this span two dimensions."""
CLEARLY = 1e-6
"""The same for an eigenvalue, where no pivots are at hand; what is less is looked at again."""
TOO_MANY_DIMENSIONS = "the functions here depend on more than two Gaussian directions at once"
MAX_FORMS = 200
"""More forms are not looked at, although they might be dependent."""

AskedMoment: TypeAlias = tuple[tuple[int, ...], int | None]
"""Forms of the group by number, and the coordinate g_k beside them or None."""


class Plane:
    """Coordinates g₁, g₂ of the forms that a group's functions read, and integrals over them."""

    def __init__(self, group: Group, cov: Covariances) -> None:
        self.group = group
        inner = group.inner
        if len(inner) > MAX_FORMS:
            raise NotExactError(f"the functions here read {len(inner)} Gaussian forms, which are too many")
        self._inner = inner
        arrays = [a for atom in group.atoms for a in arrays_in(atom)]
        shapes = [x.shape for x in (*inner, *group.forms, *arrays)]
        self.shape = np.broadcast_shapes(*shapes)
        self._work = cov.work
        self._work.add(np.prod(self.shape, dtype=float) * len(inner) ** 2)
        if len(inner) > 2:
            self._refuse_dimensions(cov)
        self._build(cov)

    def _refuse_dimensions(self, cov: Covariances) -> None:
        """Looks at one element, as general as they come (its indices differ), before the work on all of them."""
        at = [k % size for k, size in enumerate(self.shape)]
        rows = [x.weights[tuple(k % n for k, n in zip(at, x.weights.shape, strict=False))] for x in self._inner]
        if np.linalg.eigvalsh(cov.correlations(rows))[-3] > CLEARLY:
            raise NotExactError(TOO_MANY_DIMENSIONS)

    def _build(self, cov: Covariances) -> None:
        inner = self._inner
        m = len(inner)
        C = np.empty((*self.shape, m, m))
        for i in range(m):
            for j in range(i + 1):
                C[..., i, j] = C[..., j, i] = cov(inner[i], inner[j])
        sd = np.sqrt(np.maximum(np.diagonal(C, axis1=-2, axis2=-1), 0))
        inverse = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
        R = C * inverse[..., :, None] * inverse[..., None, :]
        first = np.argmax(sd, axis=-1)
        rho = _pick(R, first)
        rho = np.where(1 - np.abs(rho) < ROUNDING, np.sign(rho), rho)
        np.put_along_axis(rho, first[..., None], np.where(sd.max(axis=-1) > 0, 1.0, 0.0)[..., None], axis=-1)
        rest = np.where(inverse > 0, (1 - rho) * (1 + rho), 0.0)
        second = np.argmax(rest, axis=-1)
        size = np.sqrt(np.take_along_axis(rest, second[..., None], -1))
        safe = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
        across = (_pick(R, second) - rho * np.take_along_axis(rho, second[..., None], -1)) * safe
        np.put_along_axis(across, second[..., None], size, axis=-1)
        left = np.where(inverse > 0, rest - across**2, 0.0)
        if m > 2 and left.max(initial=0) > DEPENDENT:
            raise NotExactError(TOO_MANY_DIMENSIONS)
        self.dimension = 2 if size.any() else int(sd.any())
        self._first, self._second, self._rho, self._safe, self._inverse = first, second, rho, safe, inverse
        self._alpha, self._beta = rho * sd, across * sd
        self._deviations = [np.sqrt(np.maximum(cov(x, x), 0)) for x in inner]
        # the pivot is one of the two, so that its row of correlations holds theirs
        self._rho_of_pair = rho.prod(axis=-1)
        self.along = [self._coordinates(form, cov) for form in self.group.forms]
        self._residual = {
            (i, j): self._remove(cov(a, b), self.along[i], self.along[j])
            for i, a in enumerate(self.group.forms)
            for j, b in enumerate(self.group.forms)
            if i < j
        }
        lines: list[tuple[Array, Array, Array]] = []
        for form in (form for atom in self.group.atoms for form in kink_forms(atom)):
            line = (form.mean, *self._coordinates(form, cov))
            if not any(all(np.array_equal(a, b) for a, b in zip(line, known, strict=True)) for known in lines):
                lines.append(line)
        self._lines = lines

    def _by_series(self) -> Array | None:
        """E f(X) g(Y) by Mehler's formula, where the functions are analytic and each is of one of two forms."""
        if len(self._inner) != 2 or self._lines:
            return None
        mine = [[{id(f) for f in forms_in(atom)} == {id(x)} for atom in self.group.atoms] for x in self._inner]
        if not all(a or b for a, b in zip(*mine, strict=True)):
            return None
        families: list[Array] = []
        for k, x in enumerate(self._inner):
            atoms = [atom for atom, is_mine in zip(self.group.atoms, mine[k], strict=True) if is_mine]
            found = series.coefficients(self._values_along(x, self._deviations[k], atoms))
            if found is None:
                return None
            families.append(found)
        return series.combine(families[0], families[1], self._rho_of_pair)

    def _values_along(self, form: Form, deviation: Array, atoms: Sequence[Atom]) -> Array:
        """∏ atoms at the nodes of a series, for each element of the form's own family."""
        arrays = [form.mean, deviation, *(a for atom in atoms for a in arrays_in(atom))]
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        self._work.add(np.prod(shape, dtype=float) * series.COST)
        pick = Sampler(shape).of(slice(None))
        values = {id(form): pick(form.mean) + pick(deviation) * series.nodes()}
        product: Any = 1.0
        with np.errstate(all="ignore"):
            for atom in atoms:
                product = product * atom_value(atom, values, pick)
        return np.broadcast_to(product, values[id(form)].shape).reshape(*shape, -1)

    def _degree(self, asked: Sequence[AskedMoment]) -> int | None:
        """The largest degree of the homogeneous functions that the integrands are sums of; None if they are not."""
        degrees = [degree_of(atom) for atom in self.group.atoms]
        if any(degree is None for degree in degrees):
            return None
        return sum(degree or 0 for degree in degrees) + max(len(subset) + (k is not None) for subset, k in asked)

    def _coordinates(self, form: Form, cov: Covariances) -> tuple[Array, Array]:
        """(Cov(L, g₁), Cov(L, g₂))"""
        c = np.stack([np.broadcast_to(cov(form, x), self.shape) for x in self._inner], axis=-1) * self._inverse
        first = np.take_along_axis(c, self._first[..., None], -1)
        second = np.take_along_axis(c, self._second[..., None], -1)
        rho = np.take_along_axis(self._rho, self._second[..., None], -1)
        return first[..., 0], ((second - rho * first) * self._safe)[..., 0]

    @staticmethod
    def _remove(c: Array, a: tuple[Array, Array], b: tuple[Array, Array]) -> Array:
        """The covariance of what is left of two forms beside g₁ and g₂."""
        value = c - a[0] * b[0] - a[1] * b[1]
        scale = np.abs(c) + np.abs(a[0] * b[0]) + np.abs(a[1] * b[1])
        return np.where(np.abs(value) <= ROUNDING * scale, 0.0, value)

    def direction(self, k: int, leaves: Array) -> Array:
        """The weights of g_k on the leaves, (…, leaves)."""
        weights = np.stack(
            [np.broadcast_to(form.weights_on(leaves), (*self.shape, len(leaves))) for form in self._inner], axis=-1
        )
        scaled = weights * self._inverse[..., None, :]
        first = np.take_along_axis(scaled, self._first[..., None, None], -1)[..., 0]
        if k == 0:
            return first
        second = np.take_along_axis(scaled, self._second[..., None, None], -1)[..., 0]
        rho = np.take_along_axis(self._rho, self._second[..., None], -1)
        return (second - rho * first) * self._safe

    def moments(self, asked: Sequence[AskedMoment]) -> list[Array]:
        """E ∏_{i in subset} L_i · g_k · ∏ atoms, one integral for all."""
        if not asked:
            return []
        if list(asked) == [((), None)]:
            value = self._by_series()
            if value is not None:
                return [value]
        integrand = self._integrand(asked)
        if self.dimension == 0:
            zero = np.zeros((1, 1))
            value = integrand(np.arange(self._count), zero, zero)[..., 0]
        else:
            value = self._integral(integrand, asked)
        if not np.isfinite(value).all():
            raise NotExactError("an expectation here is not finite")
        return [row.reshape(self.shape) for row in value]

    @property
    def _count(self) -> int:
        """Elements of the family."""
        return int(np.prod(self.shape, dtype=int))

    def _integrand(self, asked: Sequence[AskedMoment]) -> Callable[[Any, Array, Array], Array]:
        """(elements, g₁, g₂) to the integrands asked for, (asked, elements, points)."""
        sampler, forms = Sampler(self.shape), self.group.forms
        each = 3 * len(self._inner) + 10 * len(self.group.atoms) + 3 * len(asked) * (1 + len(forms))

        def integrand(elements: Any, g1: Array, g2: Array) -> Array:
            self._work.add(len(elements) * g1.shape[-1] * each)
            pick = sampler.of(elements)
            values = {
                id(form): pick(form.mean) + pick(self._alpha[..., i]) * g1 + pick(self._beta[..., i]) * g2
                for i, form in enumerate(self._inner)
            }
            value: Any = 1.0
            for atom in self.group.atoms:
                value = value * atom_value(atom, values, pick)
            linear = [
                pick(form.mean) + pick(a) * g1 + pick(b) * g2 for form, (a, b) in zip(forms, self.along, strict=True)
            ]
            shape = np.broadcast_shapes(np.shape(value), g1.shape, (len(elements), 1))
            rows: list[Array] = []
            for subset, k in asked:
                product = wick(
                    [linear[i] for i in subset],
                    lambda a, b, s=subset: pick(self._residual[min(s[a], s[b]), max(s[a], s[b])]),
                )
                extra = 1.0 if k is None else (g1, g2)[k]
                rows.append(np.broadcast_to(product * extra * value, shape))
            return np.stack(rows)

        return integrand

    def _integral(self, integrand: Callable[[Any, Array, Array], Array], asked: Sequence[AskedMoment]) -> Array:
        flat = [[np.broadcast_to(part, self.shape).reshape(-1) for part in line] for line in self._lines]
        lines = Lines(*(np.stack(parts, axis=-1) for parts in zip(*flat, strict=True))) if flat else None
        try:
            with np.errstate(all="ignore"):
                return integrate(integrand, len(asked), self._count, self.dimension, lines, self._degree(asked))
        except NotConvergedError:
            raise NotExactError("the integral over the Gaussian directions here did not converge to 1e-10") from None


def _pick(R: Array, index: Array) -> Array:
    return np.take_along_axis(R, index[..., None, None], -2)[..., 0, :]


class Sampler:
    """Families as columns of some of their elements."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._flat: dict[int, tuple[Array, Array]] = {}

    def of(self, elements: Any) -> Callable[[Array], Array]:
        def pick(array: Array) -> Array:
            known = self._flat.get(id(array))
            if known is None or known[0] is not array:
                known = self._flat[id(array)] = (array, np.broadcast_to(array, self._shape).reshape(-1))
            return known[1][elements][:, None]

        return pick
