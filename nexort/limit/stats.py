"""From independent replicates to an estimate: value, standard error, interval, method.

With R replicates of mean m and sample variance s² (divided by R − 1), the standard error is √(s²/R) and the 95 %
interval m ± t_{0.975, R−1} √(s²/R).  Student's t, since with 8 replicates ±1.96 standard errors cover 91 % only.
The error that all replicates share, of order (columns)/N, is not in it.

A random limit is drawn J times in each of R replicates: x_kj = μ + A_k + B_j + C_kj, with A the error of a replicate, B
what draw j means in all of them (random scalars), C the rest (fluctuations are drawn anew in each).  Its law has
standard deviation √(σ_B² + σ_C²), the mean over draws and replicates the standard error
√(σ_A²/R + σ_B²/J + σ_C²/(R J)): both from the mean squares of the two-way layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import stdtrit

from nexort.engine import Array

PARTICLES = "particles"
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """The limit of one output: arrays of the output's shape; `stderr` and `ci95` are NaN with one replicate."""

    value: Array
    stderr: Array
    ci95: Array
    """(2, *shape): the lower and upper ends."""
    replicates: int
    samples: int
    method: str = PARTICLES
    by_replicate: Array = field(repr=False)
    """(replicates, *shape)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomEstimate:
    """The law of one output whose limit is random: arrays of the output's shape.

    `std` is NaN with one draw, `stderr` (of the mean) with one draw or one replicate.
    """

    mean: Array
    std: Array
    stderr: Array
    floor: Array
    """σ_B/√J: what `stderr` tends to with more replicates of the same draws."""
    method: str = PARTICLES
    by_draw: Array = field(repr=False)
    """(replicates, draws, *shape)."""


def estimate_random_limit(values: Sequence[Array] | Array) -> RandomEstimate:
    """The law of one output from its values (replicates, draws, *shape)."""
    x: np.ndarray[Any, Any] = np.asarray(values, np.float64)
    R, J = x.shape[:2]
    by_replicate, by_draw, mean = x.mean(axis=1), x.mean(axis=0), x.mean(axis=(0, 1))
    unknown = np.full(mean.shape, np.nan)
    std = np.sqrt(x.var(axis=1, ddof=1).mean(axis=0)) if J > 1 else unknown
    stderr = floor = unknown
    if R > 1 and J > 1:
        rest = x - by_replicate[:, None] - by_draw + mean
        from_rest = np.square(rest).sum(axis=(0, 1)) / ((R - 1) * (J - 1) * R * J)
        # the mean squares of B and C are one where no draw means the same in two replicates
        from_draws = np.maximum(by_draw.var(axis=0, ddof=1) / J - from_rest, 0)
        stderr = np.sqrt(by_replicate.var(axis=0, ddof=1) / R + from_draws)
        floor = np.sqrt(from_draws)
    return RandomEstimate(mean=mean, std=std, stderr=stderr, floor=floor, by_draw=x)


def estimate_limit(replicates: Sequence[Array] | Array, samples: int) -> Estimate:
    """The estimate from the values of one output in each replicate."""
    values: np.ndarray[Any, Any] = np.asarray(replicates, np.float64)
    count = len(values)
    mean = values.mean(axis=0)
    if count > 1:
        stderr = values.std(axis=0, ddof=1) / np.sqrt(count)
        reach = stdtrit(count - 1, (1 + CONFIDENCE) / 2) * stderr
    else:
        stderr = reach = np.full(mean.shape, np.nan)
    return Estimate(
        value=mean,
        stderr=stderr,
        ci95=np.stack([mean - reach, mean + reach]),
        replicates=count,
        samples=samples,
        by_replicate=values,
    )
