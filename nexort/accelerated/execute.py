"""Running a plan on JAX's devices: `engine.execute`, with segments of steps in place of single ones.

Initial values come from the same keyed streams as in the NumPy engine, and are moved to the devices.  Results are the
same to rounding: sums are taken in another order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from nexort.accelerated.compiled import Program, compiled
from nexort.accelerated.devices import Accelerator, Layout, double_precision, memory_faults
from nexort.accelerated.segments import HostStep, Segment, split_plan
from nexort.engine import (
    Array,
    AverageRule,
    Meaning,
    NodeStep,
    Plan,
    Progress,
    Values,
    Workers,
    build_plan,
    collect_output,
    draw_rounds,
    given_value,
    nonfinite_fault,
    single_threaded_blas,
)
from nexort.graph import Graph, Node


def plan_for_devices(
    graph: Graph,
    *,
    length: int,
    outer_sums: Iterable[Node] = (),
    rule: AverageRule | None = None,
    varying: frozenset[Node] = frozenset(),
) -> Plan:
    """A plan in which every tensor is an array or is made by XLA where it is read, none a list of factors.

    A list that grows with the steps would be compiled anew at each; arrays of n × n numbers are what devices are for.
    """
    plan = build_plan(graph, length=length, rule=rule, varying=varying)
    return replace(plan, outer=frozenset(outer_sums))


@dataclass(slots=True)
class _Run:
    """The values of a run that are alive: JAX arrays, and operators that are none."""

    plan: Plan
    meaning: Meaning
    layout: Layout
    has_matrices: bool
    remedy: str
    values: dict[Node, Any] = field(default_factory=dict)

    @property
    def dtype(self) -> str:
        return self.meaning.dtype.name


def execute(
    plan: Plan,
    meaning: Meaning,
    accelerator: Accelerator,
    *,
    has_matrices: bool = True,
    shared: Values | None = None,
    progress: Progress | None = None,
    remedy: str = "lower the width",
) -> dict[str, Array]:
    """The outputs of the plan's graph by name, as `engine.execute` gives them.

    has_matrices  whether the meaning's operators are arrays; if not, products with them are the meaning's, on the host
    remedy        what to do where memory does not suffice

    Raises ComputationFault where a value is not finite, or memory does not suffice.
    """
    steps = range(0 if shared is None else plan.shared, len(plan.steps))
    values = _run_steps(plan, meaning, accelerator, steps, dict(shared or {}), has_matrices, progress, remedy)
    return {output.name: collect_output(output, values) for output in plan.graph.outputs}


def execute_shared(
    plan: Plan,
    meaning: Meaning,
    accelerator: Accelerator,
    *,
    has_matrices: bool = True,
    progress: Progress | None = None,
    remedy: str = "lower the width",
) -> Values:
    """The values of the first `plan.shared` steps that later ones read, or that are results."""
    return _run_steps(plan, meaning, accelerator, range(plan.shared), {}, has_matrices, progress, remedy)


def _run_steps(
    plan: Plan,
    meaning: Meaning,
    accelerator: Accelerator,
    steps: range,
    values: dict[Node, Any],
    has_matrices: bool,
    progress: Progress | None,
    remedy: str,
) -> dict[Node, Any]:
    if not steps:
        return values
    parts = split_plan(plan, steps.start, steps.stop, has_matrices=has_matrices)
    with double_precision(), Workers() as workers, single_threaded_blas(), memory_faults(remedy):
        run = _Run(plan, meaning, accelerator.layout(meaning.length), has_matrices, remedy, values)
        for done, part in enumerate(parts, 1):
            if isinstance(part, HostStep):
                _run_on_host(run, part, workers)
            else:
                _run_segment(run, part)
            for node in part.freed:
                run.values.pop(node, None)
            if progress is not None:
                progress(done, len(parts))
        return run.values


def _run_on_host(run: _Run, step: HostStep, workers: Workers) -> None:
    node = step.node
    value = given_value(run.plan, run.meaning, node, run.values, workers)
    is_array = isinstance(value, np.ndarray | float) and (run.has_matrices or not node.type.is_operator)
    run.values[node] = run.layout.put(value, node.type, run.dtype) if is_array else value


def _run_segment(run: _Run, segment: Segment) -> None:
    rounds = [draw_rounds(run.meaning, step) for step in segment.steps if not isinstance(step, NodeStep)]
    program = Program(
        plan=run.plan,
        segment=segment,
        layout=run.layout,
        dtype=run.dtype,
        rule=run.meaning.average_rule,
        donated=_donated(run, segment),
        pairs=tuple((len(each), len(each[0])) for each in rounds),
    )
    function = compiled(program)
    _refuse_too_large(run, function)
    inputs = [run.values[node] for node in segment.inputs]
    written = [inputs[k] for k in program.donated]
    kept = [array for k, array in enumerate(inputs) if k not in program.donated]
    numbers = run.layout.numbers(segment.numbers, "float64")
    indices = run.layout.numbers(segment.indices, "int32")
    permutations = [[[run.layout.numbers(p, "int32") for p in each] for each in sweep] for sweep in rounds]
    outputs, faults = function(*written, kept, numbers, indices, permutations)
    run.values.update(zip(segment.outputs, outputs, strict=True))
    _check(run, segment, np.asarray(faults))


def _refuse_too_large(run: _Run, function: Any) -> None:
    """What XLA knows it will take, before it does."""
    memory = function.memory_analysis()
    if memory is not None:
        needed = memory.temp_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
        length = run.layout.length
        what = f"at width {length}" if run.has_matrices else f"with {length} samples"
        run.layout.accelerator.refuse_too_large(needed, what, run.remedy)


def _donated(run: _Run, segment: Segment) -> tuple[int, ...]:
    """Large inputs that nothing else holds and nothing reads later, one for each result of the same shape."""
    room = [(node.type.shape, node.type.order) for node in segment.outputs if node.type.order > 1]
    holders: dict[int, int] = {}
    for value in run.values.values():
        holders[id(value)] = holders.get(id(value), 0) + 1
    freed = set(segment.freed)
    chosen: list[int] = []
    for k, node in enumerate(segment.inputs):
        form = (node.type.shape, node.type.order)
        if node in freed and form in room and holders[id(run.values[node])] == 1:
            room.remove(form)
            chosen.append(k)
    return tuple(chosen)


def _check(run: _Run, segment: Segment, faults: Array) -> None:
    """Raises ComputationFault for the first value that has entries which are not finite."""
    for node, count in zip(segment.checked, faults, strict=True):
        value = _alive(run, node) if count else None
        # a sum may overflow where all entries are finite
        bad = int(count) if value is None else int(value.size - np.isfinite(value).sum())
        if bad:
            size = prod(run.layout.shape(node.type))
            raise nonfinite_fault(node, bad, size, [_alive(run, x) for x in node.operands])


def _alive(run: _Run, node: Node) -> Array | None:
    """The value of a node, if it has not been freed or written over."""
    value = run.values.get(node)
    return None if value is None or value.is_deleted() else np.asarray(value)
