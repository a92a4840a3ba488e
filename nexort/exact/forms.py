"""Gaussian linear forms: what kets are made of.

A *leaf* g_l is a centred Gaussian random variable: an initial vector's standardised entry, or a hat.  Leaves are
jointly Gaussian with the covariance Σ that `Gaussians` keeps.  A `Form` is a family of affine forms

    ℓ = mean + Σ_l weights_l g_l,        Cov(ℓ, m) = Σ_kl weights_k Σ_kl weights'_l.

Arrays here and in `kets` are *families*: leading static axes of length 1 (broadcast) or of the family's length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from string import ascii_letters
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from nexort.exact.work import Work

Array: TypeAlias = NDArray[Any]

ROUNDING = 1e-14
"""Covariances smaller than this, relative to the standard deviations, are rounding errors of 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """mean (…), weights (…, L): the first L leaves; leaves made later have weight 0."""

    mean: Array
    weights: Array
    _placed: dict[tuple[tuple[int, ...], int], Form] = field(default_factory=dict, repr=False)

    def placed(self, axes: tuple[int, ...], count: int) -> Form:
        """The form in a family of `count` axes; the same object each time, so that equal forms are recognised."""
        if axes == tuple(range(count)):
            return self
        key = (axes, count)
        if key not in self._placed:
            self._placed[key] = Form(place(self.mean, axes, count), place(self.weights, axes, count, 1))
        return self._placed[key]


class Gaussians:
    """All leaves so far: their number and covariance."""

    def __init__(self, work: Work) -> None:
        self.covariance = np.zeros((0, 0))
        self.work = work

    @property
    def count(self) -> int:
        return len(self.covariance)

    def add(self, own: Array, across: Array | None = None) -> slice:
        """New leaves of covariance `own` (k, k), and `across` (k, L) with the leaves so far: 0 if None."""
        old, new = self.count, len(own)
        total = np.zeros((old + new, old + new))
        total[:old, :old] = self.covariance
        total[old:, old:] = own
        if across is not None:
            total[old:, :old] = across
            total[:old, old:] = across.T
        self.covariance = total
        return slice(old, old + new)

    def between(self, first: Form, second: Form) -> Array:
        """Cov(ℓ, m), of the common family's axes."""
        a, b = first.weights, second.weights
        pairs = np.prod(np.broadcast_shapes(a.shape[:-1], b.shape[:-1]), dtype=float)
        self.work.add(a.size * b.shape[-1] / 8 + pairs * b.shape[-1])
        half = (
            a.reshape(int(np.prod(a.shape[:-1], dtype=int)), a.shape[-1])
            @ self.covariance[: a.shape[-1], : b.shape[-1]]
        )
        return family_dot(half.reshape(*a.shape[:-1], -1), b)


def family_dot(first: Array, second: Array) -> Array:
    """Σ_l first[…, l] second[…, l], broadcast along the leading axes; by one matrix product where they differ."""
    count = first.ndim - 1
    wide = ascii_letters[:count]
    places = [[k for k in range(count) if array.shape[k] != 1] for array in (first, second)]
    kept = sorted({*places[0], *places[1]})
    names = ["".join(wide[k] for k in place) + "Z" for place in places]
    packed = [
        array.reshape([array.shape[k] for k in place] + [array.shape[-1]])
        for array, place in zip((first, second), places, strict=True)
    ]
    value = np.einsum(f"{names[0]},{names[1]}->{''.join(wide[k] for k in kept)}", *packed, optimize=True)
    shape = np.broadcast_shapes(first.shape[:-1], second.shape[:-1])
    return np.asarray(value).reshape(shape)


def place(array: Array, axes: Sequence[int], count: int, trailing: int = 0) -> Array:
    """The array with its leading axes on the given ones of `count`: two on one are a diagonal, others have length 1."""
    if tuple(axes) == tuple(range(count)):
        return array
    targets = list(axes)
    for k in range(len(targets) - 1, -1, -1):
        first = targets.index(targets[k])
        if first == k:
            continue
        if array.shape[k] == 1:
            array = array.squeeze(k)
        elif array.shape[first] == 1:
            array = np.moveaxis(array, k, first).squeeze(first + 1)
        else:
            array = np.moveaxis(np.diagonal(array, axis1=first, axis2=k), -1, first)
        del targets[k]
    order = sorted(range(len(targets)), key=targets.__getitem__)
    array = array.transpose((*order, *range(len(targets), array.ndim)))
    lengths = dict(zip(sorted(targets), array.shape, strict=False))
    rest = array.shape[array.ndim - trailing :]
    return array.reshape((*(lengths.get(k, 1) for k in range(count)), *rest))
