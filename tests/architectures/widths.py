"""Limits of training programs against runs at growing widths, extrapolated to infinity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

import nexort

PROGRAMS = Path(__file__).parents[2] / "programs"


def training_text(program: str, **fields: str) -> str:
    """The text of `programs/train_PROGRAM.nx` with lines of its `train` block replaced."""
    text = (PROGRAMS / f"train_{program}.nx").read_text(encoding="utf-8")
    for name, value in fields.items():
        text, count = re.subn(rf"^    {name} = .*$", f"    {name} = {value}", text, flags=re.MULTILINE)
        assert count == 1, f"{program} has {count} lines {name} = …"
    return text


@dataclass(frozen=True, kw_only=True)
class Gap:
    """f at width n minus its limit, extrapolated in 1/n to n = ∞, entry by entry of (steps, inputs[, heads])."""

    scale: float
    """The root mean square of the limit over inputs and steps."""
    value: np.ndarray
    error: np.ndarray
    freedom: np.ndarray
    """Degrees of freedom of the errors (Welch and Satterthwaite)."""
    slope: np.ndarray
    """The coefficient of 1/n."""

    @property
    def errors_away(self) -> float:
        """The largest gap in standard errors, as a normal deviate: Student's t, at the same probability."""
        tail = stats.t.sf(np.abs(self.value) / self.error, self.freedom)
        return float(stats.norm.isf(tail.min()))

    @property
    def precision(self) -> float:
        """The largest standard error over the scale."""
        return float(self.error.max()) / self.scale

    def __str__(self) -> str:
        rms = np.sqrt(np.mean(self.value**2)) / self.scale
        error = np.sqrt(np.mean(self.error**2)) / self.scale
        return (
            f"gap {100 * rms:.2f} % ± {100 * error:.2f} % rms, {self.errors_away:.1f} errors at most, "
            f"error {100 * self.precision:.2f} % at most, scale {self.scale:.3f}"
        )


def extrapolated_gap(text: str, trials: Mapping[int, int], *, samples: int, replicates: int, seed: int = 0) -> Gap:
    """From the numbers of trials by width; step 0, where a centred f is 0, is left out.

    A single trial has variance s²/n, with one s for all widths; the means are fitted by A + B/n, weights n · trials.
    """
    program = nexort.compile(text)
    limit = program.limit(samples, replicates=replicates, seed=seed)["f"]
    runs = {n: program.run(n, trials=k, seed=seed, dtype="float32")["f"].values[:, 1:] for n, k in trials.items()}
    value, limit_error = limit.value[1:], limit.stderr[1:]
    n, k = np.array(list(trials)), np.array(list(trials.values()))
    means = np.stack([run.mean(axis=0) for run in runs.values()]).astype(np.float64)
    squares = [width * np.sum((run - run.mean(axis=0)) ** 2, axis=0, dtype=np.float64) for width, run in runs.items()]
    freedom = int(np.sum(k - 1))
    variance = np.sum(squares, axis=0) / freedom
    design = np.stack([np.ones(len(n)), 1 / n], axis=1)
    weighted = design * (n * k)[:, None]
    covariance = np.linalg.inv(weighted.T @ design)
    A, B = np.tensordot(covariance @ weighted.T, means - value, axes=1)
    parts = covariance[0, 0] * variance, limit_error**2
    total = parts[0] + parts[1]
    return Gap(
        scale=float(np.sqrt(np.mean(value**2))),
        value=A,
        error=np.sqrt(total),
        freedom=total**2 / (parts[0] ** 2 / freedom + parts[1] ** 2 / (replicates - 1)),
        slope=B,
    )
