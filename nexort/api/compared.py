"""Results of `compare`: networks of several widths beside the limit, as table, JSON, arrays and picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nexort.api.deviations import (
    BIAS_SLOPE,
    DEVIATION_SLOPE,
    RESOLVED,
    ROUNDINGS,
    Decay,
    measure_bias,
    measure_deviation,
)
from nexort.api.results import Array, LimitOutput, Results, RunOutput, count, plain
from nexort.api.table import Column, Index, TableColumn, format_estimate, root_mean_square, text_table

MAX_SLICES = 1000
"""Leading indices with a decay of their own in the JSON; longer axes are pooled."""


@runtime_checkable
class RandomLimit(Protocol):
    """A limit that is a distribution: its mean and spread over draws. `values` has shape (replicates, draws, …)."""

    @property
    def mean(self) -> Array: ...
    @property
    def std(self) -> Array: ...
    @property
    def stderr(self) -> Array: ...
    @property
    def draws(self) -> int: ...
    @property
    def values(self) -> Array: ...
    def to_dict(self) -> dict[str, Any]: ...


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CompareOutput:
    """One output at several widths and in the limit."""

    limit: LimitOutput | RandomLimit
    runs: Mapping[int, RunOutput]
    """By width."""
    rounding: float
    """The unit of the arithmetic that made them."""

    @property
    def is_random(self) -> bool:
        """Whether the limit is a distribution, so that means and spreads are compared, and no single trials."""
        return isinstance(self.limit, RandomLimit)

    @property
    def value(self) -> Array:
        """The limit, or the mean of its distribution."""
        return self.limit.mean if isinstance(self.limit, RandomLimit) else self.limit.value

    def gap(self, width: int) -> Array:
        """Mean over trials − limit, of the output's shape."""
        return np.asarray(self.runs[width].mean - self.value)

    def gap_stderr(self, width: int) -> Array:
        """sqrt(stderr² at this width + stderr² of the limit)."""
        return np.asarray(np.hypot(self.runs[width].stderr, self.limit.stderr))

    def gap_in_stderrs(self, width: int, index: Index = ()) -> float:
        """gap / gap_stderr of the element at `index`, with its sign, or the ratio of their rms over those under it.

        0 where the gap is one of rounding.
        """
        return _mean_beside(self, width).gap_in_stderrs(index)

    @cached_property
    def has_bias(self) -> bool:
        """Whether at some width the mean, of all elements or of a slice, is off the limit by more than noise."""
        parts = [(), *((i,) for i in self._slices())]
        return any(size is not None for index in parts for size in self.bias(index).sizes.values())

    @cached_property
    def spread_stderr(self) -> Array:
        """Standard error of the spread of a random limit, over draws; NaN with fewer than three."""
        return std_stderr(np.asarray(self.limit.values.mean(axis=0)))

    def deviation(self, index: Index = ()) -> Decay:
        """The rms deviation of single trials over the elements under `index`, by width, and its slope."""
        return self._decays(measure_deviation, index)

    def bias(self, index: Index = ()) -> Decay:
        """The rms deviation of the mean over the elements under `index`, by width, and its slope."""
        return self._decays(measure_bias, index)

    def _decays(self, measure: Callable[[Mapping[int, Array], Array, float], Decay], index: Index) -> Decay:
        if self.is_random:
            raise ValueError("the limit is a distribution: single trials do not approach it")
        runs = {width: _elements(run.values, index) for width, run in self.runs.items()}
        return measure(runs, _elements(self.limit.values, index), self.rounding)

    def columns(self) -> list[TableColumn]:
        return _mean_columns(self)

    def to_dict(self) -> dict[str, Any]:
        """The JSON layout; what is not known is None."""
        layout = {"limit": self.limit.to_dict(), "widths": {str(n): self._width_dict(n) for n in self.runs}}
        if self.is_random:
            return layout
        parts = [{"index": [i], **self._decay_dict((i,))} for i in self._slices()]
        return {**layout, **self._decay_dict(()), "slices": parts}

    def _slices(self) -> range:
        shape = self.value.shape
        return range(shape[0] if shape and shape[0] <= MAX_SLICES else 0)

    def _width_dict(self, width: int) -> dict[str, Any]:
        gap = {"gap": plain(self.gap(width)), "gap_stderr": plain(self.gap_stderr(width))}
        return {**self.runs[width].to_dict(), **gap}

    def _decay_dict(self, index: Index) -> dict[str, Any]:
        return {"deviation": self.deviation(index).to_dict(), "bias": self.bias(index).to_dict()}


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CompareResults(Results[CompareOutput]):
    """What `Program.compare` computed."""

    mode: ClassVar[str] = "compare"
    repeat: ClassVar[str] = "trial"

    reused: Mapping[int, int] = field(default_factory=dict[int, int])
    """How many trials of each width were found in the results folder."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Those with at least one finished trial."""
        return next((tuple(output.runs) for output in self.outputs.values()), ())

    def arrays(self) -> dict[str, Array]:
        """NAME and NAME_stderr, the limit (for a random one its mean, and NAME_std), and NAME_width64 (trials, …)."""
        arrays: dict[str, Array] = {}
        for name, output in self.outputs.items():
            arrays[name] = output.value
            arrays[f"{name}_stderr"] = output.limit.stderr
            if isinstance(output.limit, RandomLimit):
                arrays[f"{name}_std"] = output.limit.std
            arrays.update({f"{name}_width{width}": run.values for width, run in output.runs.items()})
        return arrays

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "reused": {str(width): number for width, number in self.reused.items()}}

    def plot(self, path: str) -> None:
        """Draws every output to a picture file (.png, .pdf, .svg). Raises UsageFault without matplotlib."""
        from nexort.api.plots import draw_comparison

        draw_comparison(self, path)

    def table(self) -> str:
        """Means and gaps, then spreads of random limits, then deviations and biases with their slopes."""
        fixed = {name: output for name, output in self.outputs.items() if not output.is_random}
        random = {name: output for name, output in self.outputs.items() if output.is_random}
        sections = [
            _section("mean ± standard error (gap to the limit in standard errors)", self.outputs, _mean_columns),
            _section("standard deviation, of the limit's draws and of trials", random, _spread_columns),
            _section(
                f"rms deviation of single trials from the limit (slope {DEVIATION_SLOPE:g} by the Master Theorem)",
                fixed,
                lambda output: _decay_columns(output.deviation, output),
            ),
            _section(
                f"bias, mean - limit, where it exceeds {RESOLVED:g} standard errors "
                f"(slope {BIAS_SLOPE:g} where functions are smooth)",
                {name: output for name, output in fixed.items() if output.has_bias},
                lambda output: _decay_columns(output.bias, output),
            ),
        ]
        noisy = [name for name, output in fixed.items() if not output.has_bias]
        if noisy:
            sections.append(f"bias below noise, {RESOLVED:g} standard errors, at all widths: {', '.join(noisy)}")
        return "\n\n".join([*(section for section in sections if section), self.summary()])

    def summary(self) -> str:
        first = next(iter(self.outputs.values()), None)
        trials = {n: run.trials for n, run in first.runs.items()} if first else {}
        sizes = ", ".join(f"{n} ({count(number, self.repeat)})" for n, number in trials.items())
        found = sum(self.reused.values())
        kept = f", {found} of {sum(trials.values())} from {self.config['results']}" if found else ""
        limit = f"{self.config['samples']} samples, {count(self.config['replicates'], 'replicate')}"
        work = f"seed {self.config['seed']}, {self.config['dtype']}, {self.seconds:.2f} s{kept}"
        return f"compare: widths {sizes}; limit with {limit}; {work}"


