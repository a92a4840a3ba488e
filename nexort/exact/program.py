"""All outputs of a program: in one evaluation, or in blocks of rows on all cores; what is computed survives a stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from nexort.engine import Workers, available_bytes, format_bytes
from nexort.errors import ComputationFault
from nexort.exact.blocks import Blocks, place_block, plan_blocks
from nexort.exact.evaluate import HINT, Evaluation, Progress, Value
from nexort.exact.forms import Array
from nexort.exact.kets import Ket
from nexort.exact.numbers import inline_products
from nexort.exact.rows import restrict
from nexort.exact.work import Work
from nexort.graph import Graph, Node, Output
from nexort.graph.graph import is_random_start
from nexort.passes import lower_for_limit


class StoppedError(Exception):
    """The time was over, or (`is_interrupt`) Ctrl-C was pressed; `values` are NaN where they were not reached."""

    def __init__(self, values: dict[str, Array], *, is_interrupt: bool) -> None:
        super().__init__("stopped")
        self.values = values
        self.is_interrupt = is_interrupt


def evaluate_exactly(
    graph: Graph,
    progress: Progress | None = None,
    *,
    max_seconds: float | None = None,
    max_memory: float | None = None,
    threads: int | None = None,
) -> dict[str, Array]:
    """The limit of every output by name, of shape loops + static shape, in float64.

    Raises ComputationFault, at the statement, where an expectation has no exact value, and where the smallest blocks
    need more memory than there is, or than `max_memory` bytes; StoppedError after `max_seconds`, and on Ctrl-C.
    """
    start = time.monotonic()
    for node in graph.order:
        if is_random_start(node):
            raise ComputationFault("the limit is random: the exact method gives numbers only", node.span, hint=HINT)

    def is_over() -> bool:
        return max_seconds is not None and time.monotonic() - start > max_seconds

    with Workers(threads) as workers:
        plan = plan_memory(graph, workers.threads, max_memory)
        if plan.order == 1:
            return _evaluate_whole(plan.graph, progress, is_over)
        return _evaluate_blocks(plan, workers, progress, is_over)


def plan_memory(graph: Graph, threads: int, max_memory: float | None = None) -> Blocks:
    """How a graph is evaluated; refused where memory does not allow it."""
    limits = [limit for limit in (available_bytes(), max_memory) if limit is not None]
    plan = plan_blocks(inline_products(lower_for_limit(graph)), threads, min(limits, default=None))
    if limits and plan.bytes > min(limits):
        blocks = "" if plan.order == 1 else ", in its smallest blocks,"
        raise ComputationFault(
            f"the exact method{blocks} needs about {format_bytes(plan.bytes)} of memory for this program, "
            f"and {format_bytes(min(limits))} may be taken",
            hint="take fewer inputs at once, or a larger --max-memory",
        )
    return plan


def _evaluate_whole(lowered: Graph, progress: Progress | None, is_over: Callable[[], bool]) -> dict[str, Array]:
    evaluation = Evaluation(Work())
    try:
        is_complete = evaluation.run(lowered, progress, is_over)
    except KeyboardInterrupt:
        raise StoppedError(_collect_all(lowered, evaluation.values), is_interrupt=True) from None
    values = _collect_all(lowered, evaluation.values)
    if not is_complete:
        raise StoppedError(values, is_interrupt=False)
    return values


def _evaluate_blocks(
    plan: Blocks, workers: Workers, progress: Progress | None, is_over: Callable[[], bool]
) -> dict[str, Array]:
    lowered, rows, parts = plan.graph, plan.rows, plan.parts
    assert rows is not None
    values = {
        output.name: np.full((*output.loops, *(output.nodes[0].type.shape if output.nodes else ())), np.nan)
        for output in lowered.outputs
    }
    done: list[int] = []

    def should_stop() -> bool:
        return workers.is_stopping or is_over()

    def evaluate(k: int) -> None:
        if should_stop():
            return
        part = restrict(lowered, rows, parts[k])
        evaluation = Evaluation(Work())
        if evaluation.run(part, None, should_stop):
            for whole, output in zip(lowered.outputs, part.outputs, strict=True):
                place_block(whole, values[whole.name], _collect(output, evaluation.values), parts[k], rows)
            done.append(k)
            if progress is not None:
                progress(len(done), len(parts))

    try:
        workers.for_each(evaluate, len(parts))
    except KeyboardInterrupt:
        raise StoppedError(values, is_interrupt=True) from None
    if len(done) < len(parts):
        raise StoppedError(values, is_interrupt=False)
    return values


def _collect_all(graph: Graph, values: Mapping[Node, Value]) -> dict[str, Array]:
    return {output.name: _collect(output, values) for output in graph.outputs}


def _collect(output: Output, values: Mapping[Node, Value]) -> Array:
    """The output's value; NaN where a node has none."""
    if not output.nodes:
        return np.zeros(output.loops)
    shape = output.nodes[0].type.shape
    parts = np.full((prod(output.loops), *shape), np.nan)
    for k, node in enumerate(output.nodes):
        value = values.get(node)
        if isinstance(value, Ket):
            raise ComputationFault(
                "the distribution of a vector: the exact method gives numbers only", output.span, hint=HINT
            )
        if value is not None:
            parts[k] = value
    return parts.reshape((*output.loops, *shape))
