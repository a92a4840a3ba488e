"""The driver of `compare`: the limit, then trials at each width in increasing order, then both side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nexort.api.compared import CompareOutput, CompareResults
from nexort.api.compute import Interrupted, Progress
from nexort.api.options import CompareOptions
from nexort.api.results import LimitResults, RunResults
from nexort.api.store import ResultsFolder, TrialFolder

if TYPE_CHECKING:
    from nexort.api.program import Program


@dataclass(kw_only=True)
class _Work:
    """What is finished so far."""

    limit: LimitResults
    runs: dict[int, RunResults] = field(default_factory=dict[int, RunResults])
    folders: dict[int, TrialFolder] = field(default_factory=dict[int, TrialFolder])


def compute_comparison(
    program: Program,
    options: CompareOptions,
    config: Mapping[str, Any],
    results: ResultsFolder | None,
    progress: Progress | None,
) -> CompareResults:
    """Raises what `run` and `limit` raise; Interrupted with the comparison of the finished trials on Ctrl-C."""
    start = time.perf_counter()
    try:
        limit = program.limit_with(options.limit, _limit_part(progress, options))
    except Interrupted:  # without the limit there is nothing to compare
        raise Interrupted(None) from None
    work = _Work(limit=limit)
    is_interrupted = False
    for done, width in enumerate(options.widths):
        run = options.run(width)
        if results is not None:
            work.folders[width] = results.trials(program.graph, run)
        keep = work.folders[width].keep if width in work.folders else None
        try:
            offset = options.replicates + done * options.trials
            work.runs[width] = program.run_with(run, _part(progress, offset, options), keep)
        except Interrupted as stop:
            if isinstance(stop.results, RunResults):
                work.runs[width] = stop.results
            is_interrupted = True
            break
    found = _compare(program.name, work, config, time.perf_counter() - start) if work.runs else None
    if is_interrupted or found is None:
        raise Interrupted(found)
    return found


def _part(progress: Progress | None, offset: int, options: CompareOptions) -> Progress | None:
    """Counts the replicates of the limit and the trials of all widths through."""
    if progress is None:
        return None
    total = options.replicates + options.trials * len(options.widths)
    return lambda k, _, fraction: progress(offset + k, total, fraction)


def _limit_part(progress: Progress | None, options: CompareOptions) -> Progress | None:
    """The limit counts for the replicates that were asked for, however many a tolerance takes."""
    part = _part(progress, 0, options)
    if part is None:
        return None

    def tell(k: int, replicates: int, fraction: float) -> None:
        done = min(1.0, (k + fraction) / replicates) * options.replicates
        whole = min(int(done), options.replicates - 1)
        part(whole, replicates, done - whole)

    return tell


def _compare(name: str, work: _Work, config: Mapping[str, Any], seconds: float) -> CompareResults:
    rounding = float(np.finfo(config["dtype"]).eps)
    outputs = {
        output: CompareOutput(
            limit=limit, runs={width: run.outputs[output] for width, run in work.runs.items()}, rounding=rounding
        )
        for output, limit in work.limit.outputs.items()
    }
    return CompareResults(
        program=name,
        config=config,
        outputs=outputs,
        seconds=seconds,
        warnings=tuple(_warnings(work, config["widths"])),
        tolerance=work.limit.tolerance,
        reused={width: len(folder.reused) for width, folder in work.folders.items()},
    )


def _warnings(work: _Work, widths: list[int]) -> dict[str, None]:
    """Each once, in order."""
    warnings = list(work.limit.warnings)
    for width, run in work.runs.items():
        for warning in run.warnings:
            warnings.append(f"width {width}: {warning}" if warning.startswith("interrupted") else warning)
    for folder in work.folders.values():
        warnings.extend(folder.warnings)
    missing = [str(width) for width in widths if width not in work.runs]
    if missing:
        warnings.append(f"interrupted: nothing finished at width {', '.join(missing)}")
    return dict.fromkeys(warnings)
