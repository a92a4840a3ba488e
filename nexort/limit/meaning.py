"""What the array evaluator runs in the limit: a width axis is N samples of the kets, W @ x is hat + dot.

Everything else (entrywise functions, contractions, averages, tensors) is the engine's, as at width n.  Averages of
tensors that are not sums of outer products leave out equal indices, since a copy is independent of what it copies;
sums of outer products keep full averages, so that linear programs are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from math import prod, sqrt
from typing import Any

import numpy as np

from nexort.engine import Array, AverageRule, Streams, Workers, contract, draw_scalar
from nexort.graph import (
    Fluctuation,
    Graph,
    InitialMatrix,
    InitialScalar,
    InitialVector,
    MatMul,
    Node,
    WidthNumber,
)
from nexort.graph.terms import Place
from nexort.limit.classes import INPUTS, OUTPUTS, WidthClasses, find_width_classes, matrix_elements
from nexort.limit.parity import KetParity, find_parity
from nexort.limit.points import Points
from nexort.limit.products import Products, run_in_turn
from nexort.limit.sides import InitialOperator
from nexort.limit.spaces import WidthSpace
from nexort.limit.width import width_limit

DIRECT_TERMS = 3e7
"""Averages over two or more copies of up to so many terms are taken in full; larger ones over random pairs of copies,
in about so many terms too (N² at least).  On a smooth integrand of order 3 at N = 512 the standard deviation of one
replicate was 0.0054, 0.0038 and 0.0031 with the pairs drawn 1, 2 and 4 times: pairs are worth their time."""

_SAMPLES = -1
"""Label of the axis of samples; static axes of a result are 0, 1, …"""


class KetGraph:
    """A lowered graph with what all replicates share: width spaces, sectors, and initial vectors as declared."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.classes: WidthClasses = find_width_classes(graph)
        self.parity: KetParity = find_parity(graph)

    @cached_property
    def vectors(self) -> tuple[InitialVector, ...]:
        """Initial vectors that are random, each once, in order of declaration: by their place in the text."""
        nodes = {node.signature: node for node in self.graph.order if isinstance(node, InitialVector)}
        return tuple(sorted((node for node in nodes.values() if node.variance > 0), key=_declaration))

    @cached_property
    def matrices(self) -> tuple[InitialMatrix, ...]:
        """Initial matrices, each once."""
        nodes = {node.signature: node for node in self.graph.order if isinstance(node, InitialMatrix)}
        return tuple(nodes.values())

    @cached_property
    def space_names(self) -> dict[int, str]:
        """What each space is called in messages: by the vectors and matrices in it."""
        members: dict[int, list[str]] = {}
        for vector in self.vectors:
            members.setdefault(self.classes.space(vector), []).append(vector.name)
        for matrix in self.matrices:
            for element in range(prod(matrix.type.shape)):
                for axis, noun in ((OUTPUTS, "outputs"), (INPUTS, "arguments")):
                    space = self.classes.matrix_space(matrix, element, axis)
                    members.setdefault(space, []).append(f"the {noun} of {element_name(matrix, element)}")
        return {space: f"of {_enumerate(names)}" for space, names in members.items()}

    def sector_name(self, space: tuple[int, int]) -> str:
        """`of v and the outputs of W (odd in v)`, of (space, sector)."""
        number, sector = space
        return self.parity.label(self.space_names.get(number, "of a constant"), sector)


def _declaration(node: InitialVector) -> tuple[Any, ...]:
    at = node.span.start if node.span is not None else -1
    return (at, node.name, node.passes)


def _enumerate(names: list[str], most: int = 3) -> str:
    shown = names[:most] if len(names) <= most else [*names[: most - 1], "others"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]


def element_name(matrix: InitialMatrix, element: int) -> str:
    """`W`, or `A[2]` for an element of a family."""
    if not matrix.type.shape:
        return matrix.name
    index = np.unravel_index(element, matrix.type.shape)
    return f"{matrix.name}[{', '.join(str(int(k)) for k in index)}]"


