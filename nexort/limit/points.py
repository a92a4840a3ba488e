"""Raw Gaussian columns over N samples: plain random numbers, or scrambled Sobol points.

The columns of one width space are coordinates of N points.  With Sobol points (a digital net in base 2) every interval
of length 2^-k in a coordinate, and many boxes in a few, hold their exact share of the points, so that averages of what
varies slowly in a few coordinates have much smaller errors than of random points.

    u_i = L (i_1 v_1 ⊕ i_2 v_2 ⊕ …) ⊕ s,    z_i = Φ⁻¹(u_i),        i = Σ i_k 2^(k−1)

with direction numbers v (Joe and Kuo 2008), and for each coordinate a random lower triangular L and a random s over
bits (Matoušek 1998): each point is uniform, and replicates are independent.  All columns of a width space, whatever
their sector, belong to one sequence: coordinates of different sequences would pair points at random.  The first
coordinates are the best ones, so they go by importance: initial vectors, then hats from the largest direction on.
Coordinates past `COORDINATES` are plain: among so many, Sobol points are no better.

Where samples are copies of each other (`groups`), the points of the first groups of all pairs are one sequence, those
of their partners another one, scrambled on its own: points of one sequence keep apart, and a sum over pairs (i, j) of
them would lack those that are close.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy.special import ndtri

from nexort.engine import Array
from nexort.limit.halves import kept_samples, whole_samples

BITS = 32
_POLYNOMIALS: tuple[tuple[int, tuple[int, ...]], ...] = (
    (3, (1,)),
    (7, (1, 3)),
    (11, (1, 3, 1)),
    (13, (1, 1, 1)),
    (19, (1, 1, 3, 3)),
    (25, (1, 3, 5, 13)),
    (37, (1, 1, 5, 5, 17)),
    (41, (1, 1, 5, 5, 5)),
    (47, (1, 1, 7, 11, 19)),
    (55, (1, 1, 5, 1, 1)),
    (59, (1, 1, 1, 3, 11)),
    (61, (1, 3, 5, 5, 31)),
    (67, (1, 3, 3, 9, 7, 49)),
    (91, (1, 1, 1, 15, 21, 21)),
    (97, (1, 3, 1, 13, 27, 49)),
    (103, (1, 1, 1, 15, 7, 5)),
    (109, (1, 3, 1, 15, 13, 25)),
    (115, (1, 1, 5, 5, 19, 61)),
    (131, (1, 3, 7, 11, 23, 15, 103)),
    (137, (1, 3, 7, 13, 13, 15, 69)),
    (143, (1, 1, 3, 13, 7, 35, 63)),
    (145, (1, 3, 5, 9, 1, 25, 53)),
    (157, (1, 3, 1, 13, 9, 35, 107)),
    (167, (1, 3, 1, 5, 27, 61, 31)),
    (171, (1, 1, 5, 11, 19, 41, 61)),
    (185, (1, 3, 5, 3, 3, 13, 69)),
    (191, (1, 1, 7, 13, 1, 19, 1)),
    (193, (1, 3, 7, 5, 13, 19, 59)),
    (203, (1, 1, 3, 9, 25, 29, 41)),
    (211, (1, 3, 5, 13, 23, 1, 55)),
    (213, (1, 3, 7, 3, 13, 59, 17)),
    (229, (1, 3, 1, 3, 5, 53, 69)),
    (239, (1, 1, 5, 5, 23, 33, 13)),
    (241, (1, 1, 7, 7, 1, 61, 123)),
    (247, (1, 1, 7, 9, 13, 61, 49)),
    (253, (1, 3, 3, 5, 3, 55, 33)),
    (285, (1, 3, 1, 15, 31, 13, 49, 245)),
    (299, (1, 3, 5, 15, 31, 59, 63, 97)),
    (301, (1, 3, 1, 11, 11, 11, 77, 249)),
)
"""From the second coordinate on: a primitive polynomial over Z2 as bits, and the first direction numbers m
(new-joe-kuo-6.21201 of S. Joe and F. Kuo)."""
COORDINATES = 1 + len(_POLYNOMIALS)


class Points:
    """The points of one width space; `has_net` for Sobol points, in `pairs` pairs of groups (0 for no groups)."""

    def __init__(self, samples: int, *, has_net: bool, pairs: int = 0) -> None:
        self._samples = samples
        self._has_net = has_net
        self._pairs = pairs
        self.used = 0
        """Coordinates drawn so far."""

    @property
    def nets(self) -> int:
        """How many of the next coordinates will be Sobol points."""
        return max(COORDINATES - self.used, 0) if self._has_net else 0

    def draw(self, stream: np.random.Generator, count: int, dtype: Any = np.float64) -> Array:
        """The next `count` coordinates, (count, N), each N(0, 1), drawn in double precision and rounded."""
        nets = min(count, self.nets)
        columns = np.empty((count, self._samples), dtype)
        for k in range(nets):
            columns[k] = kept_samples(stream, self._net_column(self.used + k, stream))
        if nets < count:
            columns[nets:] = stream.standard_normal((count - nets, self._samples))
        self.used += count
        return columns

    def _net_column(self, coordinate: int, stream: np.random.Generator) -> Array:
        count = whole_samples(stream, self._samples)
        if not self._pairs:
            return net_column(coordinate, stream, count)
        sides = [net_column(coordinate, stream, count // 2).reshape(self._pairs, -1) for _ in range(2)]
        return np.stack(sides, axis=1).reshape(-1)


def net_column(coordinate: int, stream: np.random.Generator, count: int) -> Array:
    """z_0 … z_(count − 1) of one coordinate, (count,), scrambled by the stream."""
    vectors = _scramble(_direction_numbers(coordinate), stream)
    points = np.empty(count, np.uint64)
    points[0] = stream.integers(0, 1 << BITS, dtype=np.uint64)
    done, bit = 1, 0
    while done < count:
        # point done + i differs from point i in this bit of its number alone
        size = min(done, count - done)
        np.bitwise_xor(points[:size], vectors[bit], out=points[done : done + size])
        done, bit = done + size, bit + 1
    return ndtri((points + 0.5) / float(1 << BITS))


@cache
def _direction_numbers(coordinate: int) -> Array:
    """v_1, v_2, … as integers of `BITS` bits, (BITS,)."""
    if coordinate == 0:
        numbers = [1] * BITS
    else:
        polynomial, first = _POLYNOMIALS[coordinate - 1]
        degree, numbers = len(first), list(first)
        for k in range(degree, BITS):
            new = numbers[k - degree] ^ (numbers[k - degree] << degree)
            for j in range(1, degree):
                if polynomial >> (degree - j) & 1:
                    new ^= numbers[k - j] << j
            numbers.append(new)
    return np.array([m << (BITS - 1 - k) for k, m in enumerate(numbers)], np.uint64)


def _scramble(vectors: Array, stream: np.random.Generator) -> Array:
    """L v for each v, with a random lower triangular matrix L over Z2 (row 0 makes the highest bit)."""
    place = np.arange(BITS - 1, -1, -1, dtype=np.uint64)
    diagonal = np.uint64(1) << place
    above = np.uint64((1 << BITS) - 1) - (diagonal | (diagonal - np.uint64(1)))
    rows = (stream.integers(0, 1 << BITS, BITS, dtype=np.uint64) & above) | diagonal
    bits = rows[:, None] & vectors
    for shift in (16, 8, 4, 2, 1):
        bits ^= bits >> np.uint64(shift)
    return np.bitwise_xor.reduce((bits & np.uint64(1)) << place[:, None], axis=0)
