"""The operations of a program graph: the core language of TP4b Definition 2.6.1, typed and batched.

A node is immutable and is its own identity (two equal expressions are two nodes until the pass that merges them:
`grad` distinguishes them).  Its operands are nodes; `axes` says where each operand's axes lie in the result.

| node | core reading | value |
|---|---|---|
| Number, WidthNumber, Data | | a number, a function of n, a constant array |
| InitialVector, InitialMatrix | initial vectors and matrices | entries N(mean, variance) and N(0, variance / n) |
| InitialScalar | initial scalars | a number, or N(mean, variance): then the limit is random |
| Fluctuation | | in the limit only: √n ⟨v⎸z⟩ for a fresh readout v, a Gaussian |
| Map | Nonlin (order ≤ 1), Tensor (order ≥ 2) | an entrywise function, operands broadcast along `axes` |
| Entries | none: at width n only | the entries of an operator |
| Reduce | part of a Nonlin | sum, mean or max over static axes |
| Average | Moment (result of order 0), TensorMoment | (1/n) Σ over width axes |
| Contract | Moment or TensorMoment of a product | Σ over static and average over width axes of a product |
| Apply | MatMul | operator @ vector |
| OperatorSum, OperatorProduct, Transpose | | operators, never formed; an order-2 tensor T enters one as T/n |
| Select, Stack | | elements of families |
| Alias, Stop | | the same value under another name; the same value, constant for `grad` |
| MatMul, DenseOperator | | what a backend lowers Apply and OperatorSum to |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from nexort.graph.types import Type
from nexort.source import Span

if TYPE_CHECKING:
    import numpy as np

    from nexort.symbolic import Fn


@dataclass(frozen=True, slots=True)
class Axes:
    """For one operand, the result axis that each of its static and each of its width axes lies on.

    A result axis that no operand axis lies on is broadcast; two operand axes on one result axis are a diagonal.
    """

    static: tuple[int, ...] = ()
    width: tuple[int, ...] = ()


_serials = count()


@cache
def _field_names(kind: type[Node]) -> tuple[str, ...]:
    return tuple(part.name for part in fields(kind))


def next_serial() -> int:
    """A serial that no node has: nodes made later have larger ones."""
    return next(_serials)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    type: Type
    operands: tuple[Node, ...] = field(default=(), repr=False)
    span: Span | None = field(default=None, repr=False)
    passes: tuple[tuple[str, int], ...] = ()
    """The loop passes the node was made in, outermost first: (("t", 3), …). For messages and `derive`."""
    serial: int = field(default_factory=_serials.__next__, repr=False)
    """Grows with each node made by elaboration, so that a node's users have larger ones."""

    def with_operands(self, operands: Iterable[Node]) -> Node:
        """The same operation on other operands of the same types (itself if they are the same)."""
        new = tuple(operands)
        # nodes compare by identity, so this is one comparison in C; most nodes are left as they are
        if new == self.operands:
            return self
        # twice as fast as dataclasses.replace, and passes rewrite every node of a long program
        twin = object.__new__(type(self))
        for name in _field_names(type(self)):
            object.__setattr__(twin, name, getattr(self, name))
        object.__setattr__(twin, "operands", new)
        return twin

    @property
    def signature(self) -> tuple[Any, ...]:
        """What, besides the operands, makes two nodes the same operation."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Number(Node):
    value: float

    @property
    def signature(self) -> tuple[Any, ...]:
        # 0.0 and -0.0 are equal but not the same number
        return (self.value, str(self.value))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WidthNumber(Node):
    """A number that depends on n alone, as a symbolic expression in the width symbol (LANGUAGE: `n` is the width)."""

    expression: Any

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.expression,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data(Node):
    """A constant array of numbers; `array` has the static shape, float64, read-only."""

    name: str
    array: np.ndarray
    digest: bytes
    """Identifies the content, so that equal arrays are one node."""

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.array.shape, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InitialVector(Node):
    """`vector name[shape] ~ N(mean, variance)`; `passes` tells the loop pass that declared it."""

    name: str
    mean: float = 0.0
    variance: float = 1.0

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.name, self.passes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InitialScalar(Node):
    """`scalar name[shape] ~ N(mean, variance)`, `scalar name = mean`; it does not become deterministic with width."""

    name: str
    mean: float = 0.0
    variance: float = 1.0

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.name, self.passes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InitialMatrix(Node):
    """`matrix name[shape] ~ N(0, variance/n)`; an operator."""

    name: str
    variance: float = 1.0

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.name, self.passes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Map(Node):
    """`fn` of the operands, entry by entry, each broadcast along its `axes`."""

    fn: Fn
    axes: tuple[Axes, ...]

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.fn, self.axes, self.type)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entries(Map):
    """The entries of an operator as a tensor, at width n only: in the limit they are not of order 1.

    `fn` is the identity. Made for the size of a weight matrix that an update is divided by (TP4b 2.10.2)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduce(Node):
    """The static axes `axes` of the operand are reduced; the others keep their order."""

    kind: Literal["sum", "mean", "max"]
    axes: tuple[int, ...]

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.kind, self.axes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Average(Node):
    """The width axes `axes` of the operand are averaged, (1/n) Σ; the others keep their order."""

    axes: tuple[int, ...]

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.axes,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contract(Node):
    """Σ over `summed` static axes and average over `averaged` width axes of the product of the operands.

    The product has static axes type.shape + summed (lengths) and type.order + averaged width axes; `axes` place the
    operands in it.  Made by the contraction pass from Reduce and Average of products.
    """

    axes: tuple[Axes, ...]
    summed: tuple[int, ...] = ()
    averaged: int = 0

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.axes, self.summed, self.averaged, self.type)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Apply(Node):
    """operands (operator, vector): operator @ vector. An order-2 tensor may stand for the operator: (1/n) T v."""

    axes: tuple[Axes, Axes]
    """Only the static parts are used."""

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.axes, self.type)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperatorSum(Node):
    """Σ coefficient · term. operands: (coefficient, term, coefficient, term, …), scalars and operators or tensors."""

    axes: tuple[Axes, ...]

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.axes, self.type)

    @property
    def terms(self) -> tuple[tuple[Node, Axes, Node, Axes], ...]:
        """(coefficient, its axes, term, its axes) of each summand."""
        pairs = zip(self.operands, self.axes, strict=True)
        return tuple((c, ca, t, ta) for (c, ca), (t, ta) in zip(pairs, pairs, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperatorProduct(Node):
    """operands (left, right): the composition left @ right of operators or tensors."""

    axes: tuple[Axes, Axes]

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.axes, self.type)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transpose(Node):
    """The transpose of an operator (that of a tensor is a Map with its width axes exchanged)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Select(Node):
    """The elements of a family at fixed static indices: `index[k]` is None where axis k stays."""

    index: tuple[int | None, ...]

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.index,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack(Node):
    """The operands, all of one type, as the elements along a new static axis at position `axis`."""

    axis: int

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.axis,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alias(Node):
    """The same value under another name: `grad` with respect to it counts its own uses only."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stop(Node):
    """The same value, a constant for `grad`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fluctuation(Node):
    """The limit of √n ⟨v⎸z⟩ for a vector v ~ N(0, variance) that nothing else reads: jointly N(0, variance ⟨z⎸z'⟩).

    By the central limit theorem (TP4b Theorem 2.9.19). The operand z is a vector or a family of vectors of the result's
    static shape. All fluctuations of one `name` are of the same v, whatever the passes; a constant for `grad`.
    """

    name: str
    variance: float = 1.0

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.name, self.variance)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatMul(Node):
    """Lowered Apply: operands (matrix, vector), matrix an InitialMatrix, a Select of one, or a DenseOperator."""

    is_transposed: bool
    axes: tuple[Axes, Axes]

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.is_transposed, self.axes, self.type)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseOperator(Node):
    """Lowered OperatorSum, formed as an n × n array: Σ c · M + (1/n) Σ c · T.

    operands: (coefficient, term, …) as in OperatorSum, each term a matrix (InitialMatrix, Select of one,
    DenseOperator) or an order-2 tensor; `axes[2k+1].width` is (1, 0) for a transposed term.
    """

    axes: tuple[Axes, ...]

    @property
    def signature(self) -> tuple[Any, ...]:
        return (self.axes, self.type)
