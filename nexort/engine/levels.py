"""Which values are made whole, which in tiles, which are stored, and in which sweep each is made.

A *large* value has two width axes or more.  Large values are never steps of their own: a *sweep* over tiles evaluates
a set of them together and leaves behind its *roots*, the values that something outside needs.  A sweep of level k may
read what sweeps of lower levels left behind; a value of small order that comes from a root of level k has level k + 1.

A large value is stored if a matrix product applies it, if it is read in another order of its axes or under more axes,
or if a later sweep reads it and it is not *light*: made by few operations from vectors alone, so that making it again
is cheaper than memory.  Values that vary, because their steps run several times on what the others left, are of levels
above all others: so what they read is stored and not made again each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nexort.engine.averages import pair_coords
from nexort.engine.blocks import BlockOp, Coord, Coords, block_op, bound_count, grids_of, identity_coords, operand_axes
from nexort.graph import Contract, DenseOperator, Graph, Map, MatMul, Node
from nexort.symbolic import kernel

LIGHT_COST = 8.0
"""Additions per entry up to which a value made from vectors is made again: about the cost of writing and reading it."""
VARYING_LEVEL = 1_000_000
"""The level of the first values that vary: no graph has so many sweeps in turn."""
PRODUCT_DISCOUNT = 16.0
"""A BLAS operation costs about a sixteenth of an entrywise one."""


@dataclass(slots=True)
class Levels:
    """`level` of each node; which nodes are large, stored, roots; `costs` of light values per entry."""

    graph: Graph
    factored: frozenset[Node]
    is_paired: Callable[[int, int], bool]
    varying: frozenset[Node] = frozenset()
    level: dict[Node, int] = field(default_factory=dict)
    large: set[Node] = field(default_factory=set)
    stored: set[Node] = field(default_factory=set)
    roots: dict[Node, BlockOp] = field(default_factory=dict)
    costs: dict[Node, float] = field(default_factory=dict)

    def is_light(self, node: Node) -> bool:
        return node in self.costs

    def is_barrier(self, node: Node) -> bool:
        """A large value that is itself an average: complete only after its sweep."""
        return node in self.large and bound_count(node) > 0

    def available(self, node: Node) -> int:
        """The level from which a sweep, or a step between sweeps, may read the whole value."""
        return self.level[node] + (node in self.large or node in self.roots)


def is_view(node: Node) -> bool:
    """An operator that is an element of a family of operators, or a stack of them."""
    return node.type.is_operator and not isinstance(node, DenseOperator)


def has_large_type(node: Node) -> bool:
    return isinstance(node, DenseOperator) or (node.type.order >= 2 and not node.type.is_operator)


def find_levels(
    graph: Graph,
    factored: frozenset[Node],
    is_paired: Callable[[int, int], bool] = lambda free, bound: False,
    varying: frozenset[Node] = frozenset(),
) -> Levels:
    """Levels, stored values and roots of a lowered graph; `factored` values are kept as sums of outer products, and
    an average with so many (free, bound) axes pairs its bound axes at random if `is_paired`."""
    levels = Levels(graph, factored, is_paired, varying)
    for node in graph.order:
        _place(levels, node)
    _choose_stored(levels)
    for node in graph.order:
        if node in levels.stored:
            levels.roots[node] = root_op(node, levels.is_paired)
    return levels


def _place(levels: Levels, node: Node) -> None:
    if isinstance(node, MatMul) or is_view(node) or node in levels.factored:
        _need_stored(levels, node.operands)
        levels.level[node] = max((levels.available(operand) for operand in node.operands), default=0)
        return
    if has_large_type(node):
        levels.large.add(node)
    elif not any(operand in levels.large for operand in node.operands):
        least = VARYING_LEVEL if node in levels.varying else 0
        levels.level[node] = max((least, *(levels.available(operand) for operand in node.operands)))
        return
    op = root_op(node, levels.is_paired)
    levels.level[node] = max((_read_level(levels, op, *read) for read in op.inputs), default=0)
    if node not in levels.large:
        levels.roots[node] = op
    elif bound_count(node):
        levels.stored.add(node)
    else:
        _weigh(levels, node)


def _need_stored(levels: Levels, operands: tuple[Node, ...]) -> None:
    levels.stored.update(operand for operand in operands if operand in levels.large)


def _read_level(levels: Levels, op: BlockOp, operand: Node, at: Coords) -> int:
    """The first level at which `op` can read the operand; stores it where it must be complete before."""
    if operand not in levels.large:
        return levels.available(operand)
    is_aligned = at == identity_coords(operand.type.order) and rank(op) <= operand.type.order
    if levels.is_barrier(operand) or (not is_aligned and not levels.is_light(operand)):
        levels.stored.add(operand)
        return levels.level[operand] + 1
    return levels.level[operand]


def rank(op: BlockOp) -> int:
    """The number of nested loops over width axes."""
    return len(grids_of(op.coords + op.bound))


def _weigh(levels: Levels, node: Node) -> None:
    """Record the cost of a light value: made of vectors only, in few operations (or of order 3: never stored)."""
    large = [x for x in node.operands if x in levels.large and not (node.type.order > 2 and x in levels.stored)]
    is_summed = any(operand in levels.factored for operand in node.operands)
    if isinstance(node, DenseOperator) or is_summed or not all(levels.is_light(operand) for operand in large):
        return
    cost = sum(levels.costs[operand] for operand in large) + _entry_cost(node)
    is_product = isinstance(node, Contract) and not large
    if cost <= LIGHT_COST or is_product or node.type.order > 2:
        levels.costs[node] = cost


def _entry_cost(node: Node) -> float:
    match node:
        case Map():
            return kernel(node.fn).flops
        case Contract():
            summed = 1
            for length in node.summed:
                summed *= length
            return 2 * summed / PRODUCT_DISCOUNT
        case _:
            return 1.0


def _choose_stored(levels: Levels) -> None:
    """Store what a later sweep reads, from the last node to the first."""
    needed: dict[Node, set[int]] = {node: set() for node in levels.large}
    for node in reversed(levels.graph.order):
        if node in levels.large:
            later = any(level != levels.level[node] for level in needed[node])
            if later and not levels.is_light(node):
                levels.stored.add(node)
            reading = {levels.level[node]} if node in levels.stored else needed[node]
        elif node in levels.roots:
            reading = {levels.level[node]}
        else:
            continue
        for operand in node.operands:
            if operand in levels.large:
                needed[operand] |= reading


def root_op(node: Node, is_paired: Callable[[int, int], bool]) -> BlockOp:
    """The node as a root of a sweep: its large operands, as far as possible, read in the order of their axes."""
    order, count = node.type.order, bound_count(node)
    if is_paired(order, count):
        return block_op(node, identity_coords(order), pair_coords(order, count))
    if order >= 2 or not count:
        return block_op(node, identity_coords(order), tuple(Coord(order + k) for k in range(count)))
    place = _grid_order(node, order + count)
    full = tuple(Coord(place[w]) for w in range(order + count))
    return _root_at(node, full)


def _root_at(node: Node, full: tuple[Coord, ...]) -> BlockOp:
    if isinstance(node, Contract):
        return block_op(node, full[: node.type.order], full[node.type.order :])
    bound = tuple(full[w] for w in bound_axes(node))
    return block_op(node, tuple(c for w, c in enumerate(full) if w not in bound_axes(node)), bound)


def bound_axes(node: Node) -> tuple[int, ...]:
    """Positions of the averaged axes among the width axes of the product."""
    if isinstance(node, Contract):
        return tuple(range(node.type.order, node.type.order + node.averaged))
    return getattr(node, "axes", ())


def _grid_order(node: Node, count: int) -> dict[int, int]:
    """Grid axis of each width axis of the product: those of the operand with most axes first, in its order."""
    axes = operand_axes(node)
    widest = max(axes, key=lambda place: len(set(place.width)))
    ordered = dict.fromkeys((*widest.width, *range(count)))
    return {w: grid for grid, w in enumerate(ordered)}
