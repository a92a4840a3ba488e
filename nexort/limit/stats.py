"""From independent replicates to an estimate: value, standard error, interval, method.

With R replicates of mean m and sample variance s² (divided by R − 1), the standard error is √(s²/R) and the 95 %
interval m ± t_{0.975, R−1} √(s²/R).  Student's t, since with 8 replicates ±1.96 standard errors cover 91 % only.
The error that all replicates share, of order (columns)/N, is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import t as student

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


def estimate_limit(replicates: Sequence[Array] | Array, samples: int) -> Estimate:
    """The estimate from the values of one output in each replicate."""
    values: np.ndarray[Any, Any] = np.asarray(replicates, np.float64)
    count = len(values)
    mean = values.mean(axis=0)
    if count > 1:
        stderr = values.std(axis=0, ddof=1) / np.sqrt(count)
        reach = student.ppf((1 + CONFIDENCE) / 2, count - 1) * stderr
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
