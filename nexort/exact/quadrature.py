"""Nodes and weights for E F(g₁, g₂), g₁ and g₂ independent N(0, 1), that know where F has kinks and jumps.

Kinks and jumps lie on lines p + q g₁ + r g₂ = 0, given for each element of a batch; F is analytic elsewhere.

| case | rule |
|---|---|
| no kinks | trapezoidal: for analytic F of error e^(-2πd/h), h the step and d the distance of a pole |
| all lines through 0 | polar: angles split at the lines, Gauss–Legendre in each sector and along the radius |
| and F a sum of homogeneous functions | the same, with the Gauss rule of r e^(-r²/2) along the radius: closed forms |
| one dimension | Gauss–Legendre between the kinks |
| any lines | g₁ split where lines cross, are vertical or change quickly; then g₂ split at the lines |

Each rule has levels of growing accuracy; two that agree are believed (`integrate`).  Lines that nearly coincide make
thin sectors, which cost no accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from nexort.exact.forms import Array

TOLERANCE = 1e-11
"""Two levels that differ by less, relative to E⎸F⎸, are believed; the finer one is the result."""
SMOOTH_TOLERANCE = 1e-9
"""For the trapezoidal rule, whose error is squared by halving the step."""
ROUNDING = 1e-15
"""Results below this, relative to E⎸F⎸, are 0."""
CHUNK = 1 << 19
"""Evaluations at once."""

Integrand = Callable[[slice | Array, Array, Array], Array]
"""F(elements, g1, g2): values (results, elements, nodes) for nodes (elements or 1, nodes)."""


@dataclass(frozen=True, slots=True)
class Lines:
    """p + q g₁ + r g₂ = 0, each (elements, lines)."""

    p: Array
    q: Array
    r: Array

    def of(self, elements: Array) -> Lines:
        return Lines(self.p[elements], self.q[elements], self.r[elements])

    @property
    def are_central(self) -> bool:
        return not self.p.any()


@dataclass(frozen=True, slots=True)
class Nodes:
    g1: Array
    g2: Array
    weights: Array


class NotConvergedError(Exception):
    """No level was accurate enough."""


def integrate(
    integrand: Integrand,
    results: int,
    elements: int,
    dimension: int,
    lines: Lines | None,
    degree: int | None = None,
) -> Array:
    """E F for each result and element, (results, elements), to `TOLERANCE`; raises NotConvergedError.

    `degree`: F is a sum of functions with F(c g) = c^k F(g) for c > 0, k = 0 … degree.
    """
    rule, levels, cost = _rule(dimension, lines, degree)
    tolerance = SMOOTH_TOLERANCE if lines is None else TOLERANCE
    value = np.empty((results, elements))
    todo = np.arange(elements)
    coarse = _at_level(integrand, results, todo, rule, 0, lines, cost(0))[0]
    for level in range(1, levels):
        fine, size = _at_level(integrand, results, todo, rule, level, lines, cost(level))
        gap = np.abs(fine - coarse)
        is_done = np.all(gap <= tolerance * size, axis=0)
        value[:, todo[is_done]] = np.where(np.abs(fine) <= ROUNDING * size, 0.0, fine)[:, is_done]
        todo, coarse = todo[~is_done], fine[:, ~is_done]
        if not len(todo):
            return value
    raise NotConvergedError


Rule = Callable[[int, Lines | None], Nodes]


def _rule(dimension: int, lines: Lines | None, degree: int | None) -> tuple[Rule, int, Callable[[int], int]]:
    """(rule, number of levels, nodes of a level)"""
    if lines is None:
        if dimension == 1:
            return _smooth_line, 12, lambda level: 2 * len(_trapezoid(level)[0])
        return _smooth_plane, 6, lambda level: 2 * len(_trapezoid(level)[0]) ** 2
    count = lines.p.shape[1]
    if dimension == 1:
        return _split_line, 4, lambda level: (count + 16) * (24 + 12 * level)
    if lines.are_central and degree is not None:
        radial = degree // 2 + 1
        return partial(_circles, radial), 4, lambda level: 2 * count * (12 + 6 * level) * radial
    if lines.are_central:
        return _sectors, 4, lambda level: (2 * count + 8) * 12 * (16 + 8 * level) ** 2
    pairs = count * (count - 1) // 2 + 8 * count
    return _split_plane, 3, lambda level: (pairs + 16) * (count + 16) * (12 + 6 * level) ** 2


def _at_level(
    integrand: Integrand, results: int, todo: Array, rule: Rule, level: int, lines: Lines | None, cost: int
) -> tuple[Array, Array]:
    """(E F, E⎸F⎸), each (results, elements)."""
    value, size = np.empty((results, len(todo))), np.empty((results, len(todo)))
    step = max(1, CHUNK // cost)
    for start in range(0, len(todo), step):
        part = todo[start : start + step]
        nodes = rule(level, None if lines is None else lines.of(part))
        F = integrand(part, nodes.g1, nodes.g2) * nodes.weights
        value[:, start : start + step] = F.sum(axis=-1)
        size[:, start : start + step] = np.abs(F).sum(axis=-1)
    return value, size


def density(g: Array) -> Array:
    return np.exp(-(g**2) / 2) / np.sqrt(2 * np.pi)


@cache
def _trapezoid(level: int) -> tuple[Array, Array]:
    h, reach = 0.5 / 2**level, min(8.5 + 1.5 * level, 13.0)
    count = int(reach / h)
    g = h * np.arange(-count, count + 1)
    return g, h * density(g)


def _smooth_line(level: int, lines: Lines | None) -> Nodes:
    g, w = _trapezoid(level)
    return Nodes(g[None], np.zeros((1, 1)), w[None])


def _smooth_plane(level: int, lines: Lines | None) -> Nodes:
    g, w = _trapezoid(level)
    g1, g2 = np.broadcast_arrays(g[:, None], g[None])
    return Nodes(g1.reshape(1, -1), g2.reshape(1, -1), np.outer(w, w).reshape(1, -1))


@cache
def _legendre(count: int) -> tuple[Array, Array]:
    """Gauss–Legendre on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(count)
    return (x + 1) / 2, w / 2


