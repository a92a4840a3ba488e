"""Gaussian linear forms: what kets are made of.

A *leaf* g_l is a centred Gaussian random variable: an initial vector less its mean, or a hat.  Leaves are
jointly Gaussian with the covariance Σ that `Gaussians` keeps.  A `Form` is a family of affine forms

    ℓ = mean + Σ_l weights_l g_l,        Cov(ℓ, m) = Σ_kl weights_k Σ_kl weights'_l.

Arrays here and in `kets` are *families*: leading static axes of length 1 (broadcast) or of the family's length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from nexort.exact.work import Work

Array: TypeAlias = NDArray[Any]

ROUNDING = 1e-14
"""Covariances smaller than this, relative to the standard deviations, are rounding errors of 0."""


@dataclass(frozen=True, slots=True)
class Block:
    """Leaves that were made together: the `index`-th block, of leaves start … stop − 1."""

    index: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Leaves:
    """The leaves of a block, in C order of a family of the given shape, whose axis k lies on axes[k] of `count`."""

    block: Block
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    count: int

    def placed(self, axes: Sequence[int], count: int) -> Leaves:
        return Leaves(self.block, self.shape, tuple(axes[k] for k in self.axes), count)

    def weights_on(self, leaves: Array) -> Array:
        """1 for each one's own leaf, of the family's axes and the given leaves."""
        block = self.block
        own = np.zeros((block.size, len(leaves)))
        (columns,) = np.nonzero((leaves >= block.start) & (leaves < block.stop))
        own[leaves[columns] - block.start, columns] = 1
        return place(own.reshape(*self.shape, -1), self.axes, self.count, 1)


@final
class Form:
    """mean (…), weights (…, L) of the first L leaves; leaves made later have weight 0.

    A form that is one leaf for each element keeps no weights, only which leaves (`leaves`).
    """

    __slots__ = ("_placed", "_weights", "leaves", "mean", "support")

    def __init__(self, mean: Array, weights: Array | Leaves) -> None:
        self.mean = mean
        self._weights = None if isinstance(weights, Leaves) else weights
        self.leaves = weights if isinstance(weights, Leaves) else None
        self.support: list[tuple[Block, Array]] | None = None
        """Blocks with weights that are not 0, found by `Gaussians`."""
        self._placed: dict[tuple[tuple[int, ...], int], Form] = {}

    @property
    def weights(self) -> Array:
        if self._weights is None:
            assert self.leaves is not None
            self._weights = self.leaves.weights_on(np.arange(self.leaves.block.stop))
        return self._weights

    @property
    def shape(self) -> tuple[int, ...]:
        if self._weights is not None:
            return np.broadcast_shapes(self.mean.shape, self._weights.shape[:-1])
        assert self.leaves is not None
        lengths = dict(zip(self.leaves.axes, self.leaves.shape, strict=True))
        return np.broadcast_shapes(self.mean.shape, tuple(lengths.get(k, 1) for k in range(self.leaves.count)))

    @property
    def is_constant(self) -> bool:
        return self.leaves is None and not self.weights.any()

    @property
    def size(self) -> int:
        """Numbers kept."""
        return self.mean.size if self._weights is None else self._weights.size

    def placed(self, axes: tuple[int, ...], count: int) -> Form:
        """The form in a family of `count` axes; the same object each time, so that equal forms are recognised."""
        if axes == tuple(range(count)):
            return self
        key = (axes, count)
        if key not in self._placed:
            kept = self.leaves
            weights = place(self.weights, axes, count, 1) if kept is None else kept.placed(axes, count)
            self._placed[key] = Form(place(self.mean, axes, count), weights)
        return self._placed[key]

    def weights_on(self, leaves: Array) -> Array:
        """(…, leaves)"""
        if self.leaves is not None:
            return self.leaves.weights_on(leaves)
        missing = max(int(leaves.max(initial=-1)) + 1 - self.weights.shape[-1], 0)
        return np.pad(self.weights, [(0, 0)] * (self.weights.ndim - 1) + [(0, missing)])[..., leaves]


class Gaussians:
    """All leaves so far, in blocks, and the covariances between blocks that are not independent."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.count = 0
        self._blocks: list[Block] = []
        self._covariances: dict[tuple[int, int], Array] = {}

    def add(self, own: Array, across: Mapping[Block, Array] | None = None) -> Block:
        """New leaves of covariance `own` (k, k), and with earlier blocks (k, size)."""
        block = Block(len(self._blocks), self.count, self.count + len(own))
        self._blocks.append(block)
        self.count = block.stop
        self._covariances[block.index, block.index] = own
        for other, values in (across or {}).items():
            if values.any():
                self._covariances[block.index, other.index] = values
        return block

    def variances(self, block: Block) -> Array:
        return np.diagonal(self._covariances[block.index, block.index])

    def product(self, weights: Array) -> Array:
        """W Σ Wᵀ of weights (k, L)."""
        total = np.zeros((len(weights), len(weights)))
        used = [block for block in self._blocks if weights[:, block.start : block.stop].any()]
        for first in used:
            for second in used:
                c = self._between(first, second)
                if c is not None:
                    a, b = weights[:, first.start : first.stop], weights[:, second.start : second.stop]
                    self.work.add((c.size + len(weights) * c.shape[0]) * len(weights) / 8)
                    total += a @ c @ b.T
        return total

    def between(self, first: Form, second: Form) -> Array:
        """Cov(ℓ, m), of the common family's axes."""
        total = np.zeros((1,) * first.mean.ndim)
        for mine, a in self._parts(first):
            for other, b in self._parts(second):
                c = self._between(mine, other)
                if c is not None:
                    value = self._combine(c, a, b)
                    total = total + value if total.any() else value
        return total

    def _between(self, first: Block, second: Block) -> Array | None:
        if (first.index, second.index) in self._covariances:
            return self._covariances[first.index, second.index]
        found = self._covariances.get((second.index, first.index))
        return None if found is None else found.T

    def _combine(self, c: Array, a: Array | Leaves, b: Array | Leaves) -> Array:
        """a C bᵀ"""
        if isinstance(a, Leaves):
            if isinstance(b, Leaves):
                self.work.add(c.size)
                return place(c.reshape((*a.shape, *b.shape)), (*a.axes, *b.axes), a.count)
            half = place(c.reshape(*a.shape, -1), a.axes, a.count, 1)
        elif isinstance(b, Leaves):
            return self._combine(c.T, b, a)
        else:
            half = (a.reshape(int(np.prod(a.shape[:-1], dtype=int)), a.shape[-1]) @ c).reshape(*a.shape[:-1], -1)
        pairs = np.prod(np.broadcast_shapes(half.shape[:-1], b.shape[:-1]), dtype=float)
        self.work.add(half.size * c.shape[0] / 8 + pairs * b.shape[-1])
        return family_dot(half, b)

    def _parts(self, form: Form) -> list[tuple[Block, Array]] | list[tuple[Block, Leaves]]:
        """The blocks that a form has weights on, with these."""
        if form.leaves is not None:
            return [(form.leaves.block, form.leaves)]
        if form.support is None:
            parts = [(block, form.weights[..., block.start : block.stop]) for block in self._blocks]
            form.support = [(block, part) for block, part in parts if part.any()]
        return form.support


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
