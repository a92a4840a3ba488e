"""`--method auto`: the exact method for what it can compute, samples for the rest.

The exact method is tried first, on one result after the other in the order of the program, and gives up where a
statement does not reduce to its integrals, or where it would take more work than a part of what sampling takes.  Both
are counted and not timed, so that the same command always gives the same numbers by the same methods.  What is known
then leaves the graph (`passes.with_known_values`), and the rest is sampled as `--method particles` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexort.api.compute import Interrupted, Progress, compute_limit
from nexort.api.exact import exact_output, plan_exactly
from nexort.api.options import LimitOptions
from nexort.api.results import LimitOutput, LimitResults, RandomLimitOutput
from nexort.engine import available_bytes
from nexort.errors import ComputationFault
from nexort.exact import LARGEST, METHOD, Blocks, ExactPart, Work, evaluate_where_possible, restrict
from nexort.graph import Data, Graph, Output
from nexort.limit import LimitRun, lower_to_kets
from nexort.passes import reads_known_value, with_known_values

Array = NDArray[np.float64]
Announce = Callable[[str], None]

LEAST_WORK = 1e8
"""Of the exact method, whatever sampling takes: some tenths of a second."""
SHARE = 1 / 50
"""Work allowed for each operation of sampling, most of which are of matrix products and many times faster."""
FEW_INPUTS = (4, 8)
"""Of which programs of many inputs take the work that is measured."""
PARTICLES, MIXED = "particles", "mixed"


def compute_limit_sampled(
    graph: Graph,
    options: LimitOptions,
    config: Mapping[str, Any],
    name: str,
    progress: Progress | None,
    announce: Announce | None,
) -> LimitResults:
    """Every output from samples: with a tolerance, as many as it takes."""
    if options.tol is None:
        return compute_limit(graph, options, config, name, progress)
    from nexort.api.tolerance import compute_limit_to_tolerance

    return compute_limit_to_tolerance(graph, options, options.tol, config, name, progress, announce)


def compute_limit_mixed(
    graph: Graph,
    options: LimitOptions,
    config: Mapping[str, Any],
    name: str,
    progress: Progress | None,
    announce: Announce | None,
) -> LimitResults:
    """Every output exact where that is possible, element by element. Raises as `compute_limit_sampled`."""
    start = time.perf_counter()
    try:
        split = split_limit(graph, options)
    except KeyboardInterrupt:
        raise Interrupted(None) from None
    sampled: LimitResults | None = None
    if split.rest.outputs:
        try:
            sampled = compute_limit_sampled(split.rest, options, config, name, progress, announce)
        except Interrupted as interruption:
            found = interruption.results
            if not isinstance(found, LimitResults):
                raise
            raise Interrupted(_join(split, found, config, name, time.perf_counter() - start)) from None
    return _join(split, sampled, config, name, time.perf_counter() - start)


@dataclass(frozen=True, kw_only=True)
class Split:
    """A limit in two parts: `rest` is to be sampled, and has the outputs that are not exact in all their elements."""

    rest: Graph
    exact: Mapping[str, Array]
    """For each output of numbers its values, NaN for the elements that are not exact; shape loops + static shape."""
    substituted: frozenset[str]
    """The outputs whose samples read exact scalars."""
    refusals: Mapping[str, ComputationFault]
    """Why an output is not exact: the statement that was in the way of its first element that is not."""
    warnings: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all outputs."""
        return tuple(dict.fromkeys((*self.exact, *(output.name for output in self.rest.outputs))))

    def method(self, name: str) -> str:
        """The method of an output as a whole."""
        is_exact = ~np.isnan(self.exact.get(name, np.array(np.nan)))
        if is_exact.all():
            return METHOD
        return MIXED if is_exact.any() or name in self.substituted else PARTICLES


def split_limit(graph: Graph, options: LimitOptions, most: float = np.inf) -> Split:
    """The exact part of a limit, found with at most so much work; raises WidthFault."""
    lowered, warnings = lower_to_kets(graph)
    in_order = sorted(zip(graph.results, lowered.results, strict=True), key=lambda pair: pair[0].serial)
    work = Work(
        min(most, LEAST_WORK), lambda: min(most, _share_of_sampling(lowered, options)), memory=available_bytes() or inf
    )
    try:
        with np.errstate(all="ignore"):
            part = evaluate_where_possible([node for _, node in in_order], work)
    except MemoryError:
        part = ExactPart(values={}, refusals={})
    rest = with_known_values(lowered, part.values)
    reading = reads_known_value(rest)
    return Split(
        rest=rest,
        exact={output.name: _values(output, part) for output in lowered.outputs if not _is_ket(output)},
        substituted=frozenset(o.name for o in rest.outputs if any(x in reading and x.operands for x in o.nodes)),
        refusals=dict(_refusals(lowered, part)),
        warnings=(*graph.notes, *warnings),
    )


