"""The limit by the exact method: one value for each output, without an error."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexort.api.compute import Interrupted, Progress, verify_finite
from nexort.api.results import LimitOutput, LimitResults
from nexort.errors import ComputationFault
from nexort.exact import METHOD, evaluate_exactly
from nexort.graph import Graph
from nexort.limit import lower_to_kets


def compute_limit_exactly(
    graph: Graph, config: Mapping[str, Any], name: str, progress: Progress | None
) -> LimitResults:
    """Every output in float64, whatever the samples, replicates and seed; raises as `evaluate_exactly`."""
    start = time.perf_counter()
    lowered, warnings = lower_to_kets(graph)
    try:
        values = evaluate_exactly(lowered, None if progress is None else lambda k, n: progress(0, 1, k / n))
    except KeyboardInterrupt:
        raise Interrupted(None) from None
    except MemoryError:
        raise ComputationFault("out of memory", hint="use --method particles") from None
    verify_finite(graph.outputs, values, "the exact method")
    return LimitResults(
        program=name,
        config=config,
        outputs={key: exact_output(value) for key, value in values.items()},
        seconds=time.perf_counter() - start,
        warnings=(*graph.notes, *warnings),
    )


def exact_output(value: NDArray[np.float64], replicates: int = 1) -> LimitOutput:
    """A value without an error, which each of so many replicates gives."""
    return LimitOutput(
        value=value,
        stderr=np.zeros_like(value),
        ci95=np.stack([value, value]),
        methods=np.full(value.shape, METHOD),
        values=np.repeat(value[None], replicates, axis=0),
    )
