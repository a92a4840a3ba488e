"""The limit by the exact method: one value for each output, without an error."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexort.api.compute import Interrupted, Progress, verify_finite
from nexort.api.options import LimitOptions
from nexort.api.results import LimitOutput, LimitResults
from nexort.engine import available_threads
from nexort.errors import ComputationFault
from nexort.exact import METHOD, Blocks, StoppedError, evaluate_exactly, plan_memory
from nexort.graph import Graph
from nexort.limit import lower_to_kets


def compute_limit_exactly(
    graph: Graph, options: LimitOptions, config: Mapping[str, Any], name: str, progress: Progress | None
) -> LimitResults:
    """Every output in float64, whatever the samples, replicates and seed; raises as `evaluate_exactly`.

    After `max_seconds`, and (then inside Interrupted) on Ctrl-C, what was computed, NaN elsewhere.
    """
    start = time.perf_counter()
    lowered, warnings = lower_to_kets(graph)
    stop: StoppedError | None = None
    try:
        values = evaluate_exactly(
            lowered,
            None if progress is None else lambda k, n: progress(0, 1, k / n),
            max_seconds=options.max_seconds,
            max_memory=options.max_memory,
        )
        verify_finite(graph.outputs, values, "the exact method")
    except StoppedError as stopped:
        stop, values = stopped, stopped.values
    except MemoryError:
        raise ComputationFault("out of memory", hint="use --method particles") from None
    missing = {} if stop is None else {key: n for key, value in values.items() if (n := int(np.isnan(value).sum()))}
    results = LimitResults(
        program=name,
        config=config,
        outputs={key: exact_output(value) for key, value in values.items()},
        seconds=time.perf_counter() - start,
        warnings=(
            *graph.notes,
            *warnings,
            *(f"{key}: {n} of {values[key].size} numbers were not reached" for key, n in missing.items()),
        ),
        unfinished=tuple(missing),
    )
    if stop is not None and stop.is_interrupt:
        raise Interrupted(None if _is_empty(values) else results)
    return results


def plan_exactly(graph: Graph) -> Blocks:
    """How the exact method evaluates a program; refused where memory does not allow it."""
    return plan_memory(lower_to_kets(graph)[0], available_threads())


def _is_empty(values: Mapping[str, NDArray[np.float64]]) -> bool:
    return all(np.isnan(value).all() for value in values.values())


def exact_output(value: NDArray[np.float64], replicates: int = 1) -> LimitOutput:
    """A value without an error, which each of so many replicates gives; what it lacks (NaN) has no error either.

    A kernel of many inputs is large: what is the same for all of its elements takes no memory.
    """
    is_complete = not np.isnan(value).any()
    return LimitOutput(
        value=value,
        stderr=np.broadcast_to(0.0, value.shape) if is_complete else np.where(np.isnan(value), np.nan, 0.0),
        ci95=np.broadcast_to(value, (2, *value.shape)),
        methods=np.broadcast_to(METHOD, value.shape),
        values=np.broadcast_to(value, (replicates, *value.shape)),
    )
