"""The forms of one product in groups that are independent of each other, and their covariances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.exact.forms import ROUNDING, Array, Form, Gaussians
from nexort.exact.kets import pad
from nexort.exact.terms import Atom, Linear, forms_in


class Covariances:
    """The forms of one product and their covariances, each computed once."""

    def __init__(self, gaussians: Gaussians) -> None:
        self._gaussians = gaussians
        self._known: dict[tuple[int, int], Array] = {}
        self.work = gaussians.work
        self._forms: list[Form] = []  # keeps their ids theirs

    def __call__(self, a: Form, b: Form) -> Array:
        key = (id(a), id(b))
        if key not in self._known:
            self._forms += [a, b]
            self._known[key] = self._known[id(b), id(a)] = self._gaussians.between(a, b)
        return self._known[key]

    def correlations(self, weights: Sequence[Array]) -> Array:
        """Of single forms, by their weights (L,): 0 with what is constant."""
        C = self._gaussians.product(np.stack([pad(w, self._gaussians.count) for w in weights]))
        sd = np.sqrt(np.maximum(np.diagonal(C), 0))
        inverse = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
        return C * inverse[:, None] * inverse

    def meet(self, a: Form, b: Form) -> bool:
        """Whether the forms depend on each other, for some element of the family."""
        c = self(a, b)
        if not c.any():
            return False
        size = np.sqrt(np.maximum(self(a, a), 0)) * np.sqrt(np.maximum(self(b, b), 0))
        return bool(np.any(np.abs(c) > ROUNDING * size))


@dataclass(frozen=True, slots=True)
class Group:
    """Factors of a product that are independent of the others."""

    forms: tuple[Form, ...]
    """What is only multiplied by."""
    atoms: tuple[Atom, ...]

    @property
    def factors(self) -> tuple[Linear | Atom, ...]:
        return (*(Linear(form) for form in self.forms), *self.atoms)

    @property
    def all_forms(self) -> tuple[Form, ...]:
        return (*self.forms, *self.inner)

    @property
    def inner(self) -> tuple[Form, ...]:
        """The forms that the functions read, each once."""
        return tuple({id(form): form for atom in self.atoms for form in forms_in(atom)}.values())


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
