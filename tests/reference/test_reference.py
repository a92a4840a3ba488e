"""`programs/adam_mup.nx` and `train` against training curves that were computed with autograd (README.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import nexort

HERE = Path(__file__).parent
CURVES = HERE / "fig2_mup_L2.npz"
NTP_CURVES = HERE / "fig1_ntp_L4.npz"
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


def reference(width: int, curves: Path = CURVES) -> Curve:
    with np.load(curves) as file:
        return Curve.of_trials(file[f"f_{width}"])


def run(width: int, steps: int) -> Curve:
    program = nexort.load(PROGRAM, data=CURVES, T=steps + 1)
    return Curve.of_trials(program.run(width, trials=10, seed=1)["f"].values)


def assert_equal_within_errors(found: Curve, expected: Curve, steps: slice, beyond: float = 0.02) -> None:
    """At most 2 % of points beyond 4 standard errors, and a root mean square of z over inputs below 2 at each step."""
    z = (found.mean[steps] - expected.mean[steps]) / np.sqrt(found.variance[steps] + expected.variance[steps])
    assert np.mean(np.abs(z) > 4) <= beyond
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


# ------------------------------------------------------------------------ train


@dataclass(frozen=True)
class Setting:
    """A file of reference curves, and the `train` program of its network."""

    curves: Path
    hidden: int
    parametrization: str

    def program(self, steps: int) -> nexort.Program:
        layers = range(1, self.hidden)
        text = f"""
import "optimizers.nx"
data xi[M, d] = normal()
data y[M] = normal()
data train[M] = [1] * 100 + [0] * 4
model mlp(xi[d]):
    vector u[d], v
    matrix {", ".join(f"W{layer}" for layer in layers)}
    h = sum[k](xi[k] * u[k])
{"".join(f"    h = W{layer} @ relu(h)" + chr(10) for layer in layers)}    return v * relu(h)
train mlp on xi, y:
    loss = (f - y)^2 / 2
    weights = train
    optimizer = adam(beta2=0.99, eps=1e-4)
    rate = 0.2
    steps = {steps}
    parametrization = {self.parametrization}
    center = true
"""
        with np.load(self.curves) as file:
            return nexort.compile(text, data={name: file[name] for name in ("xi", "y")})

    def run(self, width: int, steps: int) -> Curve:
        return Curve.of_trials(self.program(steps).run(width, trials=10, seed=1, dtype="float32")["f"].values)

    def limit(self, steps: int, replicates: int = 8) -> Curve:
        f = self.program(steps).limit(samples=4096, replicates=replicates, dtype="float32")["f"]
        return Curve(f.value, np.mean(f.stderr**2, axis=-1, keepdims=True))

    def reference(self, width: int, steps: int) -> Curve:
        """The variance of three trials is not known well: theirs is that of width 2048, scaled."""
        curve = reference(width, self.curves)
        if self is NTP and width == 7000:
            with np.load(self.curves) as file:
                trials = {n: len(file[f"f_{n}"]) for n in (2048, 7000)}
            of_one = reference(2048, self.curves).variance * trials[2048]
            curve = Curve(curve.mean, of_one * (2048 / 7000) ** 0.5 / trials[7000])
        return Curve(curve.mean[: steps + 1], curve.variance[: steps + 1])


MUP = Setting(curves=CURVES, hidden=2, parametrization="mup")
NTP = Setting(curves=NTP_CURVES, hidden=4, parametrization="ntp")
SETTINGS = {"mup": MUP, "ntp": NTP}


def test_train_is_the_program_written_out() -> None:
    """At one width they differ by their draws alone: means of the first steps, with the file's between them."""
    for setting in SETTINGS.values():
        found, expected = setting.run(64, steps=2), setting.reference(64, 2)
        assert_equal_within_errors(found, expected, slice(1, 3))
        assert expected.distance(Curve(0 * expected.mean, 0 * expected.variance), 1) > 4 * found.error(expected, 1)


@pytest.mark.long
@pytest.mark.parametrize("width", [64, 512, 2048])
@pytest.mark.parametrize("name", SETTINGS)
def test_train_at_finite_width(name: str, width: int) -> None:
    setting = SETTINGS[name]
    assert_equal_within_errors(setting.run(width, steps=15), setting.reference(width, 15), STEPS)


@pytest.mark.long
@pytest.mark.parametrize("name", SETTINGS)
def test_limit_of_train(name: str) -> None:
    """Against width 7000, and nearer to wider networks; for NTP within 0.03 of width 7000 at step 10."""
    setting = SETTINGS[name]
    found = setting.limit(15)
    widths = {width: setting.reference(width, 15) for width in (64, 512, 2048, 7000)}
    assert_equal_within_errors(found, widths[7000], STEPS, beyond=0.05 if setting is NTP else 0.02)
    for step in (4, 8):
        distance = {width: found.distance(curve, step) for width, curve in widths.items()}
        assert distance[512] < distance[64]
        for width in (2048, 7000):
            assert distance[width] <= distance[512] + 2 * widths[width].error(widths[512], step), distance
    if setting is NTP:
        assert found.distance(widths[7000], 10) < 0.03