def std_stderr(values: Array) -> Array:
    """Standard error of the standard deviation over the leading axis, by the jackknife; NaN with fewer than three."""
    number = len(values)
    if number < 3:
        return np.full(values.shape[1:], np.nan)
    squares = (values - values.mean(axis=0)) ** 2
    without = (squares.sum(axis=0) - squares * number / (number - 1)) / (number - 2)
    # rounding may leave a small negative number where all but one value agree
    stds = np.sqrt(np.maximum(without, 0.0))
    return np.asarray((number - 1) / np.sqrt(number) * stds.std(axis=0, ddof=1))


def _elements(values: NDArray[np.float64], index: Index) -> Array:
    """The elements under an index in one axis: (repetitions, m)."""
    part = values[(slice(None), *index)]
    return part.reshape(len(part), -1)


def _section(
    title: str, outputs: Mapping[str, CompareOutput], columns: Callable[[CompareOutput], list[TableColumn]]
) -> str:
    if not outputs:
        return ""
    rows = {name: columns(output) for name, output in outputs.items()}
    return f"{title}\n{text_table(rows, has_totals=True)}"


def _mean_columns(output: CompareOutput) -> list[TableColumn]:
    return [
        Column("limit", output.value, output.limit.stderr),
        *(_mean_beside(output, width) for width in output.runs),
    ]


