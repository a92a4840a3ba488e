"""Expectations of products of forms and functions of forms, to rounding or to quadrature's 1e-10.

The factors of a product are split into independent groups, and E ∏ = ∏_groups E.  In a group with functions, the forms
that they read must span at most two dimensions: with g₁, g₂ orthonormal in that span,

    ℓ = E ℓ + α g₁ + β g₂ for each such form,    L = E L + λ₁ g₁ + λ₂ g₂ + R for each form that is only multiplied by,

R independent of g₁, g₂, so that the R's are contracted in pairs (Wick) and a two-dimensional integral remains.
Derivatives are by Stein's lemma in the same coordinates, E ∂F/∂g_k = E g_k F: right at jumps and for dependent forms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.exact import series
from nexort.exact.forms import ROUNDING, Array, Form, Gaussians
from nexort.exact.kets import Atom, Factor, Linear, NotExactError, Term, Terms, forms_in, pad
from nexort.exact.quadrature import Lines, NotConvergedError, integrate
from nexort.symbolic import MASKS, numpy_operation

DEPENDENT = 1e-11
"""Forms of correlation matrix with a third eigenvalue (pivot) below this span two dimensions."""


class Covariances:
    """The forms of one product and their covariances, each computed once."""

    def __init__(self, gaussians: Gaussians) -> None:
        self._gaussians = gaussians
        self._known: dict[tuple[int, int], Array] = {}
        self._forms: list[Form] = []  # keeps their ids theirs

    def __call__(self, a: Form, b: Form) -> Array:
        key = (id(a), id(b))
        if key not in self._known:
            self._forms += [a, b]
            self._known[key] = self._known[key[::-1]] = self._gaussians.between(a, b)
        return self._known[key]

    def meet(self, a: Form, b: Form) -> bool:
        """Whether the forms depend on each other, for some element of the family."""
        size = np.sqrt(np.maximum(self(a, a), 0) * np.maximum(self(b, b), 0))
        return bool(np.any(np.abs(self(a, b)) > ROUNDING * size))


@dataclass(frozen=True, slots=True)
class Group:
    """Factors of a product that are independent of the others."""

    forms: tuple[Form, ...]
    """What is only multiplied by."""
    atoms: tuple[Atom, ...]

    @property
    def inner(self) -> tuple[Form, ...]:
        """The forms that the functions read, each once."""
        return tuple({id(form): form for atom in self.atoms for form in forms_in(atom)}.values())


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
    touched = [any(_weights(f, leaves).any() for f in (*p.group.forms, *p.group.inner)) for p in parts]
    total: Array | float = 0.0
    for k, part in enumerate(parts):
        if touched[k]:
            others: Array | float = 1.0
            for j, other in enumerate(parts):
                if j != k:
                    others = others * other.value()
            total = total + np.asarray(others)[..., None] * part.slopes(leaves)
    return total


def _weights(form: Form, leaves: Array) -> Array:
    return pad(form.weights, max(int(leaves.max(initial=-1)) + 1, form.weights.shape[-1]))[..., leaves]


def wick(values: Sequence[Any], pairs: Callable[[int, int], Any]) -> Any:
    """E ∏ (v_i + R_i) = Σ over matchings of ∏ pairs E R_i R_j · ∏ v of the unmatched."""

    def rest(open_: tuple[int, ...]) -> Any:
        if not open_:
            return 1.0
        first, others = open_[0], open_[1:]
        total = values[first] * rest(others)
        for k, other in enumerate(others):
            total = total + pairs(first, other) * rest(others[:k] + others[k + 1 :])
        return total

    return rest(tuple(range(len(values))))


class GroupIntegral:
    """E of a group's product, and of its slopes."""

    def __init__(self, group: Group, cov: Covariances) -> None:
        self.group = group
        self._cov = cov
        self._plane = Plane(group, cov) if group.atoms else None
        self._value: Array | float | None = None

    def value(self) -> Array | float:
        if self._value is None:
            everything = tuple(range(len(self.group.forms)))
            self._value = self._moments([(everything, None)])[0]
        return self._value

    def slopes(self, leaves: Array) -> Array:
        """E ∂/∂g_l: Σ_i weights_i E ∏_{j≠i} + Σ_k γ_k E ∂/∂g_k of the functions, γ_k the weights of g_k."""
        forms, plane = self.group.forms, self._plane
        everything = tuple(range(len(forms)))
        asked: list[tuple[tuple[int, ...], int | None]] = [
            (everything[:i] + everything[i + 1 :], None) for i in range(len(forms))
        ]
        directions = 0 if plane is None else plane.dimension
        asked += [(everything, k) for k in range(directions)]
        moments = self._moments(asked)
        without, steered = moments[: len(forms)], moments[len(forms) :]
        total = np.zeros(len(leaves))
        for i, form in enumerate(forms):
            total = total + np.asarray(without[i])[..., None] * _weights(form, leaves)
        for k in range(directions):
            assert plane is not None
            slope = steered[k]
            for i in range(len(forms)):
                slope = slope - plane.along[i][k] * without[i]
            total = total + np.asarray(slope)[..., None] * plane.direction(k, leaves)
        return total

    def _moments(self, asked: Sequence[tuple[tuple[int, ...], int | None]]) -> list[Any]:
        """E ∏_{i in subset} L_i · ∏ atoms, times g_k where k is given."""
        forms = self.group.forms
        if self._plane is None:
            return [
                wick([forms[i].mean for i in subset], lambda a, b, s=subset: self._cov(forms[s[a]], forms[s[b]]))
                for subset, _ in asked
            ]
        return self._plane.moments(asked)


