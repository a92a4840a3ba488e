"""The walk over a lowered graph: each scalar an array of numbers, each ket a `Ket`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from nexort.engine import format_bytes
from nexort.errors import ComputationFault
from nexort.exact.averages import average, number_of, product_terms
from nexort.exact.blocks import WORKING
from nexort.exact.compose import Value, apply_function
from nexort.exact.forms import Array, Form, Gaussians, Leaves, place
from nexort.exact.kets import Ket, add, bind, constant, place_ket, scale, select, stack, with_width_axes
from nexort.exact.numbers import sum_product
from nexort.exact.operators import InitialOperator
from nexort.exact.terms import Linear, Term
from nexort.exact.work import CALL, NotExactError, Work
from nexort.graph import (
    Average,
    Contract,
    Data,
    Fluctuation,
    Graph,
    InitialMatrix,
    InitialScalar,
    InitialVector,
    Map,
    MatMul,
    Node,
    Number,
    Reduce,
    Select,
    Stack,
    WidthNumber,
)
from nexort.graph.nodes import Axes
from nexort.symbolic import limit_at_infinity

Progress = Callable[[int, int], None]
METHOD = "exact"
HINT = "use --method particles"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExactPart:
    """What the exact method computes of a program that it need not compute whole.

    values      the scalars, and families of them, that were computed, of their whole shape
    refusals    of the results that have no value: the statement that was in the way, and why
    """

    values: Mapping[Node, Array]
    refusals: Mapping[Node, ComputationFault]


def evaluate_where_possible(results: Iterable[Node], work: Work | None = None) -> ExactPart:
    """The scalars that results of a lowered graph need, one result after the other, as far as the work allows."""
    evaluation = Evaluation(Work() if work is None else work)
    wanted = list(results)
    for node in wanted:
        evaluation.reach(node)
    values = {
        node: np.broadcast_to(value, node.type.shape)
        for node, value in evaluation.values.items()
        if not isinstance(value, Ket)
    }
    refusals = {node: evaluation.refusals[node] for node in wanted if node in evaluation.refusals}
    return ExactPart(values=values, refusals=refusals)


class Evaluation:
    """The values of the nodes so far, with the leaves and initial operators that they share."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.refusals: dict[Node, ComputationFault] = {}
        """Why nodes have no value: what was in the way of `reach`."""
        self._gaussians = Gaussians(work)
        self._vectors: dict[tuple[Any, ...], Ket] = {}
        self._operators: dict[tuple[Any, ...], InitialOperator] = {}
        self._values: dict[Node, Value] = {}

    @property
    def values(self) -> Mapping[Node, Value]:
        return self._values

    def run(self, graph: Graph, progress: Progress | None, should_stop: Callable[[], bool]) -> bool:
        """All nodes, unless told to stop: then False.  Raises at the first that has no exact value."""
        for done, node in enumerate(graph.order, 1):
            if should_stop():
                return False
            if not node.type.is_operator:
                self._values[node] = self._checked(node)
            if progress is not None:
                progress(done, len(graph.order))
        return True

    def reach(self, result: Node) -> None:
        """The node and what it needs, depth first until one has no exact value: then nothing above that one has.

        Sums over what a transpose has met stay right in any order: a ket whose slope counts is made before its users.
        """
        path: list[tuple[Node, int]] = [(result, 0)]
        while path:
            node, position = path.pop()
            if node in self._values or node.type.is_operator:
                continue
            refusal = self.refusals.get(node)
            if refusal is None and position < len(node.operands):
                path += [(node, position + 1), (node.operands[position], 0)]
                continue
            refusal = refusal or self._decide(node)
            if refusal is not None:
                self.refusals.update(dict.fromkeys([node, *(user for user, _ in path)], refusal))
                return

    def _decide(self, node: Node) -> ComputationFault | None:
        needed = statement_bytes(node)
        if needed > self.work.memory:
            return ComputationFault(f"not exact: it would take {format_bytes(needed)} of memory", node.span, hint=HINT)
        try:
            self._values[node] = self._checked(node)
        except ComputationFault as refusal:
            return refusal
        return None

    def _checked(self, node: Node) -> Value:
        try:
            value = self._value(node)
            self.work.add(_entries(value))
        except (NotExactError, RecursionError) as fault:
            reason = fault if isinstance(fault, NotExactError) else "functions stand inside one another too deeply"
            at = "".join(f", {name} = {k}" for name, k in node.passes)
            raise ComputationFault(f"not exact{at}: {reason}", node.span, hint=HINT) from None
        if not isinstance(value, Ket) and not np.isfinite(value).all():
            raise ComputationFault("a value is not finite", node.span)
        return value

    def _value(self, node: Node) -> Value:
        match node:
            case Number():
                return np.asarray(node.value)
            case WidthNumber():
                return np.asarray(limit_at_infinity(node.expression))
            case Data():
                return node.array
            case InitialScalar() if node.variance == 0:
                return np.full(node.type.shape, node.mean)
            case InitialVector():
                return self._vector(node)
            case Map():
                return self._map(node)
            case Contract():
                return self._contract(node)
            case Average():
                return self._average(node)
            case Reduce():
                return self._reduce(node)
            case Select():
                value = self._values[node.operands[0]]
                if isinstance(value, Ket):
                    return select(value, node.index)
                return value[tuple(slice(None) if k is None else k for k in node.index)]
            case Stack():
                return self._stack(node)
            case MatMul():
                return self._matmul(node)
            case InitialScalar() | Fluctuation():
                raise NotExactError("the limit is random")
            case _:
                raise NotExactError(f"{type(node).__name__} is not built in the exact method yet")

    def _vector(self, node: InitialVector) -> Ket:
        shape = node.type.shape
        if node.variance == 0:
            return constant(np.full((1,) * len(shape), node.mean), shape)
        if node.signature not in self._vectors:
            count = int(np.prod(shape, dtype=int))
            leaves = Leaves(
                self._gaussians.add(node.variance * np.eye(count)), shape, tuple(range(len(shape))), len(shape)
            )
            form = Form(np.full((1,) * len(shape), node.mean), leaves)
            self._vectors[node.signature] = Ket(shape, (Term(np.ones((1,) * len(shape)), (Linear(form),)),))
        return self._vectors[node.signature]

    def _placed(self, node: Node, axes: Axes, shape: tuple[int, ...]) -> Value:
        value = self._values[node]
        if isinstance(value, Ket):
            return with_width_axes(place_ket(value, axes.static, shape), axes.width)
        return place(np.broadcast_to(value, node.type.shape), axes.static, len(shape))

    def _map(self, node: Map) -> Value:
        shape = node.type.shape
        arguments = [self._placed(x, at, shape) for x, at in zip(node.operands, node.axes, strict=True)]
        value = apply_function(node.fn, arguments, shape)
        if node.type.order == 0:
            assert not isinstance(value, Ket)
            return np.broadcast_to(value, shape)
        return value if isinstance(value, Ket) else constant(value, shape)

    def _contract(self, node: Contract) -> Value:
        rank, order = len(node.type.shape), node.type.order
        shape, summed = (*node.type.shape, *node.summed), tuple(range(rank, rank + len(node.summed)))
        parts = list(zip(node.operands, node.axes, strict=True))
        scale_by: Array | None = None
        if all(at < rank for x, axes in parts if isinstance(self._values[x], Ket) for at in axes.static):
            numbers = [x for x in parts if not isinstance(self._values[x[0]], Ket)]
            placed = [np.asarray(self._placed(x, axes, shape)) for x, axes in numbers]
            scale_by = sum_product(placed, shape, rank)
            parts = [x for x in parts if isinstance(self._values[x[0]], Ket)]
            shape, summed = node.type.shape, ()
        values = [self._placed(x, axes, shape) for x, axes in parts]
        kets = [x if isinstance(x, Ket) else constant(x, shape) for x in values]
        product = Ket(shape, product_terms(kets, len(shape)))
        found = average(product, range(order, order + node.averaged), self._gaussians, summed)
        if scale_by is not None:
            found = scale(found, scale_by)
        return found if order else _number(found)

    def _average(self, node: Average) -> Value:
        (operand,) = node.operands
        ket = self._values[operand]
        assert isinstance(ket, Ket)
        found = average(ket, node.axes, self._gaussians)
        if node.type.order == 0:
            return _number(found)
        kept = [k for k in range(operand.type.order) if k not in node.axes]
        renamed = [kept.index(k) if k in kept else k for k in range(operand.type.order)]
        return with_width_axes(found, renamed)

    def _reduce(self, node: Reduce) -> Value:
        (operand,) = node.operands
        value = self._values[operand]
        if not isinstance(value, Ket):
            return np.asarray({"sum": np.sum, "mean": np.mean, "max": np.max}[node.kind](value, axis=node.axes))
        if node.kind == "max":
            raise NotExactError("the largest of a family of kets")
        total = bind(value, node.axes)
        count = np.prod([operand.type.shape[k] for k in node.axes])
        return total if node.kind == "sum" else scale(total, float(1 / count))

    def _stack(self, node: Stack) -> Value:
        values = [self._values[operand] for operand in node.operands]
        if node.type.order == 0:
            return np.stack([np.asarray(value) for value in values], axis=node.axis)
        return stack([value for value in values if isinstance(value, Ket)], node.axis)

    def _matmul(self, node: MatMul) -> Ket:
        """For each element of the matrix family, hat + dot of all the arguments that it meets."""
        matrix, argument = node.operands
        initial, elements = matrix_elements(matrix)
        shape = node.type.shape
        ket = self._placed(argument, Axes(node.axes[1].static, (0,)), shape)
        assert isinstance(ket, Ket)
        axes = tuple(dict.fromkeys(node.axes[0].static))
        if not axes:
            return self._operator(initial, int(elements)).apply(ket, is_transposed=node.is_transposed)
        kept = tuple(k for k in range(len(shape)) if k not in axes)
        parts: list[Ket] = []
        for index in np.ndindex(*(shape[k] for k in axes)):
            at = dict(zip(axes, index, strict=True))
            element = int(elements[tuple(at[k] for k in node.axes[0].static)])
            mine = select(ket, [at.get(k) for k in range(len(shape))])
            result = self._operator(initial, element).apply(mine, is_transposed=node.is_transposed)
            indicator = np.zeros([shape[k] if k in at else 1 for k in range(len(shape))])
            indicator[tuple(at.get(k, 0) for k in range(len(shape)))] = 1
            parts.append(scale(place_ket(result, kept, shape), indicator))
        return add(*parts)

    def _operator(self, matrix: InitialMatrix, element: int) -> InitialOperator:
        key = (*matrix.signature, element)
        if key not in self._operators:
            self._operators[key] = InitialOperator(matrix.variance, self._gaussians)
        return self._operators[key]