def _panels(points: Array, count: int) -> tuple[Array, Array]:
    """Gauss–Legendre between consecutive sorted points (…, P): nodes and weights, each (…, (P - 1) count)."""
    x, w = _legendre(count)
    lengths = np.diff(points, axis=-1)[..., None]
    nodes = points[..., :-1, None] + lengths * x
    shape = (*points.shape[:-1], -1)
    return nodes.reshape(shape), (lengths * w).reshape(shape)


def _grid(reach: float, length: float) -> Array:
    return np.linspace(-reach, reach, max(2, int(np.ceil(2 * reach / length)) + 1))


def _sorted_points(found: Array, reach: float, length: float) -> Array:
    """Sorted break points (…, P): those found, kept inside [-reach, reach], and a grid."""
    grid = np.broadcast_to(_grid(reach, length), (*found.shape[:-1], len(_grid(reach, length))))
    inside = np.where(np.abs(found) < reach, found, reach)
    return np.sort(np.concatenate([inside, grid], axis=-1), axis=-1)


def _crossing(p: Array, slope: Array) -> Array:
    """-p / slope, infinite where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(slope != 0, -p / slope, np.inf)


def _split_line(level: int, lines: Lines | None) -> Nodes:
    assert lines is not None
    points = _sorted_points(_crossing(lines.p, lines.q), 9.0 + level, 1.25)
    g, w = _panels(points, 12 + 6 * level)
    return Nodes(g, np.zeros((1, 1)), w * density(g))


def _sectors(level: int, lines: Lines | None) -> Nodes:
    assert lines is not None
    radius, length = _panels(np.linspace(0, 9.0 + level, 7), 8 + 4 * level)
    return _polar(lines, level, radius, length * radius * np.exp(-(radius**2) / 2))


def _circles(radial: int, level: int, lines: Lines | None) -> Nodes:
    assert lines is not None
    return _polar(lines, level, *_rayleigh(radial), fixed=0)


def _polar(lines: Lines, level: int, radius: Array, weight: Array, fixed: int = 8) -> Nodes:
    """Angles split at the lines and at `fixed` others, with the given rule for r e^(-r²/2) along the radius."""
    elements = len(lines.p)
    angle = np.mod(np.arctan2(-lines.q, lines.r), np.pi)
    others = np.broadcast_to(np.arange(fixed) * (2 * np.pi / fixed), (elements, fixed)) if fixed else angle[:, :0]
    points = np.sort(np.concatenate([angle, angle + np.pi, others], axis=-1), axis=-1)
    theta, arc = _panels(np.concatenate([points, points[:, :1] + 2 * np.pi], axis=-1), 12 + 6 * level)
    weights = arc[:, :, None] * (weight / (2 * np.pi))
    g1, g2 = np.cos(theta)[:, :, None] * radius, np.sin(theta)[:, :, None] * radius
    return Nodes(*(array.reshape(elements, -1) for array in (g1, g2, weights)))


@cache
def _rayleigh(count: int) -> tuple[Array, Array]:
    """The Gauss rule of r e^(-r²/2) on r > 0: exact for polynomials of degree 2 count - 1 (Stieltjes, Golub–Welsch)."""
    r, w = _panels(np.linspace(0, 16, 17), 32)
    w = w * r * np.exp(-(r**2) / 2)
    total = w.sum()
    diagonal, off = np.zeros(count), np.zeros(count)
    before, now = np.zeros_like(r), np.full_like(r, 1 / np.sqrt(total))
    for k in range(count):
        diagonal[k] = (w * r * now**2).sum()
        after = (r - diagonal[k]) * now - off[k] * before
        norm = np.sqrt((w * after**2).sum())
        if k + 1 < count:
            off[k + 1] = norm
        before, now = now, after / norm
    nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off[1:], 1) + np.diag(off[1:], -1))
    return nodes, total * vectors[0] ** 2


STEEPNESS = (-9.0, -5.0, -2.5, -1.0, 1.0, 2.5, 5.0, 9.0)


def _split_plane(level: int, lines: Lines | None) -> Nodes:
    assert lines is not None
    p, q, r = lines.p, lines.q, lines.r
    reach, count = 9.0 + level, 12 + 6 * level
    where = _crossing(p, q)
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.where(np.abs(r) < np.abs(q), np.abs(r / q), 0.0)
    found = [where, *(where + step * width for step in STEEPNESS)]
    for j in range(p.shape[1]):
        for k in range(j):
            cross = q[:, j] * r[:, k] - q[:, k] * r[:, j]
            found.append(_crossing(p[:, j] * r[:, k] - p[:, k] * r[:, j], cross)[:, None])
    found = np.where(np.isfinite(np.concatenate(found, axis=-1)), np.concatenate(found, axis=-1), reach)
    g1, w1 = _panels(_sorted_points(found, reach, 1.5), count)
    at = _crossing(p[:, None, :] + q[:, None, :] * g1[:, :, None], np.broadcast_to(r[:, None], (*g1.shape, r.shape[1])))
    g2, w2 = _panels(_sorted_points(at, reach, 1.5), count)
    weights = w2 * density(g2) * (w1 * density(g1))[:, :, None]
    g1 = np.broadcast_to(g1[:, :, None], g2.shape)
    return Nodes(*(array.reshape(len(p), -1) for array in (g1, g2, weights)))
