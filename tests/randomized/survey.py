"""What must hold for every program, checked on random ones.

| check | of |
|---|---|
| text | format, then parse, gives the same program; formatting again changes nothing |
| agreement | the engine's trial 0 and the naive evaluator, on the same draws, at widths 5 and 9 |
| adjointness | <x | W @ y> and <W' @ x | y> at width n and in the limit (outputs left… and right…) |
| hat against dot | ⟨x⎸(W y)^⟩ and ⟨(W' x)˙⎸y⟩ for all arguments x of W' and y of W, on the limit's own objects |
| limit | means at two widths, extrapolated in 1/n, against the limit |

`python -m randomized.survey 0 60` (from `tests/`) surveys seeds 0 to 59 and prints what fails;
`exact` as a third argument leaves out the comparison with the limit.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np

from agreement.engines import both
from nexort.elaborate import elaborate
from nexort.errors import NexortError
from nexort.finite import FiniteRun
from nexort.graph import Graph
from nexort.limit import LimitRun, estimate_limit
from nexort.limit.sides import InitialOperator
from nexort.source import Source
from nexort.syntax import equal, format_program, parse
from randomized.author import RandomProgram, program

EXACT = 1e-10


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much sampling the comparison with the limit may use."""

    widths: tuple[int, int] = (256, 512)
    trials: tuple[int, int] = (160, 120)
    widths_of_order_three: tuple[int, int] = (48, 96)
    trials_of_order_three: tuple[int, int] = (500, 300)
    samples: int = 4096
    replicates: int = 8

    def runs(self, program: RandomProgram) -> Iterator[tuple[int, int]]:
        if program.has_order_three:
            return zip(self.widths_of_order_three, self.trials_of_order_three, strict=True)
        return zip(self.widths, self.trials, strict=True)


QUICK = Effort(
    widths=(64, 128),
    trials=(60, 40),
    widths_of_order_three=(24, 48),
    trials_of_order_three=(60, 40),
    samples=1024,
    replicates=4,
)
FAR = 4.5


@dataclass(frozen=True, kw_only=True)
class Gap:
    """One entry of one output: extrapolated finite mean against limit."""

    output: str
    finite: float
    limit: float
    error: float
    """The combined standard error."""

    @property
    def z(self) -> float:
        return abs(self.finite - self.limit) / (self.error + 1e-9 * max(1.0, abs(self.limit)))

    @property
    def is_far(self) -> bool:
        return self.z > FAR

    def __str__(self) -> str:
        found = f"finite {self.finite:.4f}, limit {self.limit:.4f}, error {self.error:.4f}"
        return f"{self.output}: {found}, z {self.z:.1f}"


@dataclass(kw_only=True)
class Report:
    """What was found of one program."""

    program: RandomProgram
    failures: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def far(self) -> list[Gap]:
        return [gap for gap in self.gaps if gap.is_far]

    def __str__(self) -> str:
        findings = [*self.failures, *map(str, self.far)]
        return f"seed {self.program.seed} ({self.seconds:.1f} s)\n  " + "\n  ".join(findings)


def examine(seed: int, effort: Effort | None = None) -> Report:
    """Every check of the program of this seed; without `effort` all but the comparison with the limit."""
    start = time.perf_counter()
    report = Report(program=program(seed))
    text = report.program.text
    try:
        graph_of(text)
    except NexortError as error:
        report.failures.append(f"refused: {error}")
        return report
    for check in (check_text, check_agreement, check_adjointness, check_hat_against_dot):
        try:
            report.failures += check(text)
        except Exception:  # a crash is a finding too
            report.failures.append(f"{check.__name__}: {traceback.format_exc(limit=-3)}")
    if effort is not None and not report.failures:
        try:
            report.gaps = limit_gaps(report.program, effort)
        except Exception:
            report.failures.append(f"limit: {traceback.format_exc(limit=-3)}")
    report.seconds = time.perf_counter() - start
    return report


def check_text(text: str) -> list[str]:
    source = Source("p.nx", text)
    formatted = format_program(source)
    again = Source("p.nx", formatted)
    failures: list[str] = []
    if not equal(parse(source), parse(again)):
        failures.append("text: formatting changes the program")
    if format_program(again) != formatted:
        failures.append("text: formatting is not idempotent")
    return failures


def check_agreement(text: str) -> list[str]:
    failures: list[str] = []
    for n in (5, 9):
        engine, naive = both(text, n)
        if engine.keys() != naive.keys():
            failures.append(f"agreement at {n}: outputs {sorted(engine)} and {sorted(naive)}")
        for name in engine.keys() & naive.keys():
            failures += different(f"agreement at {n}, {name}", engine[name], naive[name])
    return failures


