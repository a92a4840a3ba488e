"""How far networks of width n are from the limit, and at what power of n they come nearer.

Of one output, or of the elements under an index (m of them), with X_r the values of trial r = 1 … R at width n and L
the limit, the mean of K replicates L_k with standard error s:

    deviation²(n) = (1/Rm) Σ_r |X_r − L|² − |s|²/m               mean square of a single trial from the limit
    bias²(n)      = (|X̄ − L|² − |e|²)/m,   e² = std(X)²/R + s²   square of the mean from the limit

What the noise of the estimates adds in the mean is subtracted.  The Master Theorem (TP4b Theorem 2.6.10) with its
central limit scaling gives deviation ∝ n^-1/2, and smooth programs have a bias ∝ 1/n.  A slope is a weighted least
squares fit of log deviation (log bias) to log n.  Its standard error is the jackknife's, over the trials of each width
and over the replicates of the limit, which all widths share; logarithms are linearised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DEVIATION_SLOPE: Final = -0.5
BIAS_SLOPE: Final = -1.0
RESOLVED: Final = 3.0
"""A bias counts where the gap exceeds so many of its standard errors."""
ROUNDINGS: Final = 1e3
"""Deviations below so many units of rounding of the largest value are taken for none."""


@final
@dataclass(frozen=True, kw_only=True)
class Slope:
    """d log / d log n by weighted least squares over `widths`; `value` is None where `note` says why there is none.

    `stderr` is NaN with one trial.
    """

    expected: float
    value: float | None = None
    stderr: float = np.nan
    widths: tuple[int, ...] = ()
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        stderr = None if self.value is None or np.isnan(self.stderr) else self.stderr
        return {
            "value": self.value,
            "stderr": stderr,
            "expected": self.expected,
            "widths": list(self.widths),
            "note": self.note,
        }


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Decay:
    """A size at each width, with its standard error, and the slope of its decay.

    `sizes[n]` is None where noise hides it, with the reason in `notes[n]`.
    """

    sizes: Mapping[int, float | None]
    errors: Mapping[int, float]
    notes: Mapping[int, str]
    slope: Slope

    def to_dict(self) -> dict[str, Any]:
        known = {
            n: None if size is None or np.isnan(self.errors[n]) else self.errors[n] for n, size in self.sizes.items()
        }
        return {
            "rms": {str(n): size for n, size in self.sizes.items()},
            "stderr": {str(n): error for n, error in known.items()},
            "notes": {str(n): note for n, note in self.notes.items() if note},
            "slope": self.slope.to_dict(),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Square:
    """The estimate of a mean square at one width.

    trial_variance      from the scatter of trials; NaN with one trial
    influence (K,)      the change of the estimate when replicate k of the limit is left out, about its mean
    relative_scatter    variance of one trial's share in units of raw², for the weights
    """

    value: float
    raw: float
    noise: float
    trials: int
    trial_variance: float
    relative_scatter: float
    influence: Array

    @property
    def variance(self) -> float:
        return self.trial_variance + _jackknife(self.influence)


def measure_deviation(runs: Mapping[int, Array], limits: Array, rounding: float) -> Decay:
    """The deviation of single trials. `runs[n]` is (R, m), `limits` (K, m), `rounding` the unit of the arithmetic."""
    floor = _floor(runs, limits, rounding)
    squares = {n: _deviation(values, limits) for n, values in runs.items()}
    notes = {n: _deviation_note(square, floor) for n, square in squares.items()}
    scatter = _pooled_scatter(squares.values())
    weights = {
        n: _inverse((scatter * square.raw**2 / square.trials + _jackknife(square.influence)) / square.value**2)
        for n, square in squares.items()
        if not notes[n]
    }
    return _decay(squares, notes, weights, DEVIATION_SLOPE)


def measure_bias(runs: Mapping[int, Array], limits: Array, rounding: float) -> Decay:
    """The deviation of the mean over trials; shapes as for `measure_deviation`."""
    floor = _floor(runs, limits, rounding)
    squares = {n: _bias(values, limits) for n, values in runs.items()}
    notes = {n: _bias_note(square, floor) for n, square in squares.items()}
    weights = {n: _inverse(square.variance / square.value**2) for n, square in squares.items() if not notes[n]}
    return _decay(squares, notes, weights, BIAS_SLOPE)


def _deviation(values: Array, limits: Array) -> _Square:
    limit = limits.mean(axis=0)
    shares = np.mean((values - limit) ** 2, axis=1)
    raw, trials = float(shares.mean()), len(values)
    scatter = float(shares.var(ddof=1)) if trials > 1 else np.nan
    noise = _limit_noise(limits)
    return _Square(
        value=raw - noise,
        raw=raw,
        noise=noise,
        trials=trials,
        trial_variance=scatter / trials,
        relative_scatter=scatter / raw**2 if raw else 0.0,
        influence=_influence(values.mean(axis=0) - limit, limits),
    )


def _bias(values: Array, limits: Array) -> _Square:
    trials = len(values)
    mean = values.mean(axis=0)
    gap = mean - limits.mean(axis=0)
    if trials > 1:
        without = np.mean((gap - (values - mean) / (trials - 1)) ** 2, axis=1)
        trial_variance = (trials - 1) ** 2 / trials * float(without.var(ddof=1))
        noise = float(np.mean(values.var(axis=0, ddof=1))) / trials + _limit_noise(limits)
    else:
        trial_variance = noise = np.nan
    raw = float(np.mean(gap**2))
    return _Square(
        value=raw - noise,
        raw=raw,
        noise=noise,
        trials=trials,
        trial_variance=trial_variance,
        relative_scatter=np.nan,
        influence=_influence(gap, limits),
    )


def _limit_noise(limits: Array) -> float:
    """|s|²/m; 0 where one replicate leaves it unknown (the results warn of that)."""
    return float(np.mean(limits.var(axis=0, ddof=1))) / len(limits) if len(limits) > 1 else 0.0


def _influence(gap: Array, limits: Array) -> Array:
    """The mean square of (X − L) or (X̄ − L) when L leaves out replicate k, about its mean over k, shape (K,)."""
    replicates = len(limits)
    if replicates < 2:
        return np.zeros(1)
    shift = (limits - limits.mean(axis=0)) / (replicates - 1)
    changes = np.mean(2 * gap * shift + shift**2, axis=1)
    return changes - changes.mean()


def _jackknife(influence: Array) -> float:
    """(K − 1)/K Σ_k (estimate without k − mean)²."""
    return (len(influence) - 1) / len(influence) * float(np.sum(influence**2))


def _pooled_scatter(squares: Sequence[_Square] | Any) -> float:
    """Relative variance of one trial's share, pooled over widths: it tends to a constant, and few trials see it badly.

    1 where no width has two trials: then all widths weigh by their trials.
    """
    known = [(square.trials - 1, square.relative_scatter) for square in squares if square.trials > 1]
    freedom = sum(degrees for degrees, _ in known)
    return sum(degrees * scatter for degrees, scatter in known) / freedom if freedom else 1.0


def _floor(runs: Mapping[int, Array], limits: Array, rounding: float) -> float:
    largest = max([float(np.abs(limits).max(initial=0.0)), *(float(np.abs(v).max(initial=0.0)) for v in runs.values())])
    return (ROUNDINGS * rounding * largest) ** 2


def _deviation_note(square: _Square, floor: float) -> str:
    if square.raw <= floor:
        return "none"
    # a correction of more than half leaves mostly its own error
    return "below the limit's error" if square.raw < 2 * square.noise else ""


def _bias_note(square: _Square, floor: float) -> str:
    if square.raw <= floor:
        return "none"
    if square.trials == 1:
        return "one trial"
    return "" if square.raw > RESOLVED**2 * square.noise else "below noise"


def _inverse(variance: float) -> float:
    return 1.0 / variance if variance > 0 else np.inf


def _decay(
    squares: Mapping[int, _Square], notes: Mapping[int, str], weights: Mapping[int, float], expected: float
) -> Decay:
    sizes = {n: None if notes[n] else float(np.sqrt(square.value)) for n, square in squares.items()}
    errors = {n: _size_error(square, sizes[n]) for n, square in squares.items()}
    return Decay(sizes=sizes, errors=errors, notes=notes, slope=_fit(squares, notes, weights, expected))


def _size_error(square: _Square, size: float | None) -> float:
    return np.nan if size is None else float(np.sqrt(square.variance)) / (2 * size)


def _fit(
    squares: Mapping[int, _Square], notes: Mapping[int, str], weights: Mapping[int, float], expected: float
) -> Slope:
    """Slope of ½ log square against log n: Σ_n c_n ½ log square_n with the c of weighted least squares."""
    if len(weights) < 2:
        return Slope(expected=expected, widths=tuple(weights), note=_missing(notes))
    w = np.array(list(weights.values()))
    if not np.isfinite(w).all():  # no scatter at all
        w = np.isinf(w).astype(float) if np.isinf(w).sum() > 1 else np.ones(len(w))
    x = np.log(np.array(list(weights), dtype=float))
    centred = x - np.average(x, weights=w)
    coefficients = w * centred / np.sum(w * centred**2)
    used = [squares[n] for n in weights]
    values = np.array([square.value for square in used])
    by_trials = np.sum((coefficients / (2 * values)) ** 2 * np.array([square.trial_variance for square in used]))
    by_limit = _jackknife(
        sum((c / (2 * s.value) * s.influence for c, s in zip(coefficients, used, strict=True)), np.zeros(1))
    )
    return Slope(
        expected=expected,
        value=float(np.sum(coefficients * np.log(values) / 2)),
        stderr=float(np.sqrt(by_trials + by_limit)),
        widths=tuple(weights),
    )


def _missing(notes: Mapping[int, str]) -> str:
    """Why fewer than two widths can be fitted: the reason that most widths have."""
    reasons = [note for note in notes.values() if note]
    return max(dict.fromkeys(reasons), key=reasons.count) if reasons else "one width"