def statement_bytes(node: Node) -> float:
    """What a statement works with: a product with a matrix, all pairs of its arguments."""
    count = prod(node.type.shape)
    pairs = count if isinstance(node, MatMul) else prod(node.summed) if isinstance(node, Contract) else 1
    return 8.0 * WORKING * count * pairs


def _entries(value: Value) -> float:
    """Of the arrays of a value: numbers, or the coefficients and forms of its terms."""
    if not isinstance(value, Ket):
        return np.size(value)
    forms = (f.form.size for term in value.terms for f in term.factors if isinstance(f, Linear))
    return sum(term.coefficient.size + CALL for term in value.terms) + sum(forms)


def _number(ket: Ket) -> Array:
    value = number_of(ket)
    assert value is not None
    return value


def matrix_elements(operator: Node) -> tuple[InitialMatrix, Array]:
    """(initial matrix, which of its elements in C order, of the operator's static shape), through selections."""
    if isinstance(operator, Select):
        matrix, elements = matrix_elements(operator.operands[0])
        return matrix, np.asarray(elements[tuple(slice(None) if k is None else k for k in operator.index)])
    assert isinstance(operator, InitialMatrix), f"{type(operator).__name__} is no initial matrix"
    return operator, np.arange(int(np.prod(operator.type.shape, dtype=int))).reshape(operator.type.shape)