class Plane:
    """Coordinates g₁, g₂ of the forms that a group's functions read, and integrals over them."""

    def __init__(self, group: Group, cov: Covariances) -> None:
        self.group = group
        inner = group.inner
        self._inner = inner
        kinks = [form for atom in group.atoms for form in kink_forms(atom)]
        self._kinks = kinks
        arrays = [a for form in (*inner, *kinks, *group.forms) for a in (form.mean, form.weights[..., 0:0].sum(-1))]
        arrays += [a for atom in group.atoms for a in _arrays_in(atom)]
        self.shape = np.broadcast_shapes(*(a.shape for a in arrays))
        self._build(cov)

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
            raise NotExactError("the functions here depend on more than two Gaussian directions at once")
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
        for form in self._kinks:
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
        arrays = [form.mean, deviation, *(a for atom in atoms for a in _arrays_in(atom))]
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        pick = Sampler(shape).of(slice(None))
        values = {id(form): pick(form.mean) + pick(deviation) * series.nodes()}
        product: Any = 1.0
        with np.errstate(all="ignore"):
            for atom in atoms:
                product = product * atom_value(atom, values, pick)
        return np.broadcast_to(product, values[id(form)].shape).reshape(*shape, -1)

    def _degree(self, asked: Sequence[tuple[tuple[int, ...], int | None]]) -> int | None:
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
            [np.broadcast_to(_weights(form, leaves), (*self.shape, len(leaves))) for form in self._inner], axis=-1
        )
        scaled = weights * self._inverse[..., None, :]
        first = np.take_along_axis(scaled, self._first[..., None, None], -1)[..., 0]
        if k == 0:
            return first
        second = np.take_along_axis(scaled, self._second[..., None, None], -1)[..., 0]
        rho = np.take_along_axis(self._rho, self._second[..., None], -1)
        return (second - rho * first) * self._safe

    def moments(self, asked: Sequence[tuple[tuple[int, ...], int | None]]) -> list[Array]:
        """E ∏_{i in subset} L_i · g_k · ∏ atoms, one integral for all."""
        if list(asked) == [((), None)]:
            value = self._by_series()
            if value is not None:
                return [value]
        sampler = Sampler(self.shape)
        forms = self.group.forms

        def integrand(elements: Any, g1: Array, g2: Array) -> Array:
            pick = sampler.of(elements)
            values = {
                id(form): pick(form.mean) + pick(self._alpha[..., i]) * g1 + pick(self._beta[..., i]) * g2
                for i, form in enumerate(self._inner)
            }
            F = 1.0
            for atom in self.group.atoms:
                F = F * atom_value(atom, values, pick)
            linear = [
                pick(form.mean) + pick(a) * g1 + pick(b) * g2
                for form, (a, b) in zip(forms, self.along, strict=True)
            ]
            shape = np.broadcast_shapes(np.shape(F), g1.shape, (len(elements), 1))
            rows: list[Array] = []
            for subset, k in asked:
                product = wick(
                    [linear[i] for i in subset],
                    lambda a, b, s=subset: pick(self._residual[min(s[a], s[b]), max(s[a], s[b])]),
                )
                extra = 1.0 if k is None else (g1, g2)[k]
                rows.append(np.broadcast_to(product * extra * F, shape))
            return np.stack(rows)

        flat = [[np.broadcast_to(part, self.shape).reshape(-1) for part in line] for line in self._lines]
        lines = Lines(*(np.stack(parts, axis=-1) for parts in zip(*flat, strict=True))) if flat else None
        count = int(np.prod(self.shape, dtype=int))
        if self.dimension == 0:
            zero = np.zeros((1, 1))
            value = integrand(np.arange(count), zero, zero)[..., 0]
        else:
            try:
                with np.errstate(all="ignore"):
                    value = integrate(integrand, len(asked), count, self.dimension, lines, self._degree(asked))
            except NotConvergedError:
                raise NotExactError("the integral over the Gaussian directions here did not converge to 1e-10") from None
        if not np.isfinite(value).all():
            raise NotExactError("an expectation here is not finite")
        return [row.reshape(self.shape) for row in value]


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


