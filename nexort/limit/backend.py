"""The limit of a program by sampling: replicates of N samples of its kets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from nexort.engine import Array, AverageRule, Plan, Streams, build_plan, execute, execute_shared, refuse_too_large
from nexort.errors import ComputationFault
from nexort.graph import Graph, collector_paused
from nexort.graph.terms import Place
from nexort.limit.estimate import bound_columns, estimate_limit_run
from nexort.limit.group_graph import build_groups
from nexort.limit.groups import GroupMeaning, Sizes, group_sizes, has_copies, has_group_work
from nexort.limit.halves import HalfStreams
from nexort.limit.lanes import LaneGraph, LaneMeaning, build_lanes, lane_count
from nexort.limit.meaning import KetGraph, KetMeaning, ket_average_rule
from nexort.limit.parity import KetParity, find_parity, without_zeros
from nexort.limit.points import COORDINATES
from nexort.limit.spaces import describe
from nexort.limit.width import check_width_limits
from nexort.passes import lower_for_limit, outer_sums, simplify

if TYPE_CHECKING:
    from nexort.accelerated import Accelerator

Dtype: TypeAlias = Literal["float64", "float32"]
Reduction: TypeAlias = Literal["groups", "sobol"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)
"""Ways to a smaller error: more samples of kets than tensors pair (`groups`), Sobol points (`points`)."""
Progress: TypeAlias = Callable[[int, int], None]


class LimitRun:
    """The limit of a graph's outputs as n → ∞, estimated from `samples` samples of every ket.

    Where that saves time, so many of the first `replicates` replicates are computed at once (`lanes`).

    Raises WidthFault where a number in n has no limit or a value that vanishes through n meets a jump.
    """

    _accelerator: Accelerator | None = None

    @collector_paused()
    def __init__(
        self,
        graph: Graph,
        *,
        samples: int = 4096,
        seed: int = 0,
        dtype: Dtype = "float64",
        replicates: int = 1,
        reduce: Collection[str] = REDUCTIONS,
    ) -> None:
        self.warnings: list[str] = []
        """What the user should know of the replicates made so far."""
        lowered, warnings = lower_to_kets(graph)
        for message in warnings:
            self._warn(message)
        self.seed = seed
        self.dtype = np.dtype(dtype)
        self._lowered = lowered
        self._kets = KetGraph(lowered)
        self._reduce = frozenset(reduce)
        self._columns = bound_columns(self._kets)
        self._has_groups = "groups" in self._reduce and has_group_work(lowered)
        self._has_copies = has_copies(lowered)
        self._first_warnings = tuple(self.warnings)
        self.random_outputs = frozenset(
            output.name for output in lowered.outputs if not lowered.random.isdisjoint(output.nodes)
        )
        """The names of the outputs whose limit is a distribution."""
        self._size(samples, replicates, halves_of=None)

    @collector_paused()
    def at(self, samples: int, *, replicates: int = 1) -> LimitRun:
        """The same limit with another number of samples."""
        return self._resized(samples, replicates, halves_of=None)

    @collector_paused()
    def halves(self) -> LimitRun:
        """The limit from N/2 samples: its replicate 2k + h has the half h of the samples of replicate k of this run.

        T_N − (T_a + T_b)/2 of a replicate and its halves has the expectation −c/N where the bias of T_N is c/N, and no
        noise of order N^(-1/2) (the jackknife's estimate of bias, Quenouille 1956, with two blocks).
        """
        return self._resized(self.samples // 2, 2 * self._replicates, halves_of=self.samples)

    def use(self, accelerator: Accelerator) -> None:
        """Computes on these devices in place of the NumPy engine; hats stay on the host."""
        self._accelerator = accelerator
        self._size(self.samples, self._replicates, self._halves_of)

    def extend(self, replicates: int) -> None:
        """Further replicates, up to so many in all, are computed as many at once as the first ones."""
        self._replicates = max(self._replicates, replicates)

    @property
    def bytes(self) -> int:
        """The memory of what is computed at once."""
        return (self._lanes.graph.count if self._lanes is not None else 1) * self.estimate.bytes

    def _resized(self, samples: int, replicates: int, halves_of: int | None) -> LimitRun:
        other = copy(self)
        other.warnings = list(self._first_warnings)
        other._size(samples, replicates, halves_of)
        return other

    def _size(self, samples: int, replicates: int, halves_of: int | None) -> None:
        """All that depends on the number of samples."""
        self.samples = samples
        self._halves_of = halves_of
        self._sizes = Sizes(1, samples)
        if self._has_groups:
            whole = group_sizes(halves_of or samples, self._columns.arguments)
            self._sizes = whole if halves_of is None else replace(whole, length=whole.length // 2)
        self._groups = build_groups(self._lowered, self._sizes.groups) if self._sizes.groups > 1 else None
        self._plan = self._build_plan(self._lowered if self._groups is None else self._groups.graph)
        if self._groups is not None and self._plan.has_pairs:
            self._sizes, self._groups = Sizes(1, samples), None
            self._plan = self._build_plan(self._lowered)
        self.estimate = estimate_limit_run(
            self._kets, self._plan, self._sizes.samples, self.dtype.itemsize, length=self._sizes.length
        )
        self._replicates = replicates
        is_single = self._lowered.is_random or self._plan.has_pairs or self._groups is not None
        is_single = is_single or self._accelerator is not None
        self._lanes = None if is_single else _Lanes.of(self._lowered, lane_count(replicates, samples), self._build_plan)
        self._ready: dict[int, dict[str, Array]] = {}
        """Replicates computed together with the last one that was asked for."""

    def replicate(self, k: int, progress: Progress | None = None, draw: int = 0) -> dict[str, Array]:
        """The outputs by name, from replicate k: it depends on the seed and k, not on other replicates.

        Where the limit is random, of its draw number `draw`.  Raises ComputationFault where it would not fit the
        memory, a value is not finite, or the arguments of a matrix outnumber the samples.
        """
        if self._lanes is not None and k < self._replicates:
            try:
                return self._replicate_in_lanes(self._lanes, k, progress)
            except ComputationFault:
                # some lane failed: this replicate on its own either succeeds or says why it does not
                self._lanes = None
        (outputs,) = self.draws(k, [draw], progress)
        return outputs

    def draws(self, k: int, draws: Sequence[int], progress: Progress | None = None) -> Iterator[dict[str, Array]]:
        """The outputs of each draw in replicate k, the same as `replicate(k, draw=…)` gives.

        What does not depend on a random value is computed once.
        """
        refuse_too_large(self.estimate.bytes, f"with {self.samples} samples", "lower --samples")
        kets = self._meaning(k)
        meaning = kets if self._groups is None else GroupMeaning(self._groups, kets)
        first, rest = self._plan.shared, len(self._plan.steps) - self._plan.shared
        shown = _Progress(progress, first + rest * len(draws))
        run, run_shared = self._engine()
        shared = run_shared(self._plan, meaning, progress=shown.after(0))
        restore = kets.checkpoint()
        for count, draw in enumerate(draws):
            restore()
            kets.draw = draw
            yield run(self._plan, meaning, shared=shared, progress=shown.after(first + rest * count))

    def _replicate_in_lanes(self, lanes: _Lanes, k: int, progress: Progress | None) -> dict[str, Array]:
        """Replicate k, computed with the others of its group where it is the first of them that is asked for."""
        if k not in self._ready:
            count = lanes.graph.count
            group = range(k - k % count, k - k % count + count)
            refuse_too_large(count * self.estimate.bytes, f"with {self.samples} samples", "lower --samples")
            meaning = LaneMeaning(lanes.graph, [self._meaning(each) for each in group])
            outputs = execute(lanes.plan, meaning, progress=progress)
            axes = {output.name: len(output.loops) for output in lanes.plan.graph.outputs}
            self._ready = {
                each: {name: values.take(lane, axis=axes[name]) for name, values in outputs.items()}
                for lane, each in enumerate(group)
            }
        return self._ready.pop(k)

    def _engine(self) -> tuple[Callable[..., dict[str, Array]], Callable[..., Any]]:
        """What executes a plan, and the steps of it that its draws share."""
        if self._accelerator is None:
            return execute, execute_shared
        from nexort import accelerated

        options: dict[str, Any] = {
            "accelerator": self._accelerator,
            "has_matrices": False,
            "remedy": "lower --samples",
        }
        return partial(accelerated.execute, **options), partial(accelerated.execute_shared, **options)

    def _meaning(self, k: int) -> KetMeaning:
        streams, sizes = Streams(self.seed, k), self._sizes
        if self._halves_of is not None:
            whole = self._halves_of if self._groups is None else 2 * sizes.samples
            streams = HalfStreams(self.seed, k // 2, samples=whole, half=k % 2, groups=sizes.groups)
        return KetMeaning(
            self._kets,
            samples=sizes.samples,
            streams=streams,
            dtype=self.dtype,
            warn=self._warn,
            rule=self._rule,
            has_net=self._has_net,
            pairs=self._pairs,
            columns=self._columns.spaces,
        )

    def _build_plan(self, graph: Graph) -> Plan:
        length, sums = self._sizes.length, outer_sums(graph)
        build = build_plan
        if self._accelerator is not None:
            from nexort.accelerated import plan_for_devices as build
        return build(graph, length=length, outer_sums=sums, rule=self._rule, varying=graph.random)

    @property
    def _pairs(self) -> int:
        return self._groups.pairs if self._groups is not None else 0

    @property
    def _has_net(self) -> bool:
        """Sobol points, but where samples that are their own copies have plain coordinates too.

        Averages over copies count a sample among its own copies or do not: that is right to order 1/N for points of a
        net or for random points, and wrong for those that are both (`ket_average_rule`).
        """
        is_mixed = self._has_copies and not self._pairs and self._columns.drawn > COORDINATES
        return "sobol" in self._reduce and not is_mixed

    @property
    def _rule(self) -> AverageRule:
        # no sample is its own copy in pairs of groups
        return ket_average_rule(self._sizes.length, is_distinct=not self._has_net and not self._pairs)

    def _warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


def lower_to_kets(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """The graph as its limit is computed, with 0 for what is 0 by symmetry, and what the user should know of that.

    Raises WidthFault as `check_width_limits`.
    """
    if not graph.is_lowered:
        check_width_limits(graph)
    lowered = lower_for_limit(graph)
    warnings: list[str] = []
    while (parity := find_parity(lowered)).zeros:
        warnings += _jump_warnings(parity)
        lowered = replace(simplify(without_zeros(lowered, parity)), notes=graph.notes, is_lowered=True)
        if not parity.odd_averages:
            break
        # what the zeros hid may have been all that stood against another symmetry: once more
    return lowered, tuple(dict.fromkeys(warnings))


def _jump_warnings(parity: KetParity) -> Iterator[str]:
    for node in parity.jumps:
        yield (
            f"{describe(Place(node.span, node.passes))}: a value that is 0 by symmetry meets a jump or a pole; "
            f"the value at 0 is used, which networks of finite width need not tend to"
        )


@dataclass(frozen=True, slots=True)
class _Lanes:
    """The graph of several replicates at once, and its plan."""

    graph: LaneGraph
    plan: Plan

    @staticmethod
    def of(graph: Graph, count: int, build: Callable[[Graph], Plan]) -> _Lanes | None:
        """None where replicates run one by one."""
        if count < 2:
            return None
        lanes = build_lanes(graph, count)
        return _Lanes(lanes, build(lanes.graph))


@dataclass(frozen=True, slots=True)
class _Progress:
    """Progress of parts, told as that of the whole of `total` steps."""

    tell: Progress | None
    total: int

    def after(self, done: int) -> Progress | None:
        tell, total = self.tell, self.total
        return None if tell is None else lambda steps, _: tell(done + steps, total)