def ket_average_rule(samples: int, *, is_distinct: bool) -> AverageRule:
    """Beyond a double sum copies are paired at random; those of random points are to be distinct samples.

    The average over all pairs of random points counts N of N² that are no copies, a bias of σ²/N; that over pairs of
    points of a net is a product of two integrals by the net, with the square of its error as bias, and would have a
    bias of −σ²/N without those N pairs, which are a part of the net.
    """
    double = float(samples) ** 2
    return AverageRule(
        is_distinct=is_distinct, pair_above=max(DIRECT_TERMS, double), rounds=max(1, round(DIRECT_TERMS / double))
    )


class KetMeaning:
    """One replicate: its width spaces, the hats drawn so far, and the engine's protocol `Meaning`.

    `draw` is the number of the draw of what is random in the limit; `has_net` for Sobol points, `pairs` of groups;
    `columns` are upper bounds of those of each space and sector.
    """

    def __init__(
        self,
        kets: KetGraph,
        *,
        samples: int,
        streams: Streams,
        dtype: Any,
        warn: Callable[[str], None],
        rule: AverageRule,
        has_net: bool = False,
        pairs: int = 0,
        columns: Mapping[tuple[int, int], int] | None = None,
    ) -> None:
        self.length = samples
        self.dtype = np.dtype(dtype)
        self.average_rule = rule
        self.draw = 0
        self._kets = kets
        self._streams = streams
        self._warn = warn
        self._products = Products()
        self._columns = columns or {}
        self._new_points = partial(Points, samples, has_net=has_net, pairs=pairs)
        self._points: dict[int, Points] = {}
        self._spaces: dict[tuple[int, int], WidthSpace] = {}
        self._operators: dict[tuple[Any, ...], InitialOperator] = {}

    @cached_property
    def _vectors(self) -> dict[tuple[Any, ...], Array]:
        """Every initial vector, drawn before any hat."""
        return {node.signature: self._draw_vector(node) for node in self._kets.vectors}

    # the engine's protocol

    def width_number(self, node: WidthNumber) -> float:
        return width_limit(node)

    def pairing(self, node: Node, round_: int) -> np.random.Generator:
        at = f"{node.span.start}-{node.span.end}" if node.span is not None else type(node).__name__
        return self._streams.generator(at, "pairs of copies", passes=node.passes, block=round_)

    def initial_scalar(self, node: InitialScalar) -> Array:
        """(shape…): draw j is the same in all replicates, and that of trial j at width n."""
        return draw_scalar(replace(self._streams, k=self.draw), node)

    def fluctuation(self, node: Fluctuation, vector: Array) -> Array:
        """N^(-1/2) Σ_α ε_α z_α, (shape…), of fresh ε ~ N(0, variance): of covariance variance ⟨z⎸z'⟩ given the kets."""
        stream = self._streams.generator(node.name, "fluctuation", element=(self.draw,))
        epsilon = sqrt(node.variance / self.length) * stream.standard_normal(self.length)
        return np.asarray(vector, np.float64) @ epsilon

    def initial_vector(self, node: InitialVector) -> Array:
        """mean + √variance · z, z of exact unit square mean and orthogonal to what was drawn before."""
        shape = (*node.type.shape, self.length)
        if node.variance == 0:
            return np.full(shape, node.mean, self.dtype)
        z = self._vectors[node.signature].reshape(shape)
        return np.asarray(node.mean + sqrt(node.variance) * z, self.dtype)

    def initial_matrix(self, node: Node, workers: Workers) -> Array:
        """Which element of its family of initial matrices each element of the node is; drawn sector by sector."""
        found = matrix_elements(node)
        assert found is not None, f"{type(node).__name__} is no initial matrix"
        matrix, elements = found
        named = np.empty(node.type.shape, object)
        for index in np.ndindex(node.type.shape):
            named[index] = (matrix, int(elements[index]))
        return named

    def matmul(self, node: MatMul, matrix: Array, argument: Array, workers: Workers | None) -> Array:
        """For each element of the matrix family, hat + dot of all the arguments that it meets, as one batch.

        Without workers, on the thread of the caller.
        """
        self._products.for_each = workers.for_each if workers is not None else run_in_turn
        named = np.empty((), object) if isinstance(matrix, tuple) else matrix  # an element of a family is bare
        if named is not matrix:
            named[()] = matrix
        matrix_axes, argument_axes = (axes.static for axes in node.axes)
        shape = node.type.shape
        static = tuple(range(len(shape)))
        # a matrix acts on each sector of its arguments on its own; the operator of one is named by its sector of inputs
        sector = self._kets.parity.sector(node if node.is_transposed else node.operands[1])
        rows = contract([(argument, (*argument_axes, _SAMPLES))], (*static, _SAMPLES))
        result = np.empty((*shape, self.length), self.dtype)
        for index in _places_of(matrix_axes, shape):
            initial, element = named[tuple(index[axis] for axis in matrix_axes)]
            operator = self.operator(initial, element, sector)
            batch = rows[tuple(_at(index.get(axis), rows.shape[axis]) for axis in static)]
            kets = operator.apply(
                batch.reshape(-1, self.length),
                is_transposed=node.is_transposed,
                place=Place(node.span, node.passes),
            )
            if kets.size == result.size:  # of one matrix, on all arguments: nothing to put together
                result = kets.reshape(result.shape)
            else:
                result[tuple(index.get(axis, slice(None)) for axis in static)] = kets.reshape(batch.shape)
        self._products.for_each = run_in_turn  # the workers are those of this run of the engine only
        return result

    def checkpoint(self) -> Callable[[], None]:
        """A call of what this returns forgets all hats since now: they will be drawn again, from the same streams."""
        _ = self._vectors  # drawn before any hat
        spaces, points, operators = dict(self._spaces), dict(self._points), dict(self._operators)
        sides = [side for operator in operators.values() for side in (operator.forward, operator.backward)]
        undo = [part.checkpoint() for part in (*spaces.values(), *sides)]

        def restore() -> None:
            self._spaces, self._points, self._operators = dict(spaces), dict(points), dict(operators)
            for each in undo:
                each()

        return restore

    # initial values

    def operator(self, matrix: InitialMatrix, element: int, sector: int = 0) -> InitialOperator:
        """One element of a family of initial matrices, on the kets of one sector; made when first met."""
        key = (*matrix.signature, element, sector)
        if key not in self._operators:
            _ = self._vectors  # drawn before any hat
            self._operators[key] = self._make_operator(matrix, element, sector)
        return self._operators[key]

    def _make_operator(self, matrix: InitialMatrix, element: int, sector: int) -> InitialOperator:
        classes, parity = self._kets.classes, self._kets.parity
        index = tuple(int(k) for k in np.unravel_index(element, matrix.type.shape)) if matrix.type.shape else ()
        kind = parity.name(sector)
        hat, transposed_hat = (
            self._streams.generator(matrix.name, f"{purpose} {kind}".rstrip(), passes=matrix.passes, element=index)
            for purpose in ("hat", "transposed hat")
        )
        return InitialOperator(
            element_name(matrix, element),
            matrix.variance,
            self.space(classes.matrix_space(matrix, element, INPUTS), sector),
            self.space(classes.matrix_space(matrix, element, OUTPUTS), sector ^ parity.bit(matrix)),
            (hat, transposed_hat),
        )

    def _draw_vector(self, node: InitialVector) -> Array:
        stream = self._streams.generator(node.name, "ket", passes=node.passes)
        space = self.space(self._kets.classes.space(node), self._kets.parity.bit(node))
        return space.draw_kets(stream, prod(node.type.shape), Place(node.span, node.passes))

    def space(self, number: int, sector: int = 0) -> WidthSpace:
        """The kets of one sector in a width space; only even ones have the ket of ones among them."""
        if (number, sector) not in self._spaces:
            name = self._kets.sector_name((number, sector))
            points = self._points.setdefault(number, self._new_points())
            self._spaces[number, sector] = WidthSpace(
                self.length,
                self.dtype,
                name=name,
                has_ones=sector == 0,
                warn=self._warn,
                products=self._products,
                points=points,
                capacity=self._columns.get((number, sector), 0),
            )
        return self._spaces[number, sector]


def _places_of(axes: tuple[int, ...], shape: tuple[int, ...]) -> Iterable[dict[int, int]]:
    """Every combination of indices along the distinct result axes `axes`."""
    distinct = tuple(dict.fromkeys(axes))
    for index in np.ndindex(tuple(shape[axis] for axis in distinct)):
        yield dict(zip(distinct, index, strict=True))


def _at(index: int | None, size: int) -> int | slice:
    """The index along an axis that may be broadcast (of length 1)."""
    if index is None:
        return slice(None)
    return 0 if size == 1 else index