def _share_of_sampling(lowered: Graph, options: LimitOptions) -> float:
    run = LimitRun(lowered, samples=options.samples, dtype=options.dtype, reduce=options.reductions)
    return SHARE * options.replicates * run.estimate.flops


def affordable_blocks(graph: Graph, options: LimitOptions) -> Blocks | None:
    """The blocks in which the exact method computes all outputs of a program of many inputs; None for others.

    The work is that of pairs of inputs: what twice as many of a few inputs take more, times the pairs that there are.
    """
    lengths = [max(node.type.shape, default=0) for node in graph.order if isinstance(node, Data)]
    if graph.is_random or max(lengths, default=0) <= LARGEST:
        return None
    try:
        plan = plan_exactly(graph)
        rows = plan.rows
        if rows is None or plan.order == 1:
            return None
        works = (Work(LEAST_WORK), Work(LEAST_WORK))
        for count, work in zip(FEW_INPUTS, works, strict=True):
            few = restrict(plan.graph, rows, np.arange(count))
            with np.errstate(all="ignore"):
                if evaluate_where_possible(few.results, work).refusals:
                    return None
    except (ComputationFault, MemoryError):
        return None
    few, more = FEW_INPUTS
    each = (works[1].done - works[0].done) / (more**2 - few**2)
    return plan if each * rows.length**2 <= max(LEAST_WORK, _share_of_sampling(plan.graph, options)) else None


def _is_ket(output: Output) -> bool:
    return any(node.type.order for node in output.nodes)


def _refusals(lowered: Graph, part: ExactPart) -> Iterator[tuple[str, ComputationFault]]:
    for output in lowered.outputs:
        found = next((part.refusals[node] for node in output.nodes if node in part.refusals), None)
        if found is not None:
            yield output.name, found


def _values(output: Output, part: ExactPart) -> Array:
    unknown = np.array(np.nan)
    parts = [np.broadcast_to(part.values.get(node, unknown), node.type.shape) for node in output.nodes]
    return np.stack(parts).reshape((*output.loops, *parts[0].shape)) if parts else np.zeros(output.loops)


def _join(
    split: Split, sampled: LimitResults | None, config: Mapping[str, Any], name: str, seconds: float
) -> LimitResults:
    """All outputs, in the order of the program."""
    others: Mapping[str, LimitOutput | RandomLimitOutput] = {} if sampled is None else sampled.outputs
    replicates = max((output.replicates for output in others.values()), default=config["replicates"])
    outputs = {
        key: _joined(others[key], split.exact.get(key), key in split.substituted)
        if key in others
        else exact_output(split.exact[key], replicates)
        for key in split.names
    }
    return LimitResults(
        program=name,
        config=config,
        outputs=outputs,
        seconds=seconds,
        warnings=tuple(dict.fromkeys((*split.warnings, *(() if sampled is None else sampled.warnings)))),
        tolerance=None if sampled is None else sampled.tolerance,
    )


def _joined(
    output: LimitOutput | RandomLimitOutput, exact: Array | None, has_exact_scalars: bool
) -> LimitOutput | RandomLimitOutput:
    """A sampled output with exact values, in full precision, in the elements that have them."""
    sampled = MIXED if has_exact_scalars else output.method
    is_exact = np.zeros(np.shape(output.stderr), bool) if exact is None else ~np.isnan(exact)
    if isinstance(output, RandomLimitOutput):
        return replace(output, method=MIXED if is_exact.any() else sampled)

    def put(array: Array, value: Array | float) -> Array:
        return np.where(is_exact, value, array)

    value = output.value if exact is None else exact
    return replace(
        output,
        value=put(output.value, value),
        stderr=put(output.stderr, 0.0),
        ci95=put(output.ci95, value),
        methods=np.where(is_exact, METHOD, sampled),
        values=put(output.values, value),
        bias=None if output.bias is None else put(output.bias, 0.0),
        bias_stderr=None if output.bias_stderr is None else put(output.bias_stderr, 0.0),
    )