def _mean_beside(output: CompareOutput, width: int) -> _Beside:
    run = output.runs[width]
    return _Beside(width, run.mean, run.stderr, output.value, output.limit.stderr, output.rounding)


def _spread_columns(output: CompareOutput) -> list[TableColumn]:
    assert isinstance(output.limit, RandomLimit)
    std, stderr = output.limit.std, output.spread_stderr
    columns: list[TableColumn] = [Column("limit", std, stderr)]
    for width, run in output.runs.items():
        columns.append(_Beside(width, run.std, std_stderr(run.values), std, stderr, output.rounding))
    return columns


def _decay_columns(measure: Callable[[Index], Decay], output: CompareOutput) -> list[TableColumn]:
    remembered = lru_cache(maxsize=None)(measure)
    shape = output.value.shape
    sizes = [_Size(width, shape, remembered) for width in output.runs]
    return [*sizes, _SlopeColumn(shape, remembered)]


@dataclass(frozen=True, slots=True, eq=False)
class _Beside:
    """A quantity at one width and, in brackets, its gap to the limit in standard errors."""

    width: int
    values: Array
    errors: Array
    limit: Array
    limit_errors: Array
    rounding: float

    @property
    def title(self) -> str:
        return f"width {self.width}"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def cell(self, index: Index) -> str:
        estimate = format_estimate(root_mean_square(self.values, index), root_mean_square(self.errors, index))
        gap = self.gap_in_stderrs(index)
        has_sign = gap != 0 and len(index) == len(self.shape)
        return f"{estimate} ({'?' if np.isnan(gap) else f'{gap:+.1f}' if has_sign else f'{gap:.1f}'})"

    def gap_in_stderrs(self, index: Index) -> float:
        gap = root_mean_square(self.values - self.limit, index)
        largest = max(float(np.abs(array).max(initial=0.0)) for array in (self.values, self.limit))
        if abs(gap) <= ROUNDINGS * self.rounding * largest:
            return 0.0
        error = root_mean_square(np.hypot(self.errors, self.limit_errors), index)
        return gap / error if error else float(np.copysign(np.inf, gap))


@dataclass(frozen=True, slots=True, eq=False)
class _Size:
    """A deviation or bias at one width."""

    width: int
    shape: tuple[int, ...]
    measure: Callable[[Index], Decay]

    @property
    def title(self) -> str:
        return f"width {self.width}"

    def cell(self, index: Index) -> str:
        decay = self.measure(index)
        size = decay.sizes[self.width]
        return decay.notes[self.width] if size is None else format_estimate(size, decay.errors[self.width])


@dataclass(frozen=True, slots=True, eq=False)
class _SlopeColumn:
    """The slope of the sizes, or why there is none."""

    shape: tuple[int, ...]
    measure: Callable[[Index], Decay]
    title: str = "slope"

    def cell(self, index: Index) -> str:
        slope = self.measure(index).slope
        return slope.note if slope.value is None else format_estimate(slope.value, slope.stderr)
