"""The driver's second half: a graph and options to results, one repetition after the other.

Repetition k depends on the seed and k alone, so that what is finished when the user interrupts is a whole result of
fewer repetitions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nexort.api.options import LimitOptions, RunOptions
from nexort.api.results import LimitOutput, LimitResults, RandomLimitOutput, RunOutput, RunResults, count
from nexort.errors import ComputationFault
from nexort.graph import Graph, Output

if TYPE_CHECKING:
    from nexort.accelerated import Accelerator
    from nexort.api.compared import CompareResults
    from nexort.limit import LimitRun

Arrays = Mapping[str, NDArray[np.float64]]
Progress = Callable[[int, int, float], None]
"""progress(index of the repetition, number of repetitions, fraction of this one that is done)."""
Steps = Callable[[int, int], None]
Trial = Callable[[int, Steps | None], Arrays]
"""trial(k, steps): the outputs of repetition k by name."""
Result = TypeVar("Result", RunResults, LimitResults)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a computation. `results` are those of the finished repetitions, None if there are none."""

    def __init__(self, results: RunResults | LimitResults | CompareResults | None) -> None:
        super().__init__("interrupted")
        self.results = results


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What the repetitions gave: their outputs in order, and how it ended."""

    finished: Sequence[Arrays]
    seconds: float
    is_interrupted: bool
    warnings: tuple[str, ...]

    def stack(self, name: str) -> NDArray[np.float64]:
        return np.stack([np.asarray(arrays[name], dtype=np.float64) for arrays in self.finished])


def compute_run(
    graph: Graph,
    options: RunOptions,
    config: Mapping[str, Any],
    name: str,
    progress: Progress | None,
    keep: Callable[[Trial], Trial] | None = None,
) -> RunResults:
    """Independent trials at width n; `keep` gives the trials a memory."""
    trial = _trials(graph, options) if keep is None else keep(_trials(graph, options))
    work = _repeat(graph, trial, options.trials, RunResults.repeat, progress)
    return _finish(
        work,
        lambda: RunResults(
            program=name,
            config=config,
            outputs={output.name: RunOutput(values=work.stack(output.name)) for output in graph.outputs},
            seconds=work.seconds,
            warnings=(*graph.notes, *work.warnings),
        ),
    )


def _trials(graph: Graph, options: RunOptions) -> Trial:
    """The graph is planned for this width at the first trial: where all are kept, never."""
    from nexort.finite import FiniteRun

    accelerator = open_devices(options)

    @cache
    def run() -> FiniteRun:
        return FiniteRun(
            graph,
            width=options.width,
            dtype=options.dtype,
            init=options.init,
            seed=options.seed,
            accelerator=accelerator,
        )

    return lambda k, steps: run().trial(k, steps)


def open_devices(options: RunOptions | LimitOptions) -> Accelerator | None:
    """What JAX computes on; None where NumPy computes. Raises UsageFault where it is not there."""
    if not options.is_accelerated:
        return None
    from nexort.accelerated import open_accelerator

    return open_accelerator(options.device)


def compute_limit(
    graph: Graph, options: LimitOptions, config: Mapping[str, Any], name: str, progress: Progress | None
) -> LimitResults:
    """Independent replicates of the sampled limit; in each, draws of what stays random."""
    from nexort.limit import LimitRun

    accelerator = open_devices(options)
    run = LimitRun(
        graph,
        samples=options.samples,
        seed=options.seed,
        dtype=options.dtype,
        replicates=options.replicates,
        reduce=options.reductions,
    )
    if accelerator is not None:
        run.use(accelerator)
    work = _repeat(graph, limit_trial(graph, run, options.draws), options.replicates, LimitResults.repeat, progress)
    return _finish(
        work,
        lambda: LimitResults(
            program=name,
            config=config,
            outputs={output.name: limit_output(work.stack(output.name), output.name, run) for output in graph.outputs},
            seconds=work.seconds,
            warnings=(*graph.notes, *work.warnings, *spread_warnings(run, options.draws), *run.warnings),
        ),
    )


def limit_trial(graph: Graph, run: LimitRun, draws: int) -> Trial:
    """The outputs of a replicate, those that stay random with a leading axis of draws."""
    if not run.random_outputs:
        return run.replicate

    def replicate(k: int, steps: Steps | None) -> Arrays:
        found: list[Arrays] = []
        for j, arrays in enumerate(run.draws(k, range(draws), steps)):
            verify_finite(graph.outputs, arrays, f"draw {j} of replicate {k}")
            found.append(arrays)
        drawn = {name: np.stack([arrays[name] for arrays in found]) for name in run.random_outputs}
        return {**found[0], **drawn}

    return replicate


def spread_warnings(run: LimitRun, draws: int) -> Iterator[str]:
    if run.random_outputs and draws == 1:
        yield "one draw of a random limit has no spread: use --draws 2 or more"


def limit_output(
    values: NDArray[np.float64],
    name: str,
    run: LimitRun,
    bias: tuple[NDArray[np.float64] | None, NDArray[np.float64] | None] = (None, None),
) -> LimitOutput | RandomLimitOutput:
    """The output from its values, (replicates, …) or (replicates, draws, …), with its bias and the error of that."""
    from nexort.limit import estimate_limit, estimate_random_limit

    if name in run.random_outputs:
        law = estimate_random_limit(values)
        return RandomLimitOutput(
            mean=np.asarray(law.mean),
            std=np.asarray(law.std),
            stderr=np.asarray(law.stderr),
            method=law.method,
            values=law.by_draw,
            bias=bias[0],
            bias_stderr=bias[1],
        )
    found = estimate_limit(values, run.samples)
    return LimitOutput(
        value=np.asarray(found.value),
        stderr=np.asarray(found.stderr),
        ci95=found.ci95,
        methods=np.full(np.shape(found.value), found.method),
        values=found.by_replicate,
        bias=bias[0],
        bias_stderr=bias[1],
    )


def _repeat(graph: Graph, compute: Trial, total: int, noun: str, progress: Progress | None) -> _Work:
    start = time.perf_counter()
    finished: list[Arrays] = []
    is_interrupted = False
    try:
        for k in range(total):
            arrays = compute(k, _steps(progress, k, total))
            verify_finite(graph.outputs, arrays, f"{noun} {k}")
            finished.append(arrays)
            if progress is not None:
                progress(k, total, 1.0)
    except KeyboardInterrupt:
        is_interrupted = True
    except MemoryError:
        raise ComputationFault("out of memory", hint="`nexort check` states the memory needed") from None
    seconds = time.perf_counter() - start
    warnings = _warnings(len(finished), total, noun, is_interrupted)
    return _Work(finished=finished, seconds=seconds, is_interrupted=is_interrupted, warnings=warnings)


def _steps(progress: Progress | None, k: int, total: int) -> Steps | None:
    if progress is None:
        return None
    return lambda done, steps: progress(k, total, done / steps if steps else 1.0)


def _finish(work: _Work, build: Callable[[], Result]) -> Result:
    """The result, returned or, after Ctrl-C, raised."""
    results = build() if work.finished else None
    if work.is_interrupted or results is None:
        raise Interrupted(results)
    return results


def _warnings(finished: int, total: int, noun: str, is_interrupted: bool) -> tuple[str, ...]:
    warnings: list[str] = []
    if is_interrupted:
        warnings.append(f"interrupted: {finished} of {count(total, noun)} finished")
    if finished == 1:
        warnings.append(f"one {noun} has no standard error: use --{noun}s 2 or more")
    return tuple(warnings)


def verify_finite(outputs: Sequence[Output], arrays: Arrays, where: str) -> None:
    """Raises ComputationFault for the first output that holds an infinite or undefined number."""
    for output in outputs:
        faulty = np.argwhere(~np.isfinite(arrays[output.name]))
        if len(faulty):
            index = tuple(int(i) for i in faulty[0])
            value = arrays[output.name][index]
            element = f"{output.name}[{', '.join(map(str, index))}]" if index else output.name
            raise ComputationFault(f"{element} is not finite: {value} in {where}", output.span)
