"""Deviations, biases and their slopes on numbers of a known law: right values, and standard errors that are kept."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.api.deviations import Decay, measure_bias, measure_deviation

EPS = float(np.finfo(np.float64).eps)
WIDTHS = (64, 256, 1024)


def simulate(
    seed: int, *, trials: int, elements: int, spread: float = 1.0, bias: float = 0.0, limit_error: float = 0.0
):
    """Trials with deviation spread·n^-1/2 and bias/n from a limit of 3, known with `limit_error` from 8 replicates."""
    generator = np.random.default_rng(seed)
    runs = {n: 3.0 + bias / n + spread / np.sqrt(n) * generator.standard_normal((trials, elements)) for n in WIDTHS}
    limits = 3.0 + limit_error * np.sqrt(8) * generator.standard_normal((8, elements))
    return runs, limits


def z_scores(decays: list[Decay], truth: float) -> np.ndarray:
    slopes = [decay.slope for decay in decays]
    return np.array([(slope.value - truth) / slope.stderr for slope in slopes if slope.value is not None])


@pytest.mark.parametrize(
    ("elements", "limit_error"),
    [(1, 0.0), (20, 0.0), (20, 0.01), (20, 0.02)],
)
def test_the_slope_of_deviations_and_its_error(elements, limit_error):
    cases = [simulate(seed, trials=10, elements=elements, limit_error=limit_error) for seed in range(200)]
    scores = z_scores([measure_deviation(*case, EPS) for case in cases], -0.5)
    assert len(scores) >= 190
    assert abs(scores.mean()) < 0.3
    assert 0.8 < scores.std() < 1.3


def test_the_limit_error_is_taken_off_the_deviation():
    """At width 1024 the limit's error is 0.64 of the deviation, 1/32, and would raise it by a fifth."""
    sizes = [
        measure_deviation(*simulate(seed, trials=20, elements=20, limit_error=0.02), EPS).sizes for seed in range(100)
    ]
    found = np.array([size[1024] for size in sizes if size[1024] is not None])
    assert len(found) > 90
    assert found.mean() == pytest.approx(1 / 32, rel=0.03)


def test_a_limit_that_is_too_inaccurate_is_said():
    decay = measure_deviation(*simulate(1, trials=10, elements=50, limit_error=0.2), EPS)
    assert decay.sizes[1024] is None
    assert decay.notes[1024] == "below the limit's error"
    assert 1024 not in decay.slope.widths


@pytest.mark.parametrize("elements", [1, 20])
def test_the_slope_of_biases_and_its_error(elements):
    cases = [simulate(seed, trials=100, elements=elements, spread=0.1, bias=2.0) for seed in range(200)]
    decays = [measure_bias(*case, EPS) for case in cases]
    scores = z_scores(decays, -1.0)
    assert len(scores) == 200
    assert abs(scores.mean()) < 0.4
    assert 0.8 < scores.std() < 1.3
    assert np.mean([decay.sizes[64] for decay in decays]) == pytest.approx(2 / 64, rel=0.01)


def test_a_bias_of_noise_is_said_to_be_noise():
    notes = [measure_bias(*simulate(seed, trials=20, elements=20), EPS).notes for seed in range(50)]
    assert {note for found in notes for note in found.values()} == {"below noise"}
    slope = measure_bias(*simulate(0, trials=20, elements=20), EPS).slope
    assert (slope.value, slope.widths, slope.note) == (None, (), "below noise")


def test_only_widths_above_the_noise_are_fitted():
    decay = measure_bias(*simulate(3, trials=40, elements=20, bias=10.0), EPS)
    assert decay.slope.widths == (64, 256)
    assert decay.notes == {64: "", 256: "", 1024: "below noise"}
    assert decay.slope.value == pytest.approx(-1.0, abs=4 * decay.slope.stderr)


def test_no_deviation_at_all():
    runs = {n: np.full((5, 3), 2.0 + 1e-15) for n in WIDTHS}
    for measure in (measure_deviation, measure_bias):
        decay = measure(runs, np.full((8, 3), 2.0), EPS)
        assert decay.slope.note == "none"
        assert set(decay.sizes.values()) == {None}
    # in float32 a deviation of 1e-6 is rounding too
    runs = {n: np.full((5, 3), 2.0 + 1e-6) for n in WIDTHS}
    assert measure_deviation(runs, np.full((8, 3), 2.0), float(np.finfo(np.float32).eps)).slope.note == "none"


def test_trials_without_scatter_have_an_exact_slope():
    runs = {n: np.full((5, 3), 2.0 + 1 / n) for n in WIDTHS}
    for measure in (measure_deviation, measure_bias):
        slope = measure(runs, np.full((8, 3), 2.0), EPS).slope
        assert slope.value == pytest.approx(-1.0)
        assert slope.stderr == pytest.approx(0.0, abs=1e-12)


def test_one_trial_and_one_width():
    runs, limits = simulate(5, trials=1, elements=50)
    slope = measure_deviation(runs, limits, EPS).slope
    assert slope.value == pytest.approx(-0.5, abs=0.2)
    assert np.isnan(slope.stderr)
    assert slope.to_dict()["stderr"] is None
    assert measure_bias(runs, limits, EPS).slope.note == "one trial"
    runs, limits = simulate(5, trials=4, elements=2)
    assert measure_deviation({64: runs[64]}, limits, EPS).slope.note == "one width"