def check_adjointness(text: str) -> list[str]:
    graph = graph_of(text)
    found = {"width 33": FiniteRun(graph, width=33).trial(0), "limit": LimitRun(graph, samples=512).replicate(0)}
    failures: list[str] = []
    for where, outputs in found.items():
        for name, left in outputs.items():
            if name.startswith("left"):
                failures += different(f"adjointness, {where}, {name}", left, outputs["right" + name[4:]])
    return failures


def check_hat_against_dot(text: str) -> list[str]:
    with recorded_arguments() as seen:
        LimitRun(graph_of(text), samples=512).replicate(0)
    failures: list[str] = []
    for operator, (forward, backward) in seen.items():
        if not forward or not backward:
            continue
        Y, X = np.concatenate(forward), np.concatenate(backward)
        hat, dot = operator.parts(Y)
        hat_back, dot_back = operator.parts(X, is_transposed=True)
        n = Y.shape[1]
        failures += different(f"hat of {operator.name} against dot of the transpose", X @ hat.T / n, dot_back @ Y.T / n)
        failures += different(f"dot of {operator.name} against hat of the transpose", X @ dot.T / n, hat_back @ Y.T / n)
    return failures


@contextmanager
def recorded_arguments() -> Iterator[dict[InitialOperator, tuple[list[np.ndarray], list[np.ndarray]]]]:
    """The rows that every initial operator of the limit is applied to, and those that its transpose is."""
    seen: dict[InitialOperator, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    apply = InitialOperator.apply

    def recording(self: InitialOperator, X: np.ndarray, *, is_transposed: bool = False, **place: Any) -> np.ndarray:
        seen.setdefault(self, ([], []))[is_transposed].append(np.array(X))
        return apply(self, X, is_transposed=is_transposed, **place)

    InitialOperator.apply = recording
    try:
        yield seen
    finally:
        InitialOperator.apply = apply


def limit_gaps(program: RandomProgram, effort: Effort) -> list[Gap]:
    """Every entry of every output: 2 m(2n) - m(n) of the means at widths n and 2n, against the limit."""
    graph = graph_of(program.text)
    moments: list[dict[str, tuple[np.ndarray, np.ndarray]]] = []
    for width, trials in effort.runs(program):
        run = FiniteRun(graph, width=width, threads=1)
        values = collect([run.trial(k) for k in range(trials)])
        moments.append({name: (x.mean(axis=0), x.var(axis=0, ddof=1) / trials) for name, x in values.items()})
    limit = LimitRun(graph, samples=effort.samples)
    found = collect([limit.replicate(k) for k in range(effort.replicates)])
    gaps: list[Gap] = []
    for name, replicates in found.items():
        estimate = estimate_limit(replicates, effort.samples)
        (narrow, narrow_variance), (wide, wide_variance) = moments[0][name], moments[1][name]
        finite = 2 * wide - narrow
        error = np.sqrt(4 * wide_variance + narrow_variance + estimate.stderr**2)
        for place in np.ndindex(finite.shape):
            gaps.append(
                Gap(
                    output=name + "".join(f"[{k}]" for k in place),
                    finite=float(finite[place]),
                    limit=float(estimate.value[place]),
                    error=float(error[place]),
                )
            )
    return gaps


def collect(repetitions: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([one[name] for one in repetitions]) for name in repetitions[0]}


def graph_of(text: str) -> Graph:
    return elaborate(parse(Source("<text>", text)), settings={})


def different(what: str, left: np.ndarray, right: np.ndarray) -> list[str]:
    """A line if two arrays differ by more than rounding."""
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape:
        return [f"{what}: shapes {left.shape} and {right.shape}"]
    gap = np.abs(left - right).max(initial=0.0)
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    return [] if gap <= EXACT * scale else [f"{what}: differ by {gap:.3g} at scale {scale:.3g}"]


def survey(seeds: Sequence[int], effort: Effort | None, processes: int | None = None) -> Iterator[Report]:
    """The reports of many seeds, each program in one thread, several at a time."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    before = {name: os.environ.get(name) for name in one_thread}
    os.environ.update(one_thread)  # read when a worker starts
    try:
        with ProcessPoolExecutor(processes or os.cpu_count(), mp_context=get_context("spawn")) as pool:
            yield from pool.map(examine, seeds, [effort] * len(seeds))
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def main() -> None:
    efforts = {"exact": None, "quick": QUICK, "full": Effort()}
    first, last, effort = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "full"
    gaps: list[Gap] = []
    for report in survey(range(first, last), efforts[effort]):
        gaps += report.gaps
        if report.failures or report.far:
            print(report, flush=True)
    if gaps:
        far, error = sum(gap.is_far for gap in gaps), np.median([gap.error for gap in gaps])
        spread = np.sqrt(np.mean([min(gap.z, FAR) ** 2 for gap in gaps]))
        print(f"{len(gaps)} outputs, {far} beyond {FAR} errors; median error {error:.4f}, rms of z {spread:.2f}")


if __name__ == "__main__":
    main()
