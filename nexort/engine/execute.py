"""Running a plan: steps in order, sweeps on threads, every result looked at for numbers that are not finite."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import numpy as np

from nexort.engine.arrays import Array
from nexort.engine.blocks import (
    BlockOp,
    Frame,
    bound_count,
    compute_block,
    read_block,
    writes_destination,
)
from nexort.engine.factors import Factors, contract_factors, factor_node
from nexort.engine.faults import check_finite
from nexort.engine.plan import NodeStep, Plan
from nexort.engine.state import Meaning, Run, Values, given_value, is_given
from nexort.engine.tiles import run_sweep
from nexort.engine.workers import Workers, single_threaded_blas
from nexort.graph import Map, Node, Output

Progress: TypeAlias = Callable[[int, int], None]
VECTOR_ENTRIES = 1 << 17
"""Entries of the parts in which entrywise functions of vectors are computed."""


def execute(
    plan: Plan,
    meaning: Meaning,
    *,
    shared: Values | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
) -> dict[str, Array]:
    """The outputs of the plan's graph by name, float64, of shape loops + static shape (+ width, for a vector).

    shared    what `execute_shared` left, so that the first `plan.shared` steps need not run; it is not changed
    progress  progress(steps done, steps in all)

    Raises ComputationFault where a value is not finite.  The results do not depend on `threads`.
    """
    steps = range(0 if shared is None else plan.shared, len(plan.steps))
    values = _run_steps(plan, meaning, steps, dict(shared or {}), progress, threads)
    return {output.name: collect_output(output, values) for output in plan.graph.outputs}


def execute_shared(
    plan: Plan, meaning: Meaning, *, progress: Progress | None = None, threads: int | None = None
) -> Values:
    """The values of the first `plan.shared` steps that later ones read, or that are results."""
    return _run_steps(plan, meaning, range(plan.shared), {}, progress, threads)


def _run_steps(
    plan: Plan,
    meaning: Meaning,
    steps: range,
    values: dict[Node, Any],
    progress: Progress | None,
    threads: int | None,
) -> dict[Node, Any]:
    if not steps:
        return values
    with Workers(threads) as workers, single_threaded_blas(), np.errstate(all="ignore"):
        run = Run(plan, meaning, workers, values)
        for done, k in enumerate(steps, 1):
            step = plan.steps[k]
            if isinstance(step, NodeStep):
                _run_node(run, step.node)
            else:
                run_sweep(run, step, plan.overwritten[k])
            for node in plan.freed[k]:
                run.values.pop(node, None)
            if progress is not None:
                progress(done, len(steps))
        return run.values


def collect_output(output: Output, values: Values) -> Array:
    """An output from its nodes, float64."""
    parts = [np.asarray(values[node], dtype=np.float64) for node in output.nodes]
    return np.stack(parts).reshape((*output.loops, *parts[0].shape)) if parts else np.zeros(output.loops)


def _run_node(run: Run, node: Node) -> None:
    run.values[node] = value = _node_value(run, node)
    if isinstance(value, np.ndarray) and not node.type.is_operator and node not in run.plan.guarded:
        operands = [run.values.get(operand) for operand in node.operands]
        check_finite(node, value, operands, for_each=run.workers.for_each)


def _node_value(run: Run, node: Node) -> Any:
    if is_given(node):
        return given_value(run.plan, run.meaning, node, run.values, run.workers)
    values = [run.values[operand] for operand in node.operands]
    if node in run.plan.levels.factored:
        return factor_node(node, values, run.meaning.length)
    if any(isinstance(value, Factors) for value in values):
        return contract_factors(node, values, run.meaning.length)
    return _whole(run, node)


def _whole(run: Run, node: Node) -> Array:
    """A node of order 0 or 1 on whole arrays."""
    op, count, length = run.plan.whole_op(node), bound_count(node), run.meaning.length
    if isinstance(node, Map) and node.type.order == 1:
        return _map_in_parts(run, op)
    whole = [slice(0, length)] * (node.type.order + count)
    buffers = run.borrow()
    result = _evaluate(run, op, run.frame(whole, buffers), None)
    run.give_back(buffers)
    return np.asarray(np.divide(result, float(length) ** count) if count else result)


def _map_in_parts(run: Run, op: BlockOp) -> Array:
    """An entrywise function of vectors, in parts that fit the cache, on all threads."""
    length = run.meaning.length
    out = np.empty((*op.node.type.shape, length), run.meaning.dtype)
    size = max(256, VECTOR_ENTRIES // max(1, prod(op.node.type.shape)))
    parts = [slice(start, min(start + size, length)) for start in range(0, length, size)]

    def part(k: int) -> None:
        buffers = run.borrow()
        frame = run.frame([parts[k]], buffers)
        _evaluate(run, op, frame, read_block(out, op.node, op.coords, frame))
        run.give_back(buffers)

    run.workers.for_each(part, len(parts))
    return out


def _evaluate(run: Run, op: BlockOp, frame: Frame, destination: Array | None) -> Array:
    """A node whose operands are arrays in memory."""
    blocks = [read_block(np.asarray(run.values[x]), x, at, frame) for x, at in op.inputs]
    if destination is None and writes_destination(op.node):
        destination = np.empty(frame.shape(op.node, op.coords), frame.type_of(op.coords))
    return compute_block(op, blocks, frame, destination)
