"""Random streams keyed by what is drawn, never by when.

A stream's key is (seed, replicate, name, passes, element, purpose, row block), hashed by SHA-256 into the state of a
generator of its own.  So adding a node to a program changes no other draw, and a matrix drawn by row blocks is the same
for any number of threads.  Draws are made in float64 and rounded, so they agree between float32 and float64.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal, TypeAlias

import numpy as np

from nexort.engine.arrays import Array
from nexort.graph import InitialScalar

Passes: TypeAlias = tuple[tuple[str, int], ...]
Law: TypeAlias = Literal["gaussian", "rademacher", "uniform"]

ROW_BLOCK = 128


@dataclass(frozen=True, slots=True)
class Streams:
    """The streams of one trial or replicate `k` of the run with this seed."""

    seed: int
    k: int = 0

    def generator(
        self, name: str, purpose: str, *, passes: Passes = (), element: tuple[int, ...] = (), block: int = 0
    ) -> np.random.Generator:
        """The generator of one keyed stream, at its beginning."""
        key = repr((self.seed, self.k, name, passes, element, purpose, block)).encode()
        words = np.frombuffer(hashlib.sha256(key).digest(), dtype=np.uint32)
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence([int(word) for word in words])))


def draw(generator: np.random.Generator, law: Law, shape: tuple[int, ...]) -> Array:
    """float64 draws of mean 0 and variance 1."""
    match law:
        case "gaussian":
            return generator.standard_normal(shape)
        case "rademacher":
            return generator.integers(0, 2, shape).astype(np.float64) * 2 - 1
        case "uniform":
            return sqrt(3) * (2 * generator.random(shape) - 1)


def draw_scalar(streams: Streams, node: InitialScalar) -> Array:
    """mean + √variance · z of static shape, z ~ N(0, 1), one stream per element."""
    out = np.full(node.type.shape, node.mean)
    if node.variance > 0:
        for element in np.ndindex(*node.type.shape):
            stream = streams.generator(node.name, "scalar", passes=node.passes, element=element)
            out[element] += sqrt(node.variance) * float(stream.standard_normal())
    return out


def row_blocks(length: int) -> list[slice]:
    return [slice(start, min(start + ROW_BLOCK, length)) for start in range(0, length, ROW_BLOCK)]


def fill_rows(
    matrix: Array,
    make_generator: Callable[[int], np.random.Generator],
    *,
    law: Law,
    scale: float,
    for_each: Callable[[Callable[[int], Any], int], None],
) -> None:
    """Fill a (rows, columns) matrix with scale · draws, one stream per block of rows; `for_each(task, count)` runs
    the blocks in any order and on any threads."""
    blocks = row_blocks(matrix.shape[0])

    def fill(k: int) -> None:
        rows = matrix[blocks[k]]
        values = draw(make_generator(k), law, rows.shape)
        values *= scale
        rows[...] = values

    for_each(fill, len(blocks))
