"""A bound name: one value, or a family whose elements may have been bound at different places.

A family is made of *regions*, later ones above earlier ones.  A region binds the elements that match a pattern, an
index or None ("for all") on each axis: `h[a] = …` makes one region (None,), `x[t + 1] = …` one region (t + 1,) each
pass, `W[0] -= …` puts (0,) on top of the declared (None,).  Reading finds the region that holds what is asked for, or
stacks several; `grad` follows the same regions to the versions that are current.

Regions are kept by *mask*, the axes on which they have an index.  A pattern can be covered by one region of a mask at
most, so that binding and reading one element does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from nexort.elaborate.values import family_labels
from nexort.errors import IndexFault, SizeFault, TypeFault
from nexort.errors import Label as Mark
from nexort.graph.nodes import Node
from nexort.graph.terms import Label, Place, Term, arrange, select, stack
from nexort.source import Span

Pattern = tuple[int | None, ...]
Mask = tuple[bool, ...]
Kind = Literal["scalar", "vector", "matrix", "computed"]
Stamp = tuple[int, ...]
"""The passes of the loops around a statement, each by a number of its own, outermost first."""

MAX_PARTS = 100_000
_ranks = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """`node`'s static axes are the None axes of the pattern, in order."""

    pattern: Pattern
    node: Node
    span: Span
    stamp: Stamp | None = None
    """The pass that defined an element by its number (`x[t + 1] = …`); None for every other binding."""
    rank: int = field(default_factory=_ranks.__next__)
    """Later regions have larger ones."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A current version: `index[k]` is the number of the asked axis or the fixed index on the node's static axis k."""

    node: Node
    index: tuple[Label | int, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Split:
    """Elements of several versions along the label `label`."""

    label: Label
    parts: tuple[Leaf | Split, ...]


@dataclass(slots=True)
class Variable:
    """The current versions of a name. `axes` is the number of static axes, `shape` the declared lengths if any."""

    name: str
    axes: int
    span: Span
    kind: Kind = "computed"
    shape: tuple[int, ...] | None = None
    _layers: dict[Mask, dict[Pattern, Region]] = field(default_factory=dict)
    """The regions of each mask, in order of their binding."""
    _stacks: dict[Pattern, Node] = field(default_factory=dict)
    _extents: dict[tuple[int, Pattern], int] = field(default_factory=dict)

    @property
    def whole(self) -> Pattern:
        """The pattern of all elements."""
        return (None,) * self.axes

    @property
    def is_bound(self) -> bool:
        return any(self._layers.values())

    # -------------------------------------------------------------- binding

    def bind(self, region: Region) -> None:
        """Put a region on top; what it covers is gone."""
        mask = _mask(region.pattern)
        for other, layer in self._layers.items():
            # a pattern covers patterns that have an index wherever it has one
            if other != mask and all(theirs or not ours for ours, theirs in zip(mask, other, strict=True)):
                for pattern in [pattern for pattern in layer if _overlap(region.pattern, pattern)]:
                    del layer[pattern]
        layer = self._layers.setdefault(mask, {})
        layer.pop(region.pattern, None)
        layer[region.pattern] = region
        self._stacks.clear()
        self._extents.clear()

    def region_at(self, pattern: Pattern) -> Region | None:
        """The region of exactly this pattern."""
        return self._layers.get(_mask(pattern), {}).get(pattern)

    def definition_in(self, pattern: Pattern, stamp: Stamp) -> Region | None:
        """A region that defined some element of the pattern by its number in the pass `stamp`."""
        same = self.region_at(pattern)
        others = (r for mask, layer in self._layers.items() if mask != _mask(pattern) for r in layer.values())
        for region in (*((same,) if same is not None else ()), *others):
            if region.stamp is not None and region.stamp[: len(stamp)] == stamp and _overlap(region.pattern, pattern):
                return region
        return None

    # -------------------------------------------------------------- lengths

    def extent(self, axis: int, pattern: Pattern, span: Span) -> int:
        """The length of an axis for the elements that match `pattern` elsewhere."""
        if self.shape is not None:
            return self.shape[axis]
        key = axis, (*pattern[:axis], None, *pattern[axis + 1 :])
        if key not in self._extents:
            holder = self._holder(key[1])
            self._extents[key] = _length(holder, axis) if holder is not None else self._count(axis, key[1], span)
        return self._extents[key]

    def _count(self, axis: int, pattern: Pattern, span: Span) -> int:
        """How many elements there are along an axis that is bound index by index."""
        indices: set[int] = set()
        for region in self._overlapping(pattern):
            index = region.pattern[axis]
            indices.update(range(_length(region, axis)) if index is None else (index,))
        if not indices:
            raise self.undefined(pattern, span)
        if len(indices) <= max(indices):
            missing = min(set(range(len(indices))) - indices)
            raise IndexFault(
                f"'{self.name}' has no element {missing} on axis {axis} yet, so it cannot be taken as a whole",
                span,
                hint="a reduction or 'for all' needs the elements 0, 1, 2, … without a gap",
            )
        return len(indices)

    def check_count(self, found: int, unwritten: int, span: Span) -> None:
        """Raise unless there are `found` static axes; the first `unwritten` indices are not in the text."""
        if found == self.axes:
            return
        axes, found = self.axes - unwritten, found - unwritten
        what = f"{axes} static ind{'ex' if axes == 1 else 'ices'}" if axes > 0 else "no static indices"
        raise IndexFault(
            f"'{self.name}' has {what}, and {found or 'none'} stand{'s' * (found < 2)} here",
            span,
            Mark(self.span, "bound here"),
            hint="all indices of a family are given" if axes > 0 else "",
        )

    def check_index(self, axis: int, pattern: Pattern, span: Span) -> None:
        """The index on `axis` lies in its range, as far as one statement bound the whole axis."""
        index, size = pattern[axis], None
        assert index is not None
        if self.shape is not None:
            size = self.shape[axis]
        else:
            holder = self._holder(pattern)
            size = _length(holder, axis) if holder is not None and holder.pattern[axis] is None else None
        if index < 0 and size is None:
            raise IndexFault(f"index {index} is negative", span, hint="indices count from 0")
        if index < 0 or (size is not None and index >= size):
            raise IndexFault(f"index {index} is outside 0..{size} of '{self.name}'", span, hint="indices count from 0")

    # -------------------------------------------------------------- reading

    def read(self, wanted: Sequence[Label | int], place: Place) -> Term:
        """The elements at the fixed indices, for all values of the labels (each label an axis of the result)."""
        pattern = tuple(index if isinstance(index, int) else None for index in wanted)
        labels = tuple(index for index in wanted if not isinstance(index, int))
        return self._read(pattern, labels, place)

    def _read(self, pattern: Pattern, labels: tuple[Label, ...], place: Place) -> Term:
        region = self._holder(pattern)
        if region is not None:
            return _take(region, pattern, labels, place)
        if pattern not in self._stacks:
            self._stacks[pattern] = self._stack(pattern, place)
        node = self._stacks[pattern]
        return Term(node, labels, tuple(range(node.type.order)))

    def _stack(self, pattern: Pattern, place: Place) -> Node:
        """Elements of several regions, put together along the first axis that is bound index by index."""
        axis = self._split_axis(pattern, place)
        parts: list[Term] = []
        for inner in self._elements(axis, pattern, place):
            labels = family_labels(sum(index is None for index in inner))
            parts.append(self._read(inner, labels, place))
        position = sum(index is None for index in pattern[:axis])
        return stack(_alike(parts, self, place), position, place)

    def _elements(self, axis: int, pattern: Pattern, place: Place) -> list[Pattern]:
        """The pattern with each index of an axis in turn."""
        size = self.extent(axis, pattern, place.span or self.span)
        if size > MAX_PARTS:
            raise SizeFault(
                f"'{self.name}' has {size} elements that are bound one by one, over the bound of {MAX_PARTS}",
                place.span or self.span,
                hint="bind them by one statement with a free index",
            )
        return [(*pattern[:axis], index, *pattern[axis + 1 :]) for index in range(size)]

    def targets(self, wanted: Sequence[Label | int], place: Place) -> Leaf | Split:
        """The versions that `read` reads, for `grad`."""
        pattern = tuple(index if isinstance(index, int) else None for index in wanted)
        region = self._holder(pattern)
        if region is not None:
            index = tuple(w for w, p in zip(wanted, region.pattern, strict=True) if p is None)
            return Leaf(region.node, index, region.span)
        axis = self._split_axis(pattern, place)
        indices = range(len(self._elements(axis, pattern, place)))
        parts = (self.targets((*wanted[:axis], i, *wanted[axis + 1 :]), place) for i in indices)
        return Split(wanted[axis], tuple(parts))

    def _holder(self, pattern: Pattern) -> Region | None:
        """The region that holds all of the pattern, if no later one holds a part of it."""
        best: Region | None = None
        for mask, layer in self._layers.items():
            key = tuple(index if is_index else None for index, is_index in zip(pattern, mask, strict=True))
            region = layer.get(key)
            if region is not None and (best is None or region.rank > best.rank):
                best = region
        if best is None:
            return None
        for mask, layer in self._layers.items():
            if not any(is_index and index is None for index, is_index in zip(pattern, mask, strict=True)):
                continue  # one region of the layer at most holds a part of the pattern: then it holds all, as `best`
            for region in reversed(layer.values()):
                if region.rank <= best.rank:
                    break
                if _overlap(region.pattern, pattern):
                    return None
        return best

    def _overlapping(self, pattern: Pattern) -> Iterator[Region]:
        regions = (region for layer in self._layers.values() for region in layer.values())
        return (region for region in regions if _overlap(region.pattern, pattern))

    def _split_axis(self, pattern: Pattern, place: Place) -> int:
        """The first axis that is asked for as a whole and bound index by index."""
        axes = {
            axis
            for region in self._overlapping(pattern)
            for axis, (bound, asked) in enumerate(zip(region.pattern, pattern, strict=True))
            if asked is None and bound is not None
        }
        if not axes:
            raise self.undefined(pattern, place.span or self.span)
        return min(axes)

    def undefined(self, pattern: Pattern, span: Span) -> IndexFault:
        element = ", ".join("…" if index is None else str(index) for index in pattern)
        return IndexFault(
            f"{self.name}[{element}] is read before it is defined",
            span,
            hint="an element must be assigned before the statement that reads it, in this pass or an earlier one",
        )


def _mask(pattern: Pattern) -> Mask:
    return tuple(index is not None for index in pattern)


def _overlap(first: Pattern, second: Pattern) -> bool:
    return all(a is None or b is None or a == b for a, b in zip(first, second, strict=True))


def _length(region: Region, axis: int) -> int:
    """The length of a None axis of a region."""
    return region.node.type.shape[sum(index is None for index in region.pattern[:axis])]


def _take(region: Region, pattern: Pattern, labels: tuple[Label, ...], place: Place) -> Term:
    """Of a region that covers the pattern, the elements that match it."""
    free = [k for k, index in enumerate(region.pattern) if index is None]
    width = tuple(range(region.node.type.order))
    names = iter(labels)
    static = tuple(next(names) if pattern[k] is None else ("fixed", k) for k in free)
    fixed = {axis: index for axis, k in enumerate(free) if (index := pattern[k]) is not None}
    return select(Term(region.node, static, width), fixed, place)


def _alike(parts: Iterable[Term], variable: Variable, place: Place) -> list[Node]:
    """Nodes of one type; scalars among vectors or tensors become constant ones."""
    parts = list(parts)
    orders = {part.order for part in parts} - {0}
    operators = {part.is_operator for part in parts if part.order == 2}
    shapes = {part.node.type.shape for part in parts}
    is_mixed = True in operators and any(not part.is_operator for part in parts)
    if len(orders) > 1 or len(shapes) > 1 or is_mixed:
        raise TypeFault(
            f"the elements of '{variable.name}' are of different kinds or shapes",
            place.span or variable.span,
            hint="read them one by one, or make them alike",
        )
    order = max(orders, default=0)
    if True in operators:
        return [part.node for part in parts]
    return [arrange(part, part.static, tuple(range(order)), place) for part in parts]
