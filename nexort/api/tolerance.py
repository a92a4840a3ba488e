"""The limit to a tolerance: replicates and samples are added until every output is as accurate as asked (`search`).

The result is the mean over the replicates of the last number of samples alone: each depends on the seed, N and k, so
that `--samples N --replicates R` with the N and R reached gives the same values to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import ceil, inf, isfinite
from typing import Any

import numpy as np

from nexort.api.accuracy import MARGIN, Needs
from nexort.api.compute import Interrupted, Progress, limit_output
from nexort.api.options import LimitOptions
from nexort.api.results import LimitResults, ToleranceReport, count
from nexort.api.search import Search
from nexort.api.stage import LEAST_REPLICATES, Stage
from nexort.errors import ComputationFault
from nexort.graph import Graph


def compute_limit_to_tolerance(
    graph: Graph,
    options: LimitOptions,
    tol: float,
    config: Mapping[str, Any],
    name: str,
    progress: Progress | None,
    announce: Callable[[str], None] | None,
) -> LimitResults:
    """The best answer, also where a limit on time or memory or (then inside Interrupted) Ctrl-C ended the work.

    Raises as `compute_limit`, and ComputationFault where the limits allow no replicate at all.
    """
    search = Search(graph, options, tol, progress, announce)
    is_interrupted = False
    try:
        search.work()
    except KeyboardInterrupt:
        is_interrupted = True
    except MemoryError:
        raise ComputationFault("out of memory", hint="`nexort check` states the memory needed") from None
    best = search.best
    results = None if best is None else _results(search, best, graph, tol, config, name, is_interrupted)
    if is_interrupted:
        raise Interrupted(results)
    if results is None:
        raise ComputationFault(
            f"no replicate of {options.samples} samples was finished within {search.stopped}",
            hint="raise the limit or lower --samples; `nexort check` states the cost",
        )
    return results


def _results(
    search: Search, stage: Stage, graph: Graph, tol: float, config: Mapping[str, Any], name: str, is_interrupted: bool
) -> LimitResults:
    missing = stage.unreached(tol)
    outputs = {
        output.name: limit_output(stage.values(output.name), output.name, stage.run, stage.bias(output.name))
        for output in graph.outputs
    }
    return LimitResults(
        program=name,
        config=config,
        outputs=outputs,
        seconds=search.seconds,
        warnings=(
            *graph.notes,
            *_ending(search, stage, tol, missing, is_interrupted),
            *(_shortfall(stage, output, needs, tol, search.first) for output, needs in missing.items()),
            *stage.run.warnings,
        ),
        tolerance=ToleranceReport(
            samples=stage.run.samples,
            replicates=len(stage.finished),
            unreached=tuple(missing),
            predicted=None if search.predicted is None else search.predicted.to_dict(),
        ),
    )


def _ending(
    search: Search, stage: Stage, tol: float, missing: Mapping[str, Needs], is_interrupted: bool
) -> Iterator[str]:
    done = f"{count(len(stage.finished), 'replicate')} of {stage.run.samples} samples"
    if is_interrupted:
        yield f"interrupted: {done} finished"
    elif missing and search.stopped:
        yield f"stopped by {search.stopped} after {done}: tolerance {tol:g} not reached in {', '.join(missing)}"
    elif missing:
        yield f"tolerance {tol:g} not reached in {', '.join(missing)}"
    if len(stage.finished) == 1:
        yield "one replicate has no standard error: use --replicates 2 or more"


def _shortfall(stage: Stage, name: str, needs: Needs, tol: float, first: int) -> str:
    """How accurate an output is, and what the tolerance needs."""
    bias, bias_stderr = stage.bias(name)
    parts = [f"standard error {_worst(stage.estimate(name).stderr)}"]
    if np.isfinite(bias).all():
        i = int(np.argmax(np.abs(bias) + bias_stderr))
        parts.append(f"bias {bias.flat[i]:.2g} ± {bias_stderr.flat[i]:.1g}")
    else:
        parts.append("bias not known")
    if not isfinite(needs.replicates):
        draws = ceil(MARGIN * stage.draws * (float(stage.floor(name).max(initial=0)) / tol) ** 2)
        remedy = f"its {stage.draws} draws allow no less: about --draws {draws} are needed"
    else:
        least = "at least" if len(stage.finished) < LEAST_REPLICATES else "about"
        remedy = f"it would need {least} {stage.predict(needs, first)}"
    return f"{name}: {', '.join(parts)}; {remedy}"


def _worst(stderr: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    worst = float(np.max(stderr, initial=-inf))
    return f"{worst:.2g}" if isfinite(worst) else "not known"
