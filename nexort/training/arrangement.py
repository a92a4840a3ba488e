"""A rectangle cut by straight lines into faces, edges and corners, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise

Point = tuple[Fraction, Fraction]


@dataclass(frozen=True, slots=True)
class Line:
    """constant + x · first + y · second = 0; not both of `first` and `second` are 0."""

    constant: Fraction
    first: Fraction
    second: Fraction

    def at(self, point: Point) -> Fraction:
        return self.constant + self.first * point[0] + self.second * point[1]

    def normal(self) -> Line:
        """The same set of points, written in one way."""
        lead = self.first if self.first != 0 else self.second
        return Line(self.constant / lead, self.first / lead, self.second / lead)


@dataclass(frozen=True, slots=True)
class Window:
    """low[0] ≤ x ≤ high[0], low[1] ≤ y ≤ high[1]."""

    low: Point
    high: Point

    def holds(self, point: Point) -> bool:
        return all(low <= value <= high for low, value, high in zip(self.low, point, self.high, strict=True))

    def corners(self) -> tuple[Point, ...]:
        (left, bottom), (right, top) = self.low, self.high
        return (left, bottom), (right, bottom), (right, top), (left, top)


def faces(window: Window, lines: Iterable[Line]) -> list[tuple[Point, ...]]:
    """The convex polygons into which the lines cut the window."""
    found: list[tuple[Point, ...]] = [window.corners()]
    for line in lines:
        found = [part for polygon in found for part in _cut(polygon, line)]
    return found


def edges(window: Window, lines: Sequence[Line]) -> Iterator[tuple[Point, Point]]:
    """The pieces of the lines between their meeting points."""
    for line in lines:
        meetings = [_meet(line, other) for other in (*lines, *_sides(window)) if other is not line]
        inside = sorted({point for point in meetings if point is not None and window.holds(point)})
        yield from pairwise(inside)


def corners(window: Window, lines: Sequence[Line]) -> set[Point]:
    """Where two lines meet, inside the window."""
    meetings = (_meet(first, second) for first, second in combinations(lines, 2))
    return {point for point in meetings if point is not None and window.holds(point)}


def centre(points: Sequence[Point]) -> Point:
    """A point inside the convex hull of points."""
    return sum(x for x, _ in points) / Fraction(len(points)), sum(y for _, y in points) / Fraction(len(points))


def _cut(polygon: Sequence[Point], line: Line) -> Iterator[tuple[Point, ...]]:
    values = [line.at(point) for point in polygon]
    if min(values) >= 0 or max(values) <= 0:
        yield tuple(polygon)
        return
    for sign in (1, -1):
        part: list[Point] = []
        for k, (point, value) in enumerate(zip(polygon, values, strict=True)):
            before, last = values[k - 1], polygon[k - 1]
            if before * value < 0:
                share = before / (before - value)
                part.append((last[0] + share * (point[0] - last[0]), last[1] + share * (point[1] - last[1])))
            if sign * value >= 0:
                part.append(point)
        yield tuple(part)


def _meet(first: Line, second: Line) -> Point | None:
    determinant = first.first * second.second - first.second * second.first
    if determinant == 0:
        return None
    x = (first.second * second.constant - second.second * first.constant) / determinant
    y = (second.first * first.constant - first.first * second.constant) / determinant
    return x, y


def _sides(window: Window) -> Iterator[Line]:
    one, zero = Fraction(1), Fraction(0)
    for value in (window.low[0], window.high[0]):
        yield Line(-value, one, zero)
    for value in (window.low[1], window.high[1]):
        yield Line(-value, zero, one)
