"""The limit of a program by sampling: replicates of N samples of its kets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from nexort.engine import Array, Streams, build_plan, execute, refuse_too_large
from nexort.graph import Graph, collector_paused
from nexort.limit.estimate import estimate_limit_run
from nexort.limit.lower import lower_for_limit
from nexort.limit.meaning import KetGraph, KetMeaning, ket_average_rule
from nexort.limit.width import check_width_limits
from nexort.passes import outer_sums

Dtype: TypeAlias = Literal["float64", "float32"]
Progress: TypeAlias = Callable[[int, int], None]


class LimitRun:
    """The limit of a graph's outputs as n → ∞, estimated from `samples` samples of every ket.

    Raises WidthFault where a number in n has no limit or a value that vanishes through n meets a jump.
    """

    @collector_paused()
    def __init__(self, graph: Graph, *, samples: int = 4096, seed: int = 0, dtype: Dtype = "float64") -> None:
        check_width_limits(graph)
        lowered = lower_for_limit(graph)
        self.samples = samples
        self.seed = seed
        self.dtype = np.dtype(dtype)
        self.warnings: list[str] = []
        """What the user should know of the replicates made so far."""
        self._kets = KetGraph(lowered)
        self._plan = build_plan(lowered, length=samples, outer_sums=outer_sums(lowered), rule=ket_average_rule(samples))
        self.estimate = estimate_limit_run(self._kets, self._plan, samples, self.dtype.itemsize)

    def replicate(self, k: int, progress: Progress | None = None) -> dict[str, Array]:
        """The outputs by name, from replicate k: it depends on the seed and k, not on other replicates.

        Raises ComputationFault where it would not fit the memory, a value is not finite, or the arguments of a matrix
        outnumber the samples.
        """
        refuse_too_large(self.estimate.bytes, f"with {self.samples} samples", "lower --samples")
        meaning = KetMeaning(
            self._kets,
            samples=self.samples,
            streams=Streams(self.seed, k),
            dtype=self.dtype,
            warn=self._warn,
        )
        return execute(self._plan, meaning, progress=progress)

    def _warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)
