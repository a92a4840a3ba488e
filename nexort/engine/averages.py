"""How averages over width axes are taken: all terms, distinct indices only, or random pairs of bound axes.

At width n an average is (1/n) Σ over all indices.  In the limit it stands for an expectation over iid copies, of which
the N samples are the support:

- *Distinct indices.*  Terms in which a bound index equals another index of the product are left out, whether or not
  one operand has both: a coincidence is one copy where the expectation has two, an O(1/N) bias.  Sums of outer
  products keep full averages, so that linear programs stay exact.
- *Random pairs.*  An average over two or more bound axes would take N³ terms and more.  Then only a double sum is
  kept, and the other bound axes read the samples through permutations: k = π(j).  These are ρ∘(shift by s)∘ρ⁻¹ with ρ
  uniform and the shifts different from each other and from 0, so bound indices of one pair are always distinct.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from nexort.engine.arrays import Array, Operand
from nexort.engine.blocks import WIDTH, BlockOp, Coord, Frame, clear_coincidences, grids_of


@dataclass(frozen=True, slots=True)
class AverageRule:
    """How an average over copies of a tensor that is not a sum of outer products is taken.

    is_distinct  leave out terms in which a bound index equals another index, and divide by the number of the others
    pair_above   pair bound axes at random where the average would take more terms than this (None: never)
    rounds       how many times the pairs are drawn anew
    """

    is_distinct: bool = False
    pair_above: float | None = None
    rounds: int = 1

    def is_paired(self, free: int, bound: int, length: int) -> bool:
        """Whether an average with so many free and bound axes draws pairs."""
        too_many = self.pair_above is not None and float(length) ** (free + bound) > self.pair_above
        return too_many and bound >= 2 and free + bound >= 3


def pair_coords(free: int, bound: int) -> tuple[Coord, ...]:
    """Coordinates of the bound axes: independent up to a double sum (at least one), the others tied to the last."""
    independent = max(1, min(bound, 2 - free))
    last = free + independent - 1
    tied = tuple(Coord(last, k + 1) for k in range(bound - independent))
    return (*(Coord(free + k) for k in range(independent)), *tied)


def tied_count(op: BlockOp) -> int:
    return sum(coord.permutation > 0 for coord in op.bound)


def draw_permutations(generator: np.random.Generator, count: int, length: int) -> tuple[Array, ...]:
    """`count` permutations of 0 … length − 1 without fixed points, no two of which agree anywhere."""
    order = generator.permutation(length)
    shifts = 1 + generator.permutation(length - 1)[:count]
    permutations: list[Array] = []
    for shift in shifts:
        permutation = np.empty(length, dtype=np.intp)
        permutation[order] = np.roll(order, int(shift))
        permutations.append(permutation)
    return tuple(permutations)


def term_count(op: BlockOp, length: int, *, is_distinct: bool, rounds: int, equal: int = 0) -> float:
    """The number of terms of an average, over all rounds, where `equal` of the free indices repeat another."""
    tied = tied_count(op)
    free, independent = len(op.coords) - equal, len(op.bound) - tied
    if not op.bound:
        return 1.0
    turns = rounds if tied else 1
    if not is_distinct:
        return float(length) ** independent * turns
    terms = prod(length - free - k for k in range(independent - 1)) * (length - (free + independent - 1) * (1 + tied))
    return float(terms) * turns


def divide_by_terms(op: BlockOp, total: Array, length: int, *, is_distinct: bool, rounds: int) -> None:
    """From sums to averages, in place.

    On the diagonal of a result of order 2 fewer terms are left out.  Diagonals of higher order, and terms that two
    random pairs leave out at once, are not told apart: one entry in N is wrong by a factor 1 + O(1/N).
    """
    count = term_count(op, length, is_distinct=is_distinct, rounds=rounds)
    if count != 1:
        np.divide(total, count, out=total)
    if is_distinct and len(op.coords) == 2:
        diagonal = np.einsum("...ii->...i", total)
        diagonal *= count / term_count(op, length, is_distinct=True, rounds=rounds, equal=1)


def without_coincidences(op: BlockOp, blocks: list[Array], frame: Frame) -> tuple[list[Array], list[Operand]]:
    """The operand blocks, and further factors, of the sum of the terms whose bound indices equal no other index.

    Where an operand has both axes of a pair its entries are set to 0 in a copy; else a factor of 0 and 1 is added.
    """
    blocks = list(blocks)
    copied: set[int] = set()
    masks: dict[tuple[int, ...], Array] = {}
    for first, second in coinciding_pairs(op):
        grids = grids_of((first, second))
        place = next((p for p, (_, at) in enumerate(op.inputs) if set(grids) <= set(grids_of(at))), None)
        if place is None:
            labels = tuple(WIDTH + grid for grid in grids)
            mask = masks.setdefault(grids, np.ones([frame.extent(grid) for grid in grids], frame.dtype))
            clear_coincidences(mask, labels, first, second, frame)
            continue
        if place not in copied:
            blocks[place] = blocks[place].copy()
            copied.add(place)
        clear_coincidences(blocks[place], op.labels[place], first, second, frame)
    return blocks, [(mask, tuple(WIDTH + grid for grid in grids)) for grids, mask in masks.items()]


def coinciding_pairs(op: BlockOp) -> Iterator[tuple[Coord, Coord]]:
    """Each bound coordinate with every other that it may coincide with (those of one random pair never do)."""
    for k, bound in enumerate(op.bound):
        yield from ((bound, other) for other in (*op.coords, *op.bound[k + 1 :]) if other.grid != bound.grid)


def is_distinct_average(op: BlockOp, rule: AverageRule, outer: frozenset[object]) -> bool:
    """Whether an average leaves out coincidences: it averages copies of something that is not an outer sum."""
    large = [node for node, at in op.inputs if len(set(at)) > 1 or len(grids_of(at)) > 1]
    return rule.is_distinct and bool(op.bound) and any(node not in outer for node in large)
