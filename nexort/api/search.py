"""The work towards a tolerance: which replicates of how many samples are run next, and when to stop.

While the bias is too large (`accuracy`) the samples are doubled, on the first few replicates alone; then replicates are
added until the standard error is small.  Without a limit on time every decision depends on the outputs alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil, inf, isfinite

from nexort.api.accuracy import GROWTH, Needs
from nexort.api.compute import Progress, Steps, open_devices
from nexort.api.options import LimitOptions
from nexort.api.stage import LEAST_REPLICATES, Prediction, Stage, power_of_two
from nexort.engine import format_bytes, refuse_too_large
from nexort.errors import ComputationFault, UsageFault
from nexort.graph import Graph
from nexort.limit import LimitRun

LEAST_SAMPLES = 8
MOST_FACTOR = 8
"""Samples are multiplied by at most so much at a time: the bias is of order 1/N only when it is small."""
MACHINE = "the memory of this machine"


class _OutOfTime(Exception):
    """Raised inside a replicate."""


class Search:
    """`work` runs until the tolerance is reached or a limit stops it; what was found is in `best`."""

    def __init__(
        self,
        graph: Graph,
        options: LimitOptions,
        tol: float,
        progress: Progress | None = None,
        announce: Callable[[str], None] | None = None,
    ) -> None:
        self.stages: list[Stage] = []
        self.predicted: Prediction | None = None
        """The first prediction."""
        self.stopped = ""
        """The limit that kept the tolerance from being reached."""
        self.first = max(options.replicates, LEAST_REPLICATES)
        self._graph = graph
        self._options = options
        self._tol = tol
        self._progress = progress
        self._announce = announce
        self._expected = self.first
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

    @property
    def best(self) -> Stage | None:
        """The last stage with all its first replicates; else what there is of the first stage."""
        full = [stage for stage in self.stages if len(stage.finished) >= self.first]
        return full[-1] if full else next((stage for stage in self.stages if stage.finished), None)

    def work(self) -> None:
        """Raises ComputationFault where no replicate fits the limits, and what a replicate raises."""
        try:
            self._begin()
            while self._advance():
                pass
        except _OutOfTime:
            self.stopped = self._time_limit
        except MemoryError:
            if self.best is None:
                raise
            self.stopped = MACHINE

    @property
    def _time_limit(self) -> str:
        return f"--max-seconds {self._options.max_seconds:g}"

    def _begin(self) -> None:
        options = self._options
        samples = max(options.samples, LEAST_SAMPLES)
        accelerator = open_devices(options)
        run = LimitRun(
            self._graph,
            samples=samples,
            seed=options.seed,
            dtype=options.dtype,
            replicates=self.first,
            reduce=options.reductions,
        )
        if accelerator is not None:
            run.use(accelerator)
        if run.random_outputs and options.draws == 1:
            raise UsageFault(
                f"one draw has no standard error, and {', '.join(sorted(run.random_outputs))} is random in the limit",
                hint="use --draws 2 or more with --tol",
            )
        run, refusal = self._fitted(run)
        if refusal:
            raise ComputationFault(
                f"with {samples} samples this program needs {format_bytes(run.bytes)}, beyond {refusal}",
                hint="raise the limit, lower --samples, or use --dtype float32",
            )
        self._add_stage(run)

    def _add_stage(self, run: LimitRun) -> None:
        self._expected = self.first
        self.stages.append(Stage(graph=self._graph, run=run, draws=self._options.draws))

    def _advance(self) -> bool:
        """One step of the work; whether there may be another."""
        stage = self.stages[-1]
        self._reach(stage, self.first, self.first)
        needs = Needs()
        for each in stage.unreached(self._tol).values():
            needs |= _possible(each)
        if needs.is_met:
            return False
        self._predict(stage, needs)
        if needs.factor > 1 and not self.stopped and self._enlarge(stage, needs.factor):
            return True
        count = len(stage.finished)
        halved = min(ceil(needs.halved), GROWTH * count)
        replicates = max(halved, min(ceil(needs.replicates), GROWTH * count))
        if replicates <= count and halved <= len(stage.differences):
            return False
        self._reach(stage, replicates, halved)
        return True

    def _predict(self, stage: Stage, needs: Needs) -> None:
        prediction = stage.predict(needs, self.first)
        if prediction.samples == stage.run.samples:
            self._expected = round(prediction.replicates)
        if self.predicted is None:
            self.predicted = prediction
        if self._announce is not None:
            limit = self._options.max_seconds or inf
            beyond = f", beyond {self._time_limit}" if self.seconds + prediction.seconds > limit else ""
            self._announce(f"predicted: {prediction}{beyond}")

    def _enlarge(self, stage: Stage, factor: float) -> bool:
        """A stage of more samples, as many times as the bias asks for or as the limits allow."""
        power, refusal = min(MOST_FACTOR, power_of_two(factor)), ""
        while power > 1:
            run, refusal = self._fitted(stage.run.at(power * stage.run.samples, replicates=self.first))
            refusal = refusal or self._refuse_time(stage, power)
            if not refusal:
                self._add_stage(run)
                return True
            power //= 2
        self.stopped = refusal
        return False

    def _fitted(self, run: LimitRun) -> tuple[LimitRun, str]:
        """The run, where need be with its replicates one by one; and the limit on memory that it exceeds, if any."""
        refusal = self._refuse_memory(run)
        if refusal:
            run = run.at(run.samples)
            refusal = self._refuse_memory(run)
        return run, refusal

    def _refuse_memory(self, run: LimitRun) -> str:
        limit = self._options.max_memory
        if limit is not None and run.bytes > limit:
            return f"--max-memory {format_bytes(limit)}"
        try:
            refuse_too_large(run.bytes, "", "")
        except ComputationFault:
            return MACHINE
        return ""

    def _refuse_time(self, stage: Stage, power: int) -> str:
        """Whether the first replicates of `power` times the samples would take more than the time that is left."""
        limit = self._options.max_seconds
        needed = self.first * sum(stage.each()) * float(power) ** stage.growth()
        return self._time_limit if limit is not None and self.seconds + needed > limit else ""

    def _reach(self, stage: Stage, replicates: int, halved: int) -> None:
        """At least so many replicates, of them so many with their halves."""
        stage.run.extend(replicates)
        stage.halves.extend(2 * halved)
        for k in range(replicates):
            has_halves = len(stage.differences) <= k < halved and not stage.is_too_few
            parts = [*([stage.add_replicate] if k >= len(stage.finished) else []), *([stage.add_halves] * has_halves)]
            for part, add in enumerate(parts):
                add(self._steps(k, part, len(parts)))

    def _steps(self, k: int, part: int, parts: int) -> Steps:
        """Progress through one of the parts of replicate k; raises _OutOfTime."""

        def tell(done: int, steps: int) -> None:
            if self.seconds > (self._options.max_seconds or inf):
                raise _OutOfTime
            if self._progress is not None:
                self._progress(k, max(self._expected, k + 1), (part + (done / steps if steps else 1.0)) / parts)

        tell(0, 1)
        return tell


def _possible(needs: Needs) -> Needs:
    """Without what no number of replicates gives."""
    return needs if isfinite(needs.replicates) else Needs(halved=needs.halved, factor=needs.factor)
