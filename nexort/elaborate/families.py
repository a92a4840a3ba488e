"""A bound name: one value, or a family whose elements may have been bound at different places.

A family is a list of *regions*, later ones above earlier ones.  A region binds the elements that match a pattern, an
index or None ("for all") on each axis: `h[a] = …` makes one region (None,), `x[t + 1] = …` one region (t + 1,) each
pass, `W[0] -= …` puts (0,) on top of the declared (None,).  Reading finds the region that holds what is asked for, or
stacks several; `grad` follows the same regions to the versions that are current.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nexort.elaborate.values import FamilyLabel
from nexort.errors import IndexFault, TypeFault
from nexort.graph.nodes import Node
from nexort.graph.terms import Label, Place, Term, arrange, number, select, stack
from nexort.source import Span

Pattern = tuple[int | None, ...]
Kind = Literal["vector", "matrix", "computed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """`node`'s static axes are the None axes of the pattern, in order. `stamp` tells the pass that defined it."""

    pattern: Pattern
    node: Node
    span: Span
    stamp: object


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
    regions: list[Region] = field(default_factory=list)
    _stacks: dict[Pattern, Node] = field(default_factory=dict)

    # -------------------------------------------------------------- binding

    def bind(self, region: Region) -> None:
        """Put a region on top; what it covers is gone."""
        self.regions = [old for old in self.regions if not _covers(region.pattern, old.pattern)]
        self.regions.append(region)
        self._stacks.clear()

    def defined_at(self, pattern: Pattern) -> Region | None:
        """The region of exactly this pattern."""
        return next((region for region in self.regions if region.pattern == pattern), None)

    # -------------------------------------------------------------- reading

    def extent(self, axis: int, pattern: Pattern) -> int:
        """The length of an axis for the elements that match `pattern` elsewhere."""
        if self.shape is not None:
            return self.shape[axis]
        indices: set[int] = set()
        for region in self.regions:
            others = zip(
                region.pattern[:axis] + region.pattern[axis + 1 :], pattern[:axis] + pattern[axis + 1 :], strict=True
            )
            if not all(a is None or b is None or a == b for a, b in others):
                continue
            index = region.pattern[axis]
            indices |= set(range(_length(region, axis))) if index is None else {index}
        if indices != set(range(len(indices))):
            missing = min(set(range(max(indices))) - indices)
            raise IndexFault(
                f"'{self.name}' has no element {missing} on axis {axis} yet, so it cannot be taken as a whole",
                self.span,
                hint="a reduction or 'for all' needs the elements 0, 1, 2, … without a gap",
            )
        return len(indices)

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
            axis = self._split_axis(pattern, place)
            size = self.extent(axis, pattern)
            if size == 0:
                raise self.undefined(pattern, place.span or self.span)
            parts = (
                [self._read((*pattern[:axis], i, *pattern[axis + 1 :]), (), place) for i in range(size)]
                if (pattern.count(None) == 1)
                else [self._part(pattern, axis, i, place) for i in range(size)]
            )
            position = sum(index is None for index in pattern[:axis])
            self._stacks[pattern] = stack(_alike(parts, self, place), position, place)
        node = self._stacks[pattern]
        return Term(node, labels, tuple(range(node.type.order)))

    def _part(self, pattern: Pattern, axis: int, index: int, place: Place) -> Term:
        inner = (*pattern[:axis], index, *pattern[axis + 1 :])
        return self._read(inner, tuple(FamilyLabel(k) for k, i in enumerate(inner) if i is None), place)

    def targets(self, wanted: Sequence[Label | int], place: Place) -> Leaf | Split:
        """The versions that `read` reads, for `grad`."""
        pattern = tuple(index if isinstance(index, int) else None for index in wanted)
        region = self._holder(pattern)
        if region is not None:
            index = tuple(w for w, p in zip(wanted, region.pattern, strict=True) if p is None)
            return Leaf(region.node, index, region.span)
        axis = self._split_axis(pattern, place)
        parts = [
            self.targets((*wanted[:axis], i, *wanted[axis + 1 :]), place) for i in range(self.extent(axis, pattern))
        ]
        return Split(wanted[axis], tuple(parts))

    def _holder(self, pattern: Pattern) -> Region | None:
        """The region that holds all of the pattern, if no later one holds a part of it."""
        for region in reversed(self.regions):
            if _covers(region.pattern, pattern):
                return region
            if all(a is None or b is None or a == b for a, b in zip(region.pattern, pattern, strict=True)):
                return None
        return None

    def _split_axis(self, pattern: Pattern, place: Place) -> int:
        """The first axis that is asked for as a whole and bound index by index."""
        for region in reversed(self.regions):
            pairs = list(zip(region.pattern, pattern, strict=True))
            if all(a is None or b is None or a == b for a, b in pairs):
                for axis, (bound, asked) in enumerate(pairs):
                    if asked is None and bound is not None:
                        return axis
        raise self.undefined(pattern, place.span or self.span)

    def undefined(self, pattern: Pattern, span: Span) -> IndexFault:
        element = ", ".join("…" if index is None else str(index) for index in pattern)
        return IndexFault(
            f"{self.name}[{element}] is read before it is defined",
            span,
            hint="an element must be assigned before the statement that reads it, in this pass or an earlier one",
        )


def _covers(outer: Pattern, inner: Pattern) -> bool:
    return all(a is None or a == b for a, b in zip(outer, inner, strict=True))


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
    if len(orders) > 1 or len(shapes) > 1 or len(operators) > 1:
        raise TypeFault(
            f"the elements of '{variable.name}' are of different kinds or shapes",
            place.span or variable.span,
            hint="read them one by one, or make them alike",
        )
    order = max(orders, default=0)
    if True in operators:
        return [part.node for part in parts]
    return [arrange(part, part.static, tuple(range(order)), place) for part in parts]


def constant(value: float, order: int, place: Place) -> Node:
    """A number as a value of some order."""
    return arrange(number(value), (), tuple(range(order)), place)
