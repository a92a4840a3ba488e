"""The limit of a program by sampling: replicates of N samples of its kets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from nexort.engine import Array, Streams, build_plan, execute, execute_shared, refuse_too_large
from nexort.graph import Graph, collector_paused
from nexort.graph.terms import Place
from nexort.limit.estimate import estimate_limit_run
from nexort.limit.lower import lower_for_limit
from nexort.limit.meaning import KetGraph, KetMeaning, ket_average_rule
from nexort.limit.parity import find_parity, without_zeros
from nexort.limit.spaces import describe
from nexort.limit.width import check_width_limits
from nexort.passes import outer_sums, simplify

Dtype: TypeAlias = Literal["float64", "float32"]
Progress: TypeAlias = Callable[[int, int], None]


class LimitRun:
    """The limit of a graph's outputs as n → ∞, estimated from `samples` samples of every ket.

    Raises WidthFault where a number in n has no limit or a value that vanishes through n meets a jump.
    """

    @collector_paused()
    def __init__(self, graph: Graph, *, samples: int = 4096, seed: int = 0, dtype: Dtype = "float64") -> None:
        check_width_limits(graph)
        self.warnings: list[str] = []
        """What the user should know of the replicates made so far."""
        lowered = self._without_zeros(lower_for_limit(graph))
        self.samples = samples
        self.seed = seed
        self.dtype = np.dtype(dtype)
        self._kets = KetGraph(lowered)
        self._plan = build_plan(
            lowered,
            length=samples,
            outer_sums=outer_sums(lowered),
            rule=ket_average_rule(samples),
            varying=lowered.random,
        )
        self.random_outputs = frozenset(
            output.name for output in lowered.outputs if not lowered.random.isdisjoint(output.nodes)
        )
        """The names of the outputs whose limit is a distribution."""
        self.estimate = estimate_limit_run(self._kets, self._plan, samples, self.dtype.itemsize)

    def replicate(self, k: int, progress: Progress | None = None, draw: int = 0) -> dict[str, Array]:
        """The outputs by name, from replicate k: it depends on the seed and k, not on other replicates.

        Where the limit is random, of its draw number `draw`.  Raises ComputationFault where it would not fit the
        memory, a value is not finite, or the arguments of a matrix outnumber the samples.
        """
        (outputs,) = self.draws(k, [draw], progress)
        return outputs

    def draws(self, k: int, draws: Sequence[int], progress: Progress | None = None) -> Iterator[dict[str, Array]]:
        """The outputs of each draw in replicate k, the same as `replicate(k, draw=…)` gives.

        What does not depend on a random value is computed once.
        """
        refuse_too_large(self.estimate.bytes, f"with {self.samples} samples", "lower --samples")
        meaning = KetMeaning(
            self._kets,
            samples=self.samples,
            streams=Streams(self.seed, k),
            dtype=self.dtype,
            warn=self._warn,
        )
        first, rest = self._plan.shared, len(self._plan.steps) - self._plan.shared
        shown = _Progress(progress, first + rest * len(draws))
        shared = execute_shared(self._plan, meaning, progress=shown.after(0))
        restore = meaning.checkpoint()
        for count, draw in enumerate(draws):
            restore()
            meaning.draw = draw
            yield execute(self._plan, meaning, shared=shared, progress=shown.after(first + rest * count))

    def _without_zeros(self, lowered: Graph) -> Graph:
        """The graph with 0 for what is 0 by symmetry."""
        parity = find_parity(lowered)
        for node in parity.jumps:
            self._warn(
                f"{describe(Place(node.span, node.passes))}: a value that is 0 by symmetry meets a jump or a pole; "
                f"the value at 0 is used, which networks of finite width need not tend to"
            )
        return simplify(without_zeros(lowered, parity)) if parity.zeros else lowered

    def _warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


@dataclass(frozen=True, slots=True)
class _Progress:
    """Progress of parts, told as that of the whole of `total` steps."""

    tell: Progress | None
    total: int

    def after(self, done: int) -> Progress | None:
        tell, total = self.tell, self.total
        return None if tell is None else lambda steps, _: tell(done + steps, total)
