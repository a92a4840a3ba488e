"""The limit by the exact method: one value for each output, without an error."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from nexort.api.compute import Interrupted, Progress, verify_finite
from nexort.api.results import LimitOutput, LimitResults
from nexort.errors import ComputationFault
from nexort.graph import Graph


def compute_limit_exactly(
    graph: Graph, config: Mapping[str, Any], name: str, progress: Progress | None
) -> LimitResults:
    """Every output in float64, whatever the samples, replicates and seed; raises as `evaluate_exactly`."""
    from nexort.exact import METHOD, evaluate_exactly
    from nexort.limit import check_width_limits

    start = time.perf_counter()
    check_width_limits(graph)
    try:
        values = evaluate_exactly(graph, None if progress is None else lambda k, n: progress(0, 1, k / n))
    except KeyboardInterrupt:
        raise Interrupted(None) from None
    except MemoryError:
        raise ComputationFault("out of memory", hint="use --method particles") from None
    verify_finite(graph.outputs, values, "the exact method")
    outputs = {
        key: LimitOutput(
            value=value, stderr=np.zeros_like(value), ci95=np.stack([value, value]), method=METHOD, values=value[None]
        )
        for key, value in values.items()
    }
    seconds = time.perf_counter() - start
    return LimitResults(program=name, config=config, outputs=outputs, seconds=seconds, warnings=graph.notes)
