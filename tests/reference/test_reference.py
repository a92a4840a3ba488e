"""`programs/adam_mup.nx` against training curves that were computed with autograd, independently (README.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import nexort

HERE = Path(__file__).parent
CURVES = HERE / "fig2_mup_L2.npz"
PROGRAM = HERE.parents[1] / "programs" / "adam_mup.nx"
STEPS = slice(1, 16)  # the output at step 0 is 0 by the centring


@dataclass(frozen=True)
class Curve:
    """Means of f over trials, (steps, inputs), and their variance, pooled over the inputs of a step, (steps, 1)."""

    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def of_trials(cls, f: np.ndarray) -> Curve:
        f = f.astype(np.float64)
        return cls(f.mean(axis=0), f.var(axis=0, ddof=1).mean(axis=-1, keepdims=True) / len(f))

    def distance(self, other: Curve, step: int) -> float:
        """Root mean square over inputs."""
        return float(np.sqrt(np.mean((self.mean[step] - other.mean[step]) ** 2)))

    def error(self, other: Curve, step: int) -> float:
        """Standard error of the difference of the two means at a step."""
        return float(np.sqrt(self.variance[step, 0] + other.variance[step, 0]))


def reference(width: int) -> Curve:
    with np.load(CURVES) as file:
        return Curve.of_trials(file[f"f_{width}"])


def run(width: int, steps: int) -> Curve:
    program = nexort.load(PROGRAM, data=CURVES, T=steps + 1)
    return Curve.of_trials(program.run(width, trials=10, seed=1)["f"].values)


def assert_equal_within_errors(found: Curve, expected: Curve, steps: slice) -> None:
    """At most 2 % of points beyond 4 standard errors, and a root mean square of z over inputs below 2 at each step."""
    z = (found.mean[steps] - expected.mean[steps]) / np.sqrt(found.variance[steps] + expected.variance[steps])
    assert np.mean(np.abs(z) > 4) <= 0.02
    assert np.sqrt(np.mean(z**2, axis=-1)).max() < 2, np.sqrt(np.mean(z**2, axis=-1))


def test_first_steps_at_width_64() -> None:
    found, expected = run(64, steps=3), reference(64)
    assert_equal_within_errors(found, Curve(expected.mean[:4], expected.variance[:4]), slice(1, 4))
    # the errors are small enough to see training at all, and to tell one step from the next
    assert expected.distance(Curve(0 * expected.mean, 0 * expected.variance), 1) > 4 * found.error(expected, 1)
    shifted = Curve(np.roll(expected.mean, 1, axis=0)[:4], expected.variance[:4])
    with pytest.raises(AssertionError):
        assert_equal_within_errors(found, shifted, slice(2, 4))


@pytest.mark.long
@pytest.mark.parametrize("width", [512, 2048])
def test_training_at_finite_width(width: int) -> None:
    expected = reference(width)
    assert_equal_within_errors(run(width, steps=15), Curve(expected.mean[:16], expected.variance[:16]), STEPS)


@pytest.mark.long
def test_training_in_the_limit() -> None:
    f = nexort.load(PROGRAM, data=CURVES, T=16).limit(samples=4096, replicates=8)["f"]
    found = Curve(f.value, np.mean(f.stderr**2, axis=-1, keepdims=True))
    widths = {width: reference(width) for width in (64, 512, 2048, 7000)}
    widest = widths[7000]
    assert_equal_within_errors(found, Curve(widest.mean[:16], widest.variance[:16]), STEPS)
    for step in (4, 8):
        distance = {width: found.distance(curve, step) for width, curve in widths.items()}
        assert distance[512] < distance[64]
        for width in (2048, 7000):
            assert distance[width] <= distance[512] + 2 * widths[width].error(widths[512], step), distance
