"""Columns of the table of `compare`: a quantity beside its limit, sizes that decay with the width, and their slopes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nexort.api.deviations import ROUNDINGS, Decay
from nexort.api.results import Array
from nexort.api.table import Index, format_estimate, root_mean_square


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


def decay_columns(
    measure: Callable[[Index], Decay], widths: Iterable[int], shape: tuple[int, ...]
) -> list[SizeColumn | SlopeColumn]:
    """Sizes at each width, then their slope."""
    remembered = lru_cache(maxsize=None)(measure)
    return [*(SizeColumn(width, shape, remembered) for width in widths), SlopeColumn(shape, remembered)]


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
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
class SizeColumn:
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
class SlopeColumn:
    """The slope of the sizes, or why there is none."""

    shape: tuple[int, ...]
    measure: Callable[[Index], Decay]
    title: str = "slope"

    def cell(self, index: Index) -> str:
        slope = self.measure(index).slope
        return slope.note if slope.value is None else format_estimate(slope.value, slope.stderr)
