"""The meaning of a program at width n: n neurons, matrices of iid entries, products with them (TP4b Def. 2.6.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from nexort.engine import (
    Array,
    AverageRule,
    Estimate,
    Law,
    Plan,
    Progress,
    Streams,
    Workers,
    available_threads,
    build_plan,
    draw,
    draw_scalar,
    estimate_plan,
    execute,
    fill_rows,
    multiply_matrix,
    refuse_too_large,
    take_diagonals,
)
from nexort.finite.lower import lower_graph
from nexort.graph import (
    Fluctuation,
    Graph,
    InitialMatrix,
    InitialScalar,
    InitialVector,
    MatMul,
    Node,
    Select,
    WidthNumber,
    collector_paused,
)
from nexort.passes import outer_sums
from nexort.symbolic import value_at_width

if TYPE_CHECKING:
    from nexort.accelerated import Accelerator


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """Width axes of n neurons; the entries of matrices have variance variance / n and the law `init`."""

    length: int
    dtype: np.dtype[np.floating]
    init: Law
    streams: Streams
    average_rule: AverageRule = field(default=AverageRule())

    def width_number(self, node: WidthNumber) -> float:
        return value_at_width(node.expression, self.length)

    def pairing(self, node: Node, round_: int) -> np.random.Generator:
        raise AssertionError("at width n every average is exact")

    def initial_scalar(self, node: InitialScalar) -> Array:
        """(shape…), a draw for each trial."""
        return draw_scalar(self.streams, node)

    def fluctuation(self, node: Fluctuation, vector: Array) -> Array:
        raise AssertionError("at width n an output is an average, not its limit law")

    def initial_vector(self, node: InitialVector) -> Array:
        """(shape…, n): N(mean, variance), one stream per element."""
        out = np.empty((*node.type.shape, self.length), self.dtype)
        for element in np.ndindex(*node.type.shape):
            stream = self.streams.generator(node.name, "vector", passes=node.passes, element=element)
            out[element] = node.mean + sqrt(node.variance) * draw(stream, "gaussian", (self.length,))
        return out

    def initial_matrix(self, node: Node, workers: Workers) -> Array:
        """(shape…, n, n) for a family or an element of one, in streams keyed by element and block of rows."""
        base, elements = matrix_elements(node)
        out = np.empty((len(elements), self.length, self.length), self.dtype)
        for k, element in enumerate(elements):

            def stream(block: int, element: tuple[int, ...] = element) -> np.random.Generator:
                return self.streams.generator(base.name, "matrix", passes=base.passes, element=element, block=block)

            scale = sqrt(base.variance / self.length)
            fill_rows(out[k], stream, law=self.init, scale=scale, for_each=workers.for_each)
        return out.reshape((*node.type.shape, self.length, self.length))

    def matmul(self, node: MatMul, matrix: Any, argument: Array, workers: Workers) -> Array:
        """W x or Wᵀ x, one product per element of a family of matrices."""
        n, shape = self.length, node.type.shape
        out = np.empty((*shape, n), self.dtype)
        matrix, places = _family(matrix, node.axes[0].static)
        vectors, where = take_diagonals(argument, (*node.axes[1].static, len(shape)))
        vectors = vectors.transpose([where.index(axis) for axis in sorted(where)])
        vectors = vectors[tuple(slice(None) if axis in where else None for axis in range(len(shape) + 1))]
        vectors = np.broadcast_to(vectors, out.shape)
        for element in np.ndindex(*matrix.shape[:-2]):
            fixed = dict(zip(places, element, strict=True))
            index = tuple(fixed.get(axis, slice(None)) for axis in range(len(shape)))
            part = np.ascontiguousarray(vectors[index]).reshape(-1, n)
            # a family of matrices may meet elements that do not lie side by side
            result = out.reshape(-1, n) if not places else np.empty_like(part)
            multiply_matrix(matrix[element], part, result, is_transposed=node.is_transposed, for_each=workers.for_each)
            if places:
                out[index] = result.reshape(out[index].shape)
        return out


def _family(matrix: Array, static: tuple[int, ...]) -> tuple[Array, tuple[int, ...]]:
    """The matrices with each static axis of the result once, and these axes, the matrix axes last."""
    row, column = max(static, default=0) + 1, max(static, default=0) + 2
    view, labels = take_diagonals(matrix, (*static, row, column))
    order = [labels.index(axis) for axis in sorted(set(static))] + [labels.index(row), labels.index(column)]
    return view.transpose(order), tuple(sorted(set(static)))


def matrix_elements(node: Node) -> tuple[InitialMatrix, list[tuple[int, ...]]]:
    """The initial matrix behind a node and the indices of the elements that the node holds, in C order."""
    match node:
        case InitialMatrix():
            return node, list(np.ndindex(*node.type.shape))
        case Select():
            base, elements = matrix_elements(node.operands[0])
            places = np.arange(prod(node.operands[0].type.shape)).reshape(node.operands[0].type.shape)
            chosen = places[tuple(slice(None) if k is None else k for k in node.index)]
            return base, [elements[k] for k in np.ravel(chosen)]
        case _:
            raise AssertionError(f"{type(node).__name__} is not an initial matrix")


REMEDY = "lower --width"


@dataclass
class FiniteRun:
    """A program at width n, planned and with its cost estimated; `trial(k)` runs it with the draws of trial k.

    init     the law of the entries of matrices: gaussian, rademacher or uniform, of the same variance
    threads  all cores by default; results do not depend on it
    accelerator  devices to run on in place of the NumPy engine
    """

    graph: Graph
    width: int
    dtype: str = "float64"
    init: Law = "gaussian"
    seed: int = 0
    threads: int | None = None
    accelerator: Accelerator | None = None
    plan: Plan = field(init=False, repr=False)
    estimate: Estimate = field(init=False)

    @collector_paused()
    def __init__(
        self,
        graph: Graph,
        *,
        width: int,
        dtype: str = "float64",
        init: Law = "gaussian",
        seed: int = 0,
        threads: int | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.graph, self.width, self.dtype = graph, width, dtype
        self.init, self.seed, self.threads, self.accelerator = init, seed, threads, accelerator
        lowered = lower_graph(graph)
        # devices form sums of outer products: as lists of factors they would be compiled anew as they grow
        outer = outer_sums(lowered) if accelerator is None else ()
        self.plan = build_plan(lowered, length=width, outer_sums=outer)
        itemsize = np.dtype(dtype).itemsize
        self.estimate = estimate_plan(
            self.plan, length=width, itemsize=itemsize, threads=threads or available_threads()
        )

    def trial(self, k: int, progress: Progress | None = None) -> dict[str, Array]:
        """The outputs of trial k by name, float64, of shape loops + static shape (+ n for a vector).

        Raises ComputationFault if the run would not fit the memory, or a value is not finite.
        """
        meaning = Neurons(length=self.width, dtype=np.dtype(self.dtype), init=self.init, streams=Streams(self.seed, k))
        if self.accelerator is not None:
            from nexort import accelerated

            share = self.estimate.bytes // self.accelerator.layout(self.width).count
            self.accelerator.refuse_too_large(share, f"at width {self.width}", REMEDY)
            return accelerated.execute(self.plan, meaning, self.accelerator, progress=progress, remedy=REMEDY)
        refuse_too_large(self.estimate.bytes, f"at width {self.width}", REMEDY)
        return execute(self.plan, meaning, progress=progress, threads=self.threads)
