"""Parity: the exact sign symmetries of the kets, found in the graph.

The law of an initial vector v of mean 0 does not change when v changes sign, nor that of a matrix W when W does.  Let
all such *flips* act on the kets: v on itself, W on its hats and on those of Wᵀ, and every hat as its argument changes
(the hats of a side are Gaussian with covariance ⟨x⎸y⟩, which is 0 between an even and an odd x, y).  By induction over
the program the law of all kets is invariant and every scalar, being a deterministic number, is even.  So

- the average of something odd is exactly 0 (⟨v⎸x⟩ for a fresh readout v, the output of a network at initialisation);
- hats of even and odd arguments are independent;
- the dot of W x has terms of those y only that W x has the parity of: E ∂⎸x⟩/∂⎸Wᵀ y⟩^ is 0 for the others.

The last is what gradient independence says of networks that do not use Wᵀ in their forward pass: there the kets of
the backward pass are odd in v, those of the forward pass even.  Where Wᵀ is used forward, those dots have the same
parity as the argument, and stay.

Scalars are numbers, however they came about, and a ket has the law that it has in the program of its own ancestors.  So
an average is 0 where every ket that it is made of is even or odd under a flip, whatever becomes of that flip later (v
is neither once it has been updated): such a value is known where it matters, at a jump.  For everything else a flip
counts only where it leaves every ket of the program even or odd (relu(W v) is neither), since ⟨x⎸W y⟩ = ⟨Wᵀ x⎸y⟩ holds
to rounding only if chance products are 0 on both sides or on neither.  The parities under the k flips that are left,
bit masks in Z2^k, cut the kets of a width space into *sectors*, which the sampler keeps apart.

The indices of a tensor stand for independent copies, so it has a parity for each width axis.

Accepts a lowered graph.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeGuard

from nexort.graph import (
    Average,
    Axes,
    Contract,
    Data,
    Graph,
    InitialMatrix,
    InitialVector,
    Map,
    MatMul,
    Node,
    Number,
    Reduce,
    Select,
    Stack,
    WidthNumber,
    build_graph,
)
from nexort.graph.types import SCALAR
from nexort.limit.classes import matrix_elements
from nexort.limit.width import width_limit
from nexort.symbolic import Fn, Parity, apply_fn, argument, function_parity, number, primitive

Flip = InitialVector | InitialMatrix
"""What changes sign; all elements of a family together."""


@dataclass(frozen=True, slots=True)
class _Masks:
    """For one width axis of a node, the flips (bits) that it is odd in, and those that leave it neither."""

    odd: int = 0
    neither: int = 0


@dataclass(frozen=True, slots=True)
class KetParity:
    """`odd[node][k]` has the bits of the flips in which the node is odd along its width axis k; bit b is `flips[b]`.

    zeros   nodes that are exactly 0: numbers 0, averages of something odd, and what is made of these; without those
            that are 0 by a flip that is no symmetry later, but for the ones that meet a jump
    odd_averages   whether some of them are averages of something odd
    jumps   entrywise functions that jump or have a pole where such an average enters
    """

    flips: tuple[Flip, ...]
    odd: dict[Node, tuple[int, ...]]
    zeros: frozenset[Node]
    odd_averages: bool
    jumps: tuple[Map, ...]

    def sector(self, node: Node) -> int:
        """The sector of a ket."""
        return self.odd[node][0]

    def bit(self, origin: Flip) -> int:
        """The bit of a vector or matrix; 0 where its flip is not a symmetry."""
        return next((1 << b for b, flip in enumerate(self.flips) if flip.signature == origin.signature), 0)

    def name(self, sector: int) -> str:
        """`odd in v and W`: for keys and messages; empty for kets that are even in everything."""
        names = [_flip_name(flip) for b, flip in enumerate(self.flips) if sector >> b & 1]
        return f"odd in {' and '.join(names)}" if names else ""

    def label(self, name: str, sector: int) -> str:
        """`W (odd in v)`: something of a sector, in messages."""
        return f"{name} ({self.name(sector)})" if sector else name


def _flip_name(flip: Flip) -> str:
    passes = "".join(f", {name} = {value}" for name, value in flip.passes)
    return f"{flip.name}{passes}"


def find_parity(graph: Graph) -> KetParity:
    """The flips that leave every ket even or odd, and the parities under them."""
    flips: dict[tuple[object, ...], Flip] = {node.signature: node for node in graph.order if _has_flip(node)}
    bits = _bits(flips)
    # all vectors at once: x + y is odd in that, and neither in x nor in y
    together = 1 << len(flips)
    first = _walked(graph, {key: bit | together * isinstance(flips[key], InitialVector) for key, bit in bits.items()})
    at_jumps = {operand for node in first.jumps for operand in node.operands if operand in first.zeros}
    while (walk := _walked(graph, _bits(flips), at_jumps)).broken:
        flips = {signature: flip for b, (signature, flip) in enumerate(flips.items()) if not walk.broken >> b & 1}
    odd = {node: tuple(axis.odd for axis in axes) for node, axes in walk.masks.items()}
    return KetParity(tuple(flips.values()), odd, frozenset(walk.zeros), walk.has_odd_averages, tuple(first.jumps))


def _bits(flips: Iterable[tuple[object, ...]]) -> dict[tuple[object, ...], int]:
    return {signature: 1 << b for b, signature in enumerate(flips)}


def _walked(graph: Graph, bits: Mapping[tuple[object, ...], int], zeros: Collection[Node] = ()) -> _Walk:
    walk = _Walk(bits, zeros)
    for node in graph.order:
        walk.visit(node)
    return walk


def without_zeros(graph: Graph, parity: KetParity) -> Graph:
    """The graph with every value that is exactly 0 replaced by the number 0, broadcast to its type."""
    zero = Number(value=0.0, type=SCALAR)
    new: dict[Node, Node] = {}
    for node in graph.order:
        if node in parity.zeros and not isinstance(node, Number | Data | InitialVector):
            new[node] = Map(
                type=node.type,
                operands=(zero,),
                fn=primitive("identity"),
                axes=(Axes(),),
                span=node.span,
                passes=node.passes,
                serial=node.serial,
            )
        else:
            new[node] = node.with_operands(new[operand] for operand in node.operands)
    return build_graph(replace(out, nodes=tuple(new[node] for node in out.nodes)) for out in graph.outputs)


def _has_flip(node: Node) -> TypeGuard[Flip]:
    match node:
        case InitialVector():
            return node.mean == 0 and node.variance > 0
        case InitialMatrix():
            return True
        case _:
            return False


class _Walk:
    """One pass over a graph, operands first, with given flips, and nodes that are known to be 0."""

    def __init__(self, bits: Mapping[tuple[object, ...], int], known_zeros: Collection[Node]) -> None:
        self._bits = bits
        self._known_zeros = known_zeros
        self.masks: dict[Node, tuple[_Masks, ...]] = {}
        self.zeros: set[Node] = set()
        self.jumps: list[Map] = []
        self.broken = 0
        """Flips that some value is neither even nor odd in."""
        self.has_odd_averages = False
        self._symmetric_zeros: set[Node] = set()
        self._tainted: dict[Node, int] = {}
        """Flips that the node, or a ket that it is made of, is neither even nor odd in."""

    def visit(self, node: Node) -> None:
        axes, is_zero = ((_Masks(),) * node.type.order, True) if node in self._known_zeros else self._decide(node)
        self.masks[node] = axes
        neither = _union(axis.neither for axis in axes)
        self.broken |= neither
        self._tainted[node] = 0 if is_zero else neither | self._tainted_operands(node)
        if is_zero:
            self.zeros.add(node)
            is_average = isinstance(node, Average | Contract) and not any(x in self.zeros for x in node.operands)
            self.has_odd_averages |= is_average
            if is_average or any(x in self._symmetric_zeros for x in node.operands):
                self._symmetric_zeros.add(node)

    def _tainted_operands(self, node: Node) -> int:
        return _union(self._tainted[x] for x in node.operands if x.type.order)

    def _decide(self, node: Node) -> tuple[tuple[_Masks, ...], bool]:
        even = (_Masks(),) * node.type.order
        match node:
            case Number():
                return even, node.value == 0
            case WidthNumber():
                return even, width_limit(node) == 0
            case Data():
                return even, not node.array.any()
            case InitialVector():
                is_zero = node.mean == node.variance == 0
                return (_Masks(self._bits.get(node.signature, 0)),), is_zero
            case MatMul():
                return self._matmul(node)
            case Map():
                return self._map(node)
            case Contract():
                return self._contract(node)
            case Average():
                return self._average(node)
            case _ if node.type.is_operator:
                return even, False
            case _:
                return self._in_place(node)

    def _matmul(self, node: MatMul) -> tuple[tuple[_Masks, ...], bool]:
        operator, argument_ = node.operands
        found = matrix_elements(operator)
        assert found is not None, "a product with what is not an initial matrix"
        axis = self.masks[argument_][0]
        odd = axis.odd ^ self._bits.get(found[0].signature, 0)
        return (replace(axis, odd=odd),), argument_ in self.zeros

    def _map(self, node: Map) -> tuple[tuple[_Masks, ...], bool]:
        zeros = frozenset(k for k, x in enumerate(node.operands) if x in self.zeros)
        fn = _with_zeros(node.fn, zeros) if zeros else node.fn
        if any(x in self._symmetric_zeros and node.fn.jumps_at_zero(k) for k, x in enumerate(node.operands)):
            self.jumps.append(node)
        if fn.is_zero:
            return (_Masks(),) * node.type.order, True
        axes = tuple(self._map_axis(node, fn, axis) for axis in range(node.type.order))
        return axes, False

    def _map_axis(self, node: Map, fn: Fn, axis: int) -> _Masks:
        masks = [
            self._along(operand, axes.width, axis) if fn.depends_on(k) else _Masks()
            for k, (operand, axes) in enumerate(zip(node.operands, node.axes, strict=True))
        ]
        neither = _union(mask.neither for mask in masks)
        odd = 0
        for flips, pattern in _patterns([mask.odd for mask in masks]):
            match function_parity(fn, pattern):
                case Parity.ODD:
                    odd |= flips
                case Parity.NEITHER:
                    neither |= flips
                case Parity.EVEN:
                    pass
        return _Masks(odd & ~neither, neither)

    def _along(self, operand: Node, width: Sequence[int], axis: int) -> _Masks:
        """The masks of an operand along an axis of the result: of both its axes there, for a diagonal."""
        there = [self.masks[operand][k] for k, place in enumerate(width) if place == axis]
        return _product(there)

    def _contract(self, node: Contract) -> tuple[tuple[_Masks, ...], bool]:
        order = node.type.order
        axes = tuple(
            _product(
                self._along(operand, places.width, axis)
                for operand, places in zip(node.operands, node.axes, strict=True)
            )
            for axis in range(order + node.averaged)
        )
        is_odd = any(axis.odd & ~self._tainted_operands(node) for axis in axes[order:])
        is_zero = is_odd or any(x in self.zeros for x in node.operands)
        self.broken |= _union(axis.neither for axis in axes[order:])
        return ((_Masks(),) * order if is_zero else axes[:order]), is_zero

    def _average(self, node: Average) -> tuple[tuple[_Masks, ...], bool]:
        operand = node.operands[0]
        axes = self.masks[operand]
        kept = tuple(axis for k, axis in enumerate(axes) if k not in node.axes)
        is_zero = operand in self.zeros or any(axes[k].odd & ~self._tainted[operand] for k in node.axes)
        return ((_Masks(),) * len(kept) if is_zero else kept), is_zero

    def _in_place(self, node: Node) -> tuple[tuple[_Masks, ...], bool]:
        """Families: elements, stacks and static reductions; their axes stay where they are."""
        alive = [operand for operand in node.operands if operand not in self.zeros]
        if not alive:
            return (_Masks(),) * node.type.order, bool(node.operands) and isinstance(node, Reduce | Stack | Select)
        axes = tuple(_common([self.masks[operand][k] for operand in alive]) for k in range(node.type.order))
        if isinstance(node, Reduce) and node.kind == "max":
            axes = tuple(_Masks(0, axis.neither | axis.odd) for axis in axes)
        return axes, False


def _union(masks: Iterable[int]) -> int:
    result = 0
    for mask in masks:
        result |= mask
    return result


def _product(axes: Iterable[_Masks]) -> _Masks:
    odd = neither = 0
    for axis in axes:
        odd ^= axis.odd
        neither |= axis.neither
    return _Masks(odd & ~neither, neither)


def _common(axes: Sequence[_Masks]) -> _Masks:
    """The masks of a family from those of its elements."""
    differ = _union(axis.odd ^ axes[0].odd for axis in axes) | _union(axis.neither for axis in axes)
    return _Masks(axes[0].odd & ~differ, differ)


def _patterns(odd: Sequence[int]) -> Iterator[tuple[int, frozenset[int]]]:
    """(flips, the operands that they change), for each set of operands that some flip changes."""
    left = _union(odd)
    while left:
        lowest = left & -left
        pattern = frozenset(k for k, mask in enumerate(odd) if mask & lowest)
        flips = left
        for k, mask in enumerate(odd):
            flips &= mask if k in pattern else ~mask
        yield flips, pattern
        left &= ~flips


@cache
def _with_zeros(fn: Fn, zeros: frozenset[int]) -> Fn:
    """The function with some arguments 0."""
    return Fn.of(apply_fn(fn, [number(0.0) if k in zeros else argument(k) for k in range(fn.arity)]), fn.arity)
