"""Upper bounds before any work: columns of every matrix side and width space, memory, arithmetic.

The bounds count the arguments of every product as if they were independent; at run time dependent ones take no column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from nexort.engine import Plan, available_threads, estimate_plan
from nexort.graph import InitialMatrix, MatMul, Node
from nexort.graph.terms import Place
from nexort.limit.classes import INPUTS, OUTPUTS, matrix_elements
from nexort.limit.meaning import KetGraph, element_name
from nexort.limit.spaces import FILL

BLAS_RATE = 3e10
"""Operations a second and thread in large matrix products, for the rough time."""
_PASSING = (6, 8)
"""(arrays of the size of a product's arguments, Gram matrices of them) that live at the same time."""
_PASSING_DRAWN = (1, 3)
"""The same of an initial vector that is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBound:
    """At most `columns` new columns for the hats of `name` (W or W')."""

    name: str
    columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceBound:
    """At most `columns` columns in a width space; `overflow` is the first statement at which they may exceed FILL·N."""

    name: str
    columns: int
    overflow: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitEstimate:
    """What one replicate takes: peak `bytes`, `flops`, rough `seconds`, and upper bounds of columns.

    `heaviest` is the value, products with matrices aside, that takes the largest part of the time, `share` that part.
    `draw_seconds` is what depends on a random start: the part that every further draw takes again.
    """

    bytes: int
    flops: int
    seconds: float
    sides: tuple[SideBound, ...]
    spaces: tuple[SpaceBound, ...]
    heaviest: Node | None = None
    share: float = 0.0
    draw_seconds: float = 0.0

    @property
    def columns(self) -> int:
        """The largest bound of a matrix side."""
        return max((side.columns for side in self.sides), default=0)


@dataclass(frozen=True, slots=True)
class ColumnBounds:
    """Upper bounds: of the arguments that one side of a matrix meets, and of the columns drawn in one width space.

    `spaces`, by (space, sector), of all columns.
    """

    arguments: int
    drawn: int
    spaces: Mapping[tuple[int, int], int]


def bound_columns(kets: KetGraph) -> ColumnBounds:
    count = _Count(kets, 1)
    for node in kets.graph.order:
        if isinstance(node, MatMul):
            count.visit(node)
    return ColumnBounds(
        arguments=max(count.sides.values(), default=0),
        drawn=max(count.drawn.values(), default=0),
        spaces=count.spaces,
    )


def estimate_limit_run(
    kets: KetGraph, plan: Plan, samples: int, itemsize: int, *, length: int | None = None
) -> LimitEstimate:
    """Of kets of so many samples; `length` is that of the plan's width axes where it is another (`groups`)."""
    count = _Count(kets, samples)
    drawn = 0
    for node in kets.graph.order:
        if isinstance(node, MatMul):
            before = count.flops
            count.visit(node)
            drawn += count.flops - before if node in kets.graph.random else 0
    threads = available_threads()
    values = estimate_plan(plan, length=length or samples, itemsize=itemsize, threads=threads, has_matrices=False)
    state = count.entries() * itemsize
    seconds = values.seconds + count.flops / (BLAS_RATE * threads)
    return LimitEstimate(
        bytes=state + values.bytes,
        flops=values.flops + count.flops,
        seconds=seconds,
        heaviest=values.heaviest,
        share=values.share * values.seconds / seconds if seconds else 0.0,
        draw_seconds=values.repeated_seconds + drawn / (BLAS_RATE * threads),
        sides=tuple(SideBound(name=key[0], columns=n) for key, n in count.sides.items()),
        spaces=tuple(
            SpaceBound(name=kets.sector_name(k), columns=n, overflow=count.overflow.get(k))
            for k, n in count.spaces.items()
        ),
    )


class _Count:
    """Columns so far, over the products of a graph in order."""

    def __init__(self, kets: KetGraph, samples: int) -> None:
        self._kets = kets
        self._samples = samples
        self._seen: set[tuple[object, ...]] = set()
        self.sides: dict[tuple[str, object], int] = {}
        self.sources: dict[tuple[str, object], tuple[int, int]] = {}
        """The space and sector of the arguments of each side."""
        self.batches: Counter[tuple[str, object]] = Counter()
        """The most arguments that each side meets at once."""
        self.spaces: dict[tuple[int, int], int] = {}
        self.overflow: dict[tuple[int, int], Place] = {}
        self.drawn: Counter[int] = Counter()
        """Initial vectors and hats by width space, all sectors together."""
        self.flops = 0
        for vector in kets.vectors:
            space = (kets.classes.space(vector), kets.parity.bit(vector))
            self._add(space, prod(vector.type.shape), vector)
            self.drawn[space[0]] += prod(vector.type.shape)

    def visit(self, node: MatMul) -> None:
        found = matrix_elements(node.operands[0])
        if found is None:
            return
        matrix, elements = found
        shared = set(node.axes[0].static)
        argument = node.operands[1]
        pairs = zip(node.axes[1].static, argument.type.shape, strict=True)
        rows = prod(size for axis, size in pairs if axis not in shared)
        for element in elements.flat:
            self._apply(node, matrix, int(element), rows)

    def _apply(self, node: MatMul, matrix: InitialMatrix, element: int, rows: int) -> None:
        classes, parity = self._kets.classes, self._kets.parity
        ends = [classes.matrix_space(matrix, element, axis) for axis in (INPUTS, OUTPUTS)]
        numbers = reversed(ends) if node.is_transposed else ends
        sectors = [parity.sector(ket) for ket in (node.operands[1], node)]
        source, target = zip(numbers, sectors, strict=True)
        mark = "'" if node.is_transposed else ""
        name = parity.label(f"{element_name(matrix, element)}{mark}", sectors[0])
        side = (name, (matrix.signature, element, node.is_transposed, sectors[0]))
        key = (*side, node.operands[1])
        if key not in self._seen:
            self._seen.add(key)
            self.sides[side] = self.sides.get(side, 0) + rows
            self.sources[side] = source
            self.batches[side] = max(self.batches[side], rows)
            self._add(source, rows, node)
            self._add(target, rows, node)
            self.drawn[target[0]] += rows
        self.flops += self._work(rows, self._limited(self.sides[side]), *map(self._rank, (source, target)))

    def entries(self) -> int:
        """Numbers held: raw rows and triangles of all spaces and sides, the last arguments of each side (`basis`).

        Initial vectors, and for a while what is made of a batch: scaled, outside, drawn, and its Gram matrices in
        double precision.
        """
        vectors = [prod(vector.type.shape) for vector in self._kets.vectors]
        entries = sum(rank * (self._samples + rank) for rank in map(self._rank, self.spaces))
        entries += sum(vectors) * self._samples
        batches = [*((rows, _PASSING) for rows in self.batches.values()), *((rows, _PASSING_DRAWN) for rows in vectors)]
        entries += max((rows * (arrays * self._samples + grams * rows) for rows, (arrays, grams) in batches), default=0)
        for side, columns in self.sides.items():
            rank = self._limited(columns)
            entries += rank * (self._rank(self.sources[side]) + rank) + self.batches[side] * self._samples
        return entries

    def _limited(self, columns: int) -> int:
        return min(columns, self._samples)

    def _rank(self, space: tuple[int, int]) -> int:
        return self._limited(self.spaces[space])

    def _add(self, space: tuple[int, int], rows: int, node: Node) -> None:
        self.spaces[space] = self.spaces.get(space, int(space[1] == 0)) + rows
        if self.spaces[space] > FILL * self._samples:
            self.overflow.setdefault(space, Place(node.span, node.passes))

    def _work(self, rows: int, side: int, source: int, target: int) -> int:
        """Of `rows` arguments: two passes over the raw rows of each space, its triangle, and the bases of the sides."""
        passes = 2 * (source + target) * self._samples
        coordinates = source**2 + 2 * target**2 + 2 * side * (source + target)
        return 2 * rows * (passes + coordinates)
