"""Results of `compare`: networks of several widths beside the limit, as table, JSON, arrays and picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from nexort.api.beside import Beside, decay_columns, std_stderr
from nexort.api.deviations import (
    BIAS_SLOPE,
    DEVIATION_SLOPE,
    RESOLVED,
    Decay,
    measure_bias,
    measure_deviation,
)
from nexort.api.results import Array, LimitOutput, RandomLimitOutput, Results, RunOutput, count, plain
from nexort.api.table import Column, Index, TableColumn, text_table

_NO_BIAS = {
    "below noise": f"bias below noise, {RESOLVED:g} standard errors, at all widths",
    "one trial": "bias not known from one trial",
    "none": "no bias",
}
MAX_SLICES = 1000
"""Leading indices with a decay of their own in the JSON; longer axes are pooled."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CompareOutput:
    """One output at several widths and in the limit."""

    limit: LimitOutput | RandomLimitOutput
    runs: Mapping[int, RunOutput]
    """By width."""
    rounding: float
    """The unit of the arithmetic that made them."""

    @property
    def is_random(self) -> bool:
        """Whether the limit is a distribution, so that means and spreads are compared, and no single trials."""
        return isinstance(self.limit, RandomLimitOutput)

    @property
    def value(self) -> Array:
        """The limit, or the mean of its distribution."""
        return self.limit.mean if isinstance(self.limit, RandomLimitOutput) else self.limit.value

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
        return self._beside(width).gap_in_stderrs(index)

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
        """The limit, and the mean at each width beside it."""
        return [Column("limit", self.value, self.limit.stderr), *map(self._beside, self.runs)]

    def spread_columns(self) -> list[TableColumn]:
        """The standard deviation of a random limit, and that at each width beside it."""
        assert isinstance(self.limit, RandomLimitOutput)
        std, stderr = self.limit.std, self.spread_stderr
        columns: list[TableColumn] = [Column("limit", std, stderr)]
        for width, run in self.runs.items():
            columns.append(Beside(width, run.std, std_stderr(run.values), std, stderr, self.rounding))
        return columns

    def decay_columns(self, measure: Callable[[Index], Decay]) -> list[TableColumn]:
        """The sizes of a deviation or bias at each width, and their slope."""
        return [*decay_columns(measure, self.runs, self.value.shape)]

    def _beside(self, width: int) -> Beside:
        run = self.runs[width]
        return Beside(width, run.mean, run.stderr, self.value, self.limit.stderr, self.rounding)

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
            if isinstance(output.limit, RandomLimitOutput):
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
            _section(
                "mean ± standard error (gap to the limit in standard errors)", self.outputs, CompareOutput.columns
            ),
            _section("standard deviation, of the limit's draws and of trials", random, CompareOutput.spread_columns),
            _section(
                f"rms deviation of single trials from the limit (slope {DEVIATION_SLOPE:g} by the Master Theorem)",
                fixed,
                lambda output: output.decay_columns(output.deviation),
            ),
            _section(
                f"bias, mean - limit, where it exceeds {RESOLVED:g} standard errors "
                f"(slope {BIAS_SLOPE:g} where functions are smooth)",
                {name: output for name, output in fixed.items() if output.has_bias},
                lambda output: output.decay_columns(output.bias),
            ),
        ]
        for note, said in _NO_BIAS.items():
            names = [x for x, output in fixed.items() if not output.has_bias and output.bias().slope.note == note]
            if names:
                sections.append(f"{said}: {', '.join(names)}")
        return "\n\n".join([*(section for section in sections if section), self.summary()])

    def summary(self) -> str:
        first = next(iter(self.outputs.values()), None)
        trials = {n: run.trials for n, run in first.runs.items()} if first else {}
        sizes = ", ".join(f"{n} ({count(number, self.repeat)})" for n, number in trials.items())
        found = sum(self.reused.values())
        kept = f", {found} of {sum(trials.values())} from {self.config['results']}" if found else ""
        taken = self.tolerance
        samples, replicates = (
            (self.config["samples"], self.config["replicates"]) if taken is None else (taken.samples, taken.replicates)
        )
        is_exact = all(output.limit.method == "exact" for output in self.outputs.values())
        limit = "exact values" if is_exact else f"{samples} samples, {count(replicates, 'replicate')}"
        work = f"seed {self.config['seed']}, {self.config['dtype']}, {self.seconds:.2f} s{kept}"
        return f"compare: widths {sizes}; limit with {limit}; {work}"


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