# values and kinks of functions


def atom_value(atom: Atom, values: dict[int, Array], pick: Callable[[Array], Array]) -> Any:
    """The function at the given values of its forms."""
    inputs = [terms_value(x, values, pick) if isinstance(x, tuple) else pick(x) for x in atom.arguments]
    if atom.operation == "select":
        return np.where(*inputs)
    return numpy_operation(atom.operation)(*inputs)


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
            return None if _degree_of_terms(_as_terms(first)) is None else 0
        case Atom("absolute", (first,)):
            return _degree_of_terms(_as_terms(first))
        case Atom("maximum" | "minimum", (first, second)):
            return _degree_of_terms(_difference(_as_terms(first), _as_terms(second)))
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
    if atom.operation in _AT_ZERO:
        found += zero_forms(_as_terms(atom.arguments[0]))
    elif atom.operation in _AT_TIES:
        found += zero_forms(_difference(*map(_as_terms, atom.arguments[:2])))
    return found


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
            return zero_forms(_as_terms(arguments[0]))
        case Atom("maximum" | "minimum", arguments):
            return [form for argument in arguments for form in zero_forms(_as_terms(argument))]
        case Atom(operation) if operation in _NEVER_ZERO:
            return []
        case Atom(operation):
            raise NotExactError(f"a function with a kink or a jump is taken of {operation} of a ket")


def _branches(terms: Terms) -> list[Terms]:
    """What a piecewise linear sum is between its kinks: each maximum one of its arguments, each step 0 or 1."""
    choices: list[Terms] = [()]
    for term in terms:
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
            return [_as_terms(argument) for argument in arguments]
        case Atom("absolute", (argument, *_)):
            return [_as_terms(argument), _difference((), _as_terms(argument))]
        case Atom("step" | "sign"):
            return [(Term(np.full((), value)),) for value in (-1.0, 0.0, 1.0)]
        case Atom():
            raise NotExactError("a function with a kink or a jump is taken of a sum of functions")


def _times(first: Terms, second: Terms) -> Terms:
    return tuple(Term(a.coefficient * b.coefficient, a.factors + b.factors) for a in first for b in second)


def _as_terms(argument: Terms | Array) -> Terms:
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


def _arrays_in(atom: Atom) -> list[Array]:
    found: list[Array] = []
    for argument in atom.arguments:
        if not isinstance(argument, tuple):
            found.append(argument)
            continue
        for term in argument:
            found.append(term.coefficient)
            for factor in term.factors:
                if isinstance(factor, Atom):
                    found += _arrays_in(factor)
    return found
