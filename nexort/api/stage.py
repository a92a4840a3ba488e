"""The work with one number of samples: replicates, their halves, what they tell and what more of them would cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, isfinite, log2
from typing import TYPE_CHECKING, Any

import numpy as np

from nexort.api.accuracy import Array, Needs, bias_needs, error_needs, estimate_bias
from nexort.api.compute import Arrays, Steps, Trial, limit_trial, verify_finite
from nexort.errors import ComputationFault
from nexort.graph import Graph
from nexort.limit import RandomEstimate, estimate_limit, estimate_random_limit

if TYPE_CHECKING:
    from nexort.limit import Estimate, LimitRun

LEAST_REPLICATES = 4
"""The standard error from fewer is too uncertain to stop on."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What reaching the tolerance will take: `replicates` of `samples` samples, and so many more `seconds`."""

    samples: int
    replicates: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.replicates:,.0f} replicates of {self.samples} samples, about {duration(self.seconds)} more"

    def to_dict(self) -> dict[str, Any]:
        return {"samples": self.samples, "replicates": round(self.replicates), "seconds": round(self.seconds, 3)}


@dataclass(kw_only=True)
class Stage:
    """The work with one number of samples."""

    graph: Graph
    run: LimitRun
    draws: int
    finished: list[Arrays] = field(default_factory=list[Arrays])
    """The outputs of each replicate; of random limits (draws, …)."""
    differences: list[Arrays] = field(default_factory=list[Arrays])
    """d_k of the first replicates (`accuracy`), the mean over draws."""
    seconds: float = 0.0
    halves_seconds: float = 0.0
    is_too_few: bool = False
    """Half of the samples cannot be computed, so that the bias is not known."""

    @cached_property
    def halves(self) -> LimitRun:
        return self.run.halves()

    @cached_property
    def _trials(self) -> tuple[Trial, Trial]:
        return limit_trial(self.graph, self.run, self.draws), limit_trial(self.graph, self.halves, self.draws)

    def add_replicate(self, steps: Steps) -> None:
        k, start = len(self.finished), time.perf_counter()
        arrays = self._trials[0](k, steps)
        verify_finite(self.graph.outputs, arrays, f"replicate {k}")
        self.finished.append(arrays)
        self.seconds += time.perf_counter() - start

    def add_halves(self, steps: Steps) -> None:
        """d_k of the next replicate; its halves can fail where it did not."""
        k, start = len(self.differences), time.perf_counter()
        try:
            first, second = (self._trials[1](2 * k + half, steps) for half in (0, 1))
            found = {name: self._difference(name, k, first, second) for name in first}
            verify_finite(self.graph.outputs, found, f"the halves of replicate {k}")
        except ComputationFault:
            self.is_too_few = True
        else:
            self.differences.append(found)
        self.halves_seconds += time.perf_counter() - start

    def _difference(self, name: str, k: int, first: Arrays, second: Arrays) -> Array:
        d = (np.asarray(first[name], np.float64) + second[name]) / 2 - self.finished[k][name]
        return np.asarray(d.mean(axis=0) if name in self.run.random_outputs else d)

    def estimate(self, name: str) -> Estimate | RandomEstimate:
        values = self.values(name)
        if name in self.run.random_outputs:
            return estimate_random_limit(values)
        return estimate_limit(values, self.run.samples)

    def values(self, name: str) -> Array:
        """(replicates, …) or (replicates, draws, …)."""
        return np.stack([np.asarray(arrays[name], np.float64) for arrays in self.finished])

    def bias(self, name: str) -> tuple[Array, Array]:
        """The bias and its standard error, NaN where they are not known."""
        if len(self.differences) < LEAST_REPLICATES:
            unknown = np.full(np.shape(self.estimate(name).stderr), np.nan)
            return unknown, unknown
        return estimate_bias(np.stack([arrays[name] for arrays in self.differences]))

    def floor(self, name: str) -> Array:
        """What more replicates leave of the standard error."""
        estimate = self.estimate(name)
        return estimate.floor if isinstance(estimate, RandomEstimate) else np.zeros(estimate.stderr.shape)

    def needs(self, name: str, tol: float) -> Needs:
        if len(self.finished) < LEAST_REPLICATES:
            return Needs(replicates=LEAST_REPLICATES)
        needs = error_needs(self.estimate(name).stderr, self.floor(name), len(self.finished), tol)
        if len(self.differences) >= LEAST_REPLICATES:
            return needs | bias_needs(np.stack([arrays[name] for arrays in self.differences]), tol)
        return needs | (Needs(factor=2) if self.is_too_few else Needs(halved=LEAST_REPLICATES))

    def unreached(self, tol: float) -> dict[str, Needs]:
        """What the outputs that are not as accurate as asked still need."""
        found = {output.name: self.needs(output.name, tol) for output in self.graph.outputs}
        return {name: needs for name, needs in found.items() if not needs.is_met}

    def each(self) -> tuple[float, float]:
        """Seconds of a replicate and of its halves, so far."""
        whole = self.seconds / max(1, len(self.finished))
        return whole, self.halves_seconds / len(self.differences) if self.differences else whole

    def growth(self) -> float:
        """p where the time of a replicate grows as N^p, between 1 and 3: by the estimates, or the replicates if more.

        The estimates, for what is small beside the fixed costs at N and large at 8 N.
        """
        whole, halves = self.each()
        measured = log2(2 * whole / halves) if min(whole, halves) > 0 else 1.0
        estimates = [run.estimate.seconds for run in (self.run, self.halves)]
        estimated = log2(estimates[0] / estimates[1]) if min(estimates) > 0 else 1.0
        return min(3.0, max(1.0, measured, estimated))

    def predict(self, needs: Needs, first: int) -> Prediction:
        """The cost of what is needed, by the seconds so far; the first replicates of each N are run with halves."""
        whole, halves = self.each()
        power = power_of_two(needs.factor)
        replicates = needs.replicates if isfinite(needs.replicates) else 0.0
        if power == 1:
            replicates = max(replicates, needs.halved, len(self.finished))
            seconds = (replicates - len(self.finished)) * whole
            seconds += max(0.0, needs.halved - len(self.differences)) * halves
        else:
            replicates = max(first, max(replicates, len(self.finished)) / power if replicates else 0)
            seconds = (replicates * whole + first * halves) * float(power) ** self.growth()
        return Prediction(samples=self.run.samples * power, replicates=ceil(replicates), seconds=seconds)


def power_of_two(factor: float) -> int:
    """The smallest that is not below the factor."""
    return 2 ** max(0, ceil(log2(factor)))


def duration(seconds: float) -> str:
    """`0.3 s`, `2 min`, `5 h`, `3 days`."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.2g} s"
